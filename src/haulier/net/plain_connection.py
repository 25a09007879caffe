"""A connection to a web server, and the thread that writes down what comes by all of them.

A fast download spends most of its time copying bytes from one object into the next. Here one
thread receives what a connection has, writes it on, and goes to the next; in large blocks, which
cost a file system less. Several threads would wait for each other: only one of them runs Python at
a time, and only one writes into a file.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from haulier import errors
from haulier.core.http_head import HttpHead, parse_head
from haulier.net.threads import in_thread

STEP_BYTES = 2 << 20

_HEAD_BYTES = 64 << 10
_MOST_HEAD_BYTES = 32 << 10
_MOST_IDLE_S = 15.0
_MOST_HINTS = 8

Origin = tuple[str, int]
Write = Callable[[memoryview], None]


class Broken(Exception):
    """What came can't be used; says why."""


@contextlib.contextmanager
def failures(what: str, stall_timeout_s: float) -> Iterator[None]:
    """Raise what goes wrong in the block as TimedOut or ConnectionLost."""
    try:
        yield
    except TimeoutError:
        raise errors.TimedOut(f"{what}: no byte moved for {stall_timeout_s:g} s") from None
    except OSError as exc:
        raise errors.ConnectionLost(f"{what}: {exc.strerror or exc}") from exc
    except Broken as exc:
        raise errors.ConnectionLost(f"{what}: {exc}") from None


class Receiver:
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
    while passed < most_bytes:
        try:
            count = connected.recv_into(view[: most_bytes - passed])
        except OSError:  # nothing there for now; what else fails, fails the next time as well
            break
        if count == 0:
            break
        write(view[:count])
        passed += count
    return passed


class Connection:
    """A socket and the buffer of what came of it first."""

    def __init__(
        self,
        connected: socket.socket,
        origin: Origin,
        stall_timeout_s: float,
        receiver: Receiver,
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
        """Close the socket."""
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
                raise Broken("the answer is not HTTP")
            if head.status >= 200:
                return head
        raise Broken("the answer does not begin")

    async def lines(self) -> list[bytes]:
        """Return the lines before the next empty one."""
        found: list[bytes] = []
        room = _MOST_HEAD_BYTES
        while line := await self.line():
            found.append(line)
            room -= len(line)
            if room < 0:
                raise Broken("the head of the answer is too long")
        return found

    async def line(self) -> bytes:
        """Return the next line without its end."""
        while (end := self._buffer.find(b"\n", self._start, self._end)) < 0:
            if self._end - self._start > _MOST_HEAD_BYTES:
                raise Broken("the answer is not HTTP")
            if not await self._receive():
                raise Broken("the connection was closed before the answer was there")
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
