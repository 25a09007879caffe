"""Where the bytes of unfinished uploads lie on a local disk.

Each session has one file. Bytes go to their offset in it as they come, so that finishing is a
rename, however large the file. What is acknowledged is decided by the catalog; bytes in the file
that no row speaks of are overwritten by whoever sends them again.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager, closing, suppress
from dataclasses import replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TypeVar

from haulier.core.checksums import RunningChecksum, crc32, crc64nvme
from haulier.core.sessions.chunks import Span, chunk_size_for
from haulier.core.sessions.session import Extent, Order, Settled, UploadSession, WholeFile
from haulier.errors import ExternalServiceError, FileSizeError, LockBusy, StorageFull
from haulier.transfer.sessions.claims import claim_range
from haulier.transfer.sessions.disk import require_room, start_write_back
from haulier.transfer.sessions.local_join import join
from haulier.transfer.sessions.packing import (
    packed_path,
    packed_size,
    packing,
    remove_all,
    remove_plain,
)
from haulier.transfer.sessions.staging import Piece
from haulier.transfer.sessions.stored import opened_plain, stored_pieces

T = TypeVar("T")

_WRITE_BACK_BYTES = 4 << 20


class Durability(StrEnum):
    """What an acknowledgement promises when the power fails; a killed process loses nothing."""

    NONE = "none"
    CHUNK = "chunk"
    COMPLETE = "complete"


class DirectoryStage:
    """Files of unfinished sessions in a directory, one for each, and whole files in another.

    Args:
        root: the directory of unfinished sessions.
        files_root: that of whole files, on the same file system.
        durability: when bytes are synced to the disk.
        threads: writes at once.
    """

    def __init__(
        self,
        root: Path,
        files_root: Path,
        *,
        durability: Durability = Durability.CHUNK,
        threads: int = 8,
    ) -> None:
        self._root = root
        self._files_root = files_root
        self._durability = durability
        self._threads = ThreadPoolExecutor(threads, "stage")

    def plan(self, session: UploadSession) -> UploadSession:
        """Return the session with the chunk size its client wants, else one that suits its size."""
        return replace(session, chunk_size=session.chunk_size or chunk_size_for(session.size_bytes))

    async def reserve(self, session: UploadSession) -> UploadSession:
        """Make the session's file, with room for its size on the disk.

        Raises:
            StorageFull: the disk has not as much room.
        """
        await self._in_thread(lambda: self._reserve(session.session_id, session.size_bytes))
        return session

    async def finish(self, session: UploadSession, whole: WholeFile) -> None:
        """Move the session's file to that of `session.file_id`; may be done twice.

        Raises:
            ExternalServiceError: the file is not there, or not as long as it should be.
        """
        assert session.file_id is not None
        target = self._file(session.file_id)
        await self._in_thread(lambda: self._finish(session.session_id, whole.size_bytes, target))

    async def discard(self, session_id: str, file_id: str | None = None) -> None:  # noqa: ARG002 - the file lies under the session's id
        """Remove the session's file; nothing happens when there is none."""
        await self._in_thread(lambda: self._path(session_id).unlink(missing_ok=True))

    async def session_ids(self) -> list[str]:
        """Return the sessions that have a file."""

        def names() -> list[str]:
            if not self._root.exists():
                return []
            return sorted(os.listdir(self._root))

        return await self._in_thread(names)

    async def delete(self, file_id: str) -> None:
        """Remove a whole file; nothing happens when there is none."""
        await self._in_thread(lambda: remove_all(self._file(file_id)))

    async def aclose(self) -> None:
        """Wait for writes that run."""
        await asyncio.to_thread(self._threads.shutdown)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, translated, work)

    def _path(self, session_id: str) -> Path:
        return self._root / session_id

    def _file(self, file_id: str) -> Path:
        return self._files_root / file_id[-2:] / file_id

    def _reserve(self, session_id: str, size_bytes: int | None) -> None:
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(session_id)
        descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
        try:
            if size_bytes:
                require_room(descriptor, size_bytes)
                os.posix_fallocate(descriptor, 0, size_bytes)
            if self._durability is not Durability.NONE:
                sync_directory(self._root)
        except (OSError, StorageFull):
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
            sync_directory(target.parent)
            sync_directory(self._root)


