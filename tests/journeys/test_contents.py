from __future__ import annotations

import pytest

from archive.trees import hostile_tree
from haulier.archive.entry import EntryType
from haulier.errors import CorruptArchive, DecryptionFailed, UnknownReference
from haulier.journeys.archive.contents import list_members


async def test_the_index_tells_without_reading_the_archive(site):
    hostile_tree(site.yard.local / "hostile")
    (upload,) = await site.upload("hostile")
    site.store.asked.clear()
    async with site.open() as ctx:
        entries = await list_members(ctx, upload.operation_id)
    assert site.store.asked == []
    by_path = {entry.path: entry for entry in entries}
    assert by_path["hostile"].type is EntryType.DIRECTORY
    assert by_path["hostile/to plain"].link_target == "plain.txt"
    assert by_path["hostile/\udcff\udcfe-not-utf8.bin"].sha256 is not None


async def test_without_the_catalog_the_index_beside_the_object_tells(site):
    (site.yard.local / "beach.mp4").write_bytes(b"waves" * 1000)
    await site.upload("beach.mp4")
    (site.yard.data / "catalog.db").unlink()
    async with site.open() as ctx:
        (entry,) = await list_members(ctx, "beach.mp4.tar.gz")
    assert (entry.path, entry.size) == ("beach.mp4", 5000)
    assert site.store.downloaded() == []


@pytest.mark.parametrize("mode", ["w:gz", "w"])
async def test_without_an_index_the_headers_tell(site, mode):
    key = "theirs.tar.gz" if mode == "w:gz" else "theirs.tar"
    await site.put_foreign(key, {"d": None, "d/a": b"1" * 3000, "d/b": b""}, mode=mode)
    async with site.open() as ctx:
        entries = await list_members(ctx, key)
        (progress,) = [event for event in ctx.board.sample() if event.is_final]
    assert [(e.path, e.type, e.size) for e in entries] == [
        ("d", EntryType.DIRECTORY, 0),
        ("d/a", EntryType.FILE, 3000),
        ("d/b", EntryType.FILE, 0),
    ]
    assert entries[1].mtime_ns == 1_600_000_000 * 10**9
    assert progress.done_bytes == progress.total_bytes


async def test_what_is_no_archive_says_so(local_site):
    await local_site.store.put("noise.tar.gz", b"noise" * 1000)
    async with local_site.open() as ctx:
        with pytest.raises(CorruptArchive):
            await list_members(ctx, "noise.tar.gz")
        with pytest.raises(UnknownReference):
            await list_members(ctx, "nothing.tar.gz")


async def test_a_damaged_index_is_reported(local_site):
    await local_site.put_foreign("theirs.tar.gz", {"a": b"1"})
    await local_site.store.put("theirs.tar.gz.index.gz", b"no index at all")
    async with local_site.open() as ctx:
        with pytest.raises(CorruptArchive, match="index"):
            await list_members(ctx, "theirs.tar.gz")


async def test_an_encrypted_index_needs_the_key(site, tmp_path):
    key = tmp_path / "key"
    key.write_bytes(b"k" * 32)
    (site.yard.local / "beach.mp4").write_bytes(b"waves" * 1000)
    await site.upload("beach.mp4", encrypt=str(key))
    async with site.open() as ctx:
        assert len(await list_members(ctx, "beach.mp4.tar.gz")) == 1
    (site.yard.data / "catalog.db").unlink()
    async with site.open() as ctx:
        with pytest.raises(DecryptionFailed):
            await list_members(ctx, "beach.mp4.tar.gz")
        (entry,) = await list_members(ctx, "beach.mp4.tar.gz", str(key))
        await site.store.delete("beach.mp4.tar.gz.index.gz")
        with pytest.raises(DecryptionFailed):
            await list_members(ctx, "beach.mp4.tar.gz")
        (same,) = await list_members(ctx, "beach.mp4.tar.gz", str(key))
    assert (entry.path, entry.size) == (same.path, same.size) == ("beach.mp4", 5000)
