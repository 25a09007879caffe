"""Vouchers: something is kept under a name for a while, and given out once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from haulier.coordination.redis_link import RedisLink, redis_errors
from haulier.core.records import utc_now


class Vouchers(Protocol):
    """What is given out once."""

    async def put(self, name: str, text: str, lifetime_s: int) -> None:
        """Keep `text` under a name that nobody else uses."""
        ...

    async def take(self, name: str) -> str | None:
        """Return what is kept under that name, to the first who asks; None to all others."""
        ...


class MemoryVouchers:
    """Vouchers of one process.

    Args:
        now: the clock.
    """

    def __init__(self, *, now: Callable[[], datetime] = utc_now) -> None:
        self._now = now
        self._kept: dict[str, tuple[str, datetime]] = {}

    async def put(self, name: str, text: str, lifetime_s: int) -> None:
        """See `Vouchers.put`."""
        now = self._now()
        for old in [one for one, (_, until) in self._kept.items() if until <= now]:
            del self._kept[old]
        self._kept[name] = (text, now + timedelta(seconds=lifetime_s))

    async def take(self, name: str) -> str | None:
        """See `Vouchers.take`."""
        text, until = self._kept.pop(name, ("", self._now()))
        return text if self._now() < until else None


class RedisVouchers:
    """Vouchers that one process issues and another one takes."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link

    async def put(self, name: str, text: str, lifetime_s: int) -> None:
        """See `Vouchers.put`; raises CoordinationError when Redis does not answer."""
        with redis_errors():
            await self._link.client.set(self._link.key(f"voucher:{name}"), text, ex=lifetime_s)

    async def take(self, name: str) -> str | None:
        """See `Vouchers.take`; raises CoordinationError when Redis does not answer."""
        with redis_errors():
            found = await self._link.client.getdel(self._link.key(f"voucher:{name}"))
        return None if found is None else str(found)
