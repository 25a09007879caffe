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
