"""A client of ClamAV's daemon, clamd.

On a unix socket a file's descriptor is passed to the daemon (FILDES), so nothing is copied; over
TCP, and for streams, the bytes are sent (INSTREAM). clamd says OK of what is larger than its limits
without having looked at it, so the limits are known here, and what exceeds them is `unscanned`.
What it says of limits and encryption inside archives needs two of its settings; `missing_alerts`
tells whether they are on.
"""

from __future__ import annotations

import asyncio
import io
import re
import time
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from pathlib import Path

from haulier.errors import ScanFailed
from haulier.media.clamd_wire import (
    Address,
    Connection,
    Content,
    connected,
    nonsense,
    pieces_of,
    verdict_of,
)
from haulier.media.scan import ScanResult, Verdict, opened

_VERSION = re.compile(r"(ClamAV [!-.0-~]+)(?:/([ -~]+))?")
# clamd unpacks 100 levels at most, whatever its MaxRecursion.
_LEVELS_TOO_MANY = 101


@dataclass(frozen=True, slots=True, kw_only=True)
class ClamdVersion:
    """What a daemon says of itself.

    Attributes:
        scanner: such as `ClamAV 1.4.6`.
        database_version: number and date of the official signatures; None without them.
    """

    scanner: str
    database_version: str | None


