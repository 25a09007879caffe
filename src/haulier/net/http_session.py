"""Requests of every kind, over aiohttp."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import aiohttp

from haulier import errors
from haulier.net.guard import AddressGuard
from haulier.net.links import encoded
from haulier.net.redirects import Hop
from haulier.net.resolver import GuardedResolver

PIECE_BYTES = 1 << 20
MAX_CONNECTIONS = 32


class HttpAnswer:
    """An answer whose body is still to be read.

    `url` is where it came from in the end, `headers` are looked up in any case.
    """

    def __init__(self, response: aiohttp.ClientResponse, what: str, stall_timeout_s: float) -> None:
        self._response = response
        self._what = what
        self._stall_timeout_s = stall_timeout_s
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self.url = str(response.url)

    async def pieces(self) -> AsyncGenerator[bytes]:
        """Yield the body as it comes, in pieces of at most 1 MiB.

        Raises:
            ConnectionLost: it ended before its announced length.
            TimedOut: nothing came for longer than the stall limit.
        """
        try:
            while piece := await self._response.content.read(PIECE_BYTES):
                yield piece
        except (aiohttp.ClientError, OSError) as exc:
            raise error_of_connection(exc, self._what, self._stall_timeout_s) from exc

    async def pass_to(self, write: Callable[[bytes], object]) -> AsyncGenerator[int]:
        """Have the body written as it comes, and yield how many bytes that were each time.

        Args:
            write: called with piece after piece; what it raises of ours is passed on.

        Raises: as `pieces`.
        """
        async for piece in self.pieces():
            write(piece)
            yield len(piece)

    async def read(self, limit_bytes: int = PIECE_BYTES) -> bytes:
        """Return the whole body; raises RequestRejected when it is longer than the limit."""
        body = bytearray()
        async for piece in self.pieces():
            body += piece
            if len(body) > limit_bytes:
                raise errors.RequestRejected(
                    f"{self._what}: the answer is longer than {limit_bytes} bytes"
                )
        return bytes(body)


class HttpSession:
    """Connections that are kept for the next request. Usable in one event loop.

    Args:
        guard: decides which addresses may be asked.
        connect_timeout_s: for a connection, TLS included.
        stall_timeout_s: for the next bytes of an answer.
        tls: whom to trust; the system's certificates when None.
    """

    def __init__(
        self,
        guard: AddressGuard,
        *,
        connect_timeout_s: float,
        stall_timeout_s: float,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._stall_timeout_s = stall_timeout_s
        resolver = GuardedResolver(guard, aiohttp.ThreadedResolver(), timeout_s=connect_timeout_s)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=resolver, limit=MAX_CONNECTIONS, ssl=tls or True
            ),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=connect_timeout_s, sock_read=stall_timeout_s
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            read_bufsize=PIECE_BYTES,
            trust_env=False,
        )

    async def aclose(self) -> None:
        """Close every connection."""
        await self._session.close()

    @asynccontextmanager
    async def request(
        self, hop: Hop, headers: Mapping[str, str], what: str
    ) -> AsyncIterator[HttpAnswer]:
        """Send a request and open its answer, whatever its status; `what` names it in errors.

        Raises AddressRefused, UsageError, ConnectionLost and TimedOut as `HttpClient.open`.
        """
        try:
            async with asyncio.timeout(None) as limit:
                response = await self._session.request(
                    hop.method,
                    encoded(hop.url),
                    headers=headers,
                    data=self._watched(hop.body(), limit) if callable(hop.body) else hop.body,
                    allow_redirects=False,
                )
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            raise error_of_connection(exc, what, self._stall_timeout_s) from exc
        async with response:
            yield HttpAnswer(response, what, self._stall_timeout_s)

    async def _watched(
        self, pieces: AsyncIterable[bytes | memoryview], limit: asyncio.Timeout
    ) -> AsyncIterator[bytes | memoryview]:
        """Let `limit` strike when a piece, or the answer to the last, takes too long."""
        loop = asyncio.get_running_loop()

        def allow_more_time() -> None:
            # A server may answer before it has all; nobody waits for the rest any more then.
            with contextlib.suppress(RuntimeError):
                limit.reschedule(loop.time() + self._stall_timeout_s)

        async for piece in pieces:
            allow_more_time()
            yield piece
        allow_more_time()


def error_of_connection(exc: Exception, what: str, stall_timeout_s: float) -> errors.HaulierError:
    """Return the error that a failing connection means; `what` names the request."""
    if isinstance(exc.__cause__, errors.HaulierError):  # raised by what makes the body
        return exc.__cause__
    if isinstance(exc, aiohttp.ClientSSLError):
        return errors.AddressRefused(
            f"{what}: no trusted TLS connection: {exc}",
            hint="Check the link and this machine's clock; the certificate is not trusted.",
        )
    if isinstance(exc, aiohttp.InvalidURL):
        return errors.UsageError(f"{what}: the link can't be used", hint="Check the link.")
    if isinstance(exc, (aiohttp.ConnectionTimeoutError, aiohttp.SocketTimeoutError)):
        return errors.TimedOut(f"{what}: {exc}")
    if isinstance(exc, asyncio.TimeoutError):
        return errors.TimedOut(f"{what}: no byte moved for {stall_timeout_s:g} s")
    if isinstance(exc, ValueError):
        return errors.UsageError(f"{what}: {exc}", hint="Check the link and the headers.")
    return errors.ConnectionLost(f"{what}: {exc or type(exc).__name__}")
