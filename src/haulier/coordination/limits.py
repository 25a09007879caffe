"""How often something may be asked for, in sliding windows."""

from __future__ import annotations

import time
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
    """Counts in this process.

    Args:
        rate: `N/second`, `N/minute` or `N/hour`.

    Raises:
        ConfigurationError: it is none of these.
    """

    def __init__(self, rate: str) -> None:
        from limits import parse
        from limits.storage import MemoryStorage
        from limits.strategies import SlidingWindowCounterRateLimiter

        try:
            self._rate = parse(rate)
        except ValueError:
            raise ConfigurationError(
                f"{rate!r} is no rate", hint="Write it as 10/minute: N/second, N/minute or N/hour."
            ) from None
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

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
        taken = self._limiter.hit(self._rate, caller)
        stats = self._limiter.get_window_stats(self._rate, caller)
        reset_s = max(1, round(stats.reset_time - time.time()))
        if not taken:
            raise TooManyRequests(
                f"more than {self.most} requests in {self.span_s} s",
                retry_after_s=reset_s,
            )
        return Allowance(self._rate.amount, stats.remaining, reset_s)
