from __future__ import annotations

import asyncio
import threading

import pytest

from haulier.errors import NoSuchObject, ObjectChanged
from haulier.journeys.archive.streaming import read_through

CONTENT = bytes(range(256)) * (20 << 10)  # 5 MiB


def read_all(size):
    def work(raw):
        pieces = []
        while piece := raw.read(size):
            assert len(piece) <= size
            pieces.append(piece)
        assert raw.read(size) == b""
        return b"".join(pieces)

    return work


@pytest.mark.parametrize("size", [1000, 1 << 20, 1 << 30])
async def test_a_thread_reads_every_byte_in_order(site, size):
    await site.store.put("x", CONTENT)
    counted = []
    content = await read_through(site.store, "x", read_all(size), advance=counted.append)
    assert content == CONTENT
    assert sum(counted) == len(CONTENT)
    content = await read_through(site.store, "x", read_all(size), start=7, end=3 << 20)
    assert content == CONTENT[7 : 3 << 20]


async def test_an_empty_object(site):
    await site.store.put("empty", b"")
    assert await read_through(site.store, "empty", read_all(10)) == b""


async def test_what_the_store_raises_comes_through(site):
    await site.store.put("x", CONTENT)
    with pytest.raises(NoSuchObject):
        await read_through(site.store, "nothing", read_all(10))
    with pytest.raises(ObjectChanged):
        await read_through(site.store, "x", read_all(10), if_match="another")


async def test_a_reader_may_stop_early_or_fail(site):
    await site.store.put("x", CONTENT)
    assert await read_through(site.store, "x", lambda raw: raw.read(5)) == CONTENT[:5]
    assert await read_through(site.store, "x", lambda raw: 7) == 7

    def fail(raw):
        raw.read(5)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await read_through(site.store, "x", fail)


async def test_the_thread_has_ended_when_a_cancelled_call_returns(site):
    await site.store.put("x", CONTENT)
    begun, ended = threading.Event(), threading.Event()

    def work(raw):
        try:
            while True:
                raw.read(1000)
                begun.set()
        finally:
            ended.set()

    task = asyncio.create_task(read_through(site.store, "x", work))
    while not begun.is_set():
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
