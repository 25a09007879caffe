"""Requests over HTTP: guarded, without a total time limit, failures told apart.

What may run for hours is limited by how long it may stand still. Redirects are followed
here, so that each hop is checked by the guard and headers that are meant for one host stay
there. No cookies, no proxy and no netrc from the environment, no retry, no decompression
(what is downloaded is what the server has).
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from haulier import errors
from haulier._version import __version__
from haulier.net.guard import AddressGuard
from haulier.net.links import printable
from haulier.net.plain_http import PlainAnswer, PlainConnections, is_plain
from haulier.net.redirects import LINK_HINT, REDIRECTS, Body, Hop

if TYPE_CHECKING:
    import ssl

    from haulier.net.http_session import HttpAnswer, HttpSession

CONNECT_TIMEOUT_S = 10.0
STALL_TIMEOUT_S = 60.0
MAX_REDIRECTS = 10
USER_AGENT = f"haulier/{__version__}"

Answer = TypeVar("Answer", "HttpAnswer", "HttpAnswer | PlainAnswer")
_ACCESS_HINT = "The link needs a sign-in or has expired: fetch a fresh one."


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
        self._session: HttpSession | None = None
        self._plain: PlainConnections | None = None

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
        plain, self._plain = self._plain, None
        if plain is not None:
            plain.close()
        if session is not None:
            await session.aclose()

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
        hop = Hop(method, url, dict(headers or {}), body)
        async with self._answered(hop, accept, self._request) as answer:
            yield answer

    @asynccontextmanager
    async def open_large(
        self, url: str, *, headers: Mapping[str, str] | None = None, accept: Collection[int] = ()
    ) -> AsyncIterator[HttpAnswer | PlainAnswer]:
        """GET what may be large, to be read by `pass_to`. Everything else is as with `open`."""
        hop = Hop("GET", url, dict(headers or {}), None)
        async with self._answered(hop, accept, self._request_large) as answer:
            yield answer

    @asynccontextmanager
    async def _answered(
        self,
        hop: Hop,
        accept: Collection[int],
        send: Callable[[Hop, str], AbstractAsyncContextManager[Answer]],
    ) -> AsyncIterator[Answer]:
        asked = f"{hop.method} {printable(hop.url)}"
        for _ in range(self._max_redirects + 1):
            self._guard.check_url(hop.url)
            what = f"{hop.method} {printable(hop.url)}"
            async with send(hop, what) as answer:
                target = answer.headers.get("Location")
                if answer.status in REDIRECTS and target and answer.status not in accept:
                    hop = hop.followed(answer.status, answer.url, target)
                    continue
                if answer.status >= 300 and answer.status not in accept:
                    raise error_of_status(answer.status, answer.headers, what)
                yield answer
                return
        raise errors.RequestRejected(
            f"{asked} redirects more than {self._max_redirects} times", hint=LINK_HINT
        )

    def _request(self, hop: Hop, what: str) -> AbstractAsyncContextManager[HttpAnswer]:
        # Imported here: it takes longer than many a file does.
        from haulier.net.http_session import HttpSession

        if self._session is None:
            self._session = HttpSession(
                self._guard,
                connect_timeout_s=self._connect_timeout_s,
                stall_timeout_s=self._stall_timeout_s,
                tls=self._tls,
            )
        return self._session.request(hop, self._all_headers(hop), what)

    def _request_large(
        self, hop: Hop, what: str
    ) -> AbstractAsyncContextManager[HttpAnswer | PlainAnswer]:
        if not is_plain(hop.url):
            return self._request(hop, what)
        if self._plain is None:
            self._plain = PlainConnections(
                self._guard,
                connect_timeout_s=self._connect_timeout_s,
                stall_timeout_s=self._stall_timeout_s,
            )
        return self._plain.get(hop.url, self._all_headers(hop), what)

    def _all_headers(self, hop: Hop) -> dict[str, str]:
        defaults = {
            "Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": self._user_agent,
        }  # fmt: skip
        given = {name.lower() for name in hop.headers}
        return {
            **{name: value for name, value in defaults.items() if name.lower() not in given},
            **hop.headers,
        }


def _trusting(ca_file: Path) -> ssl.SSLContext:
    import ssl

    context = ssl.create_default_context()
    try:
        context.load_verify_locations(ca_file)
    except (OSError, ssl.SSLError) as exc:
        raise errors.ConfigurationError(
            f"{ca_file} can't be read as certificates: {exc}",
            hint="Name a file of certificates in PEM form.",
        ) from exc
    return context


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
    404: (errors.NoSuchObject, LINK_HINT),
    407: (errors.AccessDenied, _ACCESS_HINT),
    408: (errors.TimedOut, None),
    410: (errors.NoSuchObject, LINK_HINT),
    412: (errors.ObjectChanged, None),
    429: (errors.RateLimited, None),
    501: (errors.RequestRejected, None),
    505: (errors.RequestRejected, None),
    507: (errors.StorageFull, "The server has no space left: ask its owner."),
}
