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
    data = random.Random(1).randbytes(103)
    session = await receiving.start(len(data), chunk_size=10)
    numbers = list(range(1, 12)) * 2
    random.Random(2).shuffle(numbers)

    async def put(number):
        piece = data[(number - 1) * 10 : number * 10]
        return await receiving.engine.put_chunk(
            session.session_id, number, body_of(piece[:3], piece[3:])
        )

    receipts = []
    for start in range(0, len(numbers), 4):
        group = list(dict.fromkeys(numbers[start : start + 4]))
        receipts += await asyncio.gather(*(put(number) for number in group))
    done = await receiving.engine.get(session.session_id)
    assert done.status is SessionStatus.COMPLETED
    assert receiving.bytes_of(done) == data
    assert receiving.ledger.files == {done.file_id: ("clip.mp4", len(data), crc64nvme(data))}
    assert receiving.ledger.reserved == {}
    assert any(receipt.repeated for receipt in receipts)


async def test_a_repeated_chunk_with_other_bytes_is_refused_and_changes_nothing(receiving):
    session = await receiving.start(8, chunk_size=4)
    put = receiving.engine.put_chunk
    await put(session.session_id, 1, body_of(b"abcd"))
    for other in (b"abce", b"abc", b"abcde", b""):
        with pytest.raises(ChunkConflict):
            await put(session.session_id, 1, body_of(other))
    await put(session.session_id, 2, body_of(b"efgh"))
    done = await receiving.engine.get(session.session_id)
    assert receiving.bytes_of(done) == b"abcdefgh"
    with pytest.raises(ChunkConflict):
        await put(session.session_id, 2, body_of(b"EFGH"))
    again = await put(session.session_id, 2, body_of(b"efgh"))
    assert again.repeated
    assert again.session.file_id == done.file_id


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256", "crc32", "crc32c", "crc64nvme"])
async def test_a_chunk_with_a_wrong_checksum_stays_missing(receiving, algorithm):
    from haulier.core.checksums import RunningChecksum

    right = RunningChecksum(algorithm)
    right.update(b"abcd")
    session = await receiving.start(8, chunk_size=4)
    put = receiving.engine.put_chunk
    with pytest.raises(ChecksumMismatch):
        await put(session.session_id, 1, body_of(b"abcX"), checks=(str(right),))
    received = await receiving.engine.received(session)
    assert received.missing() == [(1, 2)]
    receipt = await put(session.session_id, 1, body_of(b"abcd"), checks=(str(right),))
    assert receipt.received.missing() == [(2, 2)]


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
        await receiving.engine.put_chunk(
            session.session_id, number, body_of(*pieces), length=length
        )
    assert (await receiving.engine.received(session)).missing() == [(1, 3)]


async def test_an_unknown_session_is_not_found(receiving):
    with pytest.raises(errors.FileNotFoundError):
        await receiving.engine.put_chunk("0" * 32, 1, body_of(b"abcd"))
    with pytest.raises(errors.FileNotFoundError):
        await receiving.engine.append("0" * 32, 0, body_of(b"abcd"))


async def test_an_empty_file_is_complete_at_once(receiving):
    session = await receiving.start(0)
    assert session.status is SessionStatus.COMPLETED
    assert receiving.bytes_of(session) == b""


async def test_a_size_that_is_not_known_is_that_of_what_arrived(receiving):
    session = await receiving.start(None, chunk_size=4)
    put = receiving.engine.put_chunk
    await put(session.session_id, 2, body_of(b"ef"))
    with pytest.raises(ChunksMissing) as caught:
        await receiving.engine.complete(session.session_id)
    assert caught.value.missing == [(1, 1)]
    await put(session.session_id, 1, body_of(b"abcd"))
    done = await receiving.engine.complete(session.session_id)
    assert (done.size_bytes, receiving.bytes_of(done)) == (6, b"abcdef")
    assert await receiving.engine.complete(session.session_id) == done


async def test_runs_of_bytes_one_behind_the_other(receiving):
    data = random.Random(3).randbytes(50)
    session = await receiving.start(len(data), order=SEQUENTIAL)
    append = receiving.engine.append
    half = await append(session.session_id, 0, body_of(data[:7], data[7:21]))
    assert half.offset == 21
    with pytest.raises(SessionConflict, match="stands at 21"):
        await append(session.session_id, 20, body_of(data[20:]))
    done = await append(session.session_id, 21, body_of(data[21:]), length=29)
    assert done.status is SessionStatus.COMPLETED
    assert receiving.bytes_of(done) == data
    again = await append(session.session_id, 50, body_of())
    assert again.file_id == done.file_id


