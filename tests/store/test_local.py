"""The local store: what lies on the disk, which keys it refuses, and what a crash leaves."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import subprocess
import sys
import textwrap

import pytest

from haulier.errors import (
    AccessDenied,
    BadDigest,
    NoSuchObject,
    NoSuchUpload,
    ObjectChanged,
    ObjectExists,
    RequestRejected,
    StorageFull,
    UnsafePath,
)
from haulier.net.threads import in_thread
from haulier.store.base import LocalFileStore, ObjectOptions, PartReceipt
from haulier.store.local import LocalStore
from haulier.store.local_files import system_errors
from haulier.testing.store_suite import part_of, read_all


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "store")


def upload_directory(store, upload_id):
    return store.root / ".haulier" / "uploads" / upload_id


async def one_part_upload(store, key="k", data=b"content"):
    upload_id = await store.start_upload(key, ObjectOptions(metadata={"a": "b"}))
    return upload_id, await store.put_part(key, upload_id, part_of(data))


async def test_an_object_is_a_plain_file_and_its_directory_is_not_for_others(store):
    await store.put("photos/2026.tar.gz", b"content")
    assert isinstance(store, LocalFileStore)
    assert store.local_path("photos/2026.tar.gz") == str(store.root / "photos/2026.tar.gz")
    assert (store.root / "photos/2026.tar.gz").read_bytes() == b"content"
    assert (store.root / ".haulier").stat().st_mode & 0o777 == 0o700
    assert os.listdir(store.root / ".haulier/uploads") == []


@pytest.mark.parametrize(
    "key",
    ["", "/etc/passwd", "..", "a/../../b", "./a", "a//b", "a/", ".haulier/objects/x", ".HAULIER/x",
     "nul\0", "\udc80", "n" * 256, "ü" * 128, "a/" * 600 + "b"],
)  # fmt: skip
async def test_a_key_that_can_not_be_a_file_here_is_refused(store, key):
    with pytest.raises(UnsafePath):
        await store.put(key, b"x")
    with pytest.raises(UnsafePath):
        await store.start_upload(key, ObjectOptions())
    with pytest.raises(UnsafePath):
        await store.head(key)
    with pytest.raises(UnsafePath):
        await store.delete(key)


async def test_a_link_in_the_store_leads_nowhere(store, tmp_path):
    await store.put("here", b"x")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"secret")
    (store.root / "dir").symlink_to(tmp_path / "outside")
    (store.root / "file").symlink_to(tmp_path / "outside" / "secret")
    for key in ("dir/secret", "file"):
        with pytest.raises(UnsafePath):
            await read_all(store, key)
        with pytest.raises(UnsafePath):
            await store.put(key, b"y")
    assert [info.key async for info in store.list_objects()] == ["here"]
    assert (tmp_path / "outside" / "secret").read_bytes() == b"secret"


async def test_a_file_can_not_be_a_directory_as_well(store):
    await store.put("a", b"x")
    with pytest.raises(RequestRejected):
        await store.put("a/b", b"y")
    await store.put("c/d", b"x")
    for if_none_match in (False, True):
        with pytest.raises(RequestRejected):
            await store.put("c", b"y", if_none_match=if_none_match)
    assert await read_all(store, "c/d") == b"x"
    with pytest.raises(NoSuchObject):
        await store.head("c")


async def test_a_file_changed_by_hand_is_told_truly(store):
    await store.put("k", b"content", options=ObjectOptions(content_type="text/plain"))
    assert (await store.head("k")).content_type == "text/plain"
    (store.root / "k").write_bytes(b"other")
    info = await store.head("k")
    assert (info.size_bytes, info.etag, info.crc64nvme) == (5, None, None)
    (store.root / "found").write_bytes(b"put here by hand")
    assert [info.key async for info in store.list_objects()] == ["found", "k"]


async def test_metadata_of_any_text_comes_back(store):
    metadata = {"original_path": "/ünï/日本\udcff\n", "empty": ""}
    await store.put("k", b"x", options=ObjectOptions(metadata=metadata))
    assert (await store.head("k")).metadata == metadata


async def test_deleting_leaves_no_note_and_no_empty_directory(store):
    await store.put("a/b/c", b"x")
    await store.put("a/d", b"x")
    await store.delete("a/b/c")
    assert not (store.root / "a/b").exists()
    assert await read_all(store, "a/d") == b"x"
    await store.delete("a/d")
    assert [path.name for path in store.root.iterdir()] == [".haulier"]
    assert list((store.root / ".haulier").rglob("*.json")) == []


async def test_overwriting_leaves_one_note(store):
    for body in (b"one", b"two!", b"three"):
        await store.put("k", body)
    assert len(list((store.root / ".haulier").rglob("*.json"))) == 1


async def test_listing_is_in_the_order_of_keys_not_of_directories(store):
    keys = ["a-b", "a/b", "a0", "ab", "b/c/d", "b/c-d"]
    for key in keys:
        await store.put(key, b"x")
    assert [info.key async for info in store.list_objects()] == sorted(keys)
    assert [info.key async for info in store.list_objects("b/c")] == ["b/c-d", "b/c/d"]


async def test_a_file_that_shrinks_under_a_reader_is_noticed(store):
    await store.put("k", bytes(3 << 20))
    async with store.get("k") as pieces:
        await anext(pieces)
        os.truncate(store.root / "k", 1 << 20)
        with pytest.raises(ObjectChanged):
            await anext(pieces)


async def test_an_overwritten_object_is_read_to_its_end(store):
    old = os.urandom(3 << 20)
    await store.put("k", old)
    async with store.get("k") as pieces:
        read = await anext(pieces)
        await store.put("k", b"new")
        async for piece in pieces:
            read += piece
    assert read == old


async def test_parts_with_a_gap_are_not_completed(store):
    upload_id = await store.start_upload("k", ObjectOptions())
    first = await store.put_part("k", upload_id, part_of(b"a" * 10, 1, 0))
    third = await store.put_part("k", upload_id, part_of(b"c" * 10, 3, 20))
    for parts in (
        [first, third],
        [third],
        [],
        [first, PartReceipt(number=2, size_bytes=1, etag="")],
    ):
        with pytest.raises(RequestRejected):
            await store.complete_upload("k", upload_id, parts)
    with pytest.raises(BadDigest):
        await store.complete_upload("k", upload_id, [first], crc64nvme="0" * 16)
    with pytest.raises(NoSuchObject):
        await store.head("k")


async def test_a_part_cut_otherwise_takes_the_place_of_those_it_overlaps(store):
    upload_id = await store.start_upload("k", ObjectOptions())
    for number in (1, 2, 3):
        await store.put_part("k", upload_id, part_of(b"x" * 10, number, 10 * (number - 1)))
    longer = await store.put_part("k", upload_id, part_of(b"y" * 15, 2, 10))
    listed = await store.list_parts("k", upload_id)
    assert [part.number for part in listed] == [1, 2]
    await store.complete_upload("k", upload_id, [listed[0], longer])
    assert await read_all(store, "k") == b"x" * 10 + b"y" * 15


async def test_a_refused_part_takes_its_former_receipt_along(store):
    """Its bytes are overwritten by then, so the receipt must not vouch for them."""
    upload_id, _ = await one_part_upload(store, data=b"good" * 10)
    lying = part_of(b"evil" * 10)
    object.__setattr__(lying, "crc64nvme", "0" * 16)
    with pytest.raises(BadDigest):
        await store.put_part("k", upload_id, lying)
    assert await store.list_parts("k", upload_id) == []


async def test_the_same_part_at_once_leaves_one_whole_part(store):
    upload_id = await store.start_upload("k", ObjectOptions())
    bodies = [bytes([value]) * (4 << 20) for value in range(4)]
    await asyncio.gather(*(store.put_part("k", upload_id, part_of(body)) for body in bodies))
    (receipt,) = await store.list_parts("k", upload_id)
    await store.complete_upload("k", upload_id, [receipt])
    stored = await read_all(store, "k")
    assert stored in bodies
    assert part_of(stored).md5 == receipt.etag


@pytest.mark.parametrize("upload_id", ["", "..", "../../etc", "0" * 32, "x" * 32])
async def test_an_upload_id_is_no_path(store, upload_id):
    await store.put("k", b"x")
    with pytest.raises(NoSuchUpload):
        await store.put_part("k", upload_id, part_of(b"x"))
    await store.abort_upload("k", upload_id)
    assert await read_all(store, "k") == b"x"


async def test_an_upload_belongs_to_its_key(store):
    upload_id, receipt = await one_part_upload(store)
    with pytest.raises(NoSuchUpload):
        await store.complete_upload("other", upload_id, [receipt])


# What a crash leaves is made by hand here, step by step as completing does it.


async def test_cut_after_the_link_completing_again_succeeds(store):
    upload_id, receipt = await one_part_upload(store)
    os.link(upload_directory(store, upload_id) / "data", store.root / "k")
    assert (await store.head("k")).size_bytes == 7
    with pytest.raises(NoSuchUpload):  # the data is the object now and may not change
        await store.put_part("k", upload_id, part_of(b"CONTENT"))
    info = await store.complete_upload("k", upload_id, [receipt], if_none_match=True)
    assert info == await store.head("k")
    assert info.metadata == {"a": "b"}
    assert await read_all(store, "k") == b"content"
    assert [upload async for upload in store.list_uploads()] == []


async def test_cut_after_the_rename_the_upload_is_gone_and_can_be_cleared(store):
    upload_id, receipt = await one_part_upload(store)
    (upload_directory(store, upload_id) / "data").rename(store.root / "k")
    with pytest.raises(NoSuchUpload):
        await store.complete_upload("k", upload_id, [receipt])
    assert await read_all(store, "k") == b"content"
    assert [upload.upload_id async for upload in store.list_uploads()] == [upload_id]
    await store.abort_upload("k", upload_id)
    assert [upload async for upload in store.list_uploads()] == []
    assert await read_all(store, "k") == b"content"


async def test_aborting_after_the_link_keeps_the_object(store):
    upload_id, _ = await one_part_upload(store)
    os.link(upload_directory(store, upload_id) / "data", store.root / "k")
    await store.abort_upload("k", upload_id)
    assert await read_all(store, "k") == b"content"


async def test_cut_while_an_upload_is_made_there_is_none(store):
    await store.put("k", b"x")
    half = upload_directory(store, "a" * 32)
    (half / "parts").mkdir(parents=True)
    assert [upload async for upload in store.list_uploads()] == []
    with pytest.raises(NoSuchUpload):
        await store.list_parts("k", "a" * 32)


async def test_bytes_without_receipt_do_not_count(store):
    upload_id, receipt = await one_part_upload(store)
    with (upload_directory(store, upload_id) / "data").open("ab") as file:
        file.write(b"torn")
    await store.complete_upload("k", upload_id, [receipt])
    assert await read_all(store, "k") == b"content"


WRITER = textwrap.dedent("""
    import asyncio, sys
    from haulier.errors import ObjectExists
    from haulier.store.base import ObjectOptions
    from haulier.store.local import LocalStore
    from haulier.testing.store_suite import part_of

    async def main():
        store = LocalStore(sys.argv[1])
        print("ready", flush=True)
        for turn in range(10_000):
            data = bytes([turn % 256]) * 50_000
            upload = await store.start_upload("k", ObjectOptions())
            receipts = [
                await store.put_part("k", upload, part_of(data, 1, 0)),
                await store.put_part("k", upload, part_of(data, 2, 50_000)),
            ]
            await store.complete_upload("k", upload, receipts)

    asyncio.run(main())
