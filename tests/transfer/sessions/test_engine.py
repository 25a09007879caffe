"""The session engine: chunks in any order, runs of bytes, what counts and what does not."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random

import pytest

from haulier import errors
from haulier.core.checksums import crc64nvme
from haulier.core.sessions.session import Order, SessionStatus
from haulier.errors import (
    ChecksumMismatch,
    ChunkConflict,
    ChunksMissing,
    FileSizeError,
    LockLost,
    QuotaExceeded,
    SessionConflict,
    SessionGone,
    StorageFull,
    ValidationError,
)
from sessions_engine import body_of, build

SEQUENTIAL = Order.SEQUENTIAL


async def test_chunks_in_any_order_at_once_and_again(receiving):
    data = random.Random(1).randbytes(43)
    session = await receiving.start(len(data), chunk_size=4)
    numbers = list(range(1, 12)) * 2
    random.Random(2).shuffle(numbers)

    async def put(number):
        piece = data[(number - 1) * 4 : number * 4]
        return await receiving.put_chunk(
            session.session_id, number, receiving.body(piece[:3], piece[3:])
        )

    receipts = []
    for start in range(0, len(numbers), 4):
        group = list(dict.fromkeys(numbers[start : start + 4]))
        receipts += await asyncio.gather(*(put(number) for number in group))
    done = await receiving.engine.get(session.session_id)
    assert done.status is SessionStatus.COMPLETED
    assert await receiving.bytes_of(done) == receiving.long(data)
    assert receiving.ledger.files == {
        done.file_id: ("clip.mp4", done.size_bytes, crc64nvme(receiving.long(data)))
    }
    assert receiving.ledger.reserved == {}
    assert any(receipt.repeated for receipt in receipts)


async def test_a_repeated_chunk_with_other_bytes_is_refused_and_changes_nothing(receiving):
    session = await receiving.start(8, chunk_size=4)
    put = receiving.put_chunk
    await put(session.session_id, 1, receiving.body(b"abcd"))
    for other in (b"abce", b"abc", b"abcde", b""):
        with pytest.raises(ChunkConflict):
            await put(session.session_id, 1, receiving.body(other))
    await put(session.session_id, 2, receiving.body(b"efgh"))
    done = await receiving.engine.get(session.session_id)
    assert await receiving.bytes_of(done) == receiving.long(b"abcdefgh")
    with pytest.raises(ChunkConflict):
        await put(session.session_id, 2, receiving.body(b"EFGH"))
    again = await put(session.session_id, 2, receiving.body(b"efgh"))
    assert again.repeated
    assert again.session.file_id == done.file_id


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256", "crc32", "crc32c", "crc64nvme"])
async def test_a_chunk_with_a_wrong_checksum_stays_missing(receiving, algorithm):
    from haulier.core.checksums import RunningChecksum

    right = RunningChecksum(algorithm)
    right.update(receiving.long(b"abcd"))
    session = await receiving.start(8, chunk_size=4)
    put = receiving.put_chunk
    with pytest.raises(ChecksumMismatch):
        await put(session.session_id, 1, receiving.body(b"abcX"), checks=(str(right),))
    received = await receiving.engine.received(session)
    assert received.missing() == [(1, 2)]
    receipt = await put(session.session_id, 1, receiving.body(b"abcd"), checks=(str(right),))
    assert receipt.arrived.missing == 1


@pytest.mark.parametrize(
    ("number", "pieces", "length", "error"),
    [
        (1, (b"abc",), None, ValidationError),
        (1, (b"abc",), 3, ValidationError),
        (1, (b"abcd", b"e"), None, FileSizeError),
        (1, (b"abcde",), 5, FileSizeError),
        (0, (b"abcd",), None, ValidationError),
        (4, (b"abcd",), None, ValidationError),
        (3, (b"abcd",), None, FileSizeError),
    ],
)
async def test_a_chunk_of_the_wrong_size_or_number_stays_missing(
    receiving, number, pieces, length, error
):
    session = await receiving.start(10, chunk_size=4)
    with pytest.raises(error):
        await receiving.put_chunk(
            session.session_id, number, receiving.body(*pieces), length=length
        )
    assert (await receiving.engine.received(session)).missing() == [(1, 3)]


async def test_an_unknown_session_is_not_found(receiving):
    with pytest.raises(errors.FileNotFoundError):
        await receiving.put_chunk("0" * 32, 1, receiving.body(b"abcd"))
    with pytest.raises(errors.FileNotFoundError):
        await receiving.append("0" * 32, 0, receiving.body(b"abcd"))


async def test_an_empty_file_is_complete_at_once(receiving):
    session = await receiving.start(0)
    assert session.status is SessionStatus.COMPLETED
    assert await receiving.bytes_of(session) == receiving.long(b"")


async def test_a_size_that_is_not_known_is_that_of_what_arrived(receiving):
    session = await receiving.start(None, chunk_size=4)
    put = receiving.put_chunk
    await put(session.session_id, 2, receiving.body(b"ef"), length=2)
    with pytest.raises(ChunksMissing) as caught:
        await receiving.engine.complete(session.session_id)
    assert caught.value.missing == [(1, 1)]
    await put(session.session_id, 1, receiving.body(b"abcd"))
    done = await receiving.engine.complete(session.session_id)
    assert await receiving.bytes_of(done) == receiving.long(b"abcdef")
    assert await receiving.engine.complete(session.session_id) == done


async def test_runs_of_bytes_one_behind_the_other(receiving):
    data = random.Random(3).randbytes(22)
    session = await receiving.start(len(data), order=SEQUENTIAL)
    append = receiving.append
    half = await append(session.session_id, 0, receiving.body(data[:3], data[3:9]))
    assert half.offset == 9 * receiving.unit
    with pytest.raises(SessionConflict, match=f"stands at {half.offset}"):
        await append(session.session_id, 8, receiving.body(data[8:]))
    done = await append(session.session_id, 9, receiving.body(data[9:]), length=13)
    assert done.status is SessionStatus.COMPLETED
    assert await receiving.bytes_of(done) == receiving.long(data)
    again = await append(session.session_id, 22, receiving.body())
    assert again.file_id == done.file_id


async def test_more_bytes_than_the_file_has_are_refused(receiving):
    session = await receiving.start(10, order=SEQUENTIAL)
    append = receiving.append
    with pytest.raises(FileSizeError):
        await append(session.session_id, 0, receiving.body(b"x" * 11), length=11)
    with pytest.raises(FileSizeError):
        await append(session.session_id, 0, receiving.body(b"x" * 6, b"y" * 5))
    assert await receiving.offset(session.session_id) == 6
    done = await append(session.session_id, 6, receiving.body(b"yyyy"))
    assert await receiving.bytes_of(done) == receiving.long(b"xxxxxxyyyy")


async def test_what_arrived_before_the_connection_broke_is_kept(receiving):
    session = await receiving.start(10, order=SEQUENTIAL)

    async def broken():
        yield receiving.long(b"abc")
        yield receiving.long(b"de")
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await receiving.append(session.session_id, 0, broken())
    assert await receiving.offset(session.session_id) == 5
    done = await receiving.append(session.session_id, 5, receiving.body(b"fghij"))
    assert await receiving.bytes_of(done) == receiving.long(b"abcdefghij")


async def test_a_run_with_a_checksum_counts_whole_or_not_at_all(receiving):
    session = await receiving.start(10, order=SEQUENTIAL)
    right = "sha1:" + hashlib.sha1(receiving.long(b"abcde")).hexdigest()

    async def broken():
        yield receiving.long(b"abc")
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await receiving.append(session.session_id, 0, broken(), checks=(right,))
    with pytest.raises(ChecksumMismatch):
        await receiving.append(session.session_id, 0, receiving.body(b"abcdX"), checks=(right,))
    assert await receiving.offset(session.session_id) == 0
    await receiving.append(session.session_id, 0, receiving.body(b"abcde"), checks=(right,))
    done = await receiving.append(session.session_id, 5, receiving.body(b"fghij"))
    assert await receiving.bytes_of(done) == receiving.long(b"abcdefghij")


async def test_a_newcomer_takes_the_session_and_finds_what_arrived(receiving):
    session = await receiving.start(10, order=SEQUENTIAL)
    started = asyncio.Event()

    async def dead():
        yield receiving.long(b"abcd")
        started.set()
        await asyncio.Event().wait()

    old = asyncio.create_task(receiving.append(session.session_id, 0, dead()))
    await started.wait()
    with pytest.raises(SessionConflict, match="stands at"):
        await receiving.append(session.session_id, 0, receiving.body(b"abcdefghij"))
    with pytest.raises(LockLost):
        await old
    done = await receiving.append(session.session_id, 4, receiving.body(b"efghij"))
    assert await receiving.bytes_of(done) == receiving.long(b"abcdefghij")


async def test_cancelling_a_request_keeps_what_arrived(receiving):
    session = await receiving.start(10, order=SEQUENTIAL)
    started = asyncio.Event()

    async def endless():
        yield receiving.long(b"abcd")
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(receiving.append(session.session_id, 0, endless()))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await receiving.offset(session.session_id) == 4


@pytest.mark.parametrize("order", list(Order))
async def test_a_wanted_checksum_is_known_without_reading_again(receiving, order):
    data = random.Random(4).randbytes(36)
    wanted = "sha256:" + hashlib.sha256(receiving.long(data)).hexdigest()
    session = await receiving.start(36, order=order, chunk_size=12, wanted_checksum=wanted)
    for number in (1, 2, 3):
        piece = data[number * 12 - 12 : number * 12]
        if order is SEQUENTIAL:
            await receiving.append(session.session_id, number * 12 - 12, receiving.body(piece))
        else:
            await receiving.put_chunk(session.session_id, number, receiving.body(piece))
    done = await receiving.engine.get(session.session_id)
    assert done.status is SessionStatus.COMPLETED


async def test_chunks_out_of_order_are_hashed_before_the_file_is_seen(receiving):
    data = random.Random(5).randbytes(24)
    wanted = "sha256:" + hashlib.sha256(receiving.long(data)).hexdigest()
    session = await receiving.start(24, chunk_size=12, wanted_checksum=wanted)
    await receiving.put_chunk(session.session_id, 2, receiving.body(data[12:]))
    receipt = await receiving.put_chunk(session.session_id, 1, receiving.body(data[:12]))
    assert receipt.session.status is SessionStatus.VERIFYING
    assert receiving.ledger.files == {}
    assert (await receiving.sweeper.sweep()).unverifiable == 0
    done = await receiving.finisher.verify(session.session_id)
    assert await receiving.engine.get(session.session_id) == done
    assert done.status is SessionStatus.COMPLETED
    assert list(receiving.ledger.files) == [done.file_id]


@pytest.mark.parametrize("in_order", [True, False])
@pytest.mark.parametrize("algorithm", ["sha256", "crc64nvme"])
async def test_a_file_other_than_the_wanted_one_is_not_kept(receiving, algorithm, in_order):
    wanted = f"{algorithm}:" + "0" * (64 if algorithm == "sha256" else 16)
    session = await receiving.start(8, chunk_size=4, wanted_checksum=wanted)
    order = ((1, b"abcd"), (2, b"efgh")) if in_order else ((2, b"efgh"), (1, b"abcd"))

    async def send():
        for number, piece in order:
            await receiving.put_chunk(session.session_id, number, receiving.body(piece))
        await receiving.finisher.verify(session.session_id)

    with pytest.raises(ChecksumMismatch):
        await send()
    failed = await receiving.engine.get(session.session_id)
    assert failed.status is SessionStatus.FAILED
    assert algorithm in failed.error
    assert receiving.ledger.files == receiving.ledger.reserved == {}
    assert await receiving.leftovers() == []
    assert await receiving.engine.cancel(session.session_id) == failed
    with pytest.raises(SessionGone, match="failed"):
        failed.check_open()


async def test_a_cancelled_session_leaves_nothing_and_takes_nothing(receiving):
    session = await receiving.start(8, chunk_size=4)
    await receiving.put_chunk(session.session_id, 1, receiving.body(b"abcd"))
    cancelled = await receiving.engine.cancel(session.session_id)
    assert cancelled.status is SessionStatus.CANCELLED
    assert await receiving.leftovers() == []
    assert receiving.ledger.reserved == {}
    with pytest.raises(SessionGone, match="cancelled"):
        await receiving.put_chunk(session.session_id, 2, receiving.body(b"efgh"))
    assert await receiving.engine.cancel(session.session_id) == cancelled


async def test_a_chunk_under_way_when_the_session_is_cancelled_does_not_count(receiving):
    session = await receiving.start(8, chunk_size=4)
    started, go_on = asyncio.Event(), asyncio.Event()

    async def slow():
        yield receiving.long(b"ab")
        started.set()
        await go_on.wait()
        yield receiving.long(b"cd")

    task = asyncio.create_task(receiving.put_chunk(session.session_id, 1, slow()))
    await started.wait()
    await receiving.engine.cancel(session.session_id)
    go_on.set()
    with pytest.raises(SessionGone):
        await task
    assert receiving.ledger.reserved == {}


async def test_a_completed_upload_can_not_be_cancelled(receiving):
    session = await receiving.start(4, chunk_size=4)
    receipt = await receiving.put_chunk(session.session_id, 1, receiving.body(b"abcd"))
    assert await receiving.engine.cancel(session.session_id) == receipt.session
    assert await receiving.bytes_of(receipt.session) == receiving.long(b"abcd")


async def test_what_is_reserved_bounds_parallel_sessions(receiving):
    receiving.ledger.quota = 25 * receiving.unit
    results = await asyncio.gather(*(receiving.start(10) for _ in range(8)), return_exceptions=True)
    assert sum(not isinstance(one, BaseException) for one in results) == 2
    assert sum(isinstance(one, QuotaExceeded) for one in results) == 6
    assert len(await receiving.leftovers()) == 2


@pytest.mark.parametrize("order", list(Order))
async def test_a_size_told_late_is_reserved_as_bytes_arrive(receiving, order):
    receiving.ledger.quota = 10 * receiving.unit
    session = await receiving.start(None, order=order, chunk_size=4)

    async def send(number):
        piece = bytes([number]) * 4
        if order is Order.CHUNKED:
            await receiving.put_chunk(session.session_id, number, receiving.body(piece))
        else:
            at = number * 4 - 4
            await receiving.append(session.session_id, at, receiving.body(piece))

    await send(1)
    await send(2)
    with pytest.raises(QuotaExceeded):
        await send(3)
    assert receiving.ledger.reserved == {session.session_id: 8 * receiving.unit}
    with pytest.raises(QuotaExceeded):
        await receiving.set_size(session.session_id, 11)
    await receiving.set_size(session.session_id, 8)
    done = await receiving.engine.complete(session.session_id)
    assert await receiving.bytes_of(done) == receiving.long(b"\1\1\1\1\2\2\2\2")
    assert receiving.ledger.reserved == {}


async def test_a_disk_without_room_refuses_at_the_start(on_local):
    receiving = on_local
    free = os.statvfs(receiving.stage.path_of("x" * 20).anchor)
    with pytest.raises(StorageFull):
        await receiving.start(free.f_blocks * free.f_frsize * 2)
    assert receiving.ledger.reserved == {}
    assert await receiving.leftovers() == []


async def test_the_largest_file_is_bounded(tmp_path, on_local):
    receiving = on_local
    bounded = build(tmp_path / "b", receiving.catalog, most_bytes=10)
    with pytest.raises(FileSizeError):
        await bounded.start(11)
    session = await bounded.start(None, order=SEQUENTIAL)
    with pytest.raises(FileSizeError):
        await bounded.engine.append(session.session_id, 0, body_of(b"x" * 6, b"x" * 5))
    with pytest.raises(FileSizeError):
        await bounded.engine.set_size(session.session_id, 11)
    await bounded.engine.set_size(session.session_id, 8)
    with pytest.raises(SessionConflict):
        await bounded.engine.set_size(session.session_id, 9)
    await bounded.stage.aclose()


async def test_the_two_orders_do_not_mix(receiving):
    chunked = await receiving.start(10, chunk_size=4)
    run = await receiving.start(10, order=SEQUENTIAL)
    with pytest.raises(SessionConflict):
        await receiving.append(chunked.session_id, 0, receiving.body(b"a"))
    with pytest.raises(SessionConflict):
        await receiving.put_chunk(run.session_id, 1, receiving.body(b"a"))