class Clamd:
    """A `scan.Scanner` that asks clamd; it keeps no connection and needs no closing.

    The limits must be the daemon's own or smaller: of a larger file it would say OK unread. They
    are what Debian's package sets. A scan takes about 1 MiB of memory, beside the stream's own.

    Args:
        url: `unix:/path/to/socket` or `tcp://host:port`.
        connect_timeout_s: seconds until a connection must stand.
        stall_timeout_s: seconds the daemon may take no bytes, or be silent once it has all; more
            than its MaxScanTime.
        max_stream_bytes: its StreamMaxLength.
        max_file_bytes: the smaller of its MaxFileSize and MaxScanSize.
        max_scans: most scans at once, further ones wait; no more than its MaxThreads.
        clock: seconds, monotonic.

    Raises:
        ConfigurationError: the URL has neither form.
    """

    def __init__(
        self,
        url: str,
        *,
        connect_timeout_s: float = 5,
        stall_timeout_s: float = 180,
        max_stream_bytes: int = 25 << 20,
        max_file_bytes: int = 25 << 20,
        max_scans: int = 8,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = Address.parse(url)
        self._connect_timeout_s = connect_timeout_s
        self._stall_timeout_s = stall_timeout_s
        self._max_stream_bytes = min(max_stream_bytes, max_file_bytes)
        self._max_file_bytes = max_file_bytes
        self._slots = asyncio.Semaphore(max_scans)
        self._clock = clock

    async def ping(self) -> None:
        """Check that the daemon answers.

        Raises:
            ScanFailed: it does not.
        """
        if (reply := await self._ask(b"zPING\0")) != "PONG":
            raise nonsense(reply)

    async def version(self) -> ClamdVersion:
        """Return what the daemon says of itself.

        Raises:
            ScanFailed: it does not answer.
        """
        reply = await self._ask(b"zVERSION\0")
        match = _VERSION.fullmatch(reply)
        if match is None:
            raise nonsense(reply)
        return ClamdVersion(scanner=match[1], database_version=match[2])

    async def missing_alerts(self) -> list[str]:
        """Return which of `AlertExceedsMax` and `AlertEncrypted` are off in the daemon's settings.

        Without the first it says OK of archives that it did not unpack wholly for their size or
        depth, without the second of those it can't decrypt. Two small harmless archives show it.

        Raises:
            ScanFailed: there is no verdict.
        """
        samples = {"AlertExceedsMax": _deep_zip(), "AlertEncrypted": _encrypted_zip()}
        missing = []
        for setting, sample in samples.items():
            result = await self.scan_stream(_one(sample), name=f"a sample for {setting}")
            if result.signature is None:
                missing.append(setting)
        return missing

    async def scan_file(self, path: Path) -> ScanResult:
        """Scan a regular file.

        Raises:
            ScanFailed: the daemon can't be reached, stalled, or gave no verdict.
            SourceChanged: the file changed, was replaced or went away while it was scanned.
            TargetMissing: there is no such file.
            TargetUnreadable: it is no regular file, or may not be read.
        """
        started = self._clock()
        with opened(path) as (descriptor, size_bytes):
            async with aclosing(pieces_of(descriptor, path.name)) as pieces:
                if self._address.path is not None:
                    content = Content(descriptor=descriptor, limit_bytes=self._max_file_bytes)
                else:
                    content = Content(pieces=pieces, limit_bytes=self._max_stream_bytes)
                content.is_too_long = size_bytes > content.limit_bytes
                return await self._scan(content, path.name, started)

    async def scan_stream(self, chunks: AsyncIterator[bytes], *, name: str) -> ScanResult:
        """Scan bytes as they come; what `chunks` raises is passed on.

        The chunks may be left unread from where the verdict is known.

        Args:
            chunks: the content, in pieces of any size.
            name: what messages call it.

        Raises:
            ScanFailed: the daemon can't be reached, stalled, or gave no verdict.
        """
        content = Content(pieces=chunks, limit_bytes=self._max_stream_bytes)
        return await self._scan(content, name, self._clock())

    async def _scan(self, content: Content, name: str, started: float) -> ScanResult:
        async with self._slots:
            # Asked before: signatures loaded meanwhile must not be taken for those used.
            version = await self.version()
            reply = None if content.is_too_long else await self._reply_to(content)
        if reply is None:
            verdict, signature = Verdict.UNSCANNED, None
            reason: str | None = f"it is larger than {content.limit_bytes} bytes"
        else:
            verdict, signature, reason = verdict_of(reply, name=name)
        if verdict is Verdict.CLEAN and not content.is_complete:
            raise ScanFailed(f"clamd gave a verdict on {name} before it had all of it")
        return ScanResult(
            verdict=verdict,
            signature=signature,
            reason=reason,
            scanner=version.scanner,
            database_version=version.database_version,
            scanned_bytes=content.sent_bytes,
            duration_s=self._clock() - started,
        )

    async def _reply_to(self, content: Content) -> str | None:
        """Send the content and return the reply; None when it turned out to be too long."""
        async with self._connected() as connection:
            # Awaited from the start: it may come while we still send, and ends the sending.
            replying = asyncio.ensure_future(connection.reply())
            sending = asyncio.ensure_future(content.send(connection))
            try:
                await asyncio.wait({replying, sending}, return_when=asyncio.FIRST_COMPLETED)
                if not replying.done():
                    sending.result()
                    if content.is_too_long:
                        return None
                return await self._in_time(replying)
            finally:
                replying.cancel()
                sending.cancel()
                await asyncio.gather(replying, sending, return_exceptions=True)

    async def _ask(self, command: bytes) -> str:
        async with self._connected() as connection:
            await connection.write(command)
            return await self._in_time(asyncio.ensure_future(connection.reply()))

    async def _in_time(self, replying: asyncio.Future[str]) -> str:
        try:
            return await asyncio.wait_for(replying, self._stall_timeout_s)
        except TimeoutError as error:
            raise ScanFailed(
                f"clamd gave no answer within {self._stall_timeout_s:g} s",
                hint="Check that it is not overloaded; allow more than its MaxScanTime.",
            ) from error

    def _connected(self) -> AbstractAsyncContextManager[Connection]:
        return connected(
            self._address,
            connect_timeout_s=self._connect_timeout_s,
            stall_timeout_s=self._stall_timeout_s,
        )


async def _one(piece: bytes) -> AsyncIterator[bytes]:
    yield piece


def _deep_zip() -> bytes:
    packed = b"haulier"
    for _ in range(_LEVELS_TOO_MANY):
        packed = _zip(packed)
    return packed


def _encrypted_zip() -> bytes:
    packed = bytearray(_zip(b"haulier"))
    # The flag alone, in the member's header and in the directory: there is nothing to decrypt.
    packed[packed.index(b"PK\3\4") + 6] |= 1
    packed[packed.index(b"PK\1\2") + 8] |= 1
    return bytes(packed)


def _zip(member: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("member"), member)
    return buffer.getvalue()
