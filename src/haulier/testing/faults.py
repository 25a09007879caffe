"""A proxy on loopback that fails as networks and servers do, on purpose and on cue.

It stands before a real server, forwards requests as they are (the Host header too, which S3's
signatures cover) and does to those that match a `Fault` what the fault says. It runs in a thread
of its own, so that tests and other processes alike can go through it.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

_PIECE_BYTES = 64 << 10
_HEAD_BYTES = 64 << 10
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(slots=True, kw_only=True)
class Fault:
    """What to do to requests of `method` whose path and query match `pattern`.

    It applies to the next `times` of them after `skip`. One of: `status` answers with it and
    an S3 error of `code`; `cut_after` drops the connection after so many bytes of the request's
    body; `lose_answer` forwards everything and drops the answer; `corrupt_at` turns over a bit
    of that byte of the body.
    """

    method: str
    pattern: str
    times: int = 1
    skip: int = 0
    status: int | None = None
    code: str = "InternalError"
    retry_after_s: int | None = None
    cut_after: int | None = None
    lose_answer: bool = False
    corrupt_at: int | None = None

    def takes(self, method: str, target: str) -> bool:
        """Tell whether this request is to fail, and count it."""
        if method != self.method or not re.search(self.pattern, target) or not self.times:
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times -= 1
        return True


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that came by, and the status it was answered with (0: none)."""

    method: str
    target: str
    body_bytes: int
    status: int


@dataclass(slots=True)
class FaultProxy:
    """A context manager; `url` is where clients go, `seen` what came by, in order of answers."""

    upstream: str
    faults: list[Fault] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    url: str = ""
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _thread: threading.Thread | None = None
    _server: asyncio.Server | None = None
    _serving: set[asyncio.Task[None] | None] = field(default_factory=set)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._run(self._start())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        assert self._thread is not None
        self._thread.join()
        self._loop.close()

    def count(self, method: str, pattern: str) -> int:
        """Return how many requests of that kind were answered with success."""
        return sum(
            one.method == method
            and 200 <= one.status < 300
            and bool(re.search(pattern, one.target))
            for one in self.seen
        )

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_HEAD_BYTES)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"

    async def _stop(self) -> None:
        assert self._server is not None
        self._server.close()
        while tasks := [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.01)  # aborted transports close their sockets in the next rounds

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Streams hold their reader weakly: with the client gone, nothing else keeps this task.
        task = asyncio.current_task()
        self._serving.add(task)
        try:
            await self._exchange(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            self._serving.discard(task)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
        found = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        length = int(found[1]) if found else 0
        fault = next((one for one in self.faults if one.takes(method, target)), None)
        holds_back = re.search(rb"(?i)\r\nexpect: *100-continue", head) is not None
        if fault is not None and fault.cut_after is not None:
            if holds_back:
                writer.write(_CONTINUE)
            await _discard(reader, min(fault.cut_after, length))
            self.seen.append(Seen(method, target, length, 0))
            return
        if fault is not None and fault.status is not None:
            length = 0 if holds_back else length
            await _discard(reader, length)
            self.seen.append(Seen(method, target, length, fault.status))
            writer.write(_rejection(fault, with_body=method != "HEAD"))
            await _finish(writer)
            return
        held = writer if holds_back else None
        answer, length = await self._forward(reader, head, length, fault, held)
        status = int(answer.split(b" ", 2)[1]) if answer else 0
        lost = fault is not None and fault.lose_answer
        self.seen.append(Seen(method, target, length, 0 if lost else status))
        if not lost:
            writer.write(answer)
            await _finish(writer)

    async def _forward(
        self,
        reader: asyncio.StreamReader,
        head: bytes,
        length: int,
        fault: Fault | None,
        held: asyncio.StreamWriter | None,
    ) -> tuple[bytes, int]:
        """Return the answer, and how long the body was that the server wanted.

        The client behind `held` sends it when it is told to go on.
        """
        place = urlsplit(self.upstream)
        source, sink = await asyncio.open_connection(place.hostname, place.port)
        try:
            plain = re.sub(rb"(?i)\r\nconnection: [^\r]*", b"", head)
            sink.write(plain.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
            if held is not None:
                first = await source.readuntil(b"\r\n\r\n")
                if first != _CONTINUE:
                    return first + await source.read(), 0
                held.write(first)
            at = 0
            while at < length:
                piece = await reader.read(min(_PIECE_BYTES, length - at))
                if not piece:
                    raise asyncio.IncompleteReadError(b"", length - at)
                sink.write(_corrupted(piece, at, fault))
                at += len(piece)
                await sink.drain()
            return await source.read(), length
        finally:
            sink.transport.abort()


def _corrupted(piece: bytes, at: int, fault: Fault | None) -> bytes:
    if fault is None or fault.corrupt_at is None:
        return piece
    where = fault.corrupt_at - at
    if not 0 <= where < len(piece):
        return piece
    return piece[:where] + bytes([piece[where] ^ 1]) + piece[where + 1 :]


def _rejection(fault: Fault, *, with_body: bool) -> bytes:
    body = f"<Error><Code>{fault.code}</Code><Message>made to fail</Message></Error>".encode()
    lines = [f"HTTP/1.1 {fault.status} Made", f"Content-Length: {len(body)}", "Connection: close"]
    if fault.retry_after_s is not None:
        lines.append(f"Retry-After: {fault.retry_after_s}")
    head = "\r\n".join(lines).encode() + b"\r\n\r\n"
    return head + body if with_body else head


async def _discard(reader: asyncio.StreamReader, count: int) -> None:
    while count:
        piece = await reader.read(min(_PIECE_BYTES, count))
        if not piece:
            return
        count -= len(piece)


async def _finish(writer: asyncio.StreamWriter) -> None:
    await writer.drain()
    writer.write_eof()
    writer.close()
    await writer.wait_closed()
