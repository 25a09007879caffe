"""How the server's processes agree: in this one alone, or through Redis when `REDIS_URL` is set."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from haulier.coordination.events import EventBus, MemoryEventBus
from haulier.coordination.limits import Limiter, RateLimiter
from haulier.coordination.locks import Locks, MemoryLocks
from haulier.coordination.vouchers import MemoryVouchers, Vouchers
from haulier.server.beside import beside
from haulier.settings import Settings

_READY_IN_S = 5
_log = logging.getLogger("haulier.server")


@dataclass(frozen=True, slots=True, kw_only=True)
class Coordination:
    """What several processes agree by.

    Args:
        locks: of upload sessions.
        events: what happens, told to all who listen.
        vouchers: what is given out once.
        limiter: makes a counter of requests, by its name and rate.
        check: raises CoordinationError when processes can't agree now.
    """

    locks: Locks
    events: EventBus
    vouchers: Vouchers
    limiter: Callable[[str, str], Limiter]
    check: Callable[[], Awaitable[None]] | None = None


@asynccontextmanager
async def open_coordination(settings: Settings) -> AsyncIterator[Coordination]:
    """Let processes agree while the block runs.

    Raises:
        MissingExtra: REDIS_URL is set and the library is not installed.
        ConfigurationError: REDIS_URL is malformed.
    """
    url = settings.general.redis_url
    if url is None:
        yield Coordination(
            locks=MemoryLocks(),
            events=MemoryEventBus(),
            vouchers=MemoryVouchers(),
            limiter=lambda _name, rate: RateLimiter(rate),
        )
        return
    async with AsyncExitStack() as stack:
        yield await _through_redis(url.get_secret_value(), stack)


async def _through_redis(url: str, stack: AsyncExitStack) -> Coordination:
    from haulier.coordination.redis_events import RedisEventBus
    from haulier.coordination.redis_limits import RedisRateLimiter
    from haulier.coordination.redis_link import RedisLink
    from haulier.coordination.redis_locks import RedisLocks
    from haulier.coordination.vouchers import RedisVouchers

    link = RedisLink(url)
    stack.push_async_callback(link.aclose)
    locks, events = RedisLocks(link), RedisEventBus(link)
    await stack.enter_async_context(beside(locks.run()))
    await stack.enter_async_context(beside(events.run()))
    stack.push_async_callback(events.leave)
    if not await events.ready(_READY_IN_S):
        _log.error("Redis does not answer; uploads and events wait for it")
    return Coordination(
        locks=locks,
        events=events,
        vouchers=RedisVouchers(link),
        limiter=lambda name, rate: RedisRateLimiter(link, name, rate),
        check=link.ping,
    )
