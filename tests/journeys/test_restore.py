from __future__ import annotations

import asyncio
import os
import random
import secrets
import tarfile

import pytest

from archive.trees import hostile_tree, mixed_tree
from haulier.archive.index import INDEX_SUFFIX
from haulier.catalog.filters import OperationFilter
from haulier.core.records import OperationStatus
from haulier.errors import (
    CorruptArchive,
    DecryptionFailed,
    DuplicateName,
    StorageFull,
    TargetMissing,
    UnknownReference,
    UnsafeArchive,
    VerificationFailed,
)
from haulier.journeys.archive import placing
from haulier.journeys.archive.fetch import _hidden_path
from haulier.journeys.archive.references import resolve
from haulier.journeys.archive.restore import restore
from journeys.snapshots import snapshot


async def bring(site, reference, out, **options):
    async with site.open() as ctx:
        record = await restore(ctx, reference, out=out, **options)
        assert record == await ctx.catalog.get_operation(record.operation_id)
        return record


def left_over(directory):
    return sorted(name for name in os.listdir(directory) if name.startswith(".haulier"))


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "key"
    path.write_bytes(secrets.token_bytes(32))
    return str(path)


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
async def test_a_tree_comes_back_as_it_was(site, out, compression):
    before = snapshot(hostile_tree(site.yard.local / "hostile"))
    (upload,) = await site.upload("hostile", compression=compression)
    record = await bring(site, upload.operation_id, out)
    assert snapshot(out / "hostile") == before
    assert (record.operation_type, record.status) == ("download", OperationStatus.SUCCESS)
    assert record.result_path == str(out / "hostile")
    assert record.metadata["upload_operation_id"] == upload.operation_id
    assert left_over(out) == []


async def test_a_single_file_comes_back_by_its_key(site, out):
    (site.yard.local / "beach.mp4").write_bytes(b"waves" * 1000)
    await site.upload("beach.mp4")
    record = await bring(site, "beach.mp4.tar.gz", out)
    assert (out / "beach.mp4").read_bytes() == b"waves" * 1000
    assert record.result_path == str(out / "beach.mp4")


async def test_the_progress_ends_complete(bucket_site, out):
    (bucket_site.yard.local / "beach.mp4").write_bytes(b"waves" * 100_000)
    await bucket_site.upload("beach.mp4")
    async with bucket_site.open() as ctx:
        await restore(ctx, "beach.mp4.tar.gz", out=out)
        (end,) = [event for event in ctx.board.sample() if event.is_final]
    assert end.stage == "unpacking"
    assert end.done_bytes > 500_000


@pytest.mark.parametrize("suffix", ["gz", "plain"])
async def test_an_archive_that_haulier_did_not_make(site, out, suffix):
    files = {"trip": None, "trip/a.txt": b"a" * 5000, "trip/b.txt": b"b"}
    mode, name = ("w:gz", "trip.tar.gz") if suffix == "gz" else ("w", "trip.tar")
    await site.put_foreign(f"old/{name}", files, mode=mode)
    record = await bring(site, f"old/{name}", out)
    assert (out / "trip" / "a.txt").read_bytes() == b"a" * 5000
    assert record.result_path == str(out / "trip")
    assert left_over(out) == []


async def test_several_top_level_names_land_in_out(local_site, out):
    await local_site.put_foreign("two.tar.gz", {"a": b"1", "b": b"2"})
    record = await bring(local_site, "two.tar.gz", out)
    assert record.result_path == str(out)
    assert sorted(os.listdir(out)) == ["a", "b"]


async def test_a_name_that_is_taken_is_left_alone(site, out):
    (site.yard.local / "beach.mp4").write_bytes(b"waves")
    await site.upload("beach.mp4")
    out.mkdir()
    (out / "beach.mp4").write_bytes(b"mine")
    site.store.asked.clear()
    with pytest.raises(DuplicateName):
        await bring(site, "beach.mp4.tar.gz", out)
    assert (out / "beach.mp4").read_bytes() == b"mine"
    assert site.store.downloaded() == []
    await bring(site, "beach.mp4.tar.gz", out, overwrite=True)
    assert (out / "beach.mp4").read_bytes() == b"waves"
    assert left_over(out) == []


async def test_a_failure_is_in_the_history(local_site, out):
    (local_site.yard.local / "beach.mp4").write_bytes(b"waves")
    await local_site.upload("beach.mp4")
    out.mkdir()
    (out / "beach.mp4").touch()
    async with local_site.open() as ctx:
        with pytest.raises(DuplicateName):
            await restore(ctx, "beach.mp4.tar.gz", out=out)
        page = await ctx.catalog.list_operations(OperationFilter(operation_type="download"))
    assert [record.status for record in page.items] == [OperationStatus.FAILED]
    assert "exists already" in page.items[0].error_message


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
async def test_a_rotten_byte_is_never_unpacked(local_site, out, compression):
    mixed_tree(local_site.yard.local / "mixed")
    (upload,) = await local_site.upload("mixed", compression=compression)
    await local_site.damage(upload.s3_object_key, at=2 << 20)
    with pytest.raises(CorruptArchive):
        await bring(local_site, upload.operation_id, out)
    assert os.listdir(out) == []


