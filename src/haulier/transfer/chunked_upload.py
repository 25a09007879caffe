"""Files received in numbered chunks: the session engine's face for programs without a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

from haulier.core.checksums import format_checksum
from haulier.core.file_names import clean_name
from haulier.core.sessions.session import Order, ReceivedChunks, SessionStatus, UploadSession

if TYPE_CHECKING:
    from haulier.catalog.transaction import Tx
    from haulier.core.sessions.session import WholeFile
    from haulier.transfer.sessions.engine import SessionEngine
    from haulier.transfer.sessions.finishing import Finisher
    from haulier.transfer.sessions.s3_place import UploadStore
    from haulier.transfer.sessions.staging import Piece, Stage
    from haulier.transfer.sessions.sweeping import Sweeper

_NOBODY = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadSessionInfo:
    """How far an upload came.

    Args:
        size_bytes: None while it is not known.
        total_chunks: None while the size is not known.
        received: first and last number of each run of chunks that are safe; they start at 1.
        missing: the same of those that are not.
        percent: 0 to 100; None while the size is not known.
        status: `receiving`, or how it went on.
    """

    session_id: str
    name: str
    size_bytes: int | None
    chunk_size: int
    total_chunks: int | None
    received: tuple[tuple[int, int], ...]
    missing: tuple[tuple[int, int], ...]
    received_bytes: int
    percent: float | None
    status: SessionStatus
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkProgress:
    """A chunk is safe; `progress` is the share of the file that is, 0 to 1."""

    chunk_number: int
    progress: float | None
    status: str = "received"


@dataclass(frozen=True, slots=True, kw_only=True)
class AssembledFile:
    """A whole file.

    Args:
        path: where it lies on this machine, or None when it lies in a bucket.
        key: of the object, in a bucket.
        checksum: `crc32:` and `crc64nvme` hold the whole file's sums as `algorithm:hex`.
    """

    session_id: str
    name: str
    size_bytes: int
    path: Path | None
    key: str | None
    checksum: str
    crc64nvme: str


class ChunkedUploadManager:
    """Receives files in chunks: in any order, again, several at once, across restarts and kills.

    What `process_chunk` has returned for is on the disk and is never asked for again. Use it with
    `async with`, or call `aclose`. `haulier.sync.ChunkedUploadManager` is its blocking twin.

    Args:
        directory: where it keeps its records, and the files when there is no `store`.
        store: a bucket that takes the bytes instead; chunks then have at least 5 MiB.
        prefix: what keys in the bucket begin with.
    """

    def __init__(
        self, directory: str | Path, *, store: UploadStore | None = None, prefix: str = ""
    ) -> None:
        self._directory = Path(directory)
        self._store = store
        self._prefix = prefix
        self._opened: _Opened | None = None
        self._lock = asyncio.Lock()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Give back files and connections; a later call opens them again."""
        async with self._lock:
            self._opened = None
            await self._stack.aclose()

    async def initialize_session(
        self,
        file_name: str,
        file_size: int | None,
        *,
        chunk_size: int | None = None,
        mime_type: str | None = None,
        checksum: str | None = None,
    ) -> UploadSessionInfo:
        """Begin an upload.

        Args:
            file_name: directories and invisible characters are taken out of it.
            file_size: in bytes; None when it is told by completing.
            chunk_size: in bytes; else 1, 5 or 10 MiB by the file's size.
            mime_type: kept with it.
            checksum: `algorithm:hex` that the whole file must have.

        Raises:
            ValidationError: a name or number that can't be.
            FileSizeError: too large to be kept.
            StorageFull: the disk has no room for it.
        """
        from haulier.transfer.sessions.engine import NewUpload

        opened = await self._open()
        session = await opened.engine.start(
            NewUpload(
                owner_id=_NOBODY,
                name=clean_name(file_name),
                size_bytes=file_size,
                order=Order.CHUNKED,
                chunk_size=chunk_size,
                mime_type=mime_type,
                wanted_checksum=checksum,
            )
        )
        return await self._info(session)

    async def process_chunk(
        self,
        session_id: str,
        chunk_number: int,
        chunk_data: Piece | AsyncIterator[Piece],
        *,
        checksum: str | None = None,
    ) -> ChunkProgress:
        """Receive a chunk; a repeated one with the same bytes is harmless.

        Args:
            session_id: which upload.
            chunk_number: from 1.
            chunk_data: its bytes, or what yields them in pieces.
            checksum: `algorithm:hex` that they must have.

        Raises:
            FileNotFoundError: there is no such upload.
            ChecksumMismatch: the bytes are others; the chunk stays missing.
            ChunkConflict: it arrived before with other bytes.
            ValidationError, FileSizeError: there is no such chunk, or it is too short or too long.
            SessionGone: the upload has ended. StorageFull: the disk is full.
        """
        opened = await self._open()
        whole = isinstance(chunk_data, bytes | bytearray | memoryview)
        receipt = await opened.engine.put_chunk(
            session_id,
            chunk_number,
            _pieces(chunk_data),
            length=len(chunk_data) if whole else None,  # type: ignore[arg-type]  # told apart above
            checks=() if checksum is None else (checksum,),
        )
        size_bytes = receipt.session.size_bytes
        progress = receipt.arrived.size_bytes / size_bytes if size_bytes else None
        return ChunkProgress(chunk_number=chunk_number, progress=progress)

    async def get_session_info(self, session_id: str) -> UploadSessionInfo:
        """Return how far an upload came: what is needed to go on with it.

        Raises:
            FileNotFoundError: there is no such upload.
        """
        opened = await self._open()
        return await self._info(await opened.engine.get(session_id))

    async def assemble_file(self, session_id: str) -> AssembledFile:
        """Return the whole file. Nothing is copied or read again; harmless when repeated.

        Only a checksum such as SHA-256 over chunks that came out of order needs one reading.

        Raises:
            FileNotFoundError: there is no such upload.
            ChunksMissing: not everything has arrived; `missing` says what.
            ChecksumMismatch: it is another file than `checksum` named.
            SessionGone: the upload was ended.
        """
        opened = await self._open()
        session = await opened.engine.complete(session_id)
        if session.status is SessionStatus.VERIFYING:
            session = await opened.finisher.verify(session_id)
        if session.status is not SessionStatus.COMPLETED:
            session.check_open()
        assert session.file_id is not None
        whole = (await opened.engine.received(session)).whole()
        return AssembledFile(
            session_id=session_id,
            name=session.name,
            size_bytes=whole.size_bytes,
            path=opened.stage.path_of(session.file_id),
            key=f"{self._prefix}files/{session.file_id}" if self._store is not None else None,
            checksum=format_checksum("crc32", whole.crc32),
            crc64nvme=format_checksum("crc64nvme", whole.crc64nvme),
        )

    async def cleanup_session(self, session_id: str) -> None:
        """End an upload and remove its bytes; an assembled file stays. Harmless when repeated."""
        from haulier.errors import FileNotFoundError as NoSuchSession

        opened = await self._open()
        try:
            session = await opened.engine.cancel(session_id)
        except NoSuchSession:
            return
        await opened.stage.discard(session_id, session.file_id)

    async def cleanup_expired(self) -> int:
        """End the uploads to which nothing came for a day; return how many."""
        return (await (await self._open()).sweeper.sweep()).expired

    async def _info(self, session: UploadSession) -> UploadSessionInfo:
        opened = await self._open()
        received = await opened.engine.received(session)
        return _info_of(session, received)

    async def _open(self) -> _Opened:
        async with self._lock:
            if self._opened is None:
                self._opened = await self._put_together()
            return self._opened

    async def _put_together(self) -> _Opened:
        from haulier.catalog.catalog import Catalog
        from haulier.coordination.locks import MemoryLocks
        from haulier.transfer.sessions.engine import SessionEngine
        from haulier.transfer.sessions.finishing import Finisher
        from haulier.transfer.sessions.order import HashesInOrder
        from haulier.transfer.sessions.s3_place import S3Place
        from haulier.transfer.sessions.s3_stage import S3Stage
        from haulier.transfer.sessions.stage import LocalStage
        from haulier.transfer.sessions.sweeping import Sweeper

        directory = self._directory
        catalog = await self._stack.enter_async_context(
            await Catalog.open(directory / "uploads.db")
        )
        stage: Stage
        if self._store is None:
            stage = LocalStage(directory / "uploads", directory / "files")
            self._stack.push_async_callback(stage.aclose)
        else:
            stage = S3Stage(S3Place(store=self._store, prefix=self._prefix), catalog)
        hooks, hashes, locks = _NoHooks(), HashesInOrder(), MemoryLocks()
        finisher = Finisher(catalog=catalog, stage=stage, hashes=hashes, locks=locks, hooks=hooks)
        engine = SessionEngine(
            catalog=catalog, stage=stage, finisher=finisher, hashes=hashes, locks=locks, hooks=hooks
        )
        sweeper = Sweeper(catalog=catalog, stage=stage, finisher=finisher, locks=locks)
        return _Opened(stage, engine, finisher, sweeper)


