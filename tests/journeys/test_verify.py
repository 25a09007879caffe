from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from archive.trees import mixed_tree
from haulier.core.records import OperationStatus
from haulier.errors import ConnectionLost, UnknownReference, UsageError
from haulier.journeys.archive.delete import delete
from haulier.journeys.archive.references import resolve
from haulier.journeys.archive.verify import verify


async def one(ctx, *references, **options):
    (record,) = await verify(ctx, references, **options)
    assert record == await ctx.catalog.get_operation(record.operation_id)
    return record


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
async def test_what_was_uploaded_is_found_good(site, compression):
    mixed_tree(site.yard.local / "mixed")
    (upload,) = await site.upload("mixed", compression=compression, sha256=True)
    async with site.open() as ctx:
        record = await one(ctx, upload.operation_id)
        deep = await one(ctx, upload.operation_id, deep=True)
        progress = [event for event in ctx.board.sample() if event.stage == "reading back"]
    assert (record.status, record.error_message) == (OperationStatus.SUCCESS, None)
    assert record.operation_type == "verify"
    assert record.metadata["checks"] == ["object", "size", "etag", "crc64nvme"]
    assert record.metadata["expected"] == record.metadata["found"]
    assert record.metadata["differences"] == []
    assert record.metadata["upload_operation_id"] == upload.operation_id
    assert (deep.status, deep.error_message) == (OperationStatus.SUCCESS, None)
    checks = {"read_size", "read_crc64nvme", "read_sha256"}
    if site.store.scheme == "s3":  # a local store's ETag is no MD5
        checks.add("read_etag")
    assert checks == {name for name in deep.metadata["checks"] if name.startswith("read_")}
    assert deep.metadata["found"]["members"] == 45
    assert progress[-1].done_bytes == progress[-1].total_bytes == upload.compressed_size


async def test_a_missing_object_is_a_difference(site):
    (site.yard.local / "clip.mp4").write_bytes(b"clip")
    (upload,) = await site.upload("clip.mp4")
    await site.store.delete(upload.s3_object_key)
    async with site.open() as ctx:
        record = await one(ctx, upload.operation_id)
    assert record.status is OperationStatus.FAILED
    assert record.metadata["differences"] == [
        {"check": "object", "expected": "present", "found": "missing"}
    ]
    assert "object is missing, present was expected" in record.error_message


async def test_other_content_under_the_key_is_a_difference(site):
    (site.yard.local / "clip.mp4").write_bytes(b"clip")
    (upload,) = await site.upload("clip.mp4")
    body = bytearray(upload.compressed_size)
    await site.store.put(upload.s3_object_key, bytes(body))
    async with site.open() as ctx:
        record = await one(ctx, upload.operation_id)
    assert record.status is OperationStatus.FAILED
    differing = {difference["check"] for difference in record.metadata["differences"]}
    # A single put has no full-object CRC on every store, but always another ETag.
    assert "etag" in differing
    assert "size" not in differing


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
async def test_only_a_deep_check_finds_a_byte_that_rotted(local_site, compression):
    mixed_tree(local_site.yard.local / "mixed")
    (upload,) = await local_site.upload("mixed", compression=compression)
    await local_site.damage(upload.s3_object_key, at=2 << 20)
    async with local_site.open() as ctx:
        plain = await one(ctx, upload.operation_id)
        deep = await one(ctx, upload.operation_id, deep=True)
    assert plain.status is OperationStatus.SUCCESS
    assert deep.status is OperationStatus.FAILED
    found = {
        difference["check"]: difference["found"] for difference in deep.metadata["differences"]
    }
    assert set(found) == {"read_crc64nvme", "content"}
    if compression == "none":
        assert found["content"] == "the content of 'mixed/clip.mp4' is not what was packed"


async def test_an_archive_of_others_is_read_to_its_end(site):
    await site.put_foreign("theirs.tar.gz", {"a": b"1" * 5000, "b": None})
    async with site.open() as ctx:
        plain = await one(ctx, "theirs.tar.gz")
        deep = await one(ctx, "theirs.tar.gz", deep=True)
    assert plain.metadata["checks"] == ["object"]
    assert deep.status is OperationStatus.SUCCESS
    assert deep.metadata["found"]["members"] == 2


async def test_what_is_no_archive_at_all_is_a_difference(local_site):
    await local_site.store.put("noise.tar.gz", b"noise" * 1000)
    async with local_site.open() as ctx:
        deep = await one(ctx, "noise.tar.gz", deep=True)
    assert deep.status is OperationStatus.FAILED
    assert "neither a tar archive nor one compressed" in deep.error_message