class LocalStage(DirectoryStage):
    """Files as they are, which others on this machine may read."""

    def writer(
        self, session: UploadSession, span: Span, checks: tuple[RunningChecksum, ...] = ()
    ) -> LocalWriter:
        """Return what writes from the span's offset on; `checks` are fed with the same bytes."""
        return LocalWriter(
            self._path(session.session_id),
            span.offset,
            checks,
            self._threads,
            length=span.length if session.order is Order.CHUNKED else 0,
            size_bytes=session.size_bytes,
            synced=self._durability is Durability.CHUNK,
        )

    async def join(self, session: UploadSession, parts: Sequence[UploadSession]) -> UploadSession:
        """Write the files of other sessions, one behind the other, into the session's file.

        May be done twice.

        Raises:
            SessionGone: bytes of one of them are not there.
            StorageFull: the disk has not as much room.
        """
        files = [(self._path(one.session_id), one.offset) for one in parts]
        await self._in_thread(lambda: join(self._path(session.session_id), files))
        return session

    @asynccontextmanager
    async def read(
        self, file_id: str, span: Span
    ) -> AsyncIterator[AsyncIterator[bytes | bytearray]]:
        """Open bytes of a whole file as pieces of 256 KiB.

        Raises:
            ExternalServiceError: the file is not there, or shorter than `span`.
        """
        async with stored_pieces(self._file(file_id), span) as pieces:
            yield pieces

    def open(self, file_id: str) -> AbstractContextManager[int | None]:
        """Open a whole file for reading; gives its descriptor, or None where it is packed.

        Raises:
            ExternalServiceError: it is not there.
        """
        return opened_plain(self._file(file_id))

    def path_of(self, file_id: str) -> Path | None:
        """Return where the file with that id lies, or would; None where it is packed.

        That is also said while it lies there still, as it may be gone when somebody opens it.
        """
        path = self._file(file_id)
        return None if packed_path(path).exists() else path

    def paths_of(self, file_id: str) -> list[Path]:
        """Return what holds the file with that id: the file itself, a packed one, or both."""
        path = self._file(file_id)
        return [one for one in (path, packed_path(path)) if one.exists()]

    async def pack(self, file_id: str, size_bytes: int, crc64nvme: int) -> int | None:
        """Write a whole file packed beside itself; may be done twice.

        Returns:
            How large it is packed; None when so little would be saved that nothing was done.

        Raises:
            VerificationFailed: what lies there is not what was stored.
            StorageFull: there is no room for both.
            ExternalServiceError: it is not there.
        """
        path = self._file(file_id)
        with closing(packing(path, size_bytes, crc64nvme)) as steps:
            step = partial(next, steps, False)
            while await _ended(asyncio.ensure_future(self._in_thread(step))):
                pass
        return await self._in_thread(lambda: packed_size(path))

    async def remove_plain(self, file_id: str) -> None:
        """Leave only the packed one of a file that was packed; may be done twice."""
        await self._in_thread(lambda: remove_plain(self._file(file_id)))


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
        length: int,
        size_bytes: int | None,
        synced: bool,
    ) -> None:
        self._path = path
        self._length = length  # 0: whatever comes
        self._size_bytes = size_bytes
        self._takes_room = False
        self._offset = offset
        self._written = self._settled = offset
        self._checks = checks
        self._threads = threads
        self._synced = synced
        self._descriptor = -1
        self._writing_back = offset
        self._taken = 0
        self._crc64nvme = 0
        self._crc32 = 0
        self._pending: asyncio.Future[None] | None = None

    @property
    def taken_bytes(self) -> int:
        """How many bytes were given to it."""
        return self._taken

    async def write(self, piece: Piece) -> None:
        """Take `piece`; raises what the one before it met: StorageFull, ExternalServiceError."""
        self._taken += len(piece)
        await self._settle_writes()
        offset, self._offset = self._offset, self._offset + len(piece)
        loop = asyncio.get_running_loop()
        self._pending = loop.run_in_executor(
            self._threads, translated, lambda: self._put(piece, offset)
        )

    async def checkpoint(self) -> Settled:
        """See `settle`: on a disk nothing is gained by waiting longer."""
        return await self.settle()

    async def settle(self) -> Settled:
        """Wait for what runs, sync it where that is promised, and return what is written anew."""
        await self._settle_writes()
        if self._synced and self._descriptor >= 0:
            loop = asyncio.get_running_loop()
            self._pending = loop.run_in_executor(
                self._threads, translated, lambda: os.fdatasync(self._descriptor)
            )
            await self._settle_writes()
        span = Span(self._settled, self._written - self._settled)
        extent = Extent(span=span, crc64nvme=self._crc64nvme, crc32=self._crc32)
        self._settled, self._crc64nvme, self._crc32 = self._written, 0, 0
        return Settled(extent=extent)

    async def published(self) -> None:
        """Nothing is replaced: bytes lie where they will stay."""

    async def aclose(self) -> None:
        """Wait for a write that runs and close the file; nothing more is written after it."""
        with suppress(StorageFull, ExternalServiceError, LockBusy):
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
            self._open()
        if self._takes_room:
            require_room(self._descriptor, len(piece))
        rest = memoryview(piece)
        while rest:
            written = os.pwrite(self._descriptor, rest, offset)
            rest, offset = rest[written:], offset + written
        if self._synced and offset - self._writing_back >= _WRITE_BACK_BYTES:
            # While more comes: the sync has less to wait for then.
            start_write_back(self._descriptor, self._writing_back, offset - self._writing_back)
            self._writing_back = offset
        self._crc64nvme = crc64nvme(piece, self._crc64nvme)
        self._crc32 = crc32(piece, self._crc32)
        for check in self._checks:
            check.update(piece)
        self._written += len(piece)

    def _open(self) -> None:
        descriptor = os.open(self._path, os.O_WRONLY)
        try:
            claim_range(descriptor, self._written, self._length)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        has_bytes = os.fstat(self._descriptor).st_blocks * 512
        self._takes_room = self._size_bytes is None or has_bytes < self._size_bytes


async def _ended(step: asyncio.Future[T]) -> T:
    """Wait for a step in a thread; cancelled, do so as well, as it works with what is open."""
    try:
        return await asyncio.shield(step)
    except asyncio.CancelledError:
        await asyncio.wait({step})
        raise


def translated(work: Callable[[], T]) -> T:
    """Do `work` on the disk; what goes wrong there becomes an error of ours."""
    try:
        return work()
    except OSError as exc:
        if exc.errno == errno.EFBIG:
            raise FileSizeError("the disk holds no file as large as this upload") from exc
        if exc.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageFull("there is no room left for this upload") from exc
        raise ExternalServiceError(f"the data directory failed: {exc.strerror}") from exc


def sync_directory(path: Path) -> None:
    """Make the names in `path` durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
