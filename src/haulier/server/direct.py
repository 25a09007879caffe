"""Big request bodies without copies: uvicorn's HTTP protocol, with a way around its parser.

Stock uvicorn copies each piece of a body four times between the socket and the application. Here
a route may ask for the body itself (`direct_body`); from then on the kernel writes into buffers
that the route is handed, and the parser comes back for the next request. Without being asked, or
under another server, everything is as ever.

It leans on internals of uvicorn (the cycle's `body`, `more_body`, `message_event`), which is why
uvicorn is held to one minor version.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from functools import partial
from typing import Any

import httptools
from starlette.types import Message, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from haulier.server.guarded import GuardedProtocol
from haulier.server.zero_copy import MESSAGE, FileSender

_BUFFER_BYTES = 1 << 20
_BUFFERS = 4
_PIECE_BYTES = 256 << 10
_MOST_DISCARDED_BYTES = 64 << 20
_EXTENSION = "haulier.body"
_INTERIM = "haulier.interim"


def direct_body(scope: dict[str, Any]) -> AsyncGenerator[memoryview, None] | None:
    """Return the body of the request of `scope` as pieces, or None where that can't be.

    A piece stays as it is until the second one after it is asked for. Raises ConnectionResetError
    when the client goes away.
    """
    begin: Callable[[], AsyncGenerator[memoryview, None]] | None = scope.get("extensions", {}).get(
        _EXTENSION
    )
    return None if begin is None else begin()


def send_interim(scope: dict[str, Any], status: int, headers: Mapping[str, str]) -> None:
    """Send an interim answer (1xx) before the real one, where that can be done."""
    send: Callable[[bytes], None] | None = scope.get("extensions", {}).get(_INTERIM)
    if send is not None:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        send(f"HTTP/1.1 {status} \r\n{lines}\r\n".encode("latin-1"))


class _Body:
    """The rest of a request's body, between the transport and the route."""

    def __init__(self, cycle: RequestResponseCycle, first: bytes, left: int) -> None:
        self.cycle = cycle
        self.left = left
        self.abandoned = False
        self._first = first
        self._free = [memoryview(bytearray(_BUFFER_BYTES))]
        self._made = 1
        self._ready: deque[tuple[memoryview, int]] = deque()
        self._lent: deque[memoryview] = deque()
        self._filling: memoryview | None = None
        self._filled = 0

    @property
    def is_full(self) -> bool:
        """Whether the transport has to wait for the route."""
        return self._filling is None and not self._free and self._made >= _BUFFERS

    def room(self) -> memoryview:
        """Return where the transport may write, never beyond the body's end."""
        if self._filling is None:
            self._filling = self._take()
        end = min(_BUFFER_BYTES, self._filled + self.left)
        return self._filling[self._filled : end]

    def wrote(self, count: int) -> None:
        """Count what the transport wrote, and pass it on when it is worth it."""
        self._filled += count
        self.left -= count
        if self.abandoned:
            self._filled = 0
        elif self._filled >= _PIECE_BYTES or not self.left:
            self._pass_on()
            self.cycle.message_event.set()

    async def pieces(self, resume: Callable[[], None]) -> AsyncGenerator[memoryview, None]:
        """Yield the body; `resume` lets the transport read again."""
        try:
            if self._first:
                yield memoryview(self._first)
            while True:
                while not self._ready:
                    if not self.left:
                        return
                    if self.cycle.disconnected and not self._filled:
                        raise ConnectionResetError("the client went away")
                    if self.cycle.disconnected:
                        self._pass_on()
                        continue
                    resume()
                    await self.cycle.message_event.wait()
                    self.cycle.message_event.clear()
                buffer, length = self._ready.popleft()
                self._lent.append(buffer)
                if len(self._lent) > 2:
                    self._free.append(self._lent.popleft())
                yield buffer[:length]
        finally:
            self.abandoned = bool(self.left)
            resume()

    def _pass_on(self) -> None:
        assert self._filling is not None
        self._ready.append((self._filling, self._filled))
        self._filling, self._filled = None, 0

    def _take(self) -> memoryview:
        if self._free:
            return self._free.pop()
        self._made += 1
        return memoryview(bytearray(_BUFFER_BYTES))