async def test_a_rotten_byte_of_an_archive_without_index(local_site, out):
    await local_site.put_foreign("theirs.tar", {"a": b"1" * 5000}, mode="w")
    await local_site.damage("theirs.tar", at=600)
    with pytest.raises(VerificationFailed):
        await bring(local_site, "theirs.tar", out)
    assert os.listdir(out) == []


async def test_another_object_under_the_key_is_not_unpacked(site, out):
    (site.yard.local / "beach.mp4").write_bytes(b"waves")
    (upload,) = await site.upload("beach.mp4")
    await site.put_foreign(upload.s3_object_key, {"beach.mp4": b"not the sea"})
    with pytest.raises(VerificationFailed, match="not the object that its index describes"):
        await bring(site, upload.operation_id, out)
    assert not (out / "beach.mp4").exists()


@pytest.mark.parametrize("member", ["../escape.txt", "/tmp/escape.txt", "a/../../escape.txt"])
async def test_nothing_of_an_unsafe_archive_is_written(local_site, out, member):
    await local_site.put_foreign("evil.tar.gz", {"good.txt": b"1", member: b"evil"})
    for options in ({}, {"member": "good.txt"}):
        with pytest.raises(UnsafeArchive):
            await bring(local_site, "evil.tar.gz", out, **options)
        assert os.listdir(out) == []
    assert not (out.parent / "escape.txt").exists()


async def test_too_little_space_is_said_before_anything_moves(bucket_site, out, monkeypatch):
    (bucket_site.yard.local / "beach.mp4").write_bytes(random.Random(3).randbytes(1 << 20))
    await bucket_site.upload("beach.mp4")
    usage = placing.shutil.disk_usage(out.parent)
    monkeypatch.setattr(placing.shutil, "disk_usage", lambda path: usage._replace(free=1000))
    bucket_site.store.asked.clear()
    with pytest.raises(StorageFull, match="1000 bytes free"):
        await bring(bucket_site, "beach.mp4.tar.gz", out)
    assert bucket_site.store.downloaded() == []


async def test_an_out_that_is_a_file_is_refused(local_site, out):
    (local_site.yard.local / "beach.mp4").write_bytes(b"waves")
    await local_site.upload("beach.mp4")
    out.write_text("a file")
    with pytest.raises(TargetMissing, match="out"):
        await bring(local_site, "beach.mp4.tar.gz", out)


async def test_an_interrupted_download_goes_on_where_it_was(bucket_site, out):
    content = random.Random(5).randbytes(48 << 20)
    (bucket_site.yard.local / "long.mp4").write_bytes(content)
    (upload,) = await bucket_site.upload("long.mp4")
    store = bucket_site.store
    store.bytes_out = 0
    async with bucket_site.open() as ctx:
        task = asyncio.create_task(restore(ctx, upload.operation_id, out=out))
        while store.bytes_out < 12 << 20:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        page = await ctx.catalog.list_operations(OperationFilter(operation_type="download"))
    assert page.items[0].status is OperationStatus.CANCELLED
    assert any(name.endswith(".part.json") for name in left_over(out))
    first, store.bytes_out = store.bytes_out, 0
    await bring(bucket_site, upload.operation_id, out)
    assert (out / "long.mp4").read_bytes() == content
    # What was in flight at four connections may come twice, no more.
    assert first + store.bytes_out <= upload.compressed_size + (6 << 20)
    assert store.bytes_out < upload.compressed_size - (6 << 20)
    assert left_over(out) == []


