"""Keeping to a number of requests per second."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Hashable

_MOST_IDLE = 1024


class Pace:
    """Lets at most `count` through in any `window_s` seconds, in the order of asking.

    Some may go before the others. While they come, the others leave room for them, so that one of
    them hardly ever waits for a window that others have filled.

    Args:
        count: how many.
        window_s: seconds.
        kept: the room that is left for those that go before the others.
        clock: seconds that never jump.
        sleep: waits a number of seconds.
    """

    def __init__(
        self,
        count: int,
        window_s: float = 1.0,
        *,
        kept: int = 0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._count = count
        self._window_s = window_s
        self._kept = kept
        self._clock = clock
        self._sleep = sleep
        self._turn = asyncio.Lock()  # hands over in the order of asking
        self._first_turn = asyncio.Lock()
        self._let: deque[float] = deque(maxlen=count)
        self._went_first_at = -math.inf

    async def take(self, *, first: bool = False) -> None:
        """Return when one more may go; `first`: before all that wait without it."""
        async with self._first_turn if first else self._turn:
            while (wait_s := self._wait_s(first)) > 0:
                await self._sleep(wait_s)
            now = self._clock()
            self._let.append(now)
            if first:
                self._went_first_at = now

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits, and nobody went in the last window."""
        is_waited_for = self._turn.locked() or self._first_turn.locked()
        return not is_waited_for and (
            not self._let or self._let[-1] + self._window_s <= self._clock()
        )

    def _wait_s(self, first: bool) -> float:
        now, most = self._clock(), self._count
        if not first and self._went_first_at + self._window_s > now:
            most -= self._kept
        if len(self._let) < most:
            return 0.0
        return self._let[-most] + self._window_s - now


class Paces:
    """A pace for each key; those that nobody used for a while are forgotten.

    Args:
        make: returns a new pace.
    """

    def __init__(self, make: Callable[[], Pace]) -> None:
        self._make = make
        self._paces: OrderedDict[Hashable, Pace] = OrderedDict()

    async def take(self, key: Hashable) -> None:
        """Return when one more of `key` may go."""
        pace = self._paces.pop(key, None) or self._make()
        self._paces[key] = pace
        self._forget()
        await pace.take()

    def _forget(self) -> None:
        while len(self._paces) > _MOST_IDLE:
            key, oldest = next(iter(self._paces.items()))
            if not oldest.is_idle:
                return
            del self._paces[key]
