"""Keeping to a number of requests per second."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Hashable

_MOST_IDLE = 1024


class Pace:
    """Lets at most `count` through in any `window_s` seconds, in the order of asking.

    Args:
        count: how many.
        window_s: seconds.
        clock: seconds that never jump.
        sleep: waits a number of seconds.
    """

    def __init__(
        self,
        count: int,
        window_s: float = 1.0,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._count = count
        self._window_s = window_s
        self._clock = clock
        self._sleep = sleep
        self._turn = asyncio.Lock()  # hands over in the order of asking
        self._let: deque[float] = deque(maxlen=count)

    async def take(self) -> None:
        """Return when one more may go."""
        async with self._turn:
            while (wait_s := self._wait_s()) > 0:
                await self._sleep(wait_s)
            self._let.append(self._clock())

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits, and nobody went in the last window."""
        return not self._turn.locked() and (
            not self._let or self._let[-1] + self._window_s <= self._clock()
        )

    def _wait_s(self) -> float:
        if len(self._let) < self._count:
            return 0.0
        return self._let[0] + self._window_s - self._clock()


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
