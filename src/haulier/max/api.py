"""Requests to the API of MAX, at a pace that it allows. The bot's token lives here alone."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlencode

from haulier import errors
from haulier.max import answers
from haulier.max.pacing import Pace
from haulier.max.reading import Json
from haulier.net.guard import AddressGuard
from haulier.net.http import HttpClient
from haulier.net.retry import retrying

T = TypeVar("T")

_STALL_S = 30.0
_POLL_STALL_S = 105.0  # MAX may keep a poll for 90 s
_MOST_ANSWER_BYTES = 32 << 20
_ALL_STATUSES = range(300, 600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often something is tried, and the seconds between: they double, with a random share.

    Attributes:
        attempts: without any progress in between.
        wait_initial_s: before the second one.
        wait_max_s: the longest wait; 0: none.
    """

    attempts: int = 8
    wait_initial_s: float = 0.5
    wait_max_s: float = 20.0

    async def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Call `work` until it returns; as `net.retry.retrying`."""
        return await retrying(
            work,
            attempts=self.attempts,
            wait_initial_s=self.wait_initial_s,
            wait_max_s=self.wait_max_s,
        )


class ApiConnection:
    """Connections to the API's host.

    Args:
        token: the bot's.
        url: where the API is.
        guard: decides which addresses may be asked.
        ca_file: certificates (PEM) that are trusted besides the system's.
        retries: of what may work the second time.
        pace: of requests.

    Raises:
        ConfigurationError: the token can't be one, or `ca_file` can't be read.
    """

    def __init__(
        self,
        token: str,
        *,
        url: str,
        guard: AddressGuard,
        ca_file: Path | None,
        retries: Retries,
        pace: Pace,
    ) -> None:
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise errors.ConfigurationError(
                "the bot's token is empty or has characters that no token has",
                hint="Set MAX_TOKEN to the token as it stands in the bot's settings.",
            )
        self._token = token
        self._url = url
        self._http = HttpClient(guard=guard, stall_timeout_s=_STALL_S, ca_file=ca_file)
        self._polls = HttpClient(guard=guard, stall_timeout_s=_POLL_STALL_S, ca_file=ca_file)
        self._retries = retries
        self._pace = pace

    async def aclose(self) -> None:
        """Close every connection; a later request opens new ones."""
        await self._http.aclose()
        await self._polls.aclose()

    async def ask(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Json | None = None,
        *,
        is_poll: bool = False,
    ) -> Json:
        """Ask, and again where that may help; for what does no harm when done twice.

        Raises:
            As `answers.success`, and ConnectionLost, TimedOut, AddressRefused.
        """
        return await self._retries.run(
            lambda: self.ask_once(method, path, query or {}, body, is_poll=is_poll)
        )

    async def ask_once(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        body: Json | None = None,
        *,
        is_poll: bool = False,
        begin: Callable[[], None] | None = None,
        goes_first: bool = False,
    ) -> Json:
        """Ask once, before what else waits for the pace where it `goes_first`; `begin` is called
        when the body begins to be sent. Errors as `ask`."""
        await self._pace.take(first=goes_first)
        encoded = b"" if body is None else json.dumps(body).encode()

        async def pieces() -> AsyncIterator[bytes]:
            if begin is not None:
                begin()
            yield encoded

        headers = {"Authorization": self._token, "Accept": "application/json"}
        if method != "GET":
            headers["Content-Length"] = str(len(encoded))
        if encoded:
            headers["Content-Type"] = "application/json"
        url = f"{self._url}{path}" + (f"?{urlencode(query)}" if query else "")
        http = self._polls if is_poll else self._http
        # A redirect is an answer like any other: the token goes to this host and no other.
        async with http.open(
            method, url, headers=headers, body=pieces if encoded else None, accept=_ALL_STATUSES
        ) as answer:
            read = await answer.read(_MOST_ANSWER_BYTES)
        return answers.success(answer.status, answer.headers, read, f"{method} {path}")
