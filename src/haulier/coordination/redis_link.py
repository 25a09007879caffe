"""The way to Redis: short waits, one more try, errors of ours."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from haulier.errors import ConfigurationError, CoordinationError, HaulierError, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis.asyncio import Redis

CONNECT_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 5.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 2.0
_log = logging.getLogger("haulier.coordination")


class RedisLink:
    """Connections to one Redis; use `aclose`.

    Args:
        url: `redis://`, `rediss://` or `unix://`.
        prefix: what the names of all keys and channels begin with.

    Raises:
        MissingExtra: the library is not installed.
        ConfigurationError: the URL can't be.
    """

    def __init__(self, url: str, *, prefix: str = "haulier:") -> None:
        try:
            from redis.asyncio import Redis
            from redis.asyncio.retry import Retry
            from redis.backoff import ConstantBackoff, NoBackoff
        except ModuleNotFoundError as exc:
            raise MissingExtra(
                "REDIS_URL needs a library that is not installed",
                hint="Install it with `pip install 'haulier[redis]'`.",
            ) from exc
        common: dict[str, Any] = {"decode_responses": True, "protocol": 2}
        common["socket_connect_timeout"] = CONNECT_TIMEOUT_S
        # A connection that lay idle while Redis was restarted fails once, and is made anew.
        again = Retry(ConstantBackoff(0.02), 1)
        try:
            self.client: Redis = Redis.from_url(
                url, socket_timeout=ANSWER_TIMEOUT_S, retry=again, **common
            )
            # Whoever reads from where it stands has to see that the connection was lost.
            self._reading: Callable[[], Redis] = lambda: Redis.from_url(
                url,
                socket_timeout=None,
                retry=Retry(NoBackoff(), 0),
                single_connection_client=True,
                socket_keepalive=True,
                **common,
            )
        except ValueError as exc:
            raise ConfigurationError(f"REDIS_URL is malformed: {exc}") from exc
        # Channels are shared by all databases of a Redis.
        database = self.client.connection_pool.connection_kwargs.get("db", 0)
        self._prefix = f"{prefix}{database}:"

    def key(self, name: str) -> str:
        """Return how the key or channel `name` is called there."""
        return self._prefix + name

    async def run(self, script: str, keys: list[str], arguments: list[str | int]) -> Any:
        """Run a Lua script.

        Raises:
            CoordinationError: Redis did not answer.
        """
        with redis_errors():
            return await self.client.eval(script, len(keys), *keys, *arguments)

    async def ping(self) -> None:
        """Make sure that Redis answers.

        Raises:
            CoordinationError: it does not.
        """
        with redis_errors():
            await self.client.ping()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Redis]:
        """Open a connection of its own, for commands that wait; it is not made anew silently."""
        client = self._reading()
        try:
            with redis_errors():
                yield client
        finally:
            await client.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self.client.aclose()


@contextmanager
def redis_errors() -> Iterator[None]:
    """Turn what the library raises into CoordinationError.

    It may swallow a cancellation (`asyncio.wait_for` of Python 3.11 does): that is made good.
    """
    from redis.exceptions import RedisError

    try:
        yield
    except (RedisError, OSError) as exc:
        raise CoordinationError(
            f"Redis does not answer ({type(exc).__name__})", retry_after_s=1
        ) from exc
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def again_and_again(work: Callable[[], Awaitable[None]], *, what: str) -> None:
    """Call `work`, which has no end, once more whenever Redis fails it, until cancelled.

    Args:
        work: is called again after 0.1 s, then more slowly, up to 2 s.
        what: it is, for the log.
    """
    wait_s = _FIRST_WAIT_S
    loop = asyncio.get_running_loop()
    while True:
        since = loop.time()
        try:
            await work()
        except HaulierError as exc:
            _log.warning("%s waits for Redis: %s", what, exc.message)
        if loop.time() - since > _LONGEST_WAIT_S:
            wait_s = _FIRST_WAIT_S
        await asyncio.sleep(wait_s)
        wait_s = min(_LONGEST_WAIT_S, 2 * wait_s)
