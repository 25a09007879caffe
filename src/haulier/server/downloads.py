"""Stored files as HTTP answers: whole, in ranges, or not at all because the client has them."""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from email.utils import format_datetime

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from haulier.core.accounts import StoredFile
from haulier.core.file_names import content_disposition
from haulier.core.http_ranges import UnsatisfiableRange, is_fresh, range_applies, select_ranges
from haulier.core.sessions.chunks import Span
from haulier.server.problems import problem
from haulier.server.zero_copy import MESSAGE as ZERO_COPY
from haulier.transfer.sessions.staging import LinkingStage, OpeningStage, Stage

# What browsers show without running anything of it on our origin.
_INLINE = frozenset(
    {
        "image/jpeg", "image/png", "image/gif", "image/webp", "image/avif", "image/bmp",
        "audio/mpeg", "audio/mp4", "audio/ogg", "audio/wav", "audio/x-wav", "audio/flac",
        "audio/webm", "audio/aac", "video/mp4", "video/webm", "video/ogg", "text/plain",
    }
)  # fmt: skip


_LINK_EXPIRES_S = 15 * 60
# Below it one write of head and bytes together is cheaper.
_FEWEST_ZERO_COPY_BYTES = 128 << 10
_WHOLE = Span(0, 0)

Part = tuple[bytes, Span]
"""What goes before some bytes of the file, and which bytes."""


class Downloads:
    """How stored files are sent.

    Args:
        stage: where their bytes lie.
        redirects: send clients to the store, where it can hand out links.
        x_accel_prefix: nginx's internal location of whole files, where nginx sends them.
        sent: told a file that was sent from its first byte on, and the name of who asked.
    """

    def __init__(
        self,
        stage: Stage,
        *,
        redirects: bool,
        x_accel_prefix: str | None,
        sent: Callable[[StoredFile, str | None], None],
    ) -> None:
        self.stage = stage
        self.sent = sent
        self.files = stage if isinstance(stage, OpeningStage) else None
        self._links = stage if redirects and isinstance(stage, LinkingStage) else None
        self._x_accel_prefix = x_accel_prefix

    def answer(
        self, stored: StoredFile, *, inline: bool = False, redirect: bool = True
    ) -> RangeFile:
        """Return the answer that carries a file; see `RangeFile`."""
        return RangeFile(stored, self, inline=inline, redirect=redirect)

    async def elsewhere(
        self, stored: StoredFile, description: Mapping[str, str], *, redirect: bool
    ) -> tuple[int, dict[str, str]] | None:
        """Return status and headers of an answer that leaves the bytes to somebody else.

        None when they have to come from here.
        """
        if redirect and self._links is not None:
            url = await self._links.link_to(
                stored.content_id,
                answer_with={
                    name: description[name] for name in ("Content-Type", "Content-Disposition")
                },
                expires_s=_LINK_EXPIRES_S,
            )
            return 307, {"Location": url, "Cache-Control": "no-store", "Content-Length": "0"}
        path = self.stage.path_of(stored.content_id)
        if self._x_accel_prefix is not None and path is not None:
            # nginx answers ranges and counts the bytes itself.
            inner = f"{self._x_accel_prefix}/{path.parent.name}/{path.name}"
            return 200, {**description, "X-Accel-Redirect": inner}
        return None


