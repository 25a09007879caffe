"""Turns: what is prepared at the same time is done one after another."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self


class Line:
    """Hands out turns, in the order in which they come."""

    def __init__(self) -> None:
        self._last = asyncio.Event()
        self._last.set()

    def next(self) -> Turn:
        """Return the turn behind all that were handed out."""
        turn = Turn(self._last)
        self._last = turn.ended
        return turn


class Turn:
    """One turn; it ends with its block, whether it came or not."""

    def __init__(self, before: asyncio.Event) -> None:
        self._before = before
        self.ended = asyncio.Event()

    async def come(self) -> None:
        """Return when all turns before this one have ended."""
        await self._before.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Whoever comes next waits for those before this one too, though this one has given up.
        if exc_type is None:
            await self.come()
        self.ended.set()
