"""Files that a chat has already are sent by their token, not by their bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from haulier import errors
from haulier.catalog.catalog import Catalog
from haulier.core.records import utc_now
from haulier.core.upload_tokens import TokenKey, TokenStatistics


class TokenStore:
    """Tokens of uploads in the catalog, shared by all processes that use it.

    Args:
        catalog: where they are kept.
        ttl: how long a token is used after it was last taken by the chat; None: until it is
            refused.
        now: tells the time.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        ttl: timedelta | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        if ttl is not None and ttl <= timedelta(0):
            raise errors.UsageError("tokens live longer than no time at all")
        self._catalog = catalog
        self._ttl = ttl
        self._now = now
        self._uploading: dict[TokenKey, tuple[asyncio.Lock, int]] = {}

    async def find(self, key: TokenKey) -> str | None:
        """Return a token that may be used; None when the file has to be sent.

        Raises:
            CatalogError: the catalog fails; as every method.
        """
        now = self._now()
        return await self._catalog.transaction(lambda tx: tx.tokens.find(key, now))

    async def keep(self, key: TokenKey, token: str, size_bytes: int) -> None:
        """Keep the token of a file of `size_bytes` that was just sent."""
        now = self._now()
        expires_at = self._expires_at(now)
        await self._catalog.transaction(
            lambda tx: tx.tokens.put(key, token, size_bytes, now, expires_at)
        )

    async def confirm(self, key: TokenKey, token: str) -> None:
        """Let a token that the chat took live for another `ttl`."""
        if self._ttl is None:
            return
        expires_at = self._expires_at(self._now())
        await self._catalog.transaction(lambda tx: tx.tokens.extend(key, token, expires_at))

    async def refuse(self, key: TokenKey, token: str | None = None) -> None:
        """Forget a token that the chat refused, unless another one is kept meanwhile; without
        `token` whichever is kept."""
        await self._catalog.transaction(lambda tx: tx.tokens.refuse(key, token))

    async def token(
        self, key: TokenKey, size_bytes: int, upload: Callable[[], Awaitable[str]]
    ) -> str:
        """Return the token of a file, sending it when there is none yet.

        Of several callers that want the same file at once one sends it, in this process.

        Args:
            key: which upload.
            size_bytes: how large the file is.
            upload: sends it and returns its token; what it raises is raised.
        """
        async with self._alone(key):
            found = await self.find(key)
            if found is not None:
                return found
            made = await upload()
            await self.keep(key, made, size_bytes)
            return made

    async def statistics(self, bot: str) -> TokenStatistics:
        """Return what a bot's tokens were good for since the catalog was made."""
        return await self._catalog.read(lambda tx: tx.tokens.statistics(bot))

    async def purge(self) -> int:
        """Remove tokens that have expired; return how many these were."""
        now = self._now()
        return await self._catalog.transaction(lambda tx: tx.tokens.purge(now))

    def _expires_at(self, now: datetime) -> datetime | None:
        return None if self._ttl is None else now + self._ttl

    @asynccontextmanager
    async def _alone(self, key: TokenKey) -> AsyncIterator[None]:
        lock, users = self._uploading.get(key, (asyncio.Lock(), 0))
        self._uploading[key] = lock, users + 1
        try:
            async with lock:
                yield
        finally:
            lock, users = self._uploading.pop(key)
            if users > 1:
                self._uploading[key] = lock, users - 1
