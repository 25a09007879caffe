from __future__ import annotations

import asyncio
import hashlib
import os
import pathlib
import subprocess
import tarfile
from dataclasses import replace

import pytest

from archive.trees import hostile_tree, mixed_tree
from haulier.catalog.filters import FileFilter, OperationFilter
from haulier.core.records import (
    FILE_RECORD_FIELDS,
    FileStatus,
    OperationStatus,
    new_file_id,
    new_operation_id,
)
from haulier.errors import HaulierError, NothingSelected, StorageFull
from haulier.journeys.archive.upload import resume, retry, upload
from haulier.store.local import LocalStore
from journeys.archives import Recording


def snapshot(root):
    """Return what a tree holds: kinds, bytes, modes, times, link targets."""
    found = {}
    for directory, names, files in os.walk(os.fsencode(root)):
        for name in (*names, *files):
            path = os.path.join(directory, name)
            status = os.lstat(path)
            relative = os.path.relpath(path, os.fsencode(root))
            if os.path.islink(path):
                found[relative] = ("link", os.readlink(path))
            elif os.path.isdir(path):
                found[relative] = ("dir", status.st_mode, status.st_mtime_ns)
            else:
                content = pathlib.Path(os.fsdecode(path)).read_bytes()
                found[relative] = ("file", status.st_mode, status.st_mtime_ns, content)
    return found


def untar(archive, into):
    into.mkdir()
    subprocess.run(["tar", "xf", archive, "-C", into], check=True, capture_output=True)
    return into


async def test_a_file_goes_all_the_way(yard, tmp_path):
    content = os.urandom(3 << 20)
    (yard.local / "clip.mp4").write_bytes(content)
    (record,) = await yard.upload("clip.mp4")
    assert (record.status, record.error_message) == (OperationStatus.SUCCESS, None)
    assert (yard.completed / "clip.mp4").read_bytes() == content
    assert not (yard.local / "clip.mp4").exists()
    stored = yard.store_dir / "clip.mp4.tar.gz"
    out = untar(stored, tmp_path / "out")
    assert (out / "clip.mp4").read_bytes() == content
    assert record.checksum_original == "sha256:" + hashlib.sha256(content).hexdigest()
    assert record.compressed_size == stored.stat().st_size
    assert record.original_size == len(content)
    assert record.result_path == stored.as_uri()
    assert record.metadata["checks"] == ["size", "crc64nvme"]


async def test_the_four_records_are_in_the_catalog_and_linked(yard):
    (yard.local / "photos").mkdir()
    (yard.local / "photos" / "a.jpg").write_bytes(b"x" * 5000)
    (record,) = await yard.upload("photos")
    async with yard.open() as ctx:
        kept = await ctx.catalog.get_operation(record.operation_id)
        files = (await ctx.catalog.list_files(FileFilter())).items
        assert await ctx.catalog.read(lambda tx: tx.list_uploads()) == []
        assert await ctx.catalog.read(lambda tx: tx.get_index(record.operation_id))
    assert kept == record
    states = {f.location + ":" + f.name: f.status for f in files}
    assert (
        states
        == {
            "completed:photos": FileStatus.COMPLETED,
            "local:photos.tar.gz": FileStatus.DELETED,
            "file:photos.tar.gz": FileStatus.COMPLETED,
        }
        or len(files) == 4
    )
    assert len(files) == 4
    assert {f.tags["upload_operation_id"] for f in files} == {record.operation_id}
    assert record.s3_file_record.tags["original_path"] == str(yard.local / "photos")
    assert record.source_file_record.size == 5000
    assert record.source_file_record.is_directory
    assert record.completed_file_record.tags["upload_timestamp"].endswith("Z")


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
async def test_hostile_names_come_back_through_plain_tar(yard, tmp_path, compression):
    before = snapshot(hostile_tree(yard.local / "hostile"))
    (record,) = await yard.upload("hostile", compression=compression)
    assert record.status is OperationStatus.SUCCESS, record.error_message
    out = untar(yard.store_dir / record.s3_object_key, tmp_path / "out")
    assert snapshot(out / "hostile") == before
    assert snapshot(yard.completed / "hostile") == before


async def test_media_are_stored_and_text_is_squeezed(yard):
    mixed_tree(yard.local / "mixed")
    (record,) = await yard.upload("mixed")
    incompressible = (3 << 20) + (1 << 20)
    assert incompressible < record.compressed_size < incompressible + (1 << 20)
    with tarfile.open(yard.store_dir / "mixed.tar.gz") as tar:
        assert tar.getmember("mixed/photo.jpg").size == (1 << 20) + 17