async def test_a_download_that_was_whole_is_not_fetched_again(bucket_site, out):
    content = random.Random(5).randbytes(3 << 20)
    (bucket_site.yard.local / "long.mp4").write_bytes(content)
    (upload,) = await bucket_site.upload("long.mp4")
    async with bucket_site.open() as ctx:
        hidden = _hidden_path(await resolve(ctx, upload.operation_id), out)
    out.mkdir()
    async with bucket_site.store.get(upload.s3_object_key) as pieces:
        hidden.write_bytes(b"".join([piece async for piece in pieces]))
    bucket_site.store.asked.clear()
    await bring(bucket_site, upload.operation_id, out)
    assert bucket_site.store.downloaded() == []
    assert (out / "long.mp4").read_bytes() == content
    assert left_over(out) == []


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
@pytest.mark.parametrize("encrypted", [False, True])
async def test_a_member_costs_its_own_bytes(site, out, key, compression, encrypted):
    before = snapshot(mixed_tree(site.yard.local / "mixed"))
    options = {"encrypt": key} if encrypted else {}
    (upload,) = await site.upload("mixed", compression=compression, **options)
    site.store.bytes_out = 0
    record = await bring(
        site, upload.operation_id, out, member="mixed/photo.jpg", key=key if encrypted else None
    )
    # Two segments at most on either side of what was asked for, and whole frames of 64 KiB.
    assert site.store.bytes_out <= (1 << 20) + 17 + (2 << 20) + (128 << 10)
    assert site.store.bytes_out < upload.compressed_size
    assert snapshot(out / "mixed")[b"photo.jpg"] == before[b"photo.jpg"]
    assert record.result_path == str(out / "mixed" / "photo.jpg")
    assert record.metadata["member"] == "mixed/photo.jpg"
    site.store.bytes_out = 0
    with pytest.raises(DuplicateName):
        await bring(site, upload.operation_id, out, member="photo.jpg", key=key)
    assert site.store.bytes_out == 0
    await bring(site, upload.operation_id, out, member="small-07.txt", key=key)
    assert snapshot(out / "mixed")[b"small-07.txt"] == before[b"small-07.txt"]
    assert left_over(out) == left_over(out / "mixed") == []


async def test_every_kind_of_member_comes_back_alone(site, out):
    before = snapshot(hostile_tree(site.yard.local / "hostile"))
    (upload,) = await site.upload("hostile")
    for raw in sorted(before):
        relative = os.fsdecode(raw)
        if before[raw][0] == "dir" and relative != "empty dir":
            continue
        await bring(site, upload.operation_id, out / "x", member=relative)
        came = snapshot(out / "x" / "hostile")[raw]
        if relative == "zz hard link":
            assert came[3] == before[raw][3]
        else:
            assert came == before[raw], relative


async def test_a_directory_comes_back_with_all_below_it(site, out):
    root = site.yard.local / "trip"
    (root / "day 1" / "raw").mkdir(parents=True)
    (root / "day 2").mkdir()
    dice = random.Random(1)
    (root / "aa.mp4").write_bytes(dice.randbytes(3 << 20))
    for number in range(300):
        (root / "day 1" / f"{number:03}.txt").write_bytes(dice.randbytes(number * 5))
    (root / "day 1" / "raw" / "c.raw").write_bytes(dice.randbytes(100_000))
    os.link(root / "day 1" / "001.txt", root / "day 1" / "zz inner link")
    os.link(root / "aa.mp4", root / "day 1" / "zz outer link")
    (root / "day 1" / "to 1").symlink_to("001.txt")
    (root / "day 1" / "raw").chmod(0o555)
    (root / "day 2" / "other.mp4").write_bytes(dice.randbytes(3 << 20))
    before = snapshot(root)
    (upload,) = await site.upload("trip")
    site.store.bytes_out = 0
    record = await bring(site, upload.operation_id, out, member="day 1")
    below = {name: value for name, value in before.items() if name.startswith(b"day 1/")}
    assert {name: value for name, value in snapshot(out / "trip").items() if b"/" in name} == below
    assert snapshot(out / "trip")[b"day 1"] == before[b"day 1"]
    assert os.listdir(out / "trip") == ["day 1"]
    assert record.result_path == str(out / "trip" / "day 1")
    assert (out / "trip/day 1/001.txt").samefile(out / "trip/day 1/zz inner link")
    # All of `day 1` in one piece, the outer link's content in another, and no `day 2`.
    gets = [asked for asked in site.store.asked if asked[0] == "get"]
    assert len(site.store.downloaded()) == 2, gets
    assert site.store.bytes_out < upload.compressed_size - (2 << 20)
    assert left_over(out) == []


async def test_the_root_itself_may_be_named(local_site, out):
    before = snapshot(hostile_tree(local_site.yard.local / "hostile"))
    (upload,) = await local_site.upload("hostile")
    await bring(local_site, upload.operation_id, out, member="hostile")
    assert snapshot(out / "hostile") == before
    with pytest.raises(DuplicateName):
        await bring(local_site, upload.operation_id, out, member="hostile/")
    await bring(local_site, upload.operation_id, out, member="hostile/", overwrite=True)
    assert snapshot(out / "hostile") == before


