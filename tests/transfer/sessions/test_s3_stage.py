"""What is special about uploads that go to S3: parts, tails, other hosts, a store that fails."""

from __future__ import annotations

import asyncio
import random
import tracemalloc
from dataclasses import replace

import pytest

from haulier.core.sessions.session import Order, SessionStatus
from haulier.errors import (
    AccessDenied,
    ChunkConflict,
    ExternalServiceError,
    FileSizeError,
    HaulierError,
    NoSuchBucket,
    SessionConflict,
    SessionGone,
)
from haulier.store.s3 import S3Store
from haulier.store.wrappers import Retrying
from haulier.testing.faults import Fault, FaultProxy
from haulier.transfer.sessions.s3_place import S3Place
from haulier.transfer.sessions.s3_stage import S3Stage
from sessions_engine import body_of, build

pytestmark = pytest.mark.servers
MIB = 1 << 20
PART = 5 * MIB
SEQUENTIAL = Order.SEQUENTIAL


def other_host(tmp_path, receiving):
    """An engine with locks and hashes of its own on the same catalog and bucket."""
    stage = S3Stage(receiving.stage._place, receiving.catalog)
    return build(
        tmp_path, receiving.catalog, stage=stage, ledger=receiving.ledger, clock=receiving.clock
    )


@pytest.fixture
async def receiving(tmp_path, catalog, s3_place):
    return build(tmp_path, catalog, stage=S3Stage(s3_place, catalog))


@pytest.fixture
async def behind_proxy(tmp_path, catalog, s3_server, bucket):
    """An engine whose bucket is reached through a proxy that fails on cue."""
    with FaultProxy(s3_server.endpoint_url) as proxy:
        bare = S3Store(bucket.bucket, access=s3_server.access(proxy.url), checks=bucket.checks)
        stage = S3Stage(S3Place(store=Retrying(bare, attempts=3)), catalog)
        yield build(tmp_path, catalog, stage=stage), proxy
        await stage.aclose()


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


async def parts_of(receiving, session):
    chunks = await receiving.catalog.read(lambda tx: tx.sessions.chunks(session.session_id))
    return {number: part.span.length for number, part in chunks.items()}


@pytest.mark.parametrize(
    ("size", "order", "asked", "chunk_size"),
    [
        (3 * MIB, Order.CHUNKED, None, PART),
        (3 * MIB, Order.CHUNKED, 1, PART),
        (200 * MIB, Order.CHUNKED, None, 10 * MIB),
        (200 * MIB, Order.CHUNKED, 7 * MIB, 7 * MIB),
        (100_000 * MIB, Order.CHUNKED, None, 10_485_760),
        (200_000 * MIB, Order.CHUNKED, None, 20_971_520),
        (None, Order.CHUNKED, None, 10 * MIB),
        (200 * MIB, SEQUENTIAL, None, PART),
        (200_000 * MIB, SEQUENTIAL, None, 20_971_520),
    ],
)
async def test_chunks_are_parts_that_s3_takes(receiving, size, order, asked, chunk_size):
    session = await receiving.start(size, order=order, chunk_size=asked)
    assert session.chunk_size == chunk_size
    await receiving.engine.cancel(session.session_id)
    assert await receiving.leftovers() == []


async def test_what_can_not_be_cut_into_10000_parts_is_refused(receiving):
    with pytest.raises(FileSizeError):
        await receiving.start(6 << 40)


async def test_runs_of_any_length_become_parts_and_a_tail(tmp_path, receiving):
    data = noise(2 * PART + 3 * MIB)
    session = await receiving.start(len(data), order=SEQUENTIAL)
    at, hosts = 0, [receiving, other_host(tmp_path, receiving)]
    for number, size in enumerate((1, 2 * MIB, 4 * MIB, 10, 6 * MIB, len(data))):
        session = await hosts[number % 2].engine.append(
            session.session_id, at, body_of(data[at : at + size])
        )
        at = session.offset
        tails = [one async for one in receiving.stage._place.store.list_objects("ours/uploads/")]
        # Nothing lies about but what the row speaks of.
        expected = (
            [] if session.tail is None else [f"ours/uploads/{session.session_id}/{session.tail}"]
        )
        assert [one.key for one in tails] == expected
    assert session.status is SessionStatus.COMPLETED
    assert await receiving.bytes_of(session) == data
    assert await parts_of(receiving, session) == {1: PART, 2: PART, 3: 3 * MIB}
    assert await receiving.leftovers() == []


async def test_a_tail_becomes_the_last_part_when_the_size_comes_last(receiving):
    session = await receiving.start(None, order=SEQUENTIAL)
    data = noise(10 * MIB + 77)
    await receiving.engine.append(session.session_id, 0, body_of(data[:MIB], data[MIB:]))
    done = await receiving.engine.complete(session.session_id)
    assert await receiving.bytes_of(done) == data
    assert await receiving.engine.complete(session.session_id) == done
    assert await receiving.leftovers() == []