async def test_more_bytes_than_the_file_has_are_refused(receiving):
    session = await receiving.start(10, order=SEQUENTIAL)
    append = receiving.engine.append
    with pytest.raises(FileSizeError):
        await append(session.session_id, 0, body_of(b"x" * 11), length=11)
    with pytest.raises(FileSizeError):
        await append(session.session_id, 0, body_of(b"x" * 6, b"y" * 5))
    current = await receiving.engine.get(session.session_id)
    assert (current.offset, current.status) == (6, SessionStatus.RECEIVING)
    done = await append(session.session_id, 6, body_of(b"yyyy"))
    assert receiving.bytes_of(done) == b"xxxxxxyyyy"


async def test_what_arrived_before_the_connection_broke_is_kept(receiving):
    session = await receiving.start(10, order=SEQUENTIAL)

    async def broken():
        yield b"abc"
        yield b"de"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await receiving.engine.append(session.session_id, 0, broken())
    assert (await receiving.engine.get(session.session_id)).offset == 5
    done = await receiving.engine.append(session.session_id, 5, body_of(b"fghij"))
    assert receiving.bytes_of(done) == b"abcdefghij"


async def test_a_run_with_a_checksum_counts_whole_or_not_at_all(receiving):
    session = await receiving.start(10, order=SEQUENTIAL)
    right = "sha1:" + hashlib.sha1(b"abcde").hexdigest()

    async def broken():
        yield b"abc"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await receiving.engine.append(session.session_id, 0, broken(), checks=(right,))
    with pytest.raises(ChecksumMismatch):
        await receiving.engine.append(session.session_id, 0, body_of(b"abcdX"), checks=(right,))
    assert (await receiving.engine.get(session.session_id)).offset == 0
    await receiving.engine.append(session.session_id, 0, body_of(b"abcde"), checks=(right,))
    done = await receiving.engine.append(session.session_id, 5, body_of(b"fghij"))
    assert receiving.bytes_of(done) == b"abcdefghij"


async def test_a_newcomer_takes_the_session_and_finds_what_arrived(receiving):
    session = await receiving.start(10, order=SEQUENTIAL)
    started = asyncio.Event()

    async def dead():
        yield b"abcd"
        started.set()
        await asyncio.Event().wait()

    old = asyncio.create_task(receiving.engine.append(session.session_id, 0, dead()))
    await started.wait()
    with pytest.raises(SessionConflict, match="stands at 4"):
        await receiving.engine.append(session.session_id, 0, body_of(b"abcdefghij"))
    with pytest.raises(LockLost):
        await old
    done = await receiving.engine.append(session.session_id, 4, body_of(b"efghij"))
    assert receiving.bytes_of(done) == b"abcdefghij"


async def test_cancelling_a_request_keeps_what_arrived(receiving):
    session = await receiving.start(10, order=SEQUENTIAL)
    started = asyncio.Event()

    async def endless():
        yield b"abcd"
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(receiving.engine.append(session.session_id, 0, endless()))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await receiving.engine.get(session.session_id)).offset == 4


@pytest.mark.parametrize("order", list(Order))
async def test_a_wanted_checksum_is_known_without_reading_again(receiving, order):
    data = random.Random(4).randbytes(30)
    wanted = "sha256:" + hashlib.sha256(data).hexdigest()
    session = await receiving.start(30, order=order, chunk_size=10, wanted_checksum=wanted)
    for number in (1, 2, 3):
        piece = data[number * 10 - 10 : number * 10]
        if order is SEQUENTIAL:
            await receiving.engine.append(session.session_id, number * 10 - 10, body_of(piece))
        else:
            await receiving.engine.put_chunk(session.session_id, number, body_of(piece))
    done = await receiving.engine.get(session.session_id)
    assert done.status is SessionStatus.COMPLETED


