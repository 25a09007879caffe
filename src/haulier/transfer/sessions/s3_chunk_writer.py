"""A chunk on its way to S3: it leaves as a part of a multipart upload while it comes in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from haulier.core.checksums import RunningChecksum, crc32, crc64nvme
from haulier.core.sessions.chunks import Span
from haulier.core.sessions.session import Extent, Settled, UploadSession
from haulier.errors import HaulierError, SessionGone, ValidationError
from haulier.store.base import PartReceipt
from haulier.transfer.sessions.s3_place import S3Place, store_errors
from haulier.transfer.sessions.staging import Piece


class S3ChunkWriter:
    """Sends one chunk as one part, holding a few pieces of it at a time.

    What the store refuses can't be sent to it again from here: the chunk stays missing and its
    client sends it once more.
    """

    def __init__(
        self,
        place: S3Place,
        session: UploadSession,
        span: Span,
        checks: tuple[RunningChecksum, ...],
    ) -> None:
        self._place = place
        self._session = session
        self._span = span
        self._checks = checks
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(1)
        self._sending: asyncio.Task[PartReceipt] | None = None
        self._taken = 0
        self._crc64nvme = 0
        self._crc32 = 0

    @property
    def taken_bytes(self) -> int:
        """How many bytes were given to it."""
        return self._taken

    async def write(self, piece: Piece) -> None:
        """Take `piece`; raises what the store says: ExternalServiceError, SessionGone."""
        # Whoever gave it will write over it, and the socket may hold it longer than that.
        copy = bytes(piece)
        self._taken += len(copy)
        if self._checks:
            await asyncio.to_thread(self._feed, copy)
        self._crc64nvme = crc64nvme(copy, self._crc64nvme)
        self._crc32 = crc32(copy, self._crc32)
        await self._offer(copy)

    async def checkpoint(self) -> Settled:
        """Nothing of a part counts before all of it: see `settle`."""
        return await self.settle()

    async def settle(self) -> Settled:
        """Wait until the store has the part.

        Raises:
            ValidationError: fewer bytes came than the chunk has.
        """
        if self._taken < self._span.length:
            raise ValidationError(
                f"the chunk has {self._span.length} bytes; {self._taken} arrived",
                hint="Send the whole chunk again, with its Content-Length.",
            )
        await self._offer(None)
        assert self._sending is not None
        receipt = await self._sending
        extent = Extent(
            span=self._span,
            crc64nvme=self._crc64nvme,
            crc32=self._crc32,
            etag=receipt.etag,
        )
        return Settled(extent=extent)

    async def published(self) -> None:
        """Nothing is replaced: a part takes the place of an earlier one by its number."""

    async def aclose(self) -> None:
        """Break off a part that is not complete."""
        if self._sending is None:
            return
        self._sending.cancel()
        with suppress(asyncio.CancelledError, HaulierError):
            await self._sending

    def _feed(self, piece: bytes) -> None:
        for check in self._checks:
            check.update(piece)

    async def _offer(self, piece: bytes | None) -> None:
        if self._sending is None:
            self._sending = asyncio.create_task(self._send())
        # The store may refuse at any moment; nobody would take the piece then.
        put = asyncio.ensure_future(self._queue.put(piece))
        try:
            await asyncio.wait({put, self._sending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not put.done():
                put.cancel()
        if self._sending.done():
            self._sending.result()

    async def _send(self) -> PartReceipt:
        session = self._session
        if session.upload_id is None or session.file_id is None:
            raise SessionGone(f"the upload of {session.name} was begun in another store")
        with store_errors(session.name):
            return await self._place.store.stream_part(
                self._place.file_key(session.file_id),
                session.upload_id,
                self._span.offset // session.chunk_size + 1,
                self._span.length,
                self._pieces(),
                lambda: f"{self._crc64nvme:016x}",
            )

    async def _pieces(self) -> AsyncIterator[bytes]:
        while (piece := await self._queue.get()) is not None:
            yield piece
