"""Uploads that go to S3: each session is a multipart upload of the file that it will be.

Upload id and parts are in the catalog before anything is acknowledged, and nothing lies on this
machine, so that any host can go on with any session.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from haulier.catalog.catalog import Catalog
from haulier.core.checksums import RunningChecksum, crc32, crc64nvme
from haulier.core.records import new_file_id
from haulier.core.sessions.chunks import Span, chunk_size_for
from haulier.core.sessions.joined import extents_of
from haulier.core.sessions.session import (
    Extent,
    Order,
    UploadSession,
    WholeFile,
    join_sums,
)
from haulier.errors import (
    ExternalServiceError,
    FileSizeError,
    NoSuchObject,
    NoSuchUpload,
    SessionGone,
    ValidationError,
)
from haulier.store.base import ObjectInfo, PartReceipt
from haulier.transfer.sessions.s3_chunk_writer import S3ChunkWriter
from haulier.transfer.sessions.s3_join import S3Join
from haulier.transfer.sessions.s3_place import S3Place, store_errors
from haulier.transfer.sessions.s3_run_writer import S3RunWriter
from haulier.transfer.sessions.staging import Writer

_SEQUENTIAL_PART_BYTES = 10 << 20


class S3Stage:
    """Multipart uploads of sessions, and whole files, in a bucket.

    Args:
        place: the bucket and what keys begin with; no other catalog may use the same.
        catalog: where parts are recorded.
    """

    def __init__(self, place: S3Place, catalog: Catalog) -> None:
        self._place = place
        self._store = place.store
        self._catalog = catalog

    def plan(self, session: UploadSession) -> UploadSession:
        """Return the session with its chunks made parts, and the id that its key needs.

        Raises:
            FileSizeError: the file would need more parts than there can be.
        """
        limits, size_bytes = self._store.limits, session.size_bytes
        if size_bytes is not None and size_bytes > limits.max_object_bytes:
            raise FileSizeError(f"{session.name} is larger than an object can be")
        fitting = chunk_size_for(size_bytes, in_s3=True)
        least = max(limits.min_part_bytes, -(-(size_bytes or 0) // limits.max_parts))
        if session.order is Order.SEQUENTIAL:
            # Parts are collected in memory here, and no client sees how large they are.
            chunk_size = _SEQUENTIAL_PART_BYTES if size_bytes is None else least
        else:
            chunk_size = max(session.chunk_size or fitting, least)
        return replace(session, chunk_size=chunk_size, file_id=new_file_id())

    async def reserve(self, session: UploadSession) -> UploadSession:
        """Open the multipart upload; an empty file needs none."""
        if session.size_bytes == 0:
            return session
        assert session.file_id is not None
        with store_errors(session.name):
            upload_id = await self._store.start_upload(
                self._place.file_key(session.file_id), self._place.options
            )
        return replace(session, upload_id=upload_id)

    def writer(
        self, session: UploadSession, span: Span, checks: tuple[RunningChecksum, ...] = ()
    ) -> Writer:
        """Return what sends a chunk as a part, or cuts a run of bytes into parts."""
        if session.order is Order.SEQUENTIAL:
            return S3RunWriter(
                self._place, session, checks, lambda: self._last_part(session.session_id)
            )
        most = self._store.limits.max_parts
        if span.offset // session.chunk_size >= most:
            raise ValidationError(f"an upload has at most {most} chunks here")
        return S3ChunkWriter(self._place, session, span, checks)

    async def join(self, session: UploadSession, parts: Sequence[UploadSession]) -> UploadSession:
        """Make the objects of other sessions, one behind the other, parts of this one.

        May be done twice; what was copied is not copied again.

        Raises:
            SessionGone: the store has given up one of them, or this one.
            ExternalServiceError: the store failed; it may be tried again later.
        """
        if not session.size_bytes:
            return session
        if session.upload_id is None:
            # A crash came before it was recorded; another one of that key is ended with it.
            session = await self._open_again(session)
        filled = [one for one in parts if one.offset]
        for one in {one.session_id: one for one in filled}.values():
            await self.finish(one, join_sums([one]))
        with store_errors(session.name):
            await S3Join(self._place, self._catalog, session, self._keys_of(filled)).run(
                [await self._extents_of(one) for one in filled]
            )
        return session

    async def finish(self, session: UploadSession, whole: WholeFile) -> None:
        """Complete the multipart upload; may be done twice.

        Raises:
            SessionGone: the store has given the upload up; it can't be mended.
            ExternalServiceError: the store has not what was acknowledged.
        """
        assert session.file_id is not None
        key = self._place.file_key(session.file_id)
        with store_errors(session.name):
            try:
                info = await self._complete(session, key, whole)
            except (NoSuchUpload, NoSuchObject):
                # Completed before, by us or by somebody whose answer was lost.
                info = await self._completed_before(session, key)
            _compare(session, info, whole)
        if session.tail is not None:
            await self._place.drop_tail(session.session_id, session.tail)

    async def discard(self, session_id: str, file_id: str | None = None) -> None:
        """Abort the multipart uploads of a session and delete its tails."""
        with store_errors(session_id):
            if file_id is not None:
                key = self._place.file_key(file_id)
                async for one in self._store.list_uploads(key):
                    await self._store.abort_upload(one.key, one.upload_id)
            async for found in self._store.list_objects(self._place.tails_key(session_id)):
                await self._store.delete(found.key)

    async def session_ids(self) -> list[str]:
        """Return the sessions that have a tail.

        Multipart uploads need no search: the row of their session names the key before they are
        opened, and stays until they are aborted.
        """
        root = self._place.tails_key()
        with store_errors("all uploads"):
            found = {
                one.key.removeprefix(root).partition("/")[0]
                async for one in self._store.list_objects(root)
            }
        return sorted(found)

    @asynccontextmanager
    async def read(self, file_id: str, span: Span) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open bytes of a whole file as pieces of at most 1 MiB."""
        key = self._place.file_key(file_id)
        with store_errors(file_id):
            async with self._store.get(key, start=span.offset, end=span.end) as pieces:
                yield pieces

    async def link_to(self, file_id: str, *, answer_with: Mapping[str, str], expires_s: int) -> str:
        """Return a URL of a whole file that is good for `expires_s` seconds."""
        key = self._place.file_key(file_id)
        # Credentials may have to be asked of a server first.
        with store_errors(file_id):
            return await asyncio.to_thread(
                self._store.sign_get, key, expires_s=expires_s, answer_with=answer_with
            )

    def path_of(self, file_id: str) -> None:  # noqa: ARG002 - a driver on disks knows it
        """Nothing lies on this machine."""
        return

    async def delete(self, file_id: str) -> None:
        """Remove a whole file; nothing happens when there is none."""
        with store_errors(file_id):
            await self._store.delete(self._place.file_key(file_id))

    async def check(self) -> None:
        """Make sure that the bucket is there and can be read.

        Raises:
            StoreError: it is not, or can't be.
        """
        # Of an object that is not there: unlike to HEAD, the answer tells that from no bucket.
        with suppress(NoSuchObject):
            async with self._store.get(self._place.file_key("none")):
                pass

    async def aclose(self) -> None:
        """Close the connections to the bucket."""
        await self._store.aclose()

    async def _open_again(self, session: UploadSession) -> UploadSession:
        reserved = await self.reserve(session)
        return await self._catalog.transaction(lambda tx: tx.sessions.renew(session, reserved))

    def _keys_of(self, sessions: Sequence[UploadSession]) -> list[str]:
        return [self._place.file_key(one.file_id) for one in sessions if one.file_id is not None]

    async def _extents_of(self, session: UploadSession) -> list[Extent]:
        stored = await self._catalog.read(lambda tx: tx.sessions.chunks(session.session_id))
        return extents_of(session, list(stored.values()))

    async def _complete(self, session: UploadSession, key: str, whole: WholeFile) -> ObjectInfo:
        assert session.file_id is not None
        if not whole.size_bytes:
            if session.upload_id is not None:
                await self._store.abort_upload(key, session.upload_id)
            return await self._store.put(key, b"", options=self._place.options)
        if session.upload_id is None:
            raise SessionGone(f"the upload of {session.name} was begun in another store")
        parts = await self._catalog.read(lambda tx: tx.sessions.chunks(session.session_id))
        receipts = list(_receipts(parts.items()))
        if session.tail is not None:
            receipts.append(await self._end_with_tail(session, session.tail, receipts))
        await self._store.complete_upload(
            key, session.upload_id, receipts, crc64nvme=f"{whole.crc64nvme:016x}"
        )
        return await self._head(key)

    async def _end_with_tail(
        self, session: UploadSession, tail: str, parts: list[PartReceipt]
    ) -> PartReceipt:
        assert session.file_id is not None
        assert session.upload_id is not None
        kept = await self._place.read_tail(session.session_id, tail)
        sums = Extent(
            span=Span(session.offset - len(kept), len(kept)),
            crc64nvme=crc64nvme(kept),
            crc32=crc32(kept),
        )
        number = len(parts) + 1
        return await self._place.put_part(session.file_id, session.upload_id, number, [kept], sums)

    async def _completed_before(self, session: UploadSession, key: str) -> ObjectInfo:
        try:
            return await self._head(key)
        except NoSuchObject as exc:
            raise SessionGone(
                f"the object store has given up the upload of {session.name}"
            ) from exc

    async def _head(self, key: str) -> ObjectInfo:
        return await self._store.head(key)

    async def _last_part(self, session_id: str) -> tuple[int, Extent] | None:
        return await self._catalog.read(lambda tx: tx.sessions.last_chunk(session_id))


def _receipts(parts: Iterable[tuple[int, Extent]]) -> Iterable[PartReceipt]:
    for number, part in parts:
        yield PartReceipt(
            number=number,
            size_bytes=part.span.length,
            etag=part.etag or "",
            crc64nvme=f"{part.crc64nvme:016x}",
        )


def _compare(session: UploadSession, info: ObjectInfo, whole: WholeFile) -> None:
    found = (info.size_bytes, info.crc64nvme or f"{whole.crc64nvme:016x}")
    if found != (whole.size_bytes, f"{whole.crc64nvme:016x}"):
        raise ExternalServiceError(
            f"the object store has other bytes of {session.name} than were acknowledged",
            hint="Send the file again; an operator should look at the object store.",
        )
