"""Trying on for as long as there is progress."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from typing import TypeVar

from haulier import errors
from haulier.net.retry import MAX_RETRY_AFTER_S, retrying

T = TypeVar("T")

_PAUSE_S = 0.2


class _AdvancedError(Exception):
    """An attempt failed, but more is there than before it."""


class Persistence:
    """How often something is tried again that fails for a passing reason.

    A failure after progress counts as the first one, so that a long transfer over a bad network is
    given up only when nothing gets through any more.

    Args:
        attempts: without progress, one behind the other.
        wait_max_s: the longest wait between two of them.
        sleep: waits a number of seconds.
    """

    def __init__(
        self,
        *,
        attempts: int = 6,
        wait_max_s: float = 20.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._attempts = attempts
        self._wait_max_s = wait_max_s
        self._sleep = sleep

    async def run(self, work: Callable[[], Awaitable[T]], *, progress: Callable[[], int]) -> T:
        """Call `work` until it returns; `progress` tells how far it came, larger when further.

        Raises:
            Transient: attempts without progress are used up.
            Exception: whatever else `work` raises, at once.
        """

        async def attempt() -> T:
            before = progress()
            try:
                return await work()
            except errors.Transient as error:
                _let_go(error)
                if progress() > before and (error.retry_after_s or 0) <= MAX_RETRY_AFTER_S:
                    raise _AdvancedError from error
                raise

        while True:
            try:
                return await retrying(attempt, attempts=self._attempts, wait_max_s=self._wait_max_s)
            except _AdvancedError as exc:
                cause = exc.__cause__
                asked = cause.retry_after_s if isinstance(cause, errors.Transient) else None
                await self._sleep(min(_PAUSE_S, self._wait_max_s) if asked is None else asked)


def _let_go(error: BaseException | None) -> None:
    """Drop what the frames of a failed attempt hold, such as parts of a file.

    They would live as long as the error does, which may be until the next round of the collector.
    """
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
