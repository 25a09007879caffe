"""Names resolved for aiohttp, without the addresses that may not be asked."""

from __future__ import annotations

import socket

from aiohttp.abc import AbstractResolver, ResolveResult

from haulier.net.guard import RESOLVE_TIMEOUT_S, AddressGuard, resolve_allowed


class GuardedResolver(AbstractResolver):
    """Resolves names and leaves out the addresses that the guard does not allow.

    Args:
        guard: decides.
        inner: does the resolving.
        timeout_s: how long that may take.
    """

    def __init__(
        self, guard: AddressGuard, inner: AbstractResolver, *, timeout_s: float = RESOLVE_TIMEOUT_S
    ) -> None:
        self._guard = guard
        self._inner = inner
        self._timeout_s = timeout_s

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the allowed addresses of `host`; errors as `resolve_allowed`."""
        return await resolve_allowed(
            self._guard,
            host,
            self._inner.resolve(host, port, family),
            lambda found: found["host"],
            timeout_s=self._timeout_s,
        )

    async def close(self) -> None:
        """Close the resolver behind."""
        await self._inner.close()