class RangeFile(Response):
    """A stored file, with ranges, validators and headers that keep it from running as a page.

    Args:
        stored: what is known of it.
        downloads: how it is sent.
        inline: show it in place where its type is harmless; otherwise it is a download.
        redirect: the client goes where it is sent to.
    """

    def __init__(
        self,
        stored: StoredFile,
        downloads: Downloads,
        *,
        inline: bool = False,
        redirect: bool = True,
    ) -> None:
        self._stored = stored
        self._downloads = downloads
        self._inline = inline
        self._redirect = redirect
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Headers(scope=scope)
        stored = self._stored
        if is_fresh(
            stored.etag,
            stored.modified_at,
            request.get("if-none-match"),
            request.get("if-modified-since"),
        ):
            await self._head(send, 304, self._validators())
            await send({"type": "http.response.body", "body": b""})
            return
        left = await self._downloads.elsewhere(stored, self._description(), redirect=self._redirect)
        if left is not None and scope["method"] == "GET":
            status, headers = left
            await self._head(send, status, {**self._validators(), **headers})
            await send({"type": "http.response.body", "body": b""})
            self._tell(scope)
            return
        wanted = request.get("range") if scope["method"] in {"GET", "HEAD"} else None
        if not range_applies(stored.etag, stored.modified_at, request.get("if-range")):
            wanted = None
        try:
            spans = select_ranges(wanted, stored.size_bytes)
        except UnsatisfiableRange:
            answer = problem(Request(scope), 416, "range", "No range lies within the file.")
            answer.headers["Content-Range"] = f"bytes */{stored.size_bytes}"
            await answer(scope, receive, send)
            return
        await self._send(scope, send, spans)

    async def _send(self, scope: Scope, send: Send, spans: list[Span] | None) -> None:
        stored = self._stored
        headers = {**self._validators(), **self._description(), "Accept-Ranges": "bytes"}
        if spans is None:
            parts: list[Part] = [(b"", Span(0, stored.size_bytes))]
        elif len(spans) == 1:
            parts = [(b"", spans[0])]
            headers["Content-Range"] = _content_range(spans[0], stored.size_bytes)
        else:
            boundary = secrets.token_hex(12)
            parts = _multipart(spans, boundary, headers["Content-Type"], stored.size_bytes)
            headers["Content-Type"] = f"multipart/byteranges; boundary={boundary}"
        length = sum(len(head) + span.length for head, span in parts)
        headers["Content-Length"] = str(length)
        status = 200 if spans is None else 206
        if scope["method"] == "HEAD":
            await self._head(send, status, headers)
        else:
            await self._send_parts(scope, send, (status, headers), parts)
        await send({"type": "http.response.body", "body": b""})
        # A player that goes on elsewhere in the file downloads nothing new.
        if scope["method"] == "GET" and any(span.offset == 0 for span in spans or [_WHOLE]):
            self._tell(scope)

    def _tell(self, scope: Scope) -> None:
        self._downloads.sent(self._stored, scope.get("state", {}).get("user"))

    async def _send_parts(
        self, scope: Scope, send: Send, head: tuple[int, dict[str, str]], parts: list[Part]
    ) -> None:
        for number, (lead, span) in enumerate(parts):
            async with AsyncExitStack() as stack:
                messages = await self._open(scope, span, stack) if span.length else None
                # What can't be opened must not be promised.
                if number == 0:
                    await self._head(send, *head)
                if lead:
                    await send({"type": "http.response.body", "body": lead, "more_body": True})
                if messages is not None:
                    async for message in messages:
                        await send(message)

    async def _open(
        self, scope: Scope, span: Span, stack: AsyncExitStack
    ) -> AsyncIterator[Message]:
        """Open bytes of the file; return the messages that carry them while `stack` is open."""
        files, content_id = self._downloads.files, self._stored.content_id
        if (
            files is not None
            and span.length >= _FEWEST_ZERO_COPY_BYTES
            and ZERO_COPY in scope.get("extensions", {})
        ):
            file = stack.enter_context(files.open(content_id))
            if file is not None:
                return _by_the_server(file, span)
        reading = self._downloads.stage.read(content_id, span)
        return _copied(await stack.enter_async_context(reading))

    async def _head(self, send: Send, status: int, headers: dict[str, str]) -> None:
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})

    def _validators(self) -> dict[str, str]:
        return {
            "ETag": self._stored.etag,
            "Last-Modified": format_datetime(self._stored.modified_at, usegmt=True),
            "Cache-Control": "private, no-cache",
        }

    def _description(self) -> dict[str, str]:
        stored = self._stored
        known = (stored.mime_type or "").lower()
        inline = self._inline and known in _INLINE
        headers = {
            "Content-Type": known if known in _INLINE else "application/octet-stream",
            "Content-Disposition": content_disposition(stored.name, inline=inline),
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Cross-Origin-Resource-Policy": "same-site",
        }
        if known == "text/plain":
            headers["Content-Type"] = "text/plain; charset=utf-8"
        if stored.sha256 is not None:
            digest = b64encode(bytes.fromhex(stored.sha256)).decode()
            headers["Repr-Digest"] = f"sha-256=:{digest}:"
        return headers


async def _by_the_server(file: int, span: Span) -> AsyncIterator[Message]:
    told = {"file": file, "offset": span.offset, "count": span.length, "more_body": True}
    yield {"type": ZERO_COPY, **told}


async def _copied(pieces: AsyncIterator[bytes | bytearray]) -> AsyncIterator[Message]:
    async for piece in pieces:
        yield {"type": "http.response.body", "body": piece, "more_body": True}


def _content_range(span: Span, size_bytes: int) -> str:
    return f"bytes {span.offset}-{span.end - 1}/{size_bytes}"


def _multipart(spans: list[Span], boundary: str, content_type: str, size_bytes: int) -> list[Part]:
    parts = []
    for number, span in enumerate(spans):
        lead = "" if number == 0 else "\r\n"
        head = (
            f"{lead}--{boundary}\r\nContent-Type: {content_type}\r\n"
            f"Content-Range: {_content_range(span, size_bytes)}\r\n\r\n"
        )
        parts.append((head.encode(), span))
    return [*parts, (f"\r\n--{boundary}--\r\n".encode(), Span(0, 0))]
