"""How often something may be asked for, in sliding windows."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from haulier.errors import ConfigurationError, TooManyRequests


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a limit.

    Args:
        limit: requests in a window.
        remaining: how many more may come in this one.
        reset_s: seconds until there are more.
    """

    limit: int
    remaining: int
    reset_s: int

    def headers(self) -> dict[str, str]:
        """Return the `RateLimit` headers that tell a client about it."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset_s),
        }


class Limiter(Protocol):
    """Counts requests of each caller against one limit."""

    def spent(self, retry_after_s: float) -> Allowance:
        """Return what is left to a caller who was told to come again later: nothing."""
        ...

    async def take(self, caller: str) -> Allowance:
        """Count a request of `caller`.

        Raises:
            TooManyRequests: it had its share; says when to come again.
        """
        ...


class RateLimiter:
    """Counts in this process: what came in this window, and a share of what came in the one before.

    Args:
        rate: `N/second`, `N/minute` or `N/hour`.
        clock: seconds since 1970.

    Raises:
        ConfigurationError: it is none of these.
    """

    def __init__(self, rate: str, *, clock: Callable[[], float] = time.time) -> None:
        from limits import parse

        try:
            self._rate = parse(rate)
        except ValueError:
            raise ConfigurationError(
                f"{rate!r} is no rate", hint="Write it as 10/minute: N/second, N/minute or N/hour."
            ) from None
        self._clock = clock
        self._window = 0
        self._before: dict[str, int] = {}
        self._counts: dict[str, int] = {}

    @property
    def most(self) -> int:
        """How many requests a window may have."""
        return int(self._rate.amount)

    @property
    def span_s(self) -> int:
        """How long a window is."""
        return int(self._rate.get_expiry())

    def spent(self, retry_after_s: float) -> Allowance:
        """See `Limiter.spent`."""
        return Allowance(self._rate.amount, 0, round(retry_after_s))

    async def take(self, caller: str) -> Allowance:
        """See `Limiter.take`."""
        windows = self._clock() / self.span_s
        self._turn_to(int(windows))
        left = 1 - windows % 1
        before, count = self._before.get(caller, 0), self._counts.get(caller, 0)
        taken = math.floor(before * left + count) < self.most
        if taken:
            count = self._counts[caller] = count + 1
        # There is more as soon as one of those before is too old to count, or all of these are.
        share = left % (1 / before) if before else left
        reset_s = max(1, round(self.span_s * share))
        if not taken:
            raise TooManyRequests(
                f"more than {self.most} requests in {self.span_s} s", retry_after_s=reset_s
            )
        return Allowance(self.most, self.most - math.floor(before * left + count), reset_s)

    def _turn_to(self, window: int) -> None:
        if window == self._window:
            return
        self._before = self._counts if window == self._window + 1 else {}
        self._window, self._counts = window, {}
