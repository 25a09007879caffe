import asyncio
from datetime import time

import pytest

from haulier.core.units import UNLIMITED, parse_limit
from haulier.net.throttle import QUANTUM_BYTES, Throttle


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.time_of_day = time(7, 0)

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        self.now += seconds

    def local_time(self) -> time:
        return self.time_of_day


@pytest.fixture
def clock() -> Clock:
    return Clock()


def throttle(text: str, clock: Clock) -> Throttle:
    return Throttle(parse_limit(text), clock=clock, sleep=clock.sleep, local_time=clock.local_time)


@pytest.mark.parametrize("piece", [1_000, QUANTUM_BYTES, 1 << 20])
async def test_the_rate_is_kept_over_time(clock: Clock, piece: int) -> None:
    limited = throttle("1M", clock)
    began = clock.now
    for _ in range((20 << 20) // piece):
        await limited.take(piece)
    assert clock.now - began == pytest.approx(20, rel=0.02)


async def test_idle_time_saves_up_no_more_than_a_quarter_of_a_second(clock: Clock) -> None:
    limited = throttle("1M", clock)
    clock.now += 3_600
    began = clock.now
    await limited.take(1 << 20)
    assert clock.now - began == pytest.approx(0.75, abs=0.01)


async def test_a_rate_below_the_quantum_is_kept_too(clock: Clock) -> None:
    limited = throttle("1K", clock)
    began = clock.now
    await limited.take(256 << 10)
    await limited.take(1)
    assert clock.now - began == pytest.approx(256, rel=0.01)


async def test_takers_get_equal_shares_whatever_their_pieces(clock: Clock) -> None:
    limited = throttle("1M", clock)
    taken = {"small": 0, "large": 0}

    async def take_until(deadline: float, name: str, piece: int) -> None:
        while clock.now < deadline:
            await limited.take(piece)
            taken[name] += piece

    async with asyncio.TaskGroup() as group:
        group.create_task(take_until(clock.now + 60, "small", QUANTUM_BYTES))
        group.create_task(take_until(clock.now + 60, "large", 1 << 20))
    assert taken["small"] == pytest.approx(taken["large"], rel=0.1)


async def test_a_timetable_is_followed_even_while_waiting(clock: Clock) -> None:
    limited = throttle("00:00,1K 08:00,off", clock)
    began = clock.now

    async def sleep_until_eight(seconds: float) -> None:
        await clock.sleep(seconds)
        if clock.now - began > 3:
            clock.time_of_day = time(8, 0)

    limited._sleep = sleep_until_eight
    await limited.take(10 << 20)
    assert clock.now - began < 5


async def test_without_a_limit_nobody_sleeps() -> None:
    async def never(seconds: float) -> None:
        raise AssertionError("slept")

    await Throttle(UNLIMITED, sleep=never).take(1 << 40)
    await Throttle(parse_limit("1M"), sleep=never).take(0)


async def test_a_cancelled_taker_does_not_hold_the_others_up(clock: Clock) -> None:
    limited = throttle("1M", clock)
    await limited.take(1 << 20)
    waiting = asyncio.create_task(limited.take(1 << 30))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    began = clock.now
    await limited.take(1 << 20)
    assert clock.now - began < 1.1
