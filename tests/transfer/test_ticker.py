import asyncio
import logging

import pytest

from haulier.core.progress import Progress, ProgressBoard
from haulier.transfer.ticker import Ticker


async def test_every_start_and_end_reaches_every_listener_in_order() -> None:
    board = ProgressBoard()
    plain: list[Progress] = []
    awaited: list[Progress] = []

    async def listener(event: Progress) -> None:
        await asyncio.sleep(0)
        awaited.append(event)

    async with Ticker(board, [plain.append, listener], interval_s=0.001):
        first = board.start("1", "a", 10)
        while not plain:
            await asyncio.sleep(0.001)
        first.add(10)
        first.finish()
        board.start("2", "b").fail("lost")
    assert plain == awaited
    kinds = [(event.id, event.state) for event in plain if event.state != "advanced"]
    assert sorted(kinds) == [("1", "finished"), ("1", "started"), ("2", "failed"), ("2", "started")]
    assert kinds.index(("1", "started")) < kinds.index(("1", "finished"))


async def test_ends_are_delivered_when_the_work_raises_or_is_cancelled() -> None:
    board = ProgressBoard()
    events: list[Progress] = []

    async def work() -> None:
        async with Ticker(board, [events.append], interval_s=60):
            meter = board.start("1", "a")
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                meter.fail("interrupted")
                raise

    task = asyncio.create_task(work())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [event.state for event in events][-1] == "failed"


@pytest.mark.parametrize("kind", ["plain", "async", "hangs"])
async def test_a_listener_that_fails_is_logged_once_and_left_out(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    board = ProgressBoard()
    calls = 0
    good: list[Progress] = []

    def plain(event: Progress) -> None:
        nonlocal calls
        calls += 1
        raise RuntimeError("bad listener")

    async def waiting(event: Progress) -> None:
        nonlocal calls
        calls += 1
        if kind == "hangs":
            await asyncio.Event().wait()
        raise RuntimeError("bad listener")

    bad = plain if kind == "plain" else waiting
    with caplog.at_level(logging.ERROR):
        async with Ticker(board, [bad, good.append], interval_s=0.001, listener_timeout_s=0.01):
            meter = board.start("1", "a")
            while len(good) < 5:
                await asyncio.sleep(0.001)
            meter.finish()
    assert calls == 1
    assert len(caplog.records) == 1
    assert good[-1].state == "finished"


async def test_events_can_be_iterated_and_end_with_the_ticker() -> None:
    board = ProgressBoard()
    async with Ticker(board, interval_s=0.001) as ticker:
        stream = ticker.events()

        async def read() -> list[Progress]:
            return [event async for event in stream]

        reader = asyncio.create_task(read())
        meter = board.start("1", "a", 3)
        for _ in range(3):
            meter.add(1)
            await asyncio.sleep(0.003)
        meter.finish()
    events = await reader
    assert (events[0].state, events[-1].state) == ("started", "finished")
    assert [event async for event in ticker.events()] == []


async def test_a_slow_reader_misses_only_what_was_overtaken() -> None:
    board = ProgressBoard()
    seen = 0

    def count(event: Progress) -> None:
        nonlocal seen
        seen += 1

    async with Ticker(board, [count], interval_s=0.0001) as ticker:
        stream = ticker.events()
        meter = board.start("1", "a")
        while seen < 50:
            meter.add(1)
            await asyncio.sleep(0.0005)
        meter.finish()
    events = [event async for event in stream]
    assert [event.state for event in events] == ["started", "advanced", "finished"]
