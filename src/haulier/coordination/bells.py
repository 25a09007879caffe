"""Bells: one rings, all who wait go and look whether there is something to do.

A ring says nothing but that; what there is to do stands in the catalog. A ring that is lost costs
time, never work, so whoever waits has a longest time to wait.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Protocol


class Bell(Protocol):
    """Wakes those who wait."""

    @property
    def count(self) -> int:
        """How often it was rung."""
        ...

    def ring(self) -> None:
        """Wake all who wait; may be called from any thread."""
        ...

    async def wait(self, after: int, timeout_s: float) -> None:
        """Wait until it was rung more often than `after` times, or `timeout_s` seconds."""
        ...


class MemoryBell:
    """A bell among the tasks and threads of one process; made inside its event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._next = asyncio.Event()
        self.count = 0

    def ring(self) -> None:
        """See `Bell.ring`."""
        self._loop.call_soon_threadsafe(self._ring)

    async def wait(self, after: int, timeout_s: float) -> None:
        """See `Bell.wait`."""
        if self.count > after:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._next.wait()

    def _ring(self) -> None:
        self.count += 1
        self._next.set()
        self._next = asyncio.Event()
