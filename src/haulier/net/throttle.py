"""Keeping to a number of bytes per second, shared by all who take from one throttle."""

from __future__ import annotations

import asyncio
import time as monotonic_time
from collections.abc import Awaitable, Callable
from datetime import datetime, time

from haulier.core.units import RateLimit

BURST_S = 0.25
QUANTUM_BYTES = 64 << 10
MAX_PIECE_BYTES = 256 << 10
MIN_PIECE_BYTES = 1 << 10
_PIECES_PER_S = 8
_MIN_SLEEP_S = 0.001
_MAX_SLEEP_S = 1.0


def _local_time() -> time:
    return datetime.now().astimezone().time()


class Throttle:
    """A token bucket that holds at most a quarter of a second's worth of bytes.

    Takers are served in turn, `QUANTUM_BYTES` each, so that two of them get the same rate
    whatever the sizes of their pieces. Usable in one event loop at a time.

    Args:
        limit: bytes per second, perhaps by time of day.
        clock: seconds that never jump.
        sleep: waits a number of seconds.
        local_time: the time of day a timetable is read with.
    """

    def __init__(
        self,
        limit: RateLimit,
        *,
        clock: Callable[[], float] = monotonic_time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        local_time: Callable[[], time] = _local_time,
    ) -> None:
        self._limit = limit
        self._clock = clock
        self._sleep = sleep
        self._local_time = local_time
        self._turn = asyncio.Lock()  # hands over in the order of asking
        self._tokens = 0.0
        self._filled_at = clock()

    @property
    def piece_bytes(self) -> int:
        """How many bytes to take at a time, at the rate of this hour, so that what is moved
        advances several times a second; from 1 KiB to 256 KiB."""
        rate_bps = self._limit.rate_at(self._local_time())
        if rate_bps is None:
            return MAX_PIECE_BYTES
        return min(max(rate_bps // _PIECES_PER_S, MIN_PIECE_BYTES), MAX_PIECE_BYTES)

    async def take(self, count_bytes: int) -> None:
        """Return when `count_bytes` more bytes may be moved; at once where there is no limit."""
        while count_bytes > 0:
            if self._limit.is_unlimited:
                return
            quantum = min(count_bytes, QUANTUM_BYTES)
            async with self._turn:
                await self._wait_for(quantum)
            count_bytes -= quantum

    async def _wait_for(self, count_bytes: int) -> None:
        # The timetable is looked at after each sleep: a slow hour may end meanwhile.
        while (rate_bps := self._limit.rate_at(self._local_time())) is not None:
            capacity = rate_bps * BURST_S
            self._refill(rate_bps, capacity)
            needed = min(float(count_bytes), capacity)
            if self._tokens >= needed:
                self._tokens -= count_bytes  # below zero for what is larger than the bucket
                return
            missing_s = (needed - self._tokens) / rate_bps
            await self._sleep(min(max(missing_s, _MIN_SLEEP_S), _MAX_SLEEP_S))

    def _refill(self, rate_bps: int, capacity: float) -> None:
        now = self._clock()
        self._tokens = min(capacity, self._tokens + (now - self._filled_at) * rate_bps)
        self._filled_at = now
