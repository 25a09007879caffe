"""Retry and throttle around real stores."""

from __future__ import annotations

import asyncio
import inspect
from datetime import time

import pytest

from haulier.core.checksums import crc64nvme
from haulier.core.units import parse_limit
from haulier.net.throttle import MAX_PIECE_BYTES, Throttle
from haulier.store.base import ListingStore, LocalFileStore, ObjectOptions, Part, SigningStore
from haulier.store.local import LocalStore
from haulier.store.s3 import S3Store
from haulier.store.wrappers import Retrying, Throttled

CONTENT = bytes(range(256)) * 4096  # 1 MiB


def part_of(content):
    return Part(
        number=1,
        offset=0,
        buffers=[content],
        size_bytes=len(content),
        md5="",
        crc64nvme=f"{crc64nvme(content):016x}",
    )


class Clock:
    """Time that passes only when somebody sleeps; notes what was done by then."""

    def __init__(self):
        self.now = 0.0
        self.done = 0
        self.seen = []

    def advance(self, count):
        self.done += count

    async def sleep(self, seconds):
        # What is on its way from the writing thread arrives first.
        await asyncio.sleep(0.001)
        self.now += seconds
        self.seen.append(self.done)


def slow(store, clock, rate):
    throttle = Throttle(
        parse_limit(rate), clock=lambda: clock.now, sleep=clock.sleep, local_time=lambda: time(12)
    )
    return Throttled(Retrying(store), throttle)


@pytest.fixture(params=["local", pytest.param("bucket", marks=pytest.mark.servers)])
async def bare(request, tmp_path):
    if request.param == "local":
        yield LocalStore(tmp_path / "store")
        return
    server = request.getfixturevalue("s3_server")
    store = S3Store(server.make_bucket(), access=server.access())
    store = store.with_checks(await store.probe())
    yield store
    await store.aclose()


async def test_a_slow_part_advances_piece_by_piece(bare):
    clock = Clock()
    store = slow(bare, clock, "256K")
    upload_id = await store.start_upload("a.bin", ObjectOptions())
    receipt = await store.put_part("a.bin", upload_id, part_of(CONTENT), advance=clock.advance)
    await store.complete_upload("a.bin", upload_id, [receipt])
    assert clock.now == pytest.approx(4, rel=0.1)
    steps = [after - before for before, after in zip(clock.seen, clock.seen[1:], strict=False)]
    assert len(steps) > 20
    assert max(steps) <= 2 * (32 << 10)
    async with store.get("a.bin") as pieces:
        read = [piece async for piece in pieces]
    assert b"".join(read) == CONTENT
    assert max(map(len, read)) == 32 << 10
    assert clock.now == pytest.approx(8, rel=0.1)


async def test_a_part_that_waits_for_its_turn_can_be_given_up(tmp_path):
    store = Throttled(LocalStore(tmp_path), Throttle(parse_limit("1K")))
    upload_id = await store.start_upload("a.bin", ObjectOptions())
    reached = asyncio.Event()
    sending = asyncio.create_task(
        store.put_part("a.bin", upload_id, part_of(CONTENT), advance=lambda _: reached.set())
    )
    await reached.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert await store.list_parts("a.bin", upload_id) == []


@pytest.mark.parametrize(
    ("rate", "expected"),
    [("1K", 1 << 10), ("64K", 8 << 10), ("1M", 128 << 10), ("50M", MAX_PIECE_BYTES),
     ("off", MAX_PIECE_BYTES)],
)  # fmt: skip
def test_pieces_are_an_eighth_of_a_second_within_bounds(rate, expected):
    assert Throttle(parse_limit(rate)).piece_bytes == expected


def test_abilities_are_seen_without_asking_getattr(tmp_path):
    """From Python 3.12 on, `isinstance` of a Protocol looks them up statically."""
    local = Retrying(LocalStore(tmp_path))
    assert inspect.getattr_static(local, "list_uploads")
    assert inspect.getattr_static(local, "local_path")
    assert isinstance(local, ListingStore)
    assert isinstance(local, LocalFileStore)
    assert not isinstance(local, SigningStore)
    throttled = Throttled(local, Throttle(parse_limit("1K")))
    assert isinstance(throttled, ListingStore)
    assert not isinstance(throttled, LocalFileStore)
