"""ChunkedUploadManager: chunks in any order, restarts, checksums, a bucket."""

from __future__ import annotations

import asyncio
import hashlib
import random
import zlib

import pytest

from haulier import ChunkedUploadManager, errors, sync
from haulier.core.checksums import crc64nvme
from haulier.core.sessions.session import SessionStatus
from haulier.store.s3 import S3Store
from haulier.store.wrappers import Retrying

MIB = 1 << 20


def noise(size):
    return random.Random(size).randbytes(size)


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.servers)])
async def make(request, tmp_path):
    """Makes managers of the same uploads, as several processes would."""
    if request.param == "local":
        yield lambda: ChunkedUploadManager(tmp_path / "received")
        return
    server = request.getfixturevalue("s3_server")
    bare = S3Store(server.make_bucket(), access=server.access())
    store = Retrying(bare.with_checks(await bare.probe()))
    yield lambda: ChunkedUploadManager(tmp_path / "received", store=store, prefix="in/")
    await bare.aclose()


async def test_chunks_in_any_order_across_restarts(make):
    data = noise(12 * MIB + 5)
    async with make() as manager:
        info = await manager.initialize_session("../clip.mp4", len(data), chunk_size=5 * MIB)
        assert (info.name, info.total_chunks, info.missing) == ("clip.mp4", 3, ((1, 3),))
        third = data[10 * MIB :]
        await manager.process_chunk(info.session_id, 3, third)
        await manager.process_chunk(info.session_id, 3, third)
        with pytest.raises(errors.ChunkConflict):
            await manager.process_chunk(info.session_id, 3, bytes(len(third)))
        with pytest.raises(errors.ChunksMissing) as caught:
            await manager.assemble_file(info.session_id)
        assert caught.value.missing == [(1, 2)]
    async with make() as manager:
        known = await manager.get_session_info(info.session_id)
        assert (known.received, known.received_bytes) == (((3, 3),), len(third))
        assert known.percent == round(100 * len(third) / len(data), 2)

        async def pieces():
            yield data[: 2 * MIB]
            yield data[2 * MIB : 5 * MIB]

        progress = await asyncio.gather(
            manager.process_chunk(info.session_id, 1, pieces()),
            manager.process_chunk(info.session_id, 2, data[5 * MIB : 10 * MIB]),
        )
        assert max(one.progress for one in progress) == 1.0
        whole = await manager.assemble_file(info.session_id)
        assert whole == await manager.assemble_file(info.session_id)
        assert whole.checksum == f"crc32:{zlib.crc32(data):08x}"
        assert whole.crc64nvme == f"crc64nvme:{crc64nvme(data):016x}"
        assert await content(manager, whole) == data
        await manager.cleanup_session(info.session_id)
        assert await content(manager, whole) == data


async def content(manager, whole):
    if whole.path is not None:
        return whole.path.read_bytes()
    async with manager._store.get(whole.key) as pieces:
        return b"".join([piece async for piece in pieces])


async def test_a_wrong_checksum_keeps_nothing(make):
    data = noise(1000)
    async with make() as manager:
        info = await manager.initialize_session("clip.mp4", len(data))
        with pytest.raises(errors.ChecksumMismatch):
            await manager.process_chunk(info.session_id, 1, data, checksum="md5:" + "0" * 32)
        assert (await manager.get_session_info(info.session_id)).received == ()
        md5 = hashlib.md5(data).hexdigest()
        done = await manager.process_chunk(info.session_id, 1, data, checksum=f"md5:{md5}")
        assert (done.chunk_number, done.status, done.progress) == (1, "received", 1.0)


async def test_a_file_whose_hash_was_named_is_hashed_before_it_is_handed_out(make):
    data = noise(6 * MIB)
    wanted = "sha256:" + hashlib.sha256(data).hexdigest()
    async with make() as manager:
        for checksum, right in ((wanted, True), ("sha256:" + "0" * 64, False)):
            info = await manager.initialize_session(
                "clip.mp4", len(data), chunk_size=5 * MIB, checksum=checksum
            )
            await manager.process_chunk(info.session_id, 2, data[5 * MIB :])
            await manager.process_chunk(info.session_id, 1, data[: 5 * MIB])
            if right:
                assert await content(manager, await manager.assemble_file(info.session_id)) == data
                continue
            with pytest.raises(errors.ChecksumMismatch):
                await manager.assemble_file(info.session_id)
            with pytest.raises(errors.ChecksumMismatch):
                await manager.assemble_file(info.session_id)


async def test_what_is_cleaned_up_takes_nothing_more(make):
    async with make() as manager:
        info = await manager.initialize_session("clip.mp4", 10)
        await manager.cleanup_session(info.session_id)
        await manager.cleanup_session(info.session_id)
        await manager.cleanup_session("0" * 32)
        with pytest.raises(errors.SessionGone):
            await manager.process_chunk(info.session_id, 1, b"0123456789")
        assert (await manager.get_session_info(info.session_id)).status is SessionStatus.CANCELLED


def test_the_blocking_twin(tmp_path):
    with sync.ChunkedUploadManager(tmp_path) as manager:
        info = manager.initialize_session("a.txt", None, chunk_size=4)
        manager.process_chunk(info.session_id, 2, b"ef")
        manager.process_chunk(info.session_id, 1, b"abcd")
        assert manager.assemble_file(info.session_id).path.read_bytes() == b"abcdef"
        assert manager.cleanup_expired() == 0
