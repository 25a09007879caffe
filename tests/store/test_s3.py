"""What only a real S3 server can show: digests, hostile texts, links, and its checks."""

from __future__ import annotations

import asyncio
import hashlib
import random
from dataclasses import replace

import aiohttp
import pytest
import yarl

from haulier.core.checksums import crc64nvme
from haulier.errors import BadDigest, NoSuchObject, NoSuchUpload, ObjectChanged
from haulier.store.base import ObjectOptions, StoreChecks
from haulier.store.s3 import S3Store
from haulier.store.s3_probe import object_tags
from haulier.store.s3_setup import copy_to_class
from haulier.testing.seaweed import SeaweedServer
from haulier.testing.store_suite import part_of, read_all

pytestmark = pytest.mark.servers
ALL_CHECKS = StoreChecks(crc64nvme=True, etag_is_md5=True, if_none_match=True, tags=True)


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


@pytest.fixture
async def store(s3_server: SeaweedServer):
    store = S3Store(s3_server.make_bucket(), access=s3_server.access())
    yield store
    await store.aclose()


async def test_the_probe_sees_what_the_server_does_and_leaves_nothing(store):
    assert await store.probe("below/") == ALL_CHECKS
    assert [info async for info in store.list_objects()] == []
    assert [upload async for upload in store.list_uploads()] == []


@pytest.mark.parametrize("max_copy_bytes", [1 << 30, 1])
async def test_tags_stay_when_the_class_changes(store, max_copy_bytes):
    tags = {"haulier": "archive", "owner": "a&b = c"}
    await store.put("k", b"content", options=ObjectOptions(tags=tags))
    await copy_to_class(store, "k", "STANDARD_IA", max_copy_bytes=max_copy_bytes)
    assert await object_tags(store, "k") == tags
    assert await read_all(store, "k") == b"content"


async def test_md5_is_wanted_only_where_nothing_better_is_checked(store):
    assert store.limits.wants_md5
    checked = store.with_checks(ALL_CHECKS)
    assert not checked.limits.wants_md5
    upload_id = await checked.start_upload("k", ObjectOptions())
    part = part_of(b"content")
    receipt = await checked.put_part("k", upload_id, replace(part, md5=""))
    assert receipt.etag == part.md5
    with pytest.raises(BadDigest):
        await checked.put_part("k", upload_id, replace(part, md5="", crc64nvme="0" * 16))


async def test_metadata_of_any_text_comes_back(store):
    metadata = {
        "original_path": "/ünï/日本 \udcff\n",
        "spaces": "  around ",
        "encoded": "=?UTF-8?B?eA==?=",
        "percent": "100%25",
    }
    await store.put("k", b"x", options=ObjectOptions(metadata=metadata))
    assert (await store.head("k")).metadata == metadata


@pytest.mark.parametrize("key", ["a b+%2B", "-x\ny", "ünï/код", "q?x#y&z"])
async def test_uploads_of_hostile_keys_are_listed_as_they_are(store, key):
    upload_id = await store.start_upload(key, ObjectOptions())
    (upload,) = [upload async for upload in store.list_uploads()]
    assert (upload.key, upload.upload_id) == (key, upload_id)
    await store.abort_upload(upload.key, upload.upload_id)
    assert [upload async for upload in store.list_uploads()] == []


async def test_a_newline_in_a_key_survives(store):
    await store.put("line\nbreak\t", b"content")
    assert [info.key async for info in store.list_objects()] == ["line\nbreak\t"]
    assert await read_all(store, "line\nbreak\t") == b"content"


async def test_the_whole_objects_crc_is_shown_and_a_wrong_one_refused(store):
    checked = store.with_checks(ALL_CHECKS)
    upload_id = await checked.start_upload("k", ObjectOptions())
    receipt = await checked.put_part("k", upload_id, part_of(b"content"))
    with pytest.raises(BadDigest):
        await checked.complete_upload("k", upload_id, [receipt], crc64nvme="0" * 16)
    whole = part_of(b"content").crc64nvme
    await checked.complete_upload("k", upload_id, [receipt], crc64nvme=whole)
    assert (await checked.head("k")).crc64nvme == whole