class Connection(GuardedProtocol):
    """One connection: requests by uvicorn's parser, bodies around it where a route asks."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._scratch = memoryview(bytearray(64 << 10))
        self._body: _Body | None = None
        self._discarded = 0
        self._sender: FileSender | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        if self.scheme == "http":
            self._sender = FileSender(transport, drain_s=self.drain_s)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._sender is not None:
            self._sender.lost()
        super().connection_lost(exc)

    def get_buffer(self, _size_hint: int) -> memoryview:
        return self._scratch if self._body is None else self._body.room()

    def buffer_updated(self, count: int) -> None:
        body = self._body
        if body is None:
            self.data_received(bytes(self._scratch[:count]))
            return
        body.wrote(count)
        if body.abandoned:
            self._discarded += count
            if self._discarded > _MOST_DISCARDED_BYTES:
                self.transport.close()
                return
        if not body.left:
            self._end_body()
        elif body.is_full:
            self.flow.pause_reading()

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        # Pipelined requests replace `self.cycle`; this one is bound to its own.
        cycle, length = self.cycle, _content_length(self.headers)
        if cycle is None:
            return
        scope: dict[str, Any] = cycle.scope  # type: ignore[assignment]  # its type is closed
        extensions = scope.setdefault("extensions", {})
        if scope["http_version"] == "1.1":
            extensions[_INTERIM] = lambda head: self._interrupt(cycle, head)
        if length:
            extensions[_EXTENSION] = lambda: self._begin(cycle, length)
        if self._sender is not None:
            extensions[MESSAGE] = {}
            # Its task has not begun to run yet.
            cycle.send = partial(_send, cycle, self._sender, cycle.send)  # type: ignore[method-assign, arg-type]  # its types are closed

    def _interrupt(self, cycle: RequestResponseCycle, head: bytes) -> None:
        # Not while an earlier answer is under way, nor when this one has begun.
        if cycle is self.cycle and not cycle.response_started and not cycle.disconnected:
            self.transport.write(head)

    def on_response_complete(self) -> None:
        if self._body is not None:
            # Whoever took the body may not have let go of it yet; nobody reads it any more.
            self._body.abandoned = True
        super().on_response_complete()

    def _begin(self, cycle: RequestResponseCycle, length: int) -> AsyncGenerator[memoryview, None]:
        if cycle.waiting_for_100_continue and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            cycle.waiting_for_100_continue = False
        first = bytes(cycle.body)
        cycle.body = bytearray()
        body = _Body(cycle, first, length - len(first))
        cycle.message_event.clear()
        self.expect_within(None)  # who takes the body this way watches its pace
        if body.left and not cycle.disconnected:
            self._body = body
            self._discarded = 0
        return body.pieces(self._resume)

    def _resume(self) -> None:
        body = self._body
        if body is None or body.abandoned or not body.is_full:
            self.flow.resume_reading()

    def _end_body(self) -> None:
        body, self._body = self._body, None
        assert body is not None
        body.cycle.more_body = False
        body.cycle.message_event.set()
        # The old parser still waits for a body that went past it.
        self.parser = httptools.HttpRequestParser(self)


async def _send(
    cycle: RequestResponseCycle, sender: FileSender, send: Send, message: Message
) -> None:
    if message["type"] != MESSAGE:
        await send(message)
        return
    await cycle.flow.drain()
    if cycle.disconnected:
        return
    count = message["count"]
    if count > cycle.expected_content_length:
        raise RuntimeError("Response content longer than Content-Length")
    try:
        await sender.send(message["file"], message["offset"], count)
    except ConnectionError:
        cycle.disconnected = True
        cycle.transport.close()
    else:
        cycle.expected_content_length -= count


def _content_length(headers: list[tuple[bytes, bytes]]) -> int:
    for name, value in headers:
        if name == b"content-length":
            return int(value)
    return 0


class DirectProtocol(asyncio.BufferedProtocol):
    """What to give uvicorn as its `http` setting.

    A shell around the connection: uvloop calls `get_buffer` only on protocols that are no
    `asyncio.Protocol`, which uvicorn's are.
    """

    connection = Connection

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        inner = self.connection(*args, **kwargs)
        for name in (
            "get_buffer",
            "buffer_updated",
            "connection_made",
            "connection_lost",
            "eof_received",
            "pause_writing",
            "resume_writing",
        ):
            setattr(self, name, getattr(inner, name))