async def test_a_member_of_an_archive_without_index(site, out):
    files = {"trip": None, "trip/a.txt": b"a" * 5000, "trip/sub/b.txt": b"b"}
    await site.put_foreign("trip.tar.gz", files)
    for member in ("trip/a.txt", "sub/b.txt", "./trip/sub"):
        await bring(site, "trip.tar.gz", out / member.replace("/", "-"), member=member)
    assert (out / "trip-a.txt" / "trip" / "a.txt").read_bytes() == b"a" * 5000
    assert (out / "sub-b.txt" / "trip" / "sub" / "b.txt").read_bytes() == b"b"
    assert (out / ".-trip-sub" / "trip" / "sub" / "b.txt").read_bytes() == b"b"
    assert os.listdir(out / "trip-a.txt" / "trip") == ["a.txt"]
    for member in ("nothing", "..", ".", "/", "trip/../.."):
        with pytest.raises(UnknownReference):
            await bring(site, "trip.tar.gz", out, member=member)
    assert left_over(out) == []


async def test_an_unknown_member_gets_the_nearest_names(local_site, out):
    mixed_tree(local_site.yard.local / "mixed")
    await local_site.upload("mixed")
    with pytest.raises(UnknownReference) as caught:
        await bring(local_site, "mixed.tar.gz", out, member="foto.jpg")
    assert "photo.jpg" in caught.value.hint


async def test_a_link_in_out_can_not_lead_a_member_away(local_site, out, tmp_path):
    mixed_tree(local_site.yard.local / "mixed")
    await local_site.upload("mixed")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    out.mkdir()
    (out / "mixed").symlink_to(elsewhere)
    with pytest.raises(UnsafeArchive):
        await bring(local_site, "mixed.tar.gz", out, member="photo.jpg")
    assert os.listdir(elsewhere) == []


async def test_an_encrypted_archive_needs_its_key(site, out, key, tmp_path):
    before = snapshot(hostile_tree(site.yard.local / "hostile"))
    (upload,) = await site.upload("hostile", encrypt=key)
    other = tmp_path / "other key"
    other.write_bytes(secrets.token_bytes(32))
    site.store.asked.clear()
    for options in ({}, {"member": "plain.txt"}):
        with pytest.raises(DecryptionFailed):
            await bring(site, upload.operation_id, out, **options)
        with pytest.raises(DecryptionFailed, match="another key"):
            await bring(site, upload.operation_id, out, key=str(other), **options)
        assert site.store.downloaded() == []
        assert not out.exists()
    await bring(site, upload.operation_id, out, key=key)
    assert snapshot(out / "hostile") == before
    assert left_over(out) == []


async def test_an_encrypted_archive_the_catalog_lost(site, out, key):
    before = snapshot(mixed_tree(site.yard.local / "mixed"))
    (upload,) = await site.upload("mixed", encrypt=key)
    for path in site.yard.data.glob("catalog.db*"):
        path.unlink()
    with pytest.raises(DecryptionFailed, match="index is encrypted"):
        await bring(site, upload.s3_object_key, out)
    await bring(site, upload.s3_object_key, out, key=key)
    assert snapshot(out / "mixed") == before


@pytest.mark.parametrize("swapped", ["archive", "index", "both"])
async def test_an_encrypted_archive_is_not_taken_for_another_under_its_key(
    local_site, out, key, swapped
):
    for name in ("mine.mp4", "them.mp4"):
        (local_site.yard.local / name).write_bytes(secrets.token_bytes(200_000))
    mine, theirs = await local_site.upload("mine.mp4", "them.mp4", encrypt=key)
    for path in local_site.yard.data.glob("catalog.db*"):
        path.unlink()
    for suffix, word in (("", "archive"), (INDEX_SUFFIX, "index")):
        if swapped in {word, "both"}:
            async with local_site.store.get(theirs.s3_object_key + suffix) as pieces:
                content = b"".join([piece async for piece in pieces])
            await local_site.store.put(mine.s3_object_key + suffix, content)
    if swapped == "both":  # the same as to copy an archive: it says itself what it is
        record = await bring(local_site, mine.s3_object_key, out, key=key)
        assert record.result_path == str(out / "them.mp4")
        return
    for options in ({}, {"member": "mine.mp4"}, {"member": "them.mp4"}):
        with pytest.raises((DecryptionFailed, VerificationFailed, UnknownReference)):
            await bring(local_site, mine.s3_object_key, out, key=key, **options)
    assert not out.exists()


async def test_a_plain_tar_of_the_system_is_restored(bucket_site, out, tmp_path):
    root = hostile_tree(tmp_path / "hostile")
    before = snapshot(root)
    archive = tmp_path / "x.tar.gz"
    with tarfile.open(archive, "w:gz", format=tarfile.PAX_FORMAT) as tar:
        tar.add(root, arcname="hostile")
    await bucket_site.store.put("x.tar.gz", archive.read_bytes())
    await bring(bucket_site, "x.tar.gz", out)
    after = snapshot(out / "hostile")
    # The standard library writes times as floats: a microsecond is what remains of them.
    assert {name: value[-1] for name, value in after.items() if value[0] == "file"} == {
        name: value[-1] for name, value in before.items() if value[0] == "file"
    }