async def test_nothing_at_all_is_a_file_too(receiving):
    session = await receiving.start(None, order=SEQUENTIAL)
    done = await receiving.engine.complete(session.session_id)
    assert (done.status, await receiving.bytes_of(done)) == (SessionStatus.COMPLETED, b"")
    assert await receiving.leftovers() == []


async def test_another_host_takes_the_other_chunks(tmp_path, receiving):
    data = noise(2 * PART + 5)
    other = other_host(tmp_path, receiving)
    session = await receiving.start(len(data), chunk_size=PART)
    put, put_there = receiving.engine.put_chunk, other.engine.put_chunk
    await asyncio.gather(
        put(session.session_id, 3, body_of(data[2 * PART :])),
        put_there(session.session_id, 1, body_of(data[:PART])),
    )
    with pytest.raises(ChunkConflict):
        await put(session.session_id, 1, body_of(bytes(PART)))
    receipt = await put_there(session.session_id, 2, body_of(data[PART : 2 * PART]))
    assert receipt.session.status is SessionStatus.COMPLETED
    assert await receiving.bytes_of(receipt.session) == data


async def test_two_hosts_that_append_at_once_leave_one_offset(tmp_path, receiving):
    data = noise(3 * PART)
    session = await receiving.start(len(data), order=SEQUENTIAL)
    hosts = [receiving, other_host(tmp_path, receiving)]
    told = set()

    async def send(host):
        while True:
            current = await host.engine.get(session.session_id)
            if current.status is not SessionStatus.RECEIVING:
                return
            try:
                piece = data[current.offset : current.offset + 2 * MIB]
                await host.engine.append(session.session_id, current.offset, body_of(piece))
            except SessionConflict:
                continue
            except HaulierError as exc:
                told.add(exc.code)

    await asyncio.gather(*(send(host) for host in hosts))
    assert told <= {"lock-lost", "external-service"}
    done = await receiving.engine.complete(session.session_id)
    assert done.status is SessionStatus.COMPLETED
    assert await receiving.bytes_of(done) == data
    assert len(receiving.ledger.files) == 1


async def test_two_hosts_that_complete_at_once_make_one_file(tmp_path, receiving):
    session = await receiving.start(None, order=SEQUENTIAL)
    await receiving.engine.append(session.session_id, 0, body_of(b"abcd"))
    other = other_host(tmp_path, receiving)
    done = await asyncio.gather(
        *(host.engine.complete(session.session_id) for host in (receiving, other)),
        return_exceptions=True,
    )
    # One of them may find that the other changed the session, which its client tries again.
    assert any(not isinstance(one, BaseException) for one in done)
    assert len(receiving.ledger.files) == 1
    whole = await other.engine.complete(session.session_id)
    assert await receiving.bytes_of(whole) == b"abcd"


@pytest.mark.parametrize("fault", [
    {"status": 500}, {"status": 503, "code": "SlowDown"}, {"cut_after": MIB}, {"corrupt_at": MIB},
    {"lose_answer": True},
])  # fmt: skip
async def test_a_chunk_that_the_store_did_not_take_stays_missing(behind_proxy, fault):
    receiving, proxy = behind_proxy
    data = noise(PART + 9)
    session = await receiving.start(len(data))
    put = receiving.engine.put_chunk
    proxy.faults.append(Fault(method="PUT", pattern="partNumber=1", **fault))
    pieces = [data[at : at + MIB] for at in range(0, PART, MIB)]
    with pytest.raises(ExternalServiceError):
        await put(session.session_id, 1, body_of(*pieces))
    assert (await receiving.engine.received(session)).missing() == [(1, 2)]
    await put(session.session_id, 1, body_of(*pieces))
    receipt = await put(session.session_id, 2, body_of(data[PART:]))
    assert await receiving.bytes_of(receipt.session) == data


@pytest.mark.parametrize("fault", [
    {"status": 500}, {"status": 503, "code": "SlowDown"}, {"cut_after": MIB},
    {"lose_answer": True},
])  # fmt: skip
async def test_a_run_is_sent_again_to_a_store_that_fails_for_a_moment(behind_proxy, fault):
    receiving, proxy = behind_proxy
    data = noise(2 * PART + 9)
    session = await receiving.start(len(data), order=SEQUENTIAL)
    proxy.faults.append(Fault(method="PUT", pattern="partNumber=2", **fault))
    proxy.faults.append(Fault(method="POST", pattern="uploadId", lose_answer=True))
    done = await receiving.engine.append(session.session_id, 0, body_of(data))
    assert await receiving.bytes_of(done) == data
    assert not any(fault.times for fault in proxy.faults)


