"""An HTTP proxy on loopback that lets programs which are not ours reach allowed addresses only.

Programs that follow links by themselves know nothing of `AddressGuard`. They get this proxy as
their way out: it resolves each name once, checks what it became, and connects to exactly that
address, so neither a redirect nor a name that resolves differently a moment later reaches a private
one. It speaks what clients of a proxy use: CONNECT, and requests with a whole URL (RFC 9110 section
9.3.6, RFC 9112 section 3.2.2). Nobody without the password in its URL gets through.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from haulier import errors
from haulier.net.guard import AddressGuard
from haulier.net.resolver import GuardedResolver

CONNECT_TIMEOUT_S = 10.0
STALL_TIMEOUT_S = 60.0
_HEAD_TIMEOUT_S = 30.0
_MOST_HEAD_BYTES = 64 << 10
_PIECE_BYTES = 64 << 10
_USER = "haulier"
# Between a client and its proxy alone (RFC 9110 section 7.6.1).
_HOP_BY_HOP = frozenset(
    {"connection", "proxy-connection", "proxy-authorization", "proxy-authenticate", "keep-alive"}
)
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*")
_WEB_PORTS = frozenset({80, 443})
_REASONS = {
    400: "Bad Request", 403: "Forbidden", 407: "Proxy Authentication Required",
    411: "Length Required", 502: "Bad Gateway", 504: "Gateway Timeout",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, head: bytes) -> Self:
        """Read a request's head; raises `_Refusal`."""
        first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        match = re.fullmatch(r"([A-Z]{1,20}) (\S+) HTTP/1\.[01]", first)
        fields = [_FIELD.fullmatch(line) for line in lines]
        if match is None or not all(fields):
            raise _Refusal(400, "not a request that a proxy understands")
        headers = tuple((field[1], field[2]) for field in fields if field)
        return cls(match[1], match[2], headers)

    def header(self, name: str) -> str | None:
        found = [value for known, value in self.headers if known.lower() == name]
        if len(set(found)) > 1:
            raise _Refusal(400, f"several {name} headers")
        return found[0] if found else None


