"""clamd's protocol: how bytes and descriptors reach the daemon, and what its replies mean."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import struct
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from haulier.errors import ConfigurationError, ScanFailed, TargetUnreadable
from haulier.media.scan import Verdict

_DEFAULT_PORT = 3310
_PIECE_BYTES = 1 << 20
_MOST_REPLY_BYTES = 4096
_QUOTED_CHARS = 80
_VERDICT = re.compile(r"(?:stream|fd\[\d+\]): (?:(OK)|([!-~]+(?: [!-~]+)*) FOUND)")
_TOO_LONG = "INSTREAM size limit exceeded. ERROR"
# How clamd names what it could not look into, with AlertExceedsMax and AlertEncrypted.
_BLIND = re.compile(r"(?:Heuristics\.)?(?:Limits\.Exceeded|Encrypted)\.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a daemon listens: the path of a unix socket, or a host and port."""

    path: str | None = None
    host: str = ""
    port: int = _DEFAULT_PORT

    @classmethod
    def parse(cls, url: str) -> Address:
        """Read `unix:/path/to/socket` or `tcp://host:port`.

        Raises:
            ConfigurationError: it is neither.
        """
        try:
            parts = urlsplit(url)
            if parts.scheme == "unix" and parts.path.startswith("/") and not parts.netloc:
                return cls(path=parts.path)
            if parts.scheme == "tcp" and parts.hostname and parts.path in {"", "/"}:
                return cls(host=parts.hostname, port=parts.port or _DEFAULT_PORT)
        except ValueError:
            pass
        raise ConfigurationError(
            f"{url!r} is no address of clamd",
            hint="Write unix:/run/clamav/clamd.ctl or tcp://127.0.0.1:3310.",
        )


class Connection:
    """A connection for one command.

    A bare socket and no asyncio stream: that one throws away what it has received when a write
    fails, and clamd answers and closes while we still send.
    """

    def __init__(self, sock: socket.socket, stall_timeout_s: float) -> None:
        self._socket = sock
        self._stall_timeout_s = stall_timeout_s

    async def write(self, data: bytes | memoryview) -> bool:
        """Send all of it; false when the daemon takes no more: its reply may say why.

        Raises:
            ScanFailed: nothing moved for too long.
        """
        try:
            async with asyncio.timeout(self._stall_timeout_s):
                await asyncio.get_running_loop().sock_sendall(self._socket, data)
        except TimeoutError as error:
            raise ScanFailed(f"clamd took no bytes for {self._stall_timeout_s:g} s") from error
        except OSError:
            return False
        return True

    def pass_descriptor(self, descriptor: int) -> bool:
        """Send a descriptor; false when the daemon takes none."""
        try:
            socket.send_fds(self._socket, [b"\0"], [descriptor])
        except OSError:
            return False
        return True

    async def reply(self) -> str:
        """Return the reply, which ends at a zero byte; waits for as long as it takes.

        Raises:
            ScanFailed: the connection was lost before, or this is no reply of clamd's.
        """
        received = b""
        while b"\0" not in received and len(received) < _MOST_REPLY_BYTES:
            try:
                data = await asyncio.get_running_loop().sock_recv(self._socket, _MOST_REPLY_BYTES)
            except OSError as error:
                raise ScanFailed(f"the connection to clamd was lost: {error.strerror}") from error
            if not data:
                raise ScanFailed("clamd closed the connection without a verdict")
            received += data
        text, end, _ = received.partition(b"\0")
        if not end or not text.isascii():
            raise nonsense(text.decode("ascii", "backslashreplace"))
        return text.decode("ascii").strip()


@asynccontextmanager
async def connected(
    address: Address, *, connect_timeout_s: float, stall_timeout_s: float
) -> AsyncIterator[Connection]:
    """Connect to a daemon.

    Raises:
        ScanFailed: it can't be reached.
    """
    try:
        async with asyncio.timeout(connect_timeout_s):
            sock = await _connect(address)
    except TimeoutError as error:
        raise ScanFailed(f"clamd took no connection within {connect_timeout_s:g} s") from error
    except OSError as error:
        raise ScanFailed(f"clamd can't be reached: {error.strerror or error}") from error
    with sock:
        yield Connection(sock, stall_timeout_s)


