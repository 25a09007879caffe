"""Where the bytes of unfinished uploads lie on a local disk.

Each session has one file. Bytes go to their offset in it as they come, so that finishing is a
rename, however large the file. What is acknowledged is decided by the catalog; bytes in the file
that no row speaks of are overwritten by whoever sends them again.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from haulier.core.checksums import RunningChecksum, crc32, crc64nvme
from haulier.core.sessions.chunks import Span
from haulier.core.sessions.session import Extent
from haulier.errors import ExternalServiceError, StorageFull

T = TypeVar("T")

Piece = bytes | bytearray | memoryview


class Durability(StrEnum):
    """What an acknowledgement promises when the power fails; a killed process loses nothing."""

    NONE = "none"
    CHUNK = "chunk"
    COMPLETE = "complete"


class LocalStage:
    """Files of unfinished sessions in a directory, one for each.

    Args:
        root: the directory; `finish` moves files within its file system.
        durability: when bytes are synced to the disk.
        threads: writes at once.
    """

    def __init__(
        self, root: Path, *, durability: Durability = Durability.CHUNK, threads: int = 8
    ) -> None:
        self._root = root
        self._durability = durability
        self._threads = ThreadPoolExecutor(threads, "stage")

    async def reserve(self, session_id: str, size_bytes: int | None) -> None:
        """Make the session's file, with room for `size_bytes` on the disk.

        Raises:
            StorageFull: the disk has not as much room.
        """
        await self._in_thread(lambda: self._reserve(session_id, size_bytes))

    def writer(
        self, session_id: str, offset: int, checks: tuple[RunningChecksum, ...] = ()
    ) -> LocalWriter:
        """Return what writes from `offset` on; `checks` are fed with the same bytes."""
        return LocalWriter(
            self._path(session_id),
            offset,
            checks,
            self._threads,
            synced=self._durability is Durability.CHUNK,
        )

    async def finish(self, session_id: str, size_bytes: int, target: Path) -> None:
        """Move the session's file to `target`; may be done twice.

        Raises:
            ExternalServiceError: the file is not there, or not as long as it should be.
        """
        await self._in_thread(lambda: self._finish(session_id, size_bytes, target))

    async def discard(self, session_id: str) -> None:
        """Remove the session's file; nothing happens when there is none."""

        def remove() -> None:
            with suppress(FileNotFoundError):
                self._path(session_id).unlink()

        await self._in_thread(remove)

    async def session_ids(self) -> list[str]:
        """Return the sessions that have a file."""

        def names() -> list[str]:
            return sorted(os.listdir(self._root)) if self._root.exists() else []

        return await self._in_thread(names)

    async def aclose(self) -> None:
        """Wait for writes that run."""
        await asyncio.to_thread(self._threads.shutdown)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, _translated, work)

    def _path(self, session_id: str) -> Path:
        return self._root / session_id

    def _reserve(self, session_id: str, size_bytes: int | None) -> None:
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(session_id)
        descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
        try:
            if size_bytes:
                os.posix_fallocate(descriptor, 0, size_bytes)
            if self._durability is not Durability.NONE:
                _sync_directory(self._root)
        except OSError:
            path.unlink()
            raise
        finally:
            os.close(descriptor)

    def _finish(self, session_id: str, size_bytes: int, target: Path) -> None:
        path = self._path(session_id)
        if not path.exists() and target.exists():
            return
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR)
        try:
            found = os.fstat(descriptor).st_size
            if found < size_bytes:
                raise ExternalServiceError(
                    f"{found} bytes lie on the disk of {size_bytes} that were acknowledged",
                    hint="The data directory lost bytes; check the disk, then send the file again.",
                )
            if found > size_bytes:
                os.ftruncate(descriptor, size_bytes)
            if self._durability is not Durability.NONE:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        path.rename(target)
        if self._durability is not Durability.NONE:
            _sync_directory(target.parent)
            _sync_directory(self._root)


class LocalWriter:
    """Writes one run of bytes, each piece while the next one is on its way.

    A piece has to stay as it is until the second `write` after its own has returned, or `settle`.
    """

    def __init__(
        self,
        path: Path,
        offset: int,
        checks: tuple[RunningChecksum, ...],
        threads: ThreadPoolExecutor,
        *,
        synced: bool,
    ) -> None:
        self._path = path
        self._start = offset
        self._checks = checks
        self._threads = threads
        self._synced = synced
        self._descriptor = -1
        self._taken = 0
        self._written = 0
        self._crc64nvme = 0
        self._crc32 = 0
        self._pending: asyncio.Future[None] | None = None

    @property
    def taken_bytes(self) -> int:
        """How many bytes were given to it."""
        return self._taken

    async def write(self, piece: Piece) -> None:
        """Take `piece`; raises what the one before it met: StorageFull, ExternalServiceError."""
        offset = self._start + self._taken
        self._taken += len(piece)
        await self._settle_writes()
        loop = asyncio.get_running_loop()
        self._pending = loop.run_in_executor(
            self._threads, _translated, lambda: self._put(piece, offset)
        )

    async def settle(self) -> Extent:
        """Wait for what runs, sync it where that is promised, and return what is written."""
        await self._settle_writes()
        if self._synced and self._descriptor >= 0:
            loop = asyncio.get_running_loop()
            self._pending = loop.run_in_executor(
                self._threads, _translated, lambda: os.fdatasync(self._descriptor)
            )
            await self._settle_writes()
        return Extent(
            span=Span(self._start, self._written), crc64nvme=self._crc64nvme, crc32=self._crc32
        )

    async def aclose(self) -> None:
        """Wait for a write that runs and close the file; nothing more is written after it."""
        with suppress(StorageFull, ExternalServiceError):
            await self._settle_writes()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    async def _settle_writes(self) -> None:
        pending, self._pending = self._pending, None
        if pending is None:
            return
        try:
            await asyncio.shield(pending)
        except asyncio.CancelledError:
            # The thread goes on writing: whoever locked the session must not let go before.
            self._pending = pending
            raise

    def _put(self, piece: Piece, offset: int) -> None:
        if self._descriptor < 0:
            self._descriptor = os.open(self._path, os.O_WRONLY)
        rest = memoryview(piece)
        while rest:
            written = os.pwrite(self._descriptor, rest, offset)
            rest, offset = rest[written:], offset + written
        self._crc64nvme = crc64nvme(piece, self._crc64nvme)
        self._crc32 = crc32(piece, self._crc32)
        for check in self._checks:
            check.update(piece)
        self._written += len(piece)


def _translated(work: Callable[[], T]) -> T:
    try:
        return work()
    except OSError as exc:
        if exc.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise StorageFull("there is no room left for this upload") from exc
        raise ExternalServiceError(f"the data directory failed: {exc.strerror}") from exc


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
