"""How often something may be asked for, counted for all processes together."""

from __future__ import annotations

import logging

from haulier.coordination.limits import Allowance, RateLimiter
from haulier.coordination.redis_link import RedisLink
from haulier.errors import CoordinationError, TooManyRequests

# What came in the window before counts by how much of it the sliding one still covers.
_TAKE = """
local now = redis.call('TIME')
now = tonumber(now[1]) + tonumber(now[2]) / 1000000
local span, most = tonumber(ARGV[1]), tonumber(ARGV[2])
local window = math.floor(now / span)
local gone = now / span - window
local current = tonumber(redis.call('HGET', KEYS[1], window) or '0')
local before = tonumber(redis.call('HGET', KEYS[1], window - 1) or '0')
local taken = current + before * (1 - gone)
local wait = math.ceil((1 - gone) * span)
if taken + 1 > most then return {0, 0, wait} end
if current == 0 then
  redis.call('DEL', KEYS[1])
  if before > 0 then redis.call('HSET', KEYS[1], window - 1, before) end
end
redis.call('HINCRBY', KEYS[1], window, 1)
redis.call('EXPIRE', KEYS[1], 2 * span)
return {1, math.floor(most - taken - 1), wait}
"""
_log = logging.getLogger("haulier.coordination")


class RedisRateLimiter:
    """Counts requests of each caller for all processes; while Redis is away each for itself.

    Args:
        link: to Redis.
        name: tells limits apart.
        rate: see `RateLimiter`.
    """

    def __init__(self, link: RedisLink, name: str, rate: str) -> None:
        self._link = link
        self._name = name
        self._alone = RateLimiter(rate)

    def spent(self, retry_after_s: float) -> Allowance:
        """See `Limiter.spent`."""
        return self._alone.spent(retry_after_s)

    async def take(self, caller: str) -> Allowance:
        """See `Limiter.take`."""
        key = self._link.key(f"limit:{self._name}:{caller}")
        most, span_s = self._alone.most, self._alone.span_s
        try:
            taken, remaining, reset_s = await self._link.run(_TAKE, [key], [span_s, most])
        except CoordinationError as exc:
            _log.warning("requests are counted by each process for itself: %s", exc.message)
            return await self._alone.take(caller)
        if not taken:
            raise TooManyRequests(
                f"more than {most} requests in {span_s} s", retry_after_s=max(1, reset_s)
            )
        return Allowance(most, remaining, max(1, reset_s))