async def test_a_run_keeps_what_was_stored_before_the_store_failed(behind_proxy):
    receiving, proxy = behind_proxy
    data = noise(3 * PART)
    session = await receiving.start(len(data), order=SEQUENTIAL)
    proxy.faults.append(Fault(method="PUT", pattern="partNumber=2", times=9, status=500))
    pieces = [data[at : at + MIB] for at in range(0, len(data), MIB)]
    with pytest.raises(ExternalServiceError):
        await receiving.engine.append(session.session_id, 0, body_of(*pieces))
    assert (await receiving.engine.get(session.session_id)).offset == PART
    proxy.faults.clear()
    done = await receiving.engine.append(session.session_id, PART, body_of(data[PART:]))
    assert await receiving.bytes_of(done) == data


async def test_a_store_that_can_not_complete_is_asked_again_by_the_sweeper(behind_proxy):
    receiving, proxy = behind_proxy
    session = await receiving.start(4, order=SEQUENTIAL)
    proxy.faults.append(Fault(method="POST", pattern="uploadId", times=9, status=500))
    with pytest.raises(ExternalServiceError):
        await receiving.engine.append(session.session_id, 0, body_of(b"abcd"))
    assert receiving.ledger.files == {}
    proxy.faults.clear()
    assert (await receiving.sweeper.sweep()).finished == 1
    done = await receiving.engine.get(session.session_id)
    assert await receiving.bytes_of(done) == b"abcd"


async def test_an_upload_that_the_store_gave_up_is_gone(receiving):
    session = await receiving.start(2 * PART)
    place = receiving.stage._place
    await place.store.abort_upload(place.file_key(session.file_id), session.upload_id)
    with pytest.raises(SessionGone):
        await receiving.engine.put_chunk(session.session_id, 1, body_of(noise(PART)))


async def test_an_upload_that_was_given_up_before_its_end_fails(receiving):
    session = await receiving.start(None, order=SEQUENTIAL)
    await receiving.engine.append(session.session_id, 0, body_of(b"abcd"))
    place = receiving.stage._place
    await place.store.abort_upload(place.file_key(session.file_id), session.upload_id)
    with pytest.raises(SessionGone, match="given up"):
        await receiving.engine.complete(session.session_id)
    failed = await receiving.engine.get(session.session_id)
    assert failed.status is SessionStatus.FAILED
    assert receiving.ledger.reserved == receiving.ledger.files == {}
    assert await receiving.leftovers() == []


async def test_a_completed_upload_that_is_not_ours_is_not_taken(receiving):
    session = await receiving.start(None, order=SEQUENTIAL)
    await receiving.engine.append(session.session_id, 0, body_of(b"abcd"))
    place = receiving.stage._place
    await place.store.abort_upload(place.file_key(session.file_id), session.upload_id)
    await place.store.put(place.file_key(session.file_id), b"abcX")
    with pytest.raises(ExternalServiceError, match="other bytes"):
        await receiving.engine.complete(session.session_id)
    assert receiving.ledger.files == {}


@pytest.mark.parametrize("order", list(Order))
async def test_expired_uploads_are_aborted_and_their_tails_deleted(receiving, order):
    session = await receiving.start(2 * PART, order=order)
    if order is SEQUENTIAL:
        await receiving.engine.append(session.session_id, 0, body_of(noise(PART + 5)))
    else:
        await receiving.engine.put_chunk(session.session_id, 1, body_of(noise(PART)))
    assert await receiving.leftovers() != []
    receiving.clock.forward(hours=25)
    assert (await receiving.sweeper.sweep()).expired == 1
    assert await receiving.leftovers() == []


async def test_a_tail_that_belongs_to_nothing_is_swept(receiving):
    session = await receiving.start(2 * PART, order=SEQUENTIAL)
    session = await receiving.engine.append(session.session_id, 0, body_of(b"abcd"))
    await receiving.stage._place.put_tail("f" * 32, b"left by a crash")
    assert (await receiving.sweeper.sweep()).orphans == 1
    kept = await receiving.engine.append(session.session_id, 4, body_of(b"efgh"))
    assert kept.offset == 8


async def test_a_large_chunk_is_never_held_in_memory(receiving):
    size = 64 * MIB
    session = await receiving.start(size, chunk_size=size)
    piece = noise(256 << 10)

    async def body():
        for _ in range(size // len(piece)):
            yield piece

    await receiving.engine.get(session.session_id)
    tracemalloc.start()
    try:
        receipt = await receiving.engine.put_chunk(session.session_id, 1, body())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert receipt.session.status is SessionStatus.COMPLETED
    assert peak < 4 * MIB


async def test_whether_the_bucket_works_is_found_without_a_file(receiving, s3_server, bucket):
    await receiving.stage.check()
    for name, access, told in (
        ("no-such-bucket-here", s3_server.access(), NoSuchBucket),
        (bucket.bucket, replace(s3_server.access(), secret_access_key="x" * 32), AccessDenied),
    ):
        store = S3Store(name, access=access)
        with pytest.raises(told):
            await S3Stage(S3Place(store=store), receiving.catalog).check()
        await store.aclose()
