"""Uploads and files on a local disk, sealed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from haulier.catalog.catalog import Catalog
from haulier.catalog.transaction import Tx
from haulier.core.checksums import RunningChecksum
from haulier.core.sessions.chunks import Span
from haulier.core.sessions.session import Order, UploadSession, WholeFile
from haulier.errors import ConfigurationError, ExternalServiceError, SessionGone
from haulier.transfer.sessions.frames import (
    FRAME_BYTES,
    SEALED_FRAME_BYTES,
    FrameCipher,
    KeyRing,
    plain_size,
    sealed_size,
)
from haulier.transfer.sessions.sealed_writer import SealedWriter, Tails
from haulier.transfer.sessions.stage import DirectoryStage, Durability
from haulier.transfer.sessions.stored import opened, stored_pieces

_FRAMES_AT_ONCE = 8
_KEYS_AT_ONCE = 500


class SealedStage(DirectoryStage):
    """What `LocalStage` is, with every byte sealed before it is on the disk.

    Files that were stored before are read as they are.

    Args:
        root: the directory of unfinished sessions.
        files_root: that of whole files, on the same file system.
        tails_root: that of what unfinished sessions have behind their last frame.
        catalog: where the keys of files are.
        keys: the server's.
        durability: when bytes are synced to the disk.
    """

    def __init__(
        self,
        root: Path,
        files_root: Path,
        tails_root: Path,
        *,
        catalog: Catalog,
        keys: KeyRing,
        durability: Durability = Durability.CHUNK,
    ) -> None:
        super().__init__(root, files_root, durability=durability)
        self._catalog = catalog
        self._keys = keys
        self._tails = Tails(tails_root, synced=durability is Durability.CHUNK)

    def plan(self, session: UploadSession) -> UploadSession:
        """Return the session with a chunk size that holds whole frames."""
        planned = super().plan(session)
        frames = max(1, -(-planned.chunk_size // FRAME_BYTES))
        return replace(planned, chunk_size=frames * FRAME_BYTES)

    async def reserve(self, session: UploadSession) -> UploadSession:
        """Make the session's key and file, with room for its size on the disk."""
        key = self._keys.new_key(session.session_id)
        await self._catalog.transaction(lambda tx: tx.content_keys.put(key))
        size_bytes = None if session.size_bytes is None else sealed_size(session.size_bytes)
        await super().reserve(replace(session, size_bytes=size_bytes))
        return session

    def writer(
        self, session: UploadSession, span: Span, checks: tuple[RunningChecksum, ...] = ()
    ) -> SealedWriter:
        """Return what seals and writes from the span's offset on."""
        return SealedWriter(
            self._path(session.session_id),
            session,
            span.offset,
            checks,
            self._threads,
            length=span.length if session.order is Order.CHUNKED else 0,
            tails=self._tails,
            find_cipher=lambda: self._cipher_of_session(session),
            synced=self._durability is Durability.CHUNK,
        )

    async def join(self, session: UploadSession, parts: Sequence[UploadSession]) -> UploadSession:
        """Open the bytes of other sessions and seal them as the session's; may be done twice."""
        await self.reserve(session)  # it may have been cut off before it had a key
        writer = self.writer(session, Span(0, session.size_bytes or 0))
        try:
            for part in parts:
                async for piece in self._staged(part):
                    await writer.write(piece)
            await writer.settle()
        finally:
            await writer.aclose()
        return session

    async def finish(self, session: UploadSession, whole: WholeFile) -> None:
        """Give the file its key, then its place; may be done twice."""
        assert session.file_id is not None
        file_id = session.file_id
        known = await self._catalog.read(lambda tx: tx.content_keys.get(session.session_id))
        if known is not None:
            if session.tail is not None:
                await self._fold(session, session.tail, self._keys.cipher(known))
            key = self._keys.rewrapped(known, file_id)
            await self._catalog.transaction(lambda tx: tx.content_keys.put(key))
            whole = replace(whole, size_bytes=sealed_size(whole.size_bytes))
        # Without a key it was begun before there was one, or has its place already.
        await super().finish(session, whole)
        await self._forget(session.session_id)

    async def discard(self, session_id: str, file_id: str | None = None) -> None:
        """Remove the session's file and its key; nothing happens when there is none."""
        await super().discard(session_id, file_id)
        await self._forget(session_id)

    async def session_ids(self) -> list[str]:
        """Return the sessions that have a file, or a tail."""
        tails = await self._in_thread(self._tails.session_ids)
        return sorted(tails.union(await super().session_ids()))

    @asynccontextmanager
    async def read(
        self, file_id: str, span: Span
    ) -> AsyncIterator[AsyncIterator[bytes | bytearray]]:
        """Open bytes of a whole file as pieces of at most 512 KiB.

        Raises:
            ExternalServiceError: the file is not there, or shorter than `span`.
            DecryptionFailed: it was altered, or its key is not here.
        """
        key = await self._catalog.read(lambda tx: tx.content_keys.get(file_id))
        path = self._file(file_id)
        if key is None:  # it was stored before there was a key
            async with stored_pieces(path, span) as pieces:
                yield pieces
            return
        with opened(path) as descriptor:
            yield _opened_pieces(descriptor, self._keys.cipher(key), span)

    def path_of(self, file_id: str) -> Path | None:  # noqa: ARG002 - as `Stage` has it
        """Return None: what lies there is of use to nobody else."""
        return None

    async def delete(self, file_id: str) -> None:
        """Remove a whole file, and its key; nothing happens when there is none."""
        await super().delete(file_id)
        await self._catalog.transaction(lambda tx: tx.content_keys.delete(file_id))

    async def _forget(self, session_id: str) -> None:
        await self._in_thread(lambda: self._tails.drop_all(session_id))
        await self._catalog.transaction(lambda tx: tx.content_keys.delete(session_id))

    async def _cipher_of_session(self, session: UploadSession) -> FrameCipher:
        key = await self._catalog.read(lambda tx: tx.content_keys.get(session.session_id))
        if key is None:
            raise SessionGone(f"the upload of {session.name} was begun unsealed, or is over")
        return self._keys.cipher(key)

    async def _fold(self, session: UploadSession, tail: str, cipher: FrameCipher) -> None:
        """Write the tail as the last frame, where the file's size was told after it came."""
        frame = session.offset // FRAME_BYTES

        def fold() -> None:
            path = self._path(session.session_id)
            if not path.exists():
                return  # it has its place already
            # As it is: it was sealed as this frame.
            sealed = self._tails.read(tail)
            cipher.open(frame, sealed)
            descriptor = os.open(path, os.O_WRONLY)
            try:
                os.pwrite(descriptor, sealed, frame * SEALED_FRAME_BYTES)
            finally:
                os.close(descriptor)

        await self._in_thread(fold)

    async def _staged(self, part: UploadSession) -> AsyncIterator[bytes | bytearray]:
        """Yield the bytes of an unfinished session that are safe."""
        cipher = await self._cipher_of_session(part)
        in_frames = part.offset if part.tail is None else part.offset // FRAME_BYTES * FRAME_BYTES
        if in_frames:
            with opened(self._path(part.session_id)) as descriptor:
                async for piece in _opened_pieces(
                    descriptor, cipher, Span(0, in_frames), sealed_size(in_frames)
                ):
                    yield piece
        if part.tail is not None:
            sealed = await asyncio.to_thread(self._tails.read, part.tail)
            yield cipher.open(in_frames // FRAME_BYTES, sealed)


async def require_keys(catalog: Catalog, keys: KeyRing | None) -> None:
    """Make sure that all sealed files can be read.

    Raises:
        ConfigurationError: a key that is needed is not here.
    """
    needed = await catalog.read(lambda tx: tx.content_keys.key_ids())
    missing = needed - set(keys.keys if keys is not None else ())
    if missing:
        raise ConfigurationError(
            f"stored files are sealed with the key {', '.join(sorted(missing))}, which is not here",
            hint="Name it by ENCRYPTION_KEY, or among ENCRYPTION_OLD_KEYS when there is a new one.",
        )


async def rewrap(catalog: Catalog, keys: KeyRing) -> int:
    """Seal the keys of all files with the current key; return how many were not.

    Files stay as they are, and servers may run meanwhile.

    Raises:
        DecryptionFailed: a key is not here.
    """
    done = 0
    while count := await catalog.transaction(lambda tx: _rewrap_some(tx, keys)):
        done += count
    return done


def _rewrap_some(tx: Tx, keys: KeyRing) -> int:
    found = tx.content_keys.not_under(keys.current, _KEYS_AT_ONCE)
    for key in found:
        tx.content_keys.put(keys.rewrapped(key))
    return len(found)


async def _opened_pieces(
    descriptor: int, cipher: FrameCipher, span: Span, sealed_bytes: int | None = None
) -> AsyncIterator[bytes | bytearray]:
    """Yield bytes of a sealed file, of which only so many are looked at where that is told."""
    if sealed_bytes is None:
        sealed_bytes = os.fstat(descriptor).st_size
    if plain_size(sealed_bytes) < span.end:
        raise ExternalServiceError("a stored file is shorter than its record")
    frame = span.offset // FRAME_BYTES
    skipped, left = span.offset - frame * FRAME_BYTES, span.length
    while left:
        start = frame * SEALED_FRAME_BYTES
        frames = min(_FRAMES_AT_ONCE, -(-(skipped + left) // FRAME_BYTES))
        end = min(start + frames * SEALED_FRAME_BYTES, sealed_bytes)
        plain = await asyncio.to_thread(_open_frames, descriptor, cipher, frame, start, end)
        piece = plain[skipped : skipped + left]
        frame, skipped, left = frame + frames, 0, left - len(piece)
        yield piece


def _open_frames(
    descriptor: int, cipher: FrameCipher, frame: int, start: int, end: int
) -> bytearray:
    sealed = os.pread(descriptor, end - start, start)
    if len(sealed) < end - start:
        raise ExternalServiceError("a stored file is shorter than its record")
    return cipher.open(frame, sealed)
