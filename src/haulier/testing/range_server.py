"""A web server on loopback that serves files in ranges, and misbehaves as told.

    async with RangeServer() as server:
        file = server.put("/film.mp4", content)
        file.faults.append(Fault(cut_after=1000))
        ... fetch server.url("/film.mp4") ...
        assert server.log[0].range == "bytes=0-"

Each request takes the first of the file's `faults`, if there is one. What a server does
always (no ranges, no ETag, dates only in If-Range) is set on the file itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import TracebackType
from typing import Self

_BLOCK_BYTES = 256 << 10
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """How one request goes wrong; what is not set goes right.

    Args:
        before: called when the request is in, for example to change the file.
        status: answered instead of the file, with `headers`.
        headers: added to the answer, replacing what it would say.
        cut_after: body bytes after which the connection is cut.
        stall_after: body bytes after which nothing comes any more.
        ignore_range: the whole file is sent.
        shift: the body (not what is said of it) starts so many bytes later.
    """

    before: Callable[[], None] | None = None
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    stall_after: int | None = None
    ignore_range: bool = False
    shift: int = 0


@dataclass(slots=True, kw_only=True)
class ServedFile:
    """A file on the server, and how the server treats it.

    Args:
        content: its bytes now.
        etag: its ETag as sent, None for none.
        last_modified: when it changed; None: not said.
        takes_ranges: false: Range is ignored.
        if_range: `both`, `etags`, `dates`, or `ignored`: what is honoured in If-Range.
        chunked: sent without a length.
        new_etags: every answer has another ETag.
        faults: what goes wrong with the next requests.
    """

    content: bytes
    etag: str | None = '"1"'
    last_modified: datetime | None = None
    takes_ranges: bool = True
    if_range: str = "both"
    chunked: bool = False
    new_etags: bool = False
    faults: deque[Fault] = field(default_factory=deque)

    def change(self, content: bytes, etag: str | None) -> None:
        """Replace the file; its time of change moves on by an hour."""
        self.content, self.etag = content, etag
        if self.last_modified is not None:
            self.last_modified += timedelta(hours=1)


@dataclass(slots=True, kw_only=True)
class LoggedRequest:
    """A request that came, and what was sent of the answer's body so far."""

    method: str
    path: str
    headers: dict[str, str]
    status: int = 0
    sent_bytes: int = 0

    @property
    def range(self) -> str | None:
        """The Range header."""
        return self.headers.get("range")

    @property
    def if_range(self) -> str | None:
        """The If-Range header."""
        return self.headers.get("if-range")


@dataclass(slots=True)
class _Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class RangeServer:
    """Serves on a free port of 127.0.0.1 while its block runs."""

    def __init__(self) -> None:
        self.files: dict[str, ServedFile] = {}
        self.log: list[LoggedRequest] = []
        self.port = 0
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._answers = 0

    def put(self, path: str, content: bytes, **settings: object) -> ServedFile:
        """Serve `content` at `path`; `settings` are those of ServedFile."""
        file = self.files[path] = ServedFile(content=content, **settings)  # type: ignore[arg-type]  # passed through as they are
        return file

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        """Return the link to `path`."""
        return f"http://{host}:{self.port}{path}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._answer_one(reader, writer):
                    pass
        finally:
            writer.close()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        request = _parse((await reader.readuntil(b"\r\n\r\n")).decode("latin-1"))
        await reader.readexactly(int(request.headers.get("content-length", "0")))
        self.log.append(request)
        file = self.files.get(request.path)
        fault = file.faults.popleft() if file is not None and file.faults else Fault()
        if fault.before is not None:
            fault.before()
        answer = self._answer(request, file, fault)
        request.status = answer.status
        self._answers += 1
        head = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
        writer.write(f"HTTP/1.1 {answer.status} Said\r\n{head}\r\n".encode("latin-1"))
        body = b"" if request.method == "HEAD" else answer.body
        whole = await _send(writer, request, body, fault, answer.headers)
        return whole and answer.headers.get("Connection") != "close"

    def _answer(self, request: LoggedRequest, file: ServedFile | None, fault: Fault) -> _Answer:
        now = format_datetime(datetime.now(UTC), usegmt=True)
        if file is None or fault.status is not None:
            status = fault.status or 404
            body = f"status {status}".encode()
            headers = {"Date": now, "Content-Length": str(len(body)), **fault.headers}
            return _Answer(status, headers, body)
        answer = self._of_file(request, file, fault)
        answer.headers = {"Date": now, **self._validators(file), **answer.headers}
        if file.chunked and answer.status == 200:
            answer.headers.pop("Content-Length")
            answer.headers["Transfer-Encoding"] = "chunked"
        answer.headers |= fault.headers
        return answer

    def _validators(self, file: ServedFile) -> dict[str, str]:
        headers = {}
        if file.etag is not None:
            headers["ETag"] = f'"{self._answers}"' if file.new_etags else file.etag
        if file.last_modified is not None:
            headers["Last-Modified"] = format_datetime(file.last_modified, usegmt=True)
        return headers

    def _of_file(self, request: LoggedRequest, file: ServedFile, fault: Fault) -> _Answer:
        size = len(file.content)
        match = _RANGE.fullmatch(request.range or "")
        ignored = fault.ignore_range or not file.takes_ranges or not _unchanged(request, file)
        if match is None or ignored:
            return _Answer(200, {"Content-Length": str(size)}, file.content)
        start = int(match[1])
        if start >= size:
            return _Answer(416, {"Content-Range": f"bytes */{size}", "Content-Length": "0"}, b"")
        end = min(int(match[2]) + 1, size) if match[2] else size
        headers = {
            "Content-Range": f"bytes {start}-{end - 1}/{size}",
            "Content-Length": str(end - start),
        }
        return _Answer(206, headers, file.content[start + fault.shift : end + fault.shift])


def _unchanged(request: LoggedRequest, file: ServedFile) -> bool:
    """Whether If-Range, as far as the server honours it, lets a part be sent."""
    condition = request.if_range
    if condition is None or file.if_range == "ignored":
        return True
    if condition.startswith(('"', "W/")):
        return file.if_range != "dates" and condition == file.etag and condition[0] == '"'
    modified = file.last_modified
    return (
        file.if_range != "etags"
        and modified is not None
        and condition == format_datetime(modified, usegmt=True)
    )


def _parse(text: str) -> LoggedRequest:
    first, *lines = text.rstrip().split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return LoggedRequest(method=method, path=path, headers=headers)


async def _send(
    writer: asyncio.StreamWriter,
    request: LoggedRequest,
    body: bytes,
    fault: Fault,
    headers: dict[str, str],
) -> bool:
    """Send the body; false when the connection is to be closed after it."""
    limits = [limit for limit in (fault.cut_after, fault.stall_after) if limit is not None]
    end = min([len(body), *limits])
    chunked = headers.get("Transfer-Encoding") == "chunked"
    for offset in range(0, end, _BLOCK_BYTES):
        block = memoryview(body)[offset : min(offset + _BLOCK_BYTES, end)]
        if chunked:
            writer.write(f"{len(block):x}\r\n".encode())
        writer.write(block)
        if chunked:
            writer.write(b"\r\n")
        await writer.drain()
        request.sent_bytes += len(block)
    if fault.stall_after is not None:
        await asyncio.Event().wait()
    if fault.cut_after is not None:
        return False
    if chunked:
        writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True
