"""Locks among the processes of several hosts.

A lock is a key that ends by itself unless its holder renews it, so that what a dead host held is
free again after seconds. Whoever was paused for longer than that may still believe that it holds
the lock: tokens tell the rows that it is too late (`Hold.fence`). They grow by Redis's clock, so
that they do so also when Redis forgets everything.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from haulier.coordination.locks import PATIENCE_S, Hold, MemoryLocks
from haulier.coordination.redis_link import RedisLink, again_and_again, redis_errors
from haulier.errors import CoordinationError, LockBusy, LockLost

_LIFE_S = 6.0
_RENEWALS_PER_LIFE = 4
_FIRST_LOOK_S, _LONGEST_LOOK_S = 0.01, 0.1

_TAKE = """
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then
  if ARGV[3] ~= '' then
    redis.call('PUBLISH', ARGV[3] .. string.match(held, '^(%w+):'), ARGV[4])
  end
  return false
end
local time = redis.call('TIME')
local token = math.max(
  tonumber(time[1]) * 1000000 + tonumber(time[2]),
  tonumber(redis.call('GET', KEYS[2]) or '0') + 1)
token = string.format('%.0f', token)
redis.call('SET', KEYS[2], token)
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return token
"""
# A Redis that forgot everything is told again: whoever came between has a larger token.
_RENEW = """
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_GIVE_BACK = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


@dataclass(eq=False, slots=True)
class _RedisHold:
    name: str
    holder: str
    local: Hold
    token: int
    until: float  # by the loop's clock
    is_lost: bool = False

    @property
    def fence(self) -> int:
        return self.token

    async def asked_for(self) -> None:
        await self.local.asked_for()

    async def check(self) -> None:
        await self.local.check()
        if self.is_lost or asyncio.get_running_loop().time() >= self.until:
            raise LockLost("another request for the same upload took over")


class RedisLocks:
    """Locks by name in Redis; `run` has to be running.

    Args:
        link: to Redis.
        patience_s: seconds to wait for a holder, or for Redis.
        life_s: seconds after which the locks of a dead process are free.
    """

    def __init__(
        self, link: RedisLink, *, patience_s: float = PATIENCE_S, life_s: float = _LIFE_S
    ) -> None:
        self._link = link
        self._patience_s = patience_s
        self._life_s = life_s
        self._process = secrets.token_hex(8)
        # Within the process nobody has to ask Redis who is first.
        self._local = MemoryLocks(patience_s=patience_s)
        self._holds: dict[str, _RedisHold] = {}

    async def run(self) -> None:
        """Renew what is held and hear what others ask for, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._renew_forever())
            tasks.create_task(again_and_again(self._hear, what="a lock"))

    @asynccontextmanager
    async def hold(self, name: str, *, breaking: bool = True) -> AsyncIterator[Hold]:
        """See `Locks.hold`.

        Raises:
            CoordinationError: Redis did not answer for as long as a holder is waited for.
        """
        async with self._local.hold(name, breaking=breaking) as local:
            hold = await self._take(name, local, breaking=breaking)
            self._holds[name] = hold
            try:
                yield hold
            finally:
                del self._holds[name]
                await asyncio.shield(asyncio.create_task(self._give_back(hold)))

    async def _take(self, name: str, local: Hold, *, breaking: bool) -> _RedisHold:
        loop = asyncio.get_running_loop()
        holder = f"{self._process}:{secrets.token_hex(8)}"
        end, look_s = loop.time() + self._patience_s, _FIRST_LOOK_S
        while True:
            failed: CoordinationError | None = None
            now = loop.time()
            try:
                token = await self._ask(name, holder, breaking=breaking)
            except CoordinationError as exc:
                token, failed = None, exc
            except asyncio.CancelledError:
                hold = _RedisHold(name, holder, local, 0, 0)
                await asyncio.shield(asyncio.create_task(self._give_back(hold)))
                raise
            if token is not None:
                return _RedisHold(name, holder, local, token, now + self._life_s)
            if loop.time() + look_s >= end:
                raise failed or LockBusy("another request for the same upload is still at work")
            await asyncio.sleep(look_s)
            look_s = min(_LONGEST_LOOK_S, 2 * look_s)

    async def _ask(self, name: str, holder: str, *, breaking: bool) -> int | None:
        channel = self._link.key("asks:") if breaking else ""
        token = await self._link.run(
            _TAKE,
            [self._key(name), self._link.key("fence")],
            [holder, self._life_ms, channel, name],
        )
        return None if token is None else int(token)

    async def _give_back(self, hold: _RedisHold) -> None:
        # Otherwise it ends by itself.
        with suppress(CoordinationError):
            await self._link.run(_GIVE_BACK, [self._key(hold.name)], [hold.holder])

    async def _renew_forever(self) -> None:
        while True:
            await asyncio.sleep(self._life_s / _RENEWALS_PER_LIFE)
            await asyncio.gather(*(self._renew(hold) for hold in list(self._holds.values())))

    async def _renew(self, hold: _RedisHold) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        try:
            held = await self._link.run(
                _RENEW, [self._key(hold.name)], [hold.holder, self._life_ms]
            )
        except CoordinationError:
            if loop.time() >= hold.until:
                self._lose(hold)
            return
        if self._holds.get(hold.name) is not hold:
            # Given back meanwhile, and perhaps set anew by this renewal.
            await self._give_back(hold)
        elif held:
            hold.until = now + self._life_s
        else:
            self._lose(hold)

    def _lose(self, hold: _RedisHold) -> None:
        hold.is_lost = True
        self._local.ask(hold.name)

    async def _hear(self) -> None:
        async with self._link.reading() as client, client.pubsub() as asks:
            with redis_errors():
                await asks.subscribe(self._link.key(f"asks:{self._process}"))
            async for message in asks.listen():
                if message["type"] == "message":
                    self._local.ask(message["data"])

    @property
    def _life_ms(self) -> int:
        return round(self._life_s * 1000)

    def _key(self, name: str) -> str:
        return self._link.key(f"lock:{name}")
