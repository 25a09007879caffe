"""Files made of other sessions' files in a bucket.

Each of these becomes an object first. The store copies from them what is large enough for a part;
what is too little goes through here, together with what follows it. Each part is recorded when it
is stored, so that whoever goes on after a crash makes only those that are missing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from haulier.catalog.catalog import Catalog
from haulier.core.sessions.joined import JoinedPart, plan_joined
from haulier.core.sessions.session import Extent, UploadSession
from haulier.errors import BadDigest, RequestRejected, SessionGone
from haulier.net.retry import retrying
from haulier.store.base import PartReceipt
from haulier.transfer.sessions.s3_place import S3Place

# The store answers when it has copied: with larger parts that takes longer than is waited for.
_COPIED_BYTES = 512 << 20
_MOST_COPIES = 3000


class S3Join:
    """Makes the multipart upload of a session from objects.

    Args:
        place: the bucket.
        catalog: where parts are recorded.
        session: what is made; its multipart upload is open.
        sources: the keys of the objects, in the order of their bytes.
    """

    def __init__(
        self, place: S3Place, catalog: Catalog, session: UploadSession, sources: Sequence[str]
    ) -> None:
        if session.file_id is None or session.upload_id is None:
            raise SessionGone(f"the upload of {session.name} was begun in another store")
        self._store = place.store
        self._catalog = catalog
        self._session = session
        self._sources = sources
        self._key, self._upload_id = place.file_key(session.file_id), session.upload_id

    async def run(self, files: Sequence[Sequence[Extent]]) -> None:
        """Store what is not stored yet; `files` are the extents of the objects."""
        session = self._session
        known = await self._catalog.read(lambda tx: tx.sessions.chunks(session.session_id))
        parts = plan_joined(
            files,
            least_bytes=self._store.limits.min_part_bytes,
            most_bytes=max(_COPIED_BYTES, session.offset // _MOST_COPIES),
        )
        for number, part in enumerate(parts, start=1):
            if number not in known:
                receipt = await self._put(number, part)
                await self._record(number, replace(part.extent, etag=receipt.etag))

    async def _put(self, number: int, part: JoinedPart) -> PartReceipt:
        if len(part.runs) > 1:
            return await retrying(lambda: self._relay(number, part))
        try:
            return await retrying(lambda: self._copy(number, part))
        except RequestRejected:
            # Not every store that speaks like S3 can copy.
            return await retrying(lambda: self._relay(number, part))

    async def _copy(self, number: int, part: JoinedPart) -> PartReceipt:
        [run] = part.runs
        receipt = await self._store.copy_part(
            self._key,
            self._upload_id,
            number,
            self._sources[run.source],
            run.span.offset,
            run.span.end,
        )
        if receipt.crc64nvme not in {None, f"{part.extent.crc64nvme:016x}"}:
            raise BadDigest(f"part {number} of {self._session.name} was copied with other bytes")
        return receipt

    async def _relay(self, number: int, part: JoinedPart) -> PartReceipt:
        # The checksum is that of what was received: the store refuses anything else.
        return await self._store.stream_part(
            self._key,
            self._upload_id,
            number,
            part.extent.span.length,
            self._pieces(part),
            lambda: f"{part.extent.crc64nvme:016x}",
        )

    async def _pieces(self, part: JoinedPart) -> AsyncIterator[bytes]:
        for run in part.runs:
            key, span = self._sources[run.source], run.span
            async with self._store.get(key, start=span.offset, end=span.end) as pieces:
                async for piece in pieces:
                    yield piece

    async def _record(self, number: int, extent: Extent) -> None:
        session = self._session
        await self._catalog.transaction(lambda tx: tx.sessions.add_chunk(session, number, extent))
