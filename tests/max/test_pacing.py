"""Paces: never more in any window, in the order of asking."""

import asyncio

from haulier.max.pacing import Pace, Paces


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


async def test_no_window_holds_more_than_the_count() -> None:
    clock = Clock()
    pace = Pace(3, 1.0, clock=clock, sleep=clock.sleep)
    times = []

    async def one(number: int) -> None:
        await pace.take()
        times.append((number, clock.now))

    await asyncio.gather(*(one(number) for number in range(10)))
    assert [number for number, _ in times] == list(range(10))
    moments = [moment for _, moment in times]
    assert moments == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]


async def test_room_is_left_for_who_goes_first_while_such_come() -> None:
    clock = Clock()
    pace = Pace(4, 1.0, kept=1, clock=clock, sleep=clock.sleep)
    for first in (True, False, False, True):
        await pace.take(first=first)
    assert clock.now == 0
    await pace.take()
    assert clock.now == 1
    clock.now = 10
    for _ in range(4):
        await pace.take()
    assert clock.now == 10, "nobody went first lately: no room is wasted"


async def test_who_goes_first_passes_those_that_wait() -> None:
    clock = Clock()
    never = asyncio.Event()

    async def sleep(_: float) -> None:
        await never.wait()

    pace = Pace(1, 1.0, clock=clock, sleep=sleep)
    await pace.take()
    waiting = [asyncio.create_task(pace.take()) for _ in range(3)]
    await asyncio.sleep(0)
    assert not pace.is_idle
    clock.now = 1
    await pace.take(first=True)
    assert not any(task.done() for task in waiting)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    clock.now = 2
    assert pace.is_idle


async def test_keys_do_not_slow_each_other() -> None:
    clock = Clock()
    paces = Paces(lambda: Pace(2, 1.0, clock=clock, sleep=clock.sleep))
    for key in ("a", "b", "a", "b"):
        await paces.take(key)
    assert clock.now == 0
    await paces.take("a")
    assert clock.now == 1


async def test_idle_keys_are_forgotten_and_busy_ones_not() -> None:
    clock = Clock()
    paces = Paces(lambda: Pace(1, 1.0, clock=clock, sleep=clock.sleep))
    for key in range(3000):
        await paces.take(key)
    assert len(paces._paces) == 3000, "all of them were used within the last second"
    clock.now += 2
    for key in range(3000, 3010):
        await paces.take(key)
    assert len(paces._paces) == 1024
