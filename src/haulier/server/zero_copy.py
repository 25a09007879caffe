"""Bytes of files to a connection without passing through this process: sendfile(2).

uvloop has no `sendfile` of its own, and threads that send would cost more than short pieces are
worth. So the event loop sends what the socket takes, and waits until it takes more.
"""

from __future__ import annotations

import asyncio
import errno
import os

from haulier.errors import ExternalServiceError

MESSAGE = "http.response.zerocopysend"
"""ASGI's name for an answer's bytes that are those of an open file."""

_SLICE_BYTES = 512 << 10


class FileSender:
    """Sends bytes of files over one connection; everything is called in the event loop.

    Args:
        transport: of a plain TCP connection.
        drain_s: how long nothing may be taken before the connection is given up.
    """

    def __init__(self, transport: asyncio.Transport, *, drain_s: float) -> None:
        self._transport = transport
        self._drain_s = drain_s
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Future[None] | None = None
        self._is_lost = False

    async def send(self, file: int, offset: int, count: int) -> None:
        """Send `count` bytes of the open `file`, behind everything that was written before.

        Raises:
            ConnectionResetError: the client went away, or takes nothing any more.
            ExternalServiceError: the file is shorter.
        """
        # The number of the connection's own may be another's once it is closed.
        socket = os.dup(self._transport.get_extra_info("socket").fileno())
        try:
            await self._flush(socket)
            end = offset + count
            while offset < end:
                slice_bytes = min(_SLICE_BYTES, end - offset)
                await _load(file, offset, slice_bytes)
                offset += await self._send_slice(socket, file, offset, slice_bytes)
                await asyncio.sleep(0)  # others want to be served as well
        finally:
            os.close(socket)

    def lost(self) -> None:
        """The connection was closed: nothing more can be sent."""
        self._is_lost = True
        self._wake()

    async def _flush(self, socket: int) -> None:
        if self._transport.get_write_buffer_size():
            await asyncio.sleep(0)  # uvloop writes when the loop has come round
        while self._transport.get_write_buffer_size():
            await self._until_writable(socket)

    async def _send_slice(self, socket: int, file: int, offset: int, count: int) -> int:
        while True:
            if self._is_lost:
                raise ConnectionResetError("the client went away")
            try:
                sent = os.sendfile(socket, file, offset, count)
            except BlockingIOError:
                await self._until_writable(socket)
                continue
            if not sent:
                raise ExternalServiceError("a stored file is shorter than its record")
            return sent

    async def _until_writable(self, socket: int) -> None:
        self._waiting = self._loop.create_future()
        self._loop.add_writer(socket, self._wake)
        try:
            async with asyncio.timeout(self._drain_s):
                await self._waiting
        except TimeoutError:
            self._transport.abort()
            raise ConnectionResetError("the client takes nothing any more") from None
        finally:
            self._loop.remove_writer(socket)
            self._waiting = None
        if self._is_lost:
            raise ConnectionResetError("the client went away")

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


async def _load(file: int, offset: int, count: int) -> None:
    """Have bytes of a file in the page cache: whoever sends them must not wait for the disk."""
    try:
        os.preadv(file, [bytearray(1)], offset + count - 1, getattr(os, "RWF_NOWAIT", 0))
    except OSError as exc:
        # Not in the cache, or on a file system that can't tell (tmpfs, network file systems).
        if exc.errno not in {errno.EAGAIN, errno.EOPNOTSUPP}:
            raise
        await asyncio.to_thread(os.pread, file, count, offset)
