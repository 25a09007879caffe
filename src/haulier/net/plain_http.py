"""GET without TLS, for large bodies: what comes is written straight from one small buffer.

A fast download spends most of its time copying bytes from one object into the next. Here one
thread receives what a connection has, writes it on, and goes to the next; large blocks, as a file
system takes those at a smaller price. Several threads would wait for each other: only one of them
runs Python, and only one writes into a file. It speaks as much HTTP/1.1 as a GET needs: announced
lengths, chunks, bodies that end with their connection, and connections that are used again.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from haulier import errors
from haulier.core.http_head import HttpHead, get_request, parse_chunk_size, parse_head
from haulier.net.guard import AddressGuard, resolve_allowed
from haulier.net.threads import in_thread

STEP_BYTES = 2 << 20
MAX_CONNECTIONS = 32

_HEAD_BYTES = 64 << 10
_MOST_HEAD_BYTES = 32 << 10
_MOST_IDLE_S = 15.0
_NEXT_ADDRESS_S = 0.25
_MOST_HINTS = 8

Origin = tuple[str, int]
Write = Callable[[memoryview], None]


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
        self._idle: list[_Connection] = []
        self._room = asyncio.Semaphore(MAX_CONNECTIONS)
        self._receiver = _Receiver()

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

    async def _ask(self, origin: Origin, request: bytes, what: str) -> tuple[_Connection, HttpHead]:
        while True:
            kept = self._kept(origin)
            connection = kept or await self._connect(origin, what)
            try:
                with _failures(what, self._stall_timeout_s):
                    return connection, await connection.ask(request)
            except errors.ConnectionLost:
                connection.close()
                # A server may give a connection up just when it is used again.
                if kept is None or connection.has_answered:
                    raise
            except BaseException:
                connection.close()
                raise

    def _kept(self, origin: Origin) -> _Connection | None:
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

    async def _connect(self, origin: Origin, what: str) -> _Connection:
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
        return _Connection(connected, origin, self._stall_timeout_s, self._receiver)


class PlainAnswer:
    """An answer whose body is still to be read; `headers` are looked up in any case.

    `is_over` once all of the body was read, so that the connection is free.
    """

    def __init__(self, connection: _Connection, head: HttpHead, url: str, what: str) -> None:
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
            with _failures(self._what, self._connection.stall_timeout_s):
                async for count in passing:
                    yield count

    async def _run(self, write: Write) -> AsyncGenerator[int]:
        left = self._head.length_bytes
        while left != 0:
            count = await self._connection.pass_on(write, STEP_BYTES if left is None else left)
            if not count and left is None:
                return
            if not count:
                raise _Broken("the answer ended before its announced length")
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
                    raise _Broken("the answer ended within a chunk")
                left -= count
                passed += count
                if passed >= STEP_BYTES or self._connection.is_empty:
                    yield passed
                    passed = 0
            if await self._connection.line():
                raise _Broken("a chunk is longer than it says")
        await self._connection.lines()
        self.is_over = True
        if passed:
            yield passed

    async def _chunk_size(self) -> int:
        size = parse_chunk_size(await self._connection.line())
        if size is None:
            raise _Broken("the answer is not cut into chunks as HTTP says")
        return size


class _Broken(Exception):
    """What came can't be used; says why."""


@contextlib.contextmanager
def _failures(what: str, stall_timeout_s: float) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise errors.TimedOut(f"{what}: no byte moved for {stall_timeout_s:g} s") from None
    except OSError as exc:
        raise errors.ConnectionLost(f"{what}: {exc.strerror or exc}") from exc
    except _Broken as exc:
        raise errors.ConnectionLost(f"{what}: {exc}") from None