async def test_all_asks_once_for_each_object_that_should_be_there(local_site):
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        (local_site.yard.local / name).write_bytes(name.encode() * 100)
    await local_site.upload("a.mp4", "b.mp4", "c.mp4")
    (local_site.yard.local / "a.mp4").write_bytes(b"another a")
    await local_site.upload("a.mp4", force=True)
    await local_site.store.delete("c.mp4.tar.gz")
    async with local_site.open() as ctx:
        await delete(ctx, await resolve(ctx, "b.mp4.tar.gz"))
        records = await verify(ctx, everything=True)
    assert {r.target_name: r.status for r in records} == {
        "a.mp4": OperationStatus.SUCCESS,
        "c.mp4": OperationStatus.FAILED,
    }
    assert len(records) == 2


async def test_nothing_and_unknown_are_refused(local_site):
    async with local_site.open() as ctx:
        with pytest.raises(UsageError):
            await verify(ctx, [])
        with pytest.raises(UnknownReference):
            await verify(ctx, ["nothing.tar.gz"])


async def test_a_store_that_can_not_be_read_fails_one_and_spares_the_rest(local_site):
    for name in ("a.mp4", "b.mp4"):
        (local_site.yard.local / name).write_bytes(name.encode())
    await local_site.upload("a.mp4", "b.mp4")
    index = Path(local_site.store.local_path("a.mp4.tar.gz"))
    index.unlink()
    index.mkdir()
    async with local_site.open() as ctx:
        records = await verify(ctx, everything=True, deep=True)
    assert sorted(r.status for r in records) == ["failed", "success"]


async def test_an_encrypted_archive_is_hashed_without_and_looked_into_with_its_key(site, tmp_path):
    key = tmp_path / "key"
    key.write_bytes(b"k" * 32)
    other = tmp_path / "other"
    other.write_bytes(b"o" * 32)
    mixed_tree(site.yard.local / "mixed")
    (upload,) = await site.upload("mixed", encrypt=str(key))
    async with site.open() as ctx:
        without = await one(ctx, upload.operation_id, deep=True)
        with_key = await one(ctx, upload.operation_id, deep=True, key=str(key))
        wrong = await one(ctx, upload.operation_id, deep=True, key=str(other))
    assert [without.error_message, with_key.error_message] == [None, None]
    assert "read_crc64nvme" in without.metadata["checks"]
    assert "members" not in without.metadata["found"]
    assert with_key.metadata["found"]["members"] == 45
    assert "another key" in wrong.error_message
    if site.store.scheme == "s3":
        assert "read_etag" in without.metadata["checks"]


async def test_a_byte_that_rotted_in_an_encrypted_archive_is_found(local_site, tmp_path):
    key = tmp_path / "key"
    key.write_bytes(b"k" * 32)
    mixed_tree(local_site.yard.local / "mixed")
    (upload,) = await local_site.upload("mixed", encrypt=str(key))
    await local_site.damage(upload.s3_object_key, at=2 << 20)
    async with local_site.open() as ctx:
        without = await one(ctx, upload.operation_id, deep=True)
        with_key = await one(ctx, upload.operation_id, deep=True, key=str(key))
    assert {d["check"] for d in without.metadata["differences"]} == {"read_crc64nvme"}
    assert {d["found"] for d in with_key.metadata["differences"]} >= {
        "the encrypted archive was altered"
    }


async def test_a_place_that_can_not_be_opened_spares_the_others(local_site):
    for name in ("a.mp4", "b.mp4"):
        (local_site.yard.local / name).write_bytes(name.encode())
    first, second = await local_site.upload("a.mp4", "b.mp4")
    async with local_site.open() as ctx:
        away = {**first.metadata, "destination": {"root": "s3://away"}}
        await ctx.catalog.transaction(lambda tx: tx.put_operation(replace(first, metadata=away)))
        open_destination = ctx.open_destination

        async def refuse(place):
            if place.root == "s3://away":
                raise ConnectionLost("away is away")
            return await open_destination(place)

        ctx.open_destination = refuse
        for records in (
            await verify(ctx, everything=True),
            await verify(ctx, [second.operation_id, first.operation_id]),
        ):
            assert [(r.target_name == "b.mp4", r.status, r.error_message) for r in records] == [
                (True, OperationStatus.SUCCESS, None),
                (False, OperationStatus.FAILED, "away is away"),
            ]
