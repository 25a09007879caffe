"""Where a download comes from: web servers and stores that can be asked for ranges."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    aclosing,
    asynccontextmanager,
)
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from haulier import errors
from haulier.core.checksums import Buffer
from haulier.core.file_version import AnswerHead, parse_content_range
from haulier.core.ranges import Flight
from haulier.net.http import HttpClient
from haulier.net.links import printable
from haulier.store.base import ObjectInfo, Store

if TYPE_CHECKING:
    from haulier.net.http_session import HttpAnswer
    from haulier.net.plain_http import PlainAnswer

_CHANGES_AT_OPENING = 3


Write = Callable[[Buffer], None]
Body = Callable[[Write], AsyncGenerator[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeAnswer:
    """An answer to a flight. `url` is where it came from in the end; `headers` are a web
    server's, looked up in any case. `body` is called once: it passes all bytes on to a function,
    perhaps in a thread, and yields how many those were each time."""

    head: AnswerHead
    body: Body
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)


class RangeSource(Protocol):
    """Something that can be asked for a range, again for each attempt.

    `name` recognises the source when a download is resumed; `label` is for messages.
    """

    @property
    def name(self) -> str: ...

    @property
    def label(self) -> str: ...

    def open(self, flight: Flight) -> AbstractAsyncContextManager[RangeAnswer]:
        """Ask for what `flight` wants.

        Raises errors.Transient for what may work the next time, anything else for what will
        not. Status 416 is an answer, not an error.
        """
        ...


class HttpRangeSource:
    """A link.

    Args:
        url: http or https.
        client: sends the requests.
        headers: sent along, for example `Authorization`.
        name: what the download is recognised by when resumed; the link itself when left
            out. To be given where the link differs each time (signed links).
    """

    def __init__(
        self,
        url: str,
        client: HttpClient,
        *,
        headers: Mapping[str, str] | None = None,
        name: str | None = None,
    ) -> None:
        self.url = url
        self.name = name or url.partition("#")[0]
        self.label = printable(url)
        self._client = client
        self._headers = dict(headers or {})

    @asynccontextmanager
    async def open(self, flight: Flight) -> AsyncIterator[RangeAnswer]:
        """Send the request; errors as `HttpClient.open_large`."""
        headers = {**self._headers, **_range_headers(flight)}
        async with self._client.open_large(self.url, headers=headers, accept={416}) as answer:
            yield RangeAnswer(
                head=_head_of(answer), body=answer.pass_to, url=answer.url, headers=answer.headers
            )


def _range_headers(flight: Flight) -> dict[str, str]:
    if flight.whole:
        return {}
    last = "" if flight.end is None else flight.end - 1
    headers = {"Range": f"bytes={flight.start}-{last}"}
    if flight.if_range is not None:
        headers["If-Range"] = flight.if_range
    return headers


def _head_of(answer: HttpAnswer | PlainAnswer) -> AnswerHead:
    start, end, total = parse_content_range(answer.headers.get("Content-Range"))
    if answer.status == 200:
        length = answer.headers.get("Content-Length", "")
        total = int(length) if length.isascii() and length.isdecimal() else None
    return AnswerHead(
        status=answer.status,
        start=start,
        end=end,
        total_bytes=total,
        etag=answer.headers.get("ETag"),
        last_modified=answer.headers.get("Last-Modified"),
        date=answer.headers.get("Date"),
    )


class StoreRangeSource:
    """An object of a store. Where the store shows no ETag, size and time of change stand in
    for it, looked at before and after each opening."""

    def __init__(self, store: Store, key: str) -> None:
        self.name = self.label = f"{store.url}/{key}"
        self._store = store
        self._key = key
        self._info: ObjectInfo | None = None

    @asynccontextmanager
    async def open(self, flight: Flight) -> AsyncIterator[RangeAnswer]:
        """Read from the store; errors as `Store.head` and `Store.get`.

        An object that is replaced meanwhile shows another ETag from then on.
        """
        for _ in range(_CHANGES_AT_OPENING):
            info = self._info = self._info or await self._store.head(self._key)
            head = _head_of_object(info, flight)
            if head.status != 206:
                yield RangeAnswer(head=head, body=_nothing, url=self.name)
                return
            async with AsyncExitStack() as stack:
                pieces = await self._get(stack, info, head)
                if pieces is None:
                    continue
                watched = await stack.enter_async_context(aclosing(self._watched(pieces)))
                yield RangeAnswer(head=head, body=passing(watched), url=self.name)
                return
        raise errors.ServiceFault(f"{self.label} changes faster than it can be read")

    async def _get(
        self, stack: AsyncExitStack, info: ObjectInfo, head: AnswerHead
    ) -> AsyncIterator[bytes] | None:
        """Open the range of `head`; None when the object is not the one of `info` any more."""
        getting = self._store.get(
            self._key, start=head.start or 0, end=head.end, if_match=info.etag
        )
        try:
            pieces = await stack.enter_async_context(getting)
        except errors.ObjectChanged:
            self._info = None
            return None
        if info.etag is None:
            self._info = await self._store.head(self._key)
            if _etag_of(self._info) != _etag_of(info):
                return None
        return pieces

    async def _watched(self, pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
        try:
            async for piece in pieces:
                yield piece
        except errors.ObjectChanged as exc:
            self._info = None
            raise errors.ConnectionLost(exc.message) from exc


def passing(pieces: AsyncIterator[bytes]) -> Body:
    """Return the body of an answer that comes in pieces."""

    async def body(write: Write) -> AsyncGenerator[int]:
        async for piece in pieces:
            write(piece)
            yield len(piece)

    return body


async def _nothing(_write: Write) -> AsyncGenerator[int]:
    return
    yield 0


def _head_of_object(info: ObjectInfo, flight: Flight) -> AnswerHead:
    """Return the head with which a web server would answer for the object."""
    size, etag = info.size_bytes, _etag_of(info)
    if size == 0:
        return AnswerHead(status=200, total_bytes=0, etag=etag)
    if flight.start >= size:
        return AnswerHead(status=416, total_bytes=size, etag=etag)
    end = size if flight.end is None else min(flight.end, size)
    return AnswerHead(status=206, start=flight.start, end=end, total_bytes=size, etag=etag)


def _etag_of(info: ObjectInfo) -> str:
    if info.etag is not None:
        return f'"{info.etag}"'
    return f'"{info.size_bytes}-{info.modified_at}"'