async def _connect(address: Address) -> socket.socket:
    loop = asyncio.get_running_loop()
    if address.path is not None:
        return await _connect_to(socket.AF_UNIX, address.path)
    places = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    for family, _, _, _, place in places[:-1]:
        try:
            return await _connect_to(family, place)
        except OSError:
            continue
    return await _connect_to(places[-1][0], places[-1][4])


async def _connect_to(family: int, place: str | tuple[object, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, place)
    except BaseException:
        sock.close()
        raise
    return sock


@dataclass(slots=True, kw_only=True)
class Content:
    """What is to be scanned, and how far it was sent: a descriptor to pass, or pieces.

    Attributes:
        limit_bytes: most bytes that are sent.
        is_too_long: it has more than that.
        is_complete: the daemon has all of it.
    """

    descriptor: int | None = None
    pieces: AsyncIterator[bytes] | None = None
    limit_bytes: int
    sent_bytes: int = 0
    is_too_long: bool = False
    is_complete: bool = False

    async def send(self, connection: Connection) -> None:
        """Send the command and the content, until the daemon takes no more.

        What `pieces` raises is passed on.

        Raises:
            ScanFailed: the daemon stalled.
        """
        if self.descriptor is not None:
            begun = await connection.write(b"zFILDES\0")
            self.is_complete = begun and connection.pass_descriptor(self.descriptor)
            self.sent_bytes = os.fstat(self.descriptor).st_size
            return
        assert self.pieces is not None
        if not await connection.write(b"zINSTREAM\0"):
            return
        async for piece in self.pieces:
            if not await self._send_piece(connection, memoryview(piece)):
                return
        self.is_complete = await connection.write(struct.pack("!I", 0))

    async def _send_piece(self, connection: Connection, piece: memoryview) -> bool:
        if self.sent_bytes + len(piece) > self.limit_bytes:
            self.is_too_long = True
            return False
        # An empty piece would say that this is the end.
        for start in range(0, len(piece), _PIECE_BYTES):
            part = piece[start : start + _PIECE_BYTES]
            length = struct.pack("!I", len(part))
            if not (await connection.write(length) and await connection.write(part)):
                return False
            self.sent_bytes += len(part)
        return True


async def pieces_of(descriptor: int, name: str) -> AsyncGenerator[bytes, None]:
    """Read a file to its end, in a thread.

    Raises:
        TargetUnreadable: the medium fails.
    """
    offset = 0
    while True:
        try:
            piece = await asyncio.to_thread(os.pread, descriptor, _PIECE_BYTES, offset)
        except OSError as error:
            raise TargetUnreadable(
                f"{name} can't be read: {error.strerror}", hint="Check the disk it lies on."
            ) from error
        if not piece:
            return
        yield piece
        offset += len(piece)


def verdict_of(reply: str, *, name: str) -> tuple[Verdict, str | None, str | None]:
    """Return what a reply says: verdict, signature, and why something is unscanned.

    Raises:
        ScanFailed: it is no verdict.
    """
    if reply == _TOO_LONG:
        return Verdict.UNSCANNED, None, "it is larger than the daemon's StreamMaxLength"
    match = _VERDICT.fullmatch(reply)
    if match is None and reply.endswith(" ERROR"):
        raise ScanFailed(f"clamd could not scan {name}: {reply.removesuffix(' ERROR')}")
    if match is None:
        raise nonsense(reply)
    signature = match[2]
    if signature is None:
        return Verdict.CLEAN, None, None
    if blind := _BLIND.match(signature):
        what = "is encrypted" if "Encrypted" in blind[0] else "exceeds a limit of the daemon"
        return Verdict.UNSCANNED, signature, f"a part of it {what}: {signature}"
    return Verdict.INFECTED, signature, None


def nonsense(reply: str) -> ScanFailed:
    """Return the error for a reply that clamd would not give."""
    return ScanFailed(
        f"what answered is not clamd: {reply[:_QUOTED_CHARS]!r}",
        hint="Check that CLAMD_URL names the socket of clamd, and not of another service.",
    )