class _Refusal(Exception):
    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class FilteringProxy:
    """Serves as long as its block runs: `async with FilteringProxy(guard) as proxy: proxy.url`.

    Args:
        guard: decides which hosts and addresses may be reached. Of ports below 1024 those of the
            web alone may.
        max_bytes: that may come in through it altogether; every connection ends then.
        pace: awaited with the number of bytes that came in, to slow things down.
        stall_timeout_s: how long a connection may carry nothing.
        connect_timeout_s: for each address.

    Attributes:
        url: with user and password, as `https_proxy` takes it.
        refused: why connections were refused, oldest first.
        received_bytes: that came in.
        is_exhausted: whether `max_bytes` were reached.
    """

    def __init__(
        self,
        guard: AddressGuard,
        *,
        max_bytes: int | None = None,
        pace: Callable[[int], Awaitable[None]] | None = None,
        stall_timeout_s: float = STALL_TIMEOUT_S,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
    ) -> None:
        self._guard = guard
        self._max_bytes = max_bytes
        self._pace = pace
        self._stall_timeout_s = stall_timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._password = secrets.token_urlsafe(24)
        self._open: set[asyncio.Task[None]] = set()
        self._resolver: GuardedResolver | None = None
        self._server: asyncio.Server | None = None
        self.url = ""
        self.refused: list[errors.AddressRefused] = []
        self.received_bytes = 0

    @property
    def is_exhausted(self) -> bool:
        """Whether no more may come in."""
        return self._max_bytes is not None and self.received_bytes > self._max_bytes

    async def __aenter__(self) -> Self:
        self._resolver = GuardedResolver(self._guard, aiohttp.ThreadedResolver())
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", 0, limit=_MOST_HEAD_BYTES
        )
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://{_USER}:{self._password}@127.0.0.1:{port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await self._server.wait_closed()

    def environment(self) -> Mapping[str, str]:
        """Return the variables by which programs find the proxy."""
        names = ("http_proxy", "https_proxy", "all_proxy")
        return {written: self.url for name in names for written in (name, name.upper())}

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            # Whatever breaks on either side ends this connection and nothing else.
            with contextlib.suppress(OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
                await self._relay(reader, writer)
        finally:
            if self.is_exhausted:
                writer.transport.abort()  # so that nobody takes what came for all of it
            writer.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(_HEAD_TIMEOUT_S):
            head = await reader.readuntil(b"\r\n\r\n")
        try:
            request = _Request.parse(head)
            self._check_password(request)
            if request.method == "CONNECT":
                host, port = _host_and_port(f"https://{request.target}")
                opening, body_bytes = b"", None
            else:
                host, port = _host_and_port(request.target)
                opening, body_bytes = _as_origin(request)
            far_reader, far_writer = await self._connect(host, port)
        except _Refusal as refusal:
            await _refuse(writer, refusal)
            return
        try:
            if request.method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            far_writer.write(opening)
            async with asyncio.TaskGroup() as group:
                sending = group.create_task(self._send(reader, far_writer, body_bytes))
                await self._receive(far_reader, writer)
                sending.cancel()
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        finally:
            far_writer.close()

    def _check_password(self, request: _Request) -> None:
        wanted = base64.b64encode(f"{_USER}:{self._password}".encode())
        given = (request.header("proxy-authorization") or "").removeprefix("Basic ")
        if not hmac.compare_digest(wanted, given.encode("latin-1")):
            raise _Refusal(407, "this proxy is not for you")

    async def _connect(
        self, host: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the first allowed address of `host` that answers; raises `_Refusal`."""
        assert self._resolver is not None
        if self.is_exhausted:
            raise _Refusal(403, "too much came in already")
        try:
            self._guard.check_url(f"https://{host}:{port}/")
            if port < 1024 and port not in _WEB_PORTS:
                raise errors.AddressRefused(f"port {port} of {host} is not one of the web")
            found = await self._resolver.resolve(host.strip("[]"), port)
        except errors.AddressRefused as error:
            self.refused.append(error)
            raise _Refusal(403, error.message) from None
        except errors.Transient as error:
            raise _Refusal(502, error.message) from None
        for address in found:
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(self._connect_timeout_s):
                    return await asyncio.open_connection(address["host"], port)
        raise _Refusal(504, f"{host} does not answer")

    async def _send(
        self,
        reader: asyncio.StreamReader,
        far_writer: asyncio.StreamWriter,
        most_bytes: int | None,
    ) -> None:
        """Pass on what the client sends; of a plain request its body and nothing behind it."""
        left = most_bytes
        while left is None or left > 0:
            piece = await reader.read(_PIECE_BYTES if left is None else min(left, _PIECE_BYTES))
            if not piece:
                break
            left = None if left is None else left - len(piece)
            far_writer.write(piece)
            await far_writer.drain()
        if most_bytes is None and far_writer.can_write_eof():
            far_writer.write_eof()

    async def _receive(
        self, far_reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while not self.is_exhausted:
            async with asyncio.timeout(self._stall_timeout_s):
                piece = await far_reader.read(_PIECE_BYTES)
            if not piece:
                return
            self.received_bytes += len(piece)
            if self._pace is not None:
                await self._pace(len(piece))
            writer.write(piece)
            async with asyncio.timeout(self._stall_timeout_s):
                await writer.drain()


def _host_and_port(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in {"http", "https"}:
        raise _Refusal(400, "no URL that can be asked for")
    default = 443 if parts.scheme == "https" else 80
    return (f"[{host}]" if ":" in host else host), default if port is None else port


def _as_origin(request: _Request) -> tuple[bytes, int]:
    """Return a request's head as its own server wants it, and how many bytes its body has.

    One request goes over a connection: the next may be for another host, which is to be checked.
    """
    if request.header("transfer-encoding") is not None:
        raise _Refusal(411, "a body needs a length")
    length = request.header("content-length") or "0"
    if not re.fullmatch(r"\d{1,18}", length, re.ASCII):
        raise _Refusal(400, "a malformed length")
    parts = urlsplit(request.target)
    where = urlunsplit(("", "", parts.path or "/", parts.query, ""))
    listed = (request.header("connection") or "").lower().replace(" ", "").split(",")
    kept = [
        f"{name}: {value}"
        for name, value in request.headers
        if name.lower() not in {*_HOP_BY_HOP, *listed, "host"}
    ]
    host = parts.netloc.rpartition("@")[2]
    lines = [f"{request.method} {where} HTTP/1.1", f"Host: {host}", *kept, "Connection: close"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"), int(length)


async def _refuse(writer: asyncio.StreamWriter, refusal: _Refusal) -> None:
    text = f"{refusal}\n".encode()
    lines = [
        f"HTTP/1.1 {refusal.status} {_REASONS[refusal.status]}",
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(text)}",
        "Connection: close",
    ]
    if refusal.status == 407:
        lines.append('Proxy-Authenticate: Basic realm="haulier"')
    writer.write("\r\n".join([*lines, "", ""]).encode() + text)
    async with asyncio.timeout(STALL_TIMEOUT_S):
        await writer.drain()