@dataclass(frozen=True, slots=True)
class _Opened:
    stage: Stage
    engine: SessionEngine
    finisher: Finisher
    sweeper: Sweeper


class _NoHooks:
    """Nothing is done beside: there are no accounts here."""

    def started(self, tx: Tx, session: UploadSession) -> None: ...

    def grew(self, tx: Tx, session: UploadSession, size_bytes: int) -> None: ...

    def advanced(self, tx: Tx, session: UploadSession, received_bytes: int) -> None: ...

    def verifying(self, tx: Tx, session: UploadSession) -> None: ...

    def completed(self, tx: Tx, session: UploadSession, whole: WholeFile) -> None: ...

    def ended(self, tx: Tx, session: UploadSession) -> None: ...


def _info_of(session: UploadSession, received: ReceivedChunks) -> UploadSessionInfo:
    percent = None
    if session.size_bytes is not None:
        share = received.size_bytes / session.size_bytes if session.size_bytes else 1
        percent = round(100 * share, 2)
    return UploadSessionInfo(
        session_id=session.session_id,
        name=session.name,
        size_bytes=session.size_bytes,
        chunk_size=session.chunk_size,
        total_chunks=session.grid.total,
        received=tuple(received.numbers.runs),
        missing=tuple(received.missing()),
        received_bytes=received.size_bytes,
        percent=percent,
        status=session.status,
        expires_at=session.expires_at,
    )


async def _pieces(data: Piece | AsyncIterator[Piece]) -> AsyncIterator[Piece]:
    if isinstance(data, bytes | bytearray | memoryview):
        view = memoryview(data).cast("B")
        for at in range(0, len(view), 1 << 20):
            yield view[at : at + (1 << 20)]
        return
    async for piece in data:
        yield piece