async def test_a_link_needs_no_keys(store):
    await store.put("ünï/a b+", b"content")
    link = store.sign_get("ünï/a b+", expires_s=60)
    async with aiohttp.ClientSession() as session:
        async with session.get(yarl.URL(link, encoded=True)) as response:
            assert (response.status, await response.read()) == (200, b"content")
        async with session.get(yarl.URL(store.http.url("ünï/a b+"), encoded=True)) as response:
            assert response.status == 403


async def test_an_unknown_upload_is_gone(store):
    with pytest.raises(NoSuchUpload):
        await store.list_parts("k", "0" * 32)


async def in_pieces(data: bytes, size: int = 100_000):
    for at in range(0, len(data), size):
        yield data[at : at + size]


@pytest.mark.parametrize("checks", [ALL_CHECKS, StoreChecks(crc64nvme=False, etag_is_md5=True,
                                                           if_none_match=False)])  # fmt: skip
@pytest.mark.parametrize("size", [1, 262_144, 262_145, (5 << 20) + 7])
async def test_a_part_is_stored_while_its_bytes_come(store, checks, size):
    store, data = store.with_checks(checks), noise(size)
    upload_id = await store.start_upload("k", ObjectOptions())
    crc = f"{crc64nvme(data):016x}"
    receipt = await store.stream_part("k", upload_id, 1, size, in_pieces(data), lambda: crc)
    assert receipt.etag == hashlib.md5(data, usedforsecurity=False).hexdigest()
    assert await store.list_parts("k", upload_id) == [replace(receipt, crc64nvme=None)]
    await store.complete_upload("k", upload_id, [receipt], crc64nvme=crc)
    assert await read_all(store, "k") == data


async def test_a_part_on_its_way_with_a_wrong_checksum_is_not_stored(store):
    store, data = store.with_checks(ALL_CHECKS), noise(300_000)
    upload_id = await store.start_upload("k", ObjectOptions())
    with pytest.raises(BadDigest):
        await store.stream_part("k", upload_id, 1, len(data), in_pieces(data), lambda: "0" * 16)
    assert await store.list_parts("k", upload_id) == []
    await store.abort_upload("k", upload_id)


async def test_a_part_that_breaks_off_is_not_stored(store):
    store, data = store.with_checks(ALL_CHECKS), noise(900_000)
    upload_id = await store.start_upload("k", ObjectOptions())
    started = asyncio.Event()

    async def stuck():
        yield data[:500_000]
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(
        store.stream_part("k", upload_id, 1, len(data), stuck(), lambda: "0" * 16)
    )
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await store.list_parts("k", upload_id) == []
    await store.abort_upload("k", upload_id)


async def test_a_part_is_copied_from_another_object(store):
    checked = store.with_checks(ALL_CHECKS)
    source, content = "from/ä b+c%20~", noise(6 << 20)
    etag = (await checked.put(source, content)).etag
    upload_id = await checked.start_upload("to", ObjectOptions())
    ends = [(1, 5 << 20), ((5 << 20) - 7, 6 << 20)]
    receipts = [
        await checked.copy_part("to", upload_id, number, source, *span, if_match=etag)
        for number, span in enumerate(ends, start=1)
    ]
    pieces = [content[start:end] for start, end in ends]
    assert [one.size_bytes for one in receipts] == [len(piece) for piece in pieces]
    assert [one.crc64nvme for one in receipts] == [f"{crc64nvme(one):016x}" for one in pieces]
    # The first is a byte short of what a part may be.
    receipts[0] = await checked.copy_part("to", upload_id, 1, source, 0, 5 << 20)
    whole = content[: 5 << 20] + pieces[1]
    crc = f"{crc64nvme(whole):016x}"
    await checked.complete_upload("to", upload_id, receipts, crc64nvme=crc)
    assert await read_all(checked, "to") == whole


async def test_what_can_not_be_copied_is_told(store):
    etag = (await store.put("source", b"content")).etag
    upload_id = await store.start_upload("to", ObjectOptions())
    with pytest.raises(NoSuchObject):
        await store.copy_part("to", upload_id, 1, "nothing", 0, 5)
    with pytest.raises(ObjectChanged):
        await store.copy_part("to", upload_id, 1, "source", 0, 5, if_match="0" * 32)
    await store.copy_part("to", upload_id, 1, "source", 0, 5, if_match=etag)
    await store.abort_upload("to", upload_id)
    with pytest.raises(NoSuchUpload):
        await store.copy_part("to", upload_id, 1, "source", 0, 5)