class _Receiver:
    """The thread that takes in large bodies, and its buffer; both are there from the first one."""

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None
        self._view = memoryview(b"")

    def close(self) -> None:
        """Have the thread end when it is done; the next body begins another."""
        if self._thread is not None:
            self._thread.shutdown(wait=False)
        self._thread, self._view = None, memoryview(b"")

    async def drain(
        self, first: memoryview, connected: socket.socket, write: Write, most_bytes: int
    ) -> int:
        """Write `first`, and on while there is more; return how many bytes that were."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "haulier-receives")
            self._view = memoryview(bytearray(STEP_BYTES))
        view = self._view
        return await in_thread(
            lambda _: _drain(first, connected, view, write, most_bytes), self._thread
        )


def _drain(
    first: memoryview, connected: socket.socket, view: memoryview, write: Write, most_bytes: int
) -> int:
    write(first)
    passed = len(first)
    # What fails here fails the next time as well.
    with contextlib.suppress(OSError):
        while passed < most_bytes:
            count = connected.recv_into(view[: most_bytes - passed])
            if count == 0:
                break
            write(view[:count])
            passed += count
    return passed


class _Connection:
    """A socket and the buffer of what came of it first."""

    def __init__(
        self,
        connected: socket.socket,
        origin: Origin,
        stall_timeout_s: float,
        receiver: _Receiver,
    ) -> None:
        self.origin = origin
        self.stall_timeout_s = stall_timeout_s
        self.has_answered = False
        self._loop = asyncio.get_running_loop()
        self._socket = connected
        self._receiver = receiver
        self._buffer = bytearray(_HEAD_BYTES)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        self._used_at = self._loop.time()

    def close(self) -> None:
        self._socket.close()

    def is_quiet(self) -> bool:
        """Whether it may be used again: open, not for too long, and nothing came unasked."""
        if self._start != self._end or self._loop.time() - self._used_at > _MOST_IDLE_S:
            return False
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    async def ask(self, request: bytes) -> HttpHead:
        """Send a request and return the head of its answer; hints sent before it are skipped."""
        self.has_answered = False
        async with asyncio.timeout(self.stall_timeout_s):
            await self._loop.sock_sendall(self._socket, request)
        for _ in range(_MOST_HINTS):
            head = parse_head(await self.lines())
            if head is None:
                raise _Broken("the answer is not HTTP")
            if head.status >= 200:
                return head
        raise _Broken("the answer does not begin")

    async def lines(self) -> list[bytes]:
        """Return the lines before the next empty one."""
        found: list[bytes] = []
        room = _MOST_HEAD_BYTES
        while line := await self.line():
            found.append(line)
            room -= len(line)
            if room < 0:
                raise _Broken("the head of the answer is too long")
        return found

    async def line(self) -> bytes:
        """Return the next line without its end."""
        while (end := self._buffer.find(b"\n", self._start, self._end)) < 0:
            if self._end - self._start > _MOST_HEAD_BYTES:
                raise _Broken("the answer is not HTTP")
            if not await self._receive():
                raise _Broken("the connection was closed before the answer was there")
        line = bytes(self._view[self._start : end])
        self._start = end + 1
        return line.removesuffix(b"\r")

    @property
    def is_empty(self) -> bool:
        """Whether all that was received is used."""
        return self._start == self._end

    async def pass_on(self, write: Write, most_bytes: int) -> int:
        """Have what is there written, at most so many bytes; 0 once the connection has ended."""
        if self.is_empty and not await self._receive():
            return 0
        first = self._view[self._start : min(self._end, self._start + most_bytes)]
        self._start += len(first)
        if len(first) == most_bytes:
            write(first)
            return most_bytes
        return await self._receiver.drain(first, self._socket, write, min(most_bytes, STEP_BYTES))

    async def _receive(self) -> bool:
        """Take in what has come, at least a byte; False once the connection has ended."""
        # From a fast sender there is always more: the others get their turn here.
        await asyncio.sleep(0)
        rest = self._end - self._start
        self._view[:rest] = bytes(self._view[self._start : self._end])
        self._start, self._end = 0, rest
        async with asyncio.timeout(self.stall_timeout_s):
            count = await self._loop.sock_recv_into(self._socket, self._view[rest:])
        self._end += count
        self.has_answered = self.has_answered or count > 0
        self._used_at = self._loop.time()
        return count > 0