async def test_chunks_out_of_order_are_hashed_before_the_file_is_seen(receiving):
    data = random.Random(5).randbytes(20)
    wanted = "sha256:" + hashlib.sha256(data).hexdigest()
    session = await receiving.start(20, chunk_size=10, wanted_checksum=wanted)
    await receiving.engine.put_chunk(session.session_id, 2, body_of(data[10:]))
    receipt = await receiving.engine.put_chunk(session.session_id, 1, body_of(data[:10]))
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
            await receiving.engine.put_chunk(session.session_id, number, body_of(piece))
        await receiving.finisher.verify(session.session_id)

    with pytest.raises(ChecksumMismatch):
        await send()
    failed = await receiving.engine.get(session.session_id)
    assert failed.status is SessionStatus.FAILED
    assert algorithm in failed.error
    assert receiving.ledger.files == receiving.ledger.reserved == {}
    assert await receiving.stage.session_ids() == []
    assert await receiving.engine.cancel(session.session_id) == failed
    with pytest.raises(SessionGone, match="failed"):
        failed.check_open()


async def test_a_cancelled_session_leaves_nothing_and_takes_nothing(receiving):
    session = await receiving.start(8, chunk_size=4)
    await receiving.engine.put_chunk(session.session_id, 1, body_of(b"abcd"))
    cancelled = await receiving.engine.cancel(session.session_id)
    assert cancelled.status is SessionStatus.CANCELLED
    assert await receiving.stage.session_ids() == []
    assert receiving.ledger.reserved == {}
    with pytest.raises(SessionGone, match="cancelled"):
        await receiving.engine.put_chunk(session.session_id, 2, body_of(b"efgh"))
    assert await receiving.engine.cancel(session.session_id) == cancelled


async def test_a_chunk_under_way_when_the_session_is_cancelled_does_not_count(receiving):
    session = await receiving.start(8, chunk_size=4)
    started, go_on = asyncio.Event(), asyncio.Event()

    async def slow():
        yield b"ab"
        started.set()
        await go_on.wait()
        yield b"cd"

    task = asyncio.create_task(receiving.engine.put_chunk(session.session_id, 1, slow()))
    await started.wait()
    await receiving.engine.cancel(session.session_id)
    go_on.set()
    with pytest.raises(SessionGone):
        await task
    assert receiving.ledger.reserved == {}


async def test_a_completed_upload_can_not_be_cancelled(receiving):
    session = await receiving.start(4, chunk_size=4)
    receipt = await receiving.engine.put_chunk(session.session_id, 1, body_of(b"abcd"))
    assert await receiving.engine.cancel(session.session_id) == receipt.session
    assert receiving.bytes_of(receipt.session) == b"abcd"


async def test_what_is_reserved_bounds_parallel_sessions(receiving):
    receiving.ledger.quota = 25
    results = await asyncio.gather(*(receiving.start(10) for _ in range(8)), return_exceptions=True)
    assert sum(not isinstance(one, BaseException) for one in results) == 2
    assert sum(isinstance(one, QuotaExceeded) for one in results) == 6
    assert len(await receiving.stage.session_ids()) == 2


@pytest.mark.parametrize("order", list(Order))
async def test_a_size_told_late_is_reserved_as_bytes_arrive(receiving, order):
    receiving.ledger.quota = 10
    session = await receiving.start(None, order=order, chunk_size=4)

    async def send(number):
        piece = bytes([number]) * 4
        if order is Order.CHUNKED:
            await receiving.engine.put_chunk(session.session_id, number, body_of(piece))
        else:
            at = number * 4 - 4
            await receiving.engine.append(session.session_id, at, body_of(piece))

    await send(1)
    await send(2)
    with pytest.raises(QuotaExceeded):
        await send(3)
    assert receiving.ledger.reserved == {session.session_id: 8}
    with pytest.raises(QuotaExceeded):
        await receiving.engine.set_size(session.session_id, 11)
    await receiving.engine.set_size(session.session_id, 8)
    done = await receiving.engine.complete(session.session_id)
    assert receiving.bytes_of(done) == b"\1\1\1\1\2\2\2\2"
    assert receiving.ledger.reserved == {}


async def test_a_disk_without_room_refuses_at_the_start(receiving):
    free = os.statvfs(receiving.stage.path_of("x" * 20).anchor)
    with pytest.raises(StorageFull):
        await receiving.start(free.f_blocks * free.f_frsize * 2)
    assert receiving.ledger.reserved == {}
    assert await receiving.stage.session_ids() == []


async def test_the_largest_file_is_bounded(tmp_path, receiving):
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
        await receiving.engine.append(chunked.session_id, 0, body_of(b"a"))
    with pytest.raises(SessionConflict):
        await receiving.engine.put_chunk(run.session_id, 1, body_of(b"a"))
