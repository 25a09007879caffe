"""Requests over HTTP: guarded, without a total time limit, failures told apart.

What may run for hours is limited by how long it may stand still. Redirects are followed
here, so that each hop is checked by the guard and headers that are meant for one host stay
there. No cookies, no proxy and no netrc from the environment, no retry, no decompression
(what is downloaded is what the server has).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Collection,
    Mapping,
)
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import SplitResult, urlsplit

import aiohttp
import yarl

from haulier import errors
from haulier._version import __version__
from haulier.net.guard import AddressGuard, GuardedResolver

CONNECT_TIMEOUT_S = 10.0
STALL_TIMEOUT_S = 60.0
PIECE_BYTES = 1 << 20
MAX_REDIRECTS = 10
MAX_CONNECTIONS = 32
USER_AGENT = f"haulier/{__version__}"

Body = bytes | Callable[[], AsyncIterable[bytes | memoryview]]
"""What is sent along: all of it, or what makes it piece by piece, afresh for each hop."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# Sent on to another host; anything else may be meant for the first one's eyes only.
_SHARED_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "range",
        "user-agent",
    }
)
_LINK_HINT = "Check the link; what it leads to is gone or was never there."
_ACCESS_HINT = "The link needs a sign-in or has expired: fetch a fresh one."


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


class HttpClient:
    """Connections to web servers. Usable in one event loop; close it, or use `async with`.

    Args:
        guard: decides which addresses may be asked; public ones only when left out.
        connect_timeout_s: for a connection, TLS included.
        stall_timeout_s: for the next bytes of an answer.
        max_redirects: hops that are followed.
        user_agent: how we introduce ourselves.
        ca_file: certificates (PEM) that are trusted besides the system's.

    Raises:
        ConfigurationError: `ca_file` can't be read as such.
    """

    def __init__(
        self,
        *,
        guard: AddressGuard | None = None,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        stall_timeout_s: float = STALL_TIMEOUT_S,
        max_redirects: int = MAX_REDIRECTS,
        user_agent: str = USER_AGENT,
        ca_file: Path | None = None,
    ) -> None:
        self._guard = guard or AddressGuard()
        self._connect_timeout_s = connect_timeout_s
        self._stall_timeout_s = stall_timeout_s
        self._max_redirects = max_redirects
        self._user_agent = user_agent
        self._tls = None if ca_file is None else _trusting(ca_file)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection; a later request opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    @asynccontextmanager
    async def open(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        accept: Collection[int] = (),
    ) -> AsyncIterator[HttpAnswer]:
        """Send a request and open its answer; leaving the block gives the connection back.

        Args:
            method: `GET`, `HEAD`, …
            url: http or https. Bytes that are escaped in it already stay as they are.
            headers: sent along; to another host only those known to hold no secret.
            body: sent along, again at each hop that keeps the method. One that comes in pieces
                needs a Content-Length among the headers, else it is sent in chunks; what it
                raises of ours is passed on.
            accept: statuses from 300 on that are no error here.

        Raises:
            AddressRefused: it, or where it redirects to, may not be asked, or the server's
                certificate is not trusted.
            UsageError: the URL can't be used.
            ConnectionLost, TimedOut: no answer, or not all of it.
            RateLimited: 429. ServiceFault: 5xx. AccessDenied: 401, 403, 407.
            NoSuchObject: 404, 410. StorageFull: 507. RequestRejected: any other refusal, and
                too many redirects.
        """
        hop = _Hop(method, url, dict(headers or {}), body)
        for _ in range(self._max_redirects + 1):
            self._guard.check_url(hop.url)
            what = f"{hop.method} {printable(hop.url)}"
            async with self._request(hop, what) as response:
                target = response.headers.get("Location")
                if response.status in _REDIRECTS and target and response.status not in accept:
                    hop = hop.followed(response.status, str(response.url), target)
                    continue
                if response.status >= 300 and response.status not in accept:
                    raise error_of_status(response.status, response.headers, what)
                yield HttpAnswer(response, what, self._stall_timeout_s)
                return
        raise errors.RequestRejected(
            f"{method} {printable(url)} redirects more than {self._max_redirects} times",
            hint=_LINK_HINT,
        )

    @asynccontextmanager
    async def _request(self, hop: _Hop, what: str) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {"Accept-Encoding": "identity", "User-Agent": self._user_agent, **hop.headers}
        try:
            async with asyncio.timeout(None) as limit:
                response = await self._open_session().request(
                    hop.method,
                    _encoded(hop.url),
                    headers=headers,
                    data=self._watched(hop.body(), limit) if callable(hop.body) else hop.body,
                    allow_redirects=False,
                )
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            raise error_of_connection(exc, what, self._stall_timeout_s) from exc
        async with response:
            yield response

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

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            resolver = GuardedResolver(
                self._guard, aiohttp.ThreadedResolver(), timeout_s=self._connect_timeout_s
            )
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    resolver=resolver, limit=MAX_CONNECTIONS, ssl=self._tls or True
                ),
                timeout=aiohttp.ClientTimeout(
                    total=None,
                    sock_connect=self._connect_timeout_s,
                    sock_read=self._stall_timeout_s,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                read_bufsize=PIECE_BYTES,
                trust_env=False,
            )
        return self._session


