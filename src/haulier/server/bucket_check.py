"""Whether the bucket answers, asked so seldom that anybody may want to know."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from haulier.errors import HaulierError

_KEPT_S = 5.0
_PATIENCE_S = 3.0


class BucketCheck:
    """Remembers for some seconds how a bucket answered.

    Args:
        ask: raises HaulierError when the bucket does not work.
        kept_s: seconds for which an answer counts.
        patience_s: seconds after which no answer is one.
        clock: seconds that only ever grow.
    """

    def __init__(
        self,
        ask: Callable[[], Awaitable[None]],
        *,
        kept_s: float = _KEPT_S,
        patience_s: float = _PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._kept_s = kept_s
        self._patience_s = patience_s
        self._clock = clock
        self._asking = asyncio.Lock()
        self._known: tuple[str, float] | None = None

    async def state(self) -> str:
        """Return `ok`, or the code of the error that the bucket was found with."""
        async with self._asking:
            if self._known is None or self._clock() >= self._known[1]:
                self._known = await self._look(), self._clock() + self._kept_s
            return self._known[0]

    async def _look(self) -> str:
        try:
            async with asyncio.timeout(self._patience_s):
                await self._ask()
        except TimeoutError:
            return "timed-out"
        except HaulierError as error:
            return error.code
        return "ok"
