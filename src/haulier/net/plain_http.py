"""GET without TLS, for large bodies, which are written as they come (`plain_connection`).

It speaks as much HTTP/1.1 as a GET needs: announced lengths, chunks, bodies that end with their
connection, and connections that are used again.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from haulier import errors
from haulier.core.http_head import HttpHead, get_request, parse_chunk_size
from haulier.net.guard import AddressGuard, resolve_allowed
from haulier.net.plain_connection import (
    STEP_BYTES,
    Broken,
    Connection,
    Origin,
    Receiver,
    Write,
    failures,
)

MAX_CONNECTIONS = 32

_NEXT_ADDRESS_S = 0.25


def is_plain(url: str) -> bool:
    """Whether `url` needs neither TLS nor a password nor another spelling to be asked for."""
    if not (url.isascii() and url.isprintable()) or " " in url:
        return False
    parts = urlsplit(url)
    return parts.scheme == "http" and "@" not in parts.netloc


class PlainConnections:
    """Connections to web servers, kept for the next request. Usable in one event loop.

    Args:
        guard: decides which addresses may be asked.
        connect_timeout_s: for finding an address, and for connecting to it.
        stall_timeout_s: for the next bytes of an answer.
    """

    def __init__(
        self, guard: AddressGuard, *, connect_timeout_s: float, stall_timeout_s: float
    ) -> None:
        self._guard = guard
        self._connect_timeout_s = connect_timeout_s
        self._stall_timeout_s = stall_timeout_s
        self._idle: list[Connection] = []
        self._room = asyncio.Semaphore(MAX_CONNECTIONS)
        self._receiver = Receiver()

    def close(self) -> None:
        """Close the connections that wait for a next request."""
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
        self._receiver.close()

    @asynccontextmanager
    async def get(
        self, url: str, headers: Mapping[str, str], what: str
    ) -> AsyncIterator[PlainAnswer]:
        """Send a GET and open its answer; leaving the block gives the connection back.

        Args:
            url: one that `is_plain` and that the guard has checked.
            headers: sent along.
            what: names the request in errors.

        Raises:
            AddressRefused: the host is at no address that may be asked.
            UsageError: a header can't be sent.
            ConnectionLost, TimedOut: no answer.
        """
        request = get_request(url, headers)
        parts = urlsplit(url)
        origin = (parts.hostname or "", parts.port or 80)
        async with self._room:
            connection, head = await self._ask(origin, request, what)
            answer = PlainAnswer(connection, head, url, what)
            try:
                yield answer
            finally:
                if answer.is_over and head.stays_open:
                    self._idle.append(connection)
                else:
                    connection.close()

    async def _ask(self, origin: Origin, request: bytes, what: str) -> tuple[Connection, HttpHead]:
        while True:
            kept = self._kept(origin)
            connection = kept or await self._connect(origin, what)
            try:
                with failures(what, self._stall_timeout_s):
                    return connection, await connection.ask(request)
            except errors.ConnectionLost:
                connection.close()
                # A server may give a connection up just when it is used again.
                if kept is None or connection.has_answered:
                    raise
            except BaseException:
                connection.close()
                raise

    def _kept(self, origin: Origin) -> Connection | None:
        """Take a connection that is still good; those that waited too long are closed."""
        usable = []
        for connection in self._idle:
            if connection.is_quiet():
                usable.append(connection)
            else:
                connection.close()
        found = next((one for one in reversed(usable) if one.origin == origin), None)
        self._idle = [one for one in usable if one is not found]
        return found

    async def _connect(self, origin: Origin, what: str) -> Connection:
        from aiohappyeyeballs import start_connection

        host, port = origin
        found = await resolve_allowed(
            self._guard,
            host,
            asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM),
            lambda info: str(info[4][0]),
            timeout_s=self._connect_timeout_s,
        )
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                connected = await start_connection(found, happy_eyeballs_delay=_NEXT_ADDRESS_S)
        except TimeoutError:
            raise errors.TimedOut(f"{what}: no connection to {host}") from None
        except OSError as exc:
            raise errors.ConnectionLost(f"{what}: {exc.strerror or exc}") from exc
        return Connection(connected, origin, self._stall_timeout_s, self._receiver)


class PlainAnswer:
    """An answer whose body is still to be read; `headers` are looked up in any case.

    `is_over` once all of the body was read, so that the connection is free.
    """

    def __init__(self, connection: Connection, head: HttpHead, url: str, what: str) -> None:
        self._connection = connection
        self._head = head
        self._what = what
        self.status = head.status
        self.headers: Mapping[str, str] = head.headers
        self.url = url
        self.is_over = head.length_bytes == 0

    async def pass_to(self, write: Write) -> AsyncGenerator[int]:
        """Have the body written as it comes, and yield how many bytes that were each time: about
        2 MiB where it comes fast.

        Args:
            write: called with block after block, perhaps in a thread; what it is given is good for
                the call alone. What it raises of ours is passed on.

        Raises:
            ConnectionLost: it ended before its announced length.
            TimedOut: nothing came for longer than the stall limit.
        """
        passing = self._chunks(write) if self._head.is_chunked else self._run(write)
        async with contextlib.aclosing(passing):
            with failures(self._what, self._connection.stall_timeout_s):
                async for count in passing:
                    yield count

    async def _run(self, write: Write) -> AsyncGenerator[int]:
        left = self._head.length_bytes
        while left != 0:
            count = await self._connection.pass_on(write, STEP_BYTES if left is None else left)
            if not count and left is None:
                return
            if not count:
                raise Broken("the answer ended before its announced length")
            if left is not None:
                left -= count
                # Told at once: whoever has all of it may not ask for more.
                self.is_over = left == 0
            yield count

    async def _chunks(self, write: Write) -> AsyncGenerator[int]:
        passed = 0
        while left := await self._chunk_size():
            while left:
                count = await self._connection.pass_on(write, left)
                if not count:
                    raise Broken("the answer ended within a chunk")
                left -= count
                passed += count
                if passed >= STEP_BYTES or self._connection.is_empty:
                    yield passed
                    passed = 0
            if await self._connection.line():
                raise Broken("a chunk is longer than it says")
        await self._connection.lines()
        self.is_over = True
        if passed:
            yield passed

    async def _chunk_size(self) -> int:
        size = parse_chunk_size(await self._connection.line())
        if size is None:
            raise Broken("the answer is not cut into chunks as HTTP says")
        return size