""")


@pytest.mark.processes
async def test_killed_at_any_moment_the_store_tells_the_truth(store):
    random.seed(7)
    for _ in range(8):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(store.root)], stdout=subprocess.PIPE
        )
        with process:
            assert process.stdout.readline() == b"ready\n"
            await asyncio.sleep(random.uniform(0.02, 0.3))
            process.kill()
        async for info in store.list_objects():
            content = await read_all(store, info.key)
            assert content == content[:1] * 100_000
            assert info.crc64nvme == part_of(content).crc64nvme
        async for upload in store.list_uploads():
            try:
                listed = await store.list_parts(upload.key, upload.upload_id)
            except NoSuchUpload:
                listed = []
            data = upload_directory(store, upload.upload_id) / "data"
            for receipt in listed:
                stored = data.read_bytes()[50_000 * (receipt.number - 1) :][:50_000]
                assert part_of(stored).crc64nvme == receipt.crc64nvme
            await store.abort_upload(upload.key, upload.upload_id)
    assert [upload async for upload in store.list_uploads()] == []


@pytest.mark.processes
async def test_two_processes_fighting_for_a_key_leave_one_winner(store):
    code = textwrap.dedent("""
        import asyncio, sys
        from haulier.errors import ObjectExists
        from haulier.store.local import LocalStore
        store = LocalStore(sys.argv[1])
        won = 0
        for turn in range(20):
            try:
                asyncio.run(store.put(f"k/{turn}", sys.argv[2].encode(), if_none_match=True))
                won += 1
            except ObjectExists:
                pass
        print(won)
    """)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(store.root), name], stdout=subprocess.PIPE
        )
        for name in ("one", "two")
    ]
    won = [int(process.communicate()[0]) for process in processes]
    assert sum(won) == 20
    contents = [await read_all(store, f"k/{turn}") for turn in range(20)]
    assert [contents.count(b"one"), contents.count(b"two")] == won


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, StorageFull),
        (errno.EDQUOT, StorageFull),
        (errno.EACCES, AccessDenied),
        (errno.EROFS, AccessDenied),
        (errno.ENAMETOOLONG, UnsafePath),
        (errno.EIO, RequestRejected),
    ],
)
def test_what_the_system_says_is_an_error_of_ours(number, kind):
    with pytest.raises(kind, match="the thing"), system_errors("the thing"):
        raise OSError(number, os.strerror(number))


async def test_a_cancelled_thread_has_ended_when_we_go_on():
    ended = []

    def work(stop):
        assert stop.wait(90)
        ended.append(True)

    task = asyncio.create_task(in_thread(work))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [True]


async def test_taken_keys_are_told_from_our_own(store):
    upload_id, receipt = await one_part_upload(store)
    (store.root / "k").write_bytes(b"content")
    with pytest.raises(ObjectExists):
        await store.complete_upload("k", upload_id, [receipt], if_none_match=True)
    assert [upload.upload_id async for upload in store.list_uploads()] == [upload_id]
