"""A double of clamd that speaks its protocol and misbehaves as told.

    async with FakeClamd() as clamd:
        clamd.faults.append(ClamdFault(after_bytes=1000, stall=True))
        ... scan at clamd.url ...

Whatever holds `FakeClamd.MARKER` is infected. Each scan takes the first of `faults`, if there is
one; PING and VERSION are always answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

_READ_BYTES = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ClamdFault:
    """How one scan goes wrong.

    Args:
        after_bytes: content bytes that are read before it does; None: all.
        before: called then.
        reply: sent then; None for the verdict as it should be.
        stall: afterwards nothing is read, and the connection stays open; else it is closed.
    """

    after_bytes: int | None = None
    before: Callable[[], None] | None = None
    reply: bytes | None = None
    stall: bool = False


class FakeClamd:
    """Listens on a free port of 127.0.0.1, or on a unix socket, while its block runs.

    Args:
        socket_path: of the unix socket.

    Attributes:
        pong, version: what it answers to PING and VERSION.
        stream_max_bytes: of a longer stream it says so and hangs up, like clamd.
        faults: what goes wrong with the next scans.
        scanned: the content of each scan that ran to its end.
        gate: scans wait for it, once they have their content.
        at_gate, most_at_gate: scans that wait now, and that ever waited at once.
    """

    MARKER = b"infected by haulier"
    SIGNATURE = "Fake.Marker"

    def __init__(self, socket_path: Path | None = None) -> None:
        self.pong = b"PONG\0"
        self.version = b"ClamAV 1.0.0/27000/Thu Jan  2 03:04:05 2025\0"
        self.stream_max_bytes = 25 << 20
        self.faults: deque[ClamdFault] = deque()
        self.scanned: list[bytes] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.at_gate = self.most_at_gate = 0
        self._socket_path = socket_path
        self._listener: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        if self._socket_path is not None:
            return f"unix:{self._socket_path}"
        assert self._listener is not None
        return f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"

    async def __aenter__(self) -> Self:
        family = socket.AF_INET if self._socket_path is None else socket.AF_UNIX
        self._listener = socket.socket(family)
        self._listener.bind(str(self._socket_path) if self._socket_path else ("127.0.0.1", 0))
        self._listener.listen(100)
        self._listener.setblocking(False)
        self._start(self._accept(self._listener))
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        assert self._listener is not None
        self._listener.close()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listener: socket.socket) -> None:
        while True:
            connection, _ = await asyncio.get_running_loop().sock_accept(listener)
            self._start(self._serve(connection))

    async def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(ConnectionError, EOFError):
            session = _Session(connection)
            command = await session.command()
            if command == b"zPING":
                await session.send(self.pong)
            elif command == b"zVERSION":
                await session.send(self.version)
            else:
                await self._scan(session, command)

    async def _scan(self, session: _Session, command: bytes) -> None:
        fault = self.faults.popleft() if self.faults else ClamdFault()
        if command == b"zFILDES":
            content, prefix = await session.file(fault.after_bytes), b"fd[10]: "
        else:
            most = self.stream_max_bytes if fault.after_bytes is None else fault.after_bytes
            content, prefix = await session.stream(most), b"stream: "
        if fault.before is not None:
            fault.before()
        reply = fault.reply
        if content is not None:
            self.scanned.append(content)
            found = f"{self.SIGNATURE} FOUND".encode() if self.MARKER in content else b"OK"
            reply = prefix + found + b"\0" if reply is None and not fault.stall else reply
        elif fault == ClamdFault():
            reply = b"INSTREAM size limit exceeded. ERROR\0"
        await self._pass_gate()
        await session.send(reply or b"")
        if fault.stall:
            await asyncio.Event().wait()

    async def _pass_gate(self) -> None:
        self.at_gate += 1
        self.most_at_gate = max(self.most_at_gate, self.at_gate)
        try:
            await self.gate.wait()
        finally:
            self.at_gate -= 1


class _Session:
    """One client: its command and what follows it."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._received = b""
        self._descriptors: deque[int] = deque()

    async def command(self) -> bytes:
        while b"\0" not in self._received:
            await self._receive()
        command, _, self._received = self._received.partition(b"\0")
        return command

    async def file(self, most: int | None) -> bytes | None:
        """Read the file whose descriptor is passed; None when no more than `most` is wanted."""
        while not self._descriptors:
            await self._receive()
        with os.fdopen(self._descriptors.popleft(), "rb") as file:
            return file.read() if most is None else None

    async def stream(self, most: int) -> bytes | None:
        """Read chunks up to the empty one; None as soon as there are more than `most` bytes."""
        content = b""
        while length := struct.unpack("!I", await self._exactly(4))[0]:
            if len(content) + length > most:
                await self._exactly(most - len(content))
                return None
            content += await self._exactly(length)
        return content

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._connection, data)

    async def _exactly(self, count: int) -> bytes:
        while len(self._received) < count:
            await self._receive()
        data, self._received = self._received[:count], self._received[count:]
        return data

    async def _receive(self) -> None:
        """Receive bytes and descriptors alike, which no method of the loop's does."""
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(self._connection, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(self._connection)
        data, descriptors, _, _ = socket.recv_fds(self._connection, _READ_BYTES, 1)
        self._descriptors.extend(descriptors)
        if not data:
            raise EOFError
        self._received += data