class _Hop:
    """One request of a chain of redirects."""

    def __init__(self, method: str, url: str, headers: dict[str, str], body: Body | None) -> None:
        self.method, self.url, self.headers, self.body = method, url, headers, body

    def followed(self, status: int, came_from: str, target: str) -> _Hop:
        """Return the request that a redirect asks for."""
        try:
            url = str(yarl.URL(came_from, encoded=True).join(_encoded(target)))
        except ValueError:
            raise errors.AddressRefused(
                f"{printable(came_from)} redirects to a malformed link", hint=_LINK_HINT
            ) from None
        headers = self.headers
        if not _keeps_secrets(urlsplit(came_from), urlsplit(url)):
            headers = {k: v for k, v in headers.items() if k.lower() in _SHARED_HEADERS}
        to_get = status == 303 and self.method != "HEAD"
        if to_get or (status in {301, 302} and self.method == "POST"):
            return _Hop("GET", url, headers, None)
        return _Hop(self.method, url, headers, self.body)


def _keeps_secrets(old: SplitResult, new: SplitResult) -> bool:
    """Whether two URLs are of one server, or of the same host gone from http to https."""
    if old.hostname != new.hostname:
        return False
    if (old.scheme, new.scheme) == ("http", "https"):
        return old.port in {None, 80} and new.port in {None, 443}
    return old.scheme == new.scheme and old.port == new.port


def _trusting(ca_file: Path) -> ssl.SSLContext:
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(ca_file)
    except (OSError, ssl.SSLError) as exc:
        raise errors.ConfigurationError(
            f"{ca_file} can't be read as certificates: {exc}",
            hint="Name a file of certificates in PEM form.",
        ) from exc
    return context


def _encoded(url: str) -> yarl.URL:
    """Keep a URL as it is when it can go out so: a signature covers its exact escapes."""
    if url.isascii() and url.isprintable() and " " not in url:
        return yarl.URL(url, encoded=True)
    return yarl.URL(url)


def printable(url: str) -> str:
    """Return `url` without what may be secret in it: user, password, query, fragment."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "(malformed link)"
    return f"{parts.scheme}://{host}{parts.path}" + ("?…" if parts.query else "")


def parse_retry_after(value: str | None, now: Callable[[], float] = time.time) -> float | None:
    """Return the seconds that a Retry-After header asks for; None without a readable one.

    Args:
        value: seconds, or an HTTP date.
        now: seconds since 1970, which a date is counted from.
    """
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdecimal():
        return float(value[:12])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now())
    except (ValueError, OverflowError):
        return None


def error_of_status(status: int, headers: Mapping[str, str], what: str) -> errors.HaulierError:
    """Return the error that an answer's status means; `what` names the request."""
    kind, hint = _STATUSES.get(status, (errors.RequestRejected, None))
    if kind is errors.RequestRejected and status >= 500 and status not in _STATUSES:
        kind = errors.ServiceFault
    return kind(
        f"{what}: HTTP {status}",
        hint=hint,
        retry_after_s=parse_retry_after(headers.get("Retry-After")),
    )


_STATUSES: dict[int, tuple[type[errors.HaulierError], str | None]] = {
    401: (errors.AccessDenied, _ACCESS_HINT),
    403: (errors.AccessDenied, _ACCESS_HINT),
    404: (errors.NoSuchObject, _LINK_HINT),
    407: (errors.AccessDenied, _ACCESS_HINT),
    408: (errors.TimedOut, None),
    410: (errors.NoSuchObject, _LINK_HINT),
    412: (errors.ObjectChanged, None),
    429: (errors.RateLimited, None),
    501: (errors.RequestRejected, None),
    505: (errors.RequestRejected, None),
    507: (errors.StorageFull, "The server has no space left: ask its owner."),
}


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
