"""StreamingUploadHandler: parts by hand, saved state, progress, what a store does wrong."""

from __future__ import annotations

import asyncio
import json
import random

import pytest

from haulier import StreamingUploadHandler, errors, sync
from haulier.core.checksums import crc64nvme
from haulier.store.local import LocalStore
from haulier.testing.faults import Fault, FaultProxy

MIB = 1 << 20
PART = 5 * MIB


def noise(size):
    return random.Random(size).randbytes(size)


DATA = noise(2 * PART + 77)
PARTS = {1: DATA[:PART], 2: DATA[PART : 2 * PART], 3: DATA[2 * PART :]}


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.servers)])
async def handlers(request, tmp_path):
    """Two handlers of one store, as two processes would have."""
    if request.param == "local":
        store = LocalStore(tmp_path / "objects")
        yield StreamingUploadHandler(store), StreamingUploadHandler(store)
        return
    server = request.getfixturevalue("s3_server")
    bucket = server.make_bucket()
    made = [
        await StreamingUploadHandler.for_bucket(bucket, access=server.access()) for _ in range(2)
    ]
    yield made
    for one in made:
        await one.aclose()


async def read(handler, key):
    async with handler._store.get(key) as pieces:
        return b"".join([piece async for piece in pieces])


async def test_parts_in_any_order_make_the_object(handlers):
    handler, _ = handlers
    upload = await handler.start_multipart_upload("a/clip.mp4", content_type="video/mp4")
    if handler._store.limits.contiguous_parts:
        with pytest.raises(errors.ValidationError, match="after part 1"):
            await handler.upload_part(upload, 2, PARTS[2])
        for number, data in PARTS.items():
            await handler.upload_part(upload, number, data)
    else:
        await asyncio.gather(*(handler.upload_part(upload, n, PARTS[n]) for n in (3, 1, 2)))
    info = await handler.complete_upload(upload)
    assert (info.size_bytes, info.content_type) == (len(DATA), "video/mp4")
    assert info.crc64nvme == f"{crc64nvme(DATA):016x}"
    assert await read(handler, "a/clip.mp4") == DATA
    with pytest.raises(errors.FileNotFoundError):
        await handler.complete_upload(upload)


async def test_saved_state_goes_on_elsewhere(handlers):
    first, second = handlers
    upload = await first.start_multipart_upload("clip.mp4")
    await first.upload_part(upload, 1, PARTS[1])
    state = json.loads(json.dumps(first.saved_state(upload)))
    await first.upload_part(upload, 2, noise(PART))  # not in the saved state

    assert await second.resume_multipart_upload(state) == upload
    assert second.stored_bytes(upload) == PART

    async def pieces():
        for at in range(PART, len(DATA), MIB):
            yield DATA[at : at + MIB]

    made = await second.upload_stream(upload, pieces(), part_bytes=PART)
    assert [part.number for part in made] == [2, 3]
    await second.complete_upload(upload)
    assert await read(second, "clip.mp4") == DATA


async def test_parts_that_the_store_lost_do_not_count(handlers):
    first, second = handlers
    upload = await first.start_multipart_upload("clip.mp4")
    await first.upload_part(upload, 1, PARTS[1])
    state = first.saved_state(upload)
    state["parts"].append({**state["parts"][0], "number": 2})
    await second.resume_multipart_upload(state)
    assert second.stored_bytes(upload) == PART
    await second.abort_upload(upload)
    with pytest.raises(errors.NoSuchUpload):
        await first.resume_multipart_upload(state)
    for broken in ({}, {"key": "k", "upload_id": "u", "parts": [{"number": "x"}]}):
        with pytest.raises(errors.ValidationError):
            await first.resume_multipart_upload(broken)


async def test_holes_and_wrong_parts_are_refused(handlers):
    handler, _ = handlers
    upload = await handler.start_multipart_upload("clip.mp4")
    with pytest.raises(errors.ChunksMissing):
        await handler.complete_upload(upload)
    if not handler._store.limits.contiguous_parts:
        await handler.upload_part(upload, 2, PARTS[2])
        with pytest.raises(errors.ChunksMissing) as caught:
            await handler.complete_upload(upload)
        assert caught.value.missing == [(1, 1)]
    for number, data, error in (
        (0, b"x", errors.ValidationError),
        (1_000_001, b"x", errors.ValidationError),
        (1, b"", errors.ValidationError),
        (1, bytes((100 << 20) + 1), errors.FileSizeError),
    ):
        with pytest.raises(error):
            await handler.upload_part(upload, number, data)
    await handler.abort_upload(upload)


async def test_progress_is_told_and_can_break_nothing(tmp_path):
    told = []

    def watch(state):
        told.append(state)
        raise RuntimeError("a bug in the caller's code")

    handler = StreamingUploadHandler(LocalStore(tmp_path), on_progress=watch)
    upload = await handler.start_multipart_upload("clip.mp4")
    for number in (1, 2, 3):
        await handler.upload_part(upload, number, PARTS[number])
    counts = [one.sent_bytes for one in told]
    assert counts == sorted(counts)
    assert (counts[-1], told[-1].parts, told[-1].key) == (len(DATA), 3, "clip.mp4")
    await handler.complete_upload(upload)


@pytest.mark.servers
async def test_a_store_that_fails_for_a_moment_is_asked_again(s3_server):
    bucket = s3_server.make_bucket()
    with FaultProxy(s3_server.endpoint_url) as proxy:
        handler = await StreamingUploadHandler.for_bucket(
            bucket, access=s3_server.access(proxy.url)
        )
        proxy.faults += [
            Fault(method="PUT", pattern="clip.*partNumber=1", status=503, code="SlowDown"),
            Fault(method="PUT", pattern="clip.*partNumber=2", cut_after=MIB),
            Fault(method="POST", pattern="clip.*uploadId", lose_answer=True),
        ]
        upload = await handler.start_multipart_upload("clip.mp4")
        for number, data in PARTS.items():
            await handler.upload_part(upload, number, data)
        info = await handler.complete_upload(upload)
        assert info.size_bytes == len(DATA)
        assert not any(fault.times for fault in proxy.faults)
        small = await handler.start_multipart_upload("small")
        await handler.upload_part(small, 1, b"too small")
        await handler.upload_part(small, 2, b"end")
        with pytest.raises(errors.FileSizeError, match="part 1"):
            await handler.complete_upload(small)
        await handler.abort_upload(small)
        await handler.aclose()


@pytest.mark.servers
def test_the_blocking_twin_on_a_bucket(s3_server):
    with sync.StreamingUploadHandler.for_bucket(
        s3_server.make_bucket(), access=s3_server.access()
    ) as handler:
        upload = handler.start_multipart_upload("clip.mp4")
        handler.upload_stream(upload, [DATA[:100], DATA[100:]], part_bytes=PART)
        assert handler.complete_upload(upload).size_bytes == len(DATA)
