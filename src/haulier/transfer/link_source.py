"""A link as people pass it on: it may expire, and tells the file's name only when asked."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from haulier import errors
from haulier.core.link_names import link_name
from haulier.core.ranges import Flight
from haulier.net.http import HttpClient
from haulier.transfer.range_source import HttpRangeSource, RangeAnswer

Refresh = Callable[[], Awaitable[str]]
"""Returns a fresh link to the same file."""

MAX_REFRESHES = 5
_EXPIRED = (errors.AccessDenied, errors.NoSuchObject)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkFacts:
    """What an answer told of the file: a safe name, and its type as the server sees it."""

    name: str
    mime_type: str | None


class LinkSource:
    """A link that is fetched afresh when it was refused: signed links expire.

    Args:
        url: http or https.
        client: sends the requests.
        headers: sent along to the link's own server.
        key: what a resumed download is recognised by; the link itself when left out.
        refresh: asked for a fresh link after 401, 403, 404 and 410, at most `MAX_REFRESHES`
            times without a good answer in between.
        on_facts: told what the first good answer said, before its body is read; what it
            raises ends the download.
    """

    def __init__(
        self,
        url: str,
        client: HttpClient,
        *,
        headers: Mapping[str, str] | None = None,
        key: str | None = None,
        refresh: Refresh | None = None,
        on_facts: Callable[[LinkFacts], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._headers = headers
        self._refresh = refresh
        self._on_facts = on_facts
        self._refreshing = asyncio.Lock()
        self._refreshes = 0
        self._facts: LinkFacts | None = None
        self._current = HttpRangeSource(url, client, headers=headers, name=key)
        self.name = self._current.name
        self.label = self._current.label

    @asynccontextmanager
    async def open(self, flight: Flight) -> AsyncIterator[RangeAnswer]:
        """Ask for a range; errors as `HttpRangeSource.open`, and whatever `refresh` raises."""
        async with AsyncExitStack() as stack:
            answer = await self._enter(stack, flight)
            if answer.head.status in {200, 206}:
                self._learn(answer)
            yield answer

    async def facts(self) -> LinkFacts:
        """Return what is known of the file; asks once more when no answer came yet."""
        if self._facts is None:
            # All bytes were there from an earlier run; a name by the link is better than none.
            first = Flight(start=0, end=1, position=0, epoch=0)
            with contextlib.suppress(errors.HaulierError):
                async with self.open(first):
                    pass
        return self._facts or LinkFacts(name=link_name(self._current.url), mime_type=None)

    async def _enter(self, stack: AsyncExitStack, flight: Flight) -> RangeAnswer:
        while True:
            used = self._current
            try:
                answer = await stack.enter_async_context(used.open(flight))
            except _EXPIRED as refusal:
                await self._renew(used, refusal)
            else:
                self._refreshes = 0
                return answer

    async def _renew(self, used: HttpRangeSource, refusal: errors.HaulierError) -> None:
        """Replace the link `used`, unless another connection did; raise `refusal` if none can."""
        if self._refresh is None:
            raise refusal
        async with self._refreshing:
            if self._current is not used:
                return
            if self._refreshes >= MAX_REFRESHES:
                raise refusal
            self._refreshes += 1
            url = await self._refresh()
            self._current = HttpRangeSource(
                url, self._client, headers=self._headers, name=self.name
            )

    def _learn(self, answer: RangeAnswer) -> None:
        if self._facts is not None:
            return
        mime_type = answer.headers.get("Content-Type")
        disposition = answer.headers.get("Content-Disposition")
        facts = LinkFacts(name=link_name(answer.url, disposition, mime_type), mime_type=mime_type)
        self._on_facts(facts)
        self._facts = facts