async def test_a_directorys_checksum_is_what_sha256sum_says_of_its_manifest(yard):
    mixed_tree(yard.local / "mixed")
    (record,) = await yard.upload("mixed", completed_dir=None)
    lines = subprocess.run(
        "find . -type f -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum",
        shell=True, cwd=yard.local / "mixed", capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert record.checksum_original == "sha256:" + lines.split()[0]


async def test_all_takes_each_entry_but_our_own_hidden_and_linked_ones(yard):
    for name in ("a.mp4", "b.mp4", ".hidden", ".haulier-partial-x"):
        (yard.local / name).write_bytes(name.encode())
    yard.completed.mkdir()
    (yard.completed / "old.mp4").write_bytes(b"old")
    records = await yard.upload("all")
    assert [r.target_name for r in records] == ["a.mp4", "b.mp4"]
    records = await yard.upload("all", hidden=True)
    assert [r.target_name for r in records] == [".hidden"]


async def test_all_of_nothing_is_an_error(yard):
    with pytest.raises(NothingSelected):
        await yard.upload("all")


async def test_all_refuses_a_link_that_leaves_the_directory(yard, tmp_path):
    (tmp_path / "secret").write_bytes(b"s")
    (yard.local / "trap").symlink_to(tmp_path / "secret")
    for name in ("a.mp4", "z.mp4"):
        (yard.local / name).write_bytes(name.encode())
    first, trap, last = await yard.upload("all")
    assert (first.status, last.status) == (OperationStatus.SUCCESS,) * 2
    assert (trap.target_name, trap.status) == ("trap", OperationStatus.FAILED)
    assert trap.metadata["error"]["code"] == "unsafe-path"
    assert sorted(path.name for path in yard.store_dir.glob("*.tar.gz")) == [
        "a.mp4.tar.gz", "z.mp4.tar.gz",
    ]  # fmt: skip


async def test_one_failure_does_not_stop_the_others(yard):
    (yard.local / "here.txt").write_bytes(b"1")
    missing, here = await yard.upload("gone.txt", "here.txt")
    assert (missing.status, here.status) == (OperationStatus.FAILED, OperationStatus.SUCCESS)
    assert "gone.txt does not exist" in missing.error_message


async def test_equal_content_is_skipped_whatever_its_name(yard):
    (yard.local / "a.mp4").write_bytes(b"same" * 1000)
    (first,) = await yard.upload("a.mp4")
    (yard.local / "other name.mp4").write_bytes(b"same" * 1000)
    (second,) = await yard.upload("other name.mp4")
    assert second.status is OperationStatus.SUCCESS
    assert second.metadata["skipped"] is True
    assert second.metadata["equal_to"] == first.operation_id
    assert (yard.local / "other name.mp4").exists()
    (forced,) = await yard.upload("other name.mp4", force=True)
    assert "skipped" not in forced.metadata
    assert (yard.store_dir / "other name.mp4.tar.gz").exists()


async def test_equal_content_whose_object_is_gone_is_uploaded_again(yard):
    (yard.local / "a.mp4").write_bytes(b"same" * 1000)
    await yard.upload("a.mp4", completed_dir=None)
    (yard.store_dir / "a.mp4.tar.gz").unlink()
    (again,) = await yard.upload("a.mp4", completed_dir=None)
    assert "skipped" not in again.metadata
    assert (yard.store_dir / "a.mp4.tar.gz").exists()


async def test_of_many_empty_files_only_the_newest_are_asked_for(yard):
    empty = "sha256:" + hashlib.sha256(b"").hexdigest()
    (yard.local / "first").write_bytes(b"")
    (first,) = await yard.upload("first")
    assert first.checksum_original == empty

    def like_first(number):
        operation_id = new_operation_id()
        tags = {"upload_operation_id": operation_id}
        records = {
            name: replace(getattr(first, name), id=new_file_id(), tags=tags)
            for name in FILE_RECORD_FIELDS
        }
        key = f"gone{number}.tar.gz"
        return replace(first, operation_id=operation_id, s3_object_key=key, **records)

    def record_many(tx):
        for number in range(100):
            tx.put_operation(like_first(number))

    store = Recording(LocalStore(yard.store_dir))
    (yard.local / "second").write_bytes(b"")
    async with yard.open(store=store) as ctx:
        await ctx.catalog.transaction(record_many)
        (second,) = await upload(ctx, ["second"], yard.options())
    assert second.status is OperationStatus.SUCCESS
    asked = [key for verb, key in store.asked if verb == "head" and key.startswith("gone")]
    assert 0 < len(asked) <= 20
    assert len(set(asked)) == len(asked)


@pytest.mark.parametrize("handling", ["timestamp", "subdirectory"])
async def test_same_name_other_content_goes_on_under_another_key(yard, handling):
    for content in (b"one", b"two", b"three"):
        (yard.local / "a.txt").write_bytes(content)
        (record,) = await yard.upload("a.txt", duplicate_handling=handling)
        assert record.status is OperationStatus.SUCCESS, record.error_message
    stored = [p for p in yard.store_dir.rglob("*.tar.gz") if ".haulier" not in p.parts]
    contents = set()
    for path in stored:
        with tarfile.open(path) as tar:
            contents.add(tar.extractfile("a.txt").read())
    assert contents == {b"one", b"two", b"three"}
    moved = {p.read_bytes() for p in yard.completed.rglob("*a.txt")}
    assert moved == {b"one", b"two", b"three"}


async def test_error_handling_is_decided_before_a_byte_moves(yard):
    yard.completed.mkdir()
    (yard.completed / "a.txt").write_bytes(b"old")
    (yard.local / "a.txt").write_bytes(b"new")
    (record,) = await yard.upload("a.txt", duplicate_handling="error")
    assert record.status is OperationStatus.FAILED
    assert record.metadata["error"]["code"] == "duplicate-name"
    assert not yard.store_dir.exists()


async def test_preserved_structure(yard):
    (yard.local / "2026" / "may").mkdir(parents=True)
    (yard.local / "2026" / "may" / "a.txt").write_bytes(b"1")
    await yard.upload("2026/may/a.txt", preserve_structure=True)
    assert (yard.completed / "2026" / "may" / "a.txt").read_bytes() == b"1"


async def test_a_dry_run_writes_nothing(yard):
    (yard.local / "a.txt").write_bytes(b"1" * 10)
    (record,) = await yard.upload("a.txt", dry_run=True)
    assert record.metadata["dry_run"] is True
    assert record.s3_object_key == "a.txt.tar.gz"
    assert not yard.store_dir.exists()
    async with yard.open() as ctx:
        assert (await ctx.catalog.list_operations(OperationFilter())).items == []


async def test_an_object_of_equal_content_is_adopted(yard):
    (yard.local / "a.txt").write_bytes(b"content" * 100)
    await yard.upload("a.txt", completed_dir=None)
    (yard.data / "catalog.db").unlink()
    for extra in yard.data.glob("catalog.db-*"):
        extra.unlink()
    yard.stages.clear()
    (record,) = await yard.upload("a.txt")
    assert record.status is OperationStatus.SUCCESS, record.error_message
    assert record.metadata["adopted"] is True
    assert "part-stored" not in {s.stage for s in yard.stages}
    assert (yard.completed / "a.txt").exists()


@pytest.mark.parametrize("change", ["grow", "shrink", "touch", "vanish"])
async def test_a_source_that_changes_while_it_is_packed_is_named_and_can_be_retried(yard, change):
    root = yard.local / "d"
    root.mkdir()
    (root / "a.bin").write_bytes(os.urandom(20 << 20))
    (root / "b.bin").write_bytes(os.urandom(20 << 20))

    def meddle(event):
        if event.stage == "opened":
            match change:
                case "grow":
                    with open(root / "b.bin", "ab") as file:
                        file.write(b"more")
                case "shrink":
                    os.truncate(root / "b.bin", 10)
                case "touch":
                    os.utime(root / "b.bin", ns=(1, 1))
                case "vanish":
                    (root / "b.bin").unlink()

    (record,) = await yard.upload("d", observe=meddle)
    assert record.status is OperationStatus.FAILED
    assert record.metadata["error"]["code"] == "source-changed"
    assert "d/b.bin" in record.error_message
    assert root.exists()
    assert not (yard.store_dir / "d.tar.gz").exists()
    async with yard.open() as ctx:
        (again,) = await retry(ctx, [record.operation_id])
    assert again.status is OperationStatus.SUCCESS, again.error_message
    assert not root.exists()


async def test_a_failed_move_keeps_the_upload_and_retry_finishes_it(yard):
    (yard.local / "a.txt").write_bytes(b"1")
    yard.completed.write_text("a file where the directory should be")
    (record,) = await yard.upload("a.txt")
    assert record.status is OperationStatus.PARTIAL
    assert "not moved" in record.error_message
    assert (yard.store_dir / "a.txt.tar.gz").exists()
    yard.completed.unlink()
    yard.stages.clear()
    async with yard.open() as ctx:
        (again,) = await retry(ctx, failed_ones=True)
    assert again.status is OperationStatus.SUCCESS
    assert (yard.completed / "a.txt").exists()
    assert "part-stored" not in {s.stage for s in yard.stages}


async def test_a_kept_archive_is_the_stored_one(yard):
    mixed_tree(yard.local / "mixed")
    (record,) = await yard.upload("mixed", keep_archive_dir=str(yard.local))
    kept = yard.local / "mixed.tar.gz"
    assert record.compressed_file_path == str(kept)
    assert kept.read_bytes() == (yard.store_dir / "mixed.tar.gz").read_bytes()
    assert record.compressed_file_record.status is FileStatus.COMPLETED


async def test_sha256_of_the_archive_on_request(yard):
    (yard.local / "a.txt").write_bytes(b"1")
    (record,) = await yard.upload("a.txt", sha256=True)
    stored = (yard.store_dir / "a.txt.tar.gz").read_bytes()
    assert record.checksum_compressed == "sha256:" + hashlib.sha256(stored).hexdigest()


async def test_what_is_stored_damaged_is_not_trusted_and_the_source_stays(yard):
    (yard.local / "a.bin").write_bytes(os.urandom(100_000))

    def damage(event):
        if event.stage == "completed":
            path = yard.store_dir / "a.bin.tar.gz"
            path.write_bytes(path.read_bytes()[:-1])

    (record,) = await yard.upload("a.bin", observe=damage)
    assert record.status is OperationStatus.FAILED
    assert record.metadata["error"]["code"] == "verification-failed"
    assert (yard.local / "a.bin").exists()
    async with yard.open() as ctx:
        (again,) = await retry(ctx, [record.operation_id])
    assert again.status is OperationStatus.SUCCESS, again.error_message
    assert again.s3_object_key == "a.bin.tar.gz"


async def test_resume_with_nothing_to_do(yard):
    async with yard.open() as ctx:
        assert await resume(ctx) == []


async def test_retry_of_what_is_done_says_so(yard):
    (yard.local / "a.txt").write_bytes(b"1")
    (record,) = await yard.upload("a.txt")
    async with yard.open() as ctx:
        with pytest.raises(HaulierError, match="nothing left to do"):
            await retry(ctx, [record.operation_id])


async def test_an_interrupted_upload_is_cancelled_and_resumable(yard):
    mixed_tree(yard.local / "mixed")
    async with yard.open() as ctx:
        task = asyncio.create_task(upload(ctx, ["mixed"], yard.options()))

        def stop(event):
            if event.stage == "sending":
                task.cancel()

        ctx.observe = stop
        with pytest.raises(asyncio.CancelledError):
            await task
        (cancelled,) = (await ctx.catalog.list_operations(OperationFilter())).items
        assert cancelled.status is OperationStatus.CANCELLED
        ctx.observe = yard.stages.append
        (record,) = await resume(ctx)
    assert record.status is OperationStatus.SUCCESS, record.error_message
    assert record.metadata["resumed"] == 1


async def test_the_etag_of_a_part_whose_answer_was_lost_is_recorded(yard):
    (yard.local / "clip.mp4").write_bytes(os.urandom(100_000))
    async with yard.open() as ctx:

        async def until(stage, work):
            task = asyncio.create_task(work)
            ctx.observe = lambda event: event.stage == stage and task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            (journal,) = await ctx.catalog.read(lambda tx: tx.list_uploads())
            return await ctx.catalog.read(lambda tx: tx.get_parts(journal.operation_id))

        (sent,) = await until("part-stored", upload(ctx, ["clip.mp4"], yard.options()))
        await ctx.catalog.transaction(lambda tx: tx.put_part(replace(sent, etag=None)))
        (again,) = await until("completing", resume(ctx))
        assert again.etag == sent.etag is not None
        ctx.observe = yard.stages.append
        (record,) = await resume(ctx)
    assert record.status is OperationStatus.SUCCESS, record.error_message


async def test_a_source_that_changed_after_it_was_read_is_not_put_away(yard):
    path = yard.local / "a.txt"
    path.write_bytes(b"what was uploaded")

    def meddle(event):
        if event.stage == "verified":
            path.write_bytes(b"something newer")

    (record,) = await yard.upload("a.txt", observe=meddle)
    assert record.status is OperationStatus.PARTIAL
    assert "changed after it was uploaded" in record.error_message
    assert path.read_bytes() == b"something newer"
    (again,) = await yard.upload("a.txt")
    assert again.status is OperationStatus.SUCCESS
    assert (yard.completed / "a.txt").read_bytes() == b"something newer"


class FillingStore(LocalStore):
    """A disk that is full from the second part on, until somebody frees some."""

    full = True

    async def put_part(self, key, upload_id, part, **options):
        if self.full and part.number > 1:
            raise StorageFull("no space left")
        return await super().put_part(key, upload_id, part, **options)


async def test_what_a_full_disk_stopped_is_resumed_as_its_advice_says(yard):
    source = mixed_tree(yard.local / "mixed")
    (source / "more.mp4").write_bytes(os.urandom(12 << 20))
    store = FillingStore(yard.store_dir)
    async with yard.open(store=store) as ctx:
        (stopped,) = await upload(ctx, ["mixed"], yard.options())
        assert stopped.status is OperationStatus.FAILED
        assert "haulier resume" in stopped.metadata["error"]["hint"]
        store.full = False
        (done,) = await resume(ctx)
    assert (done.operation_id, done.status) == (stopped.operation_id, OperationStatus.SUCCESS)
