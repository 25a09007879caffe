"""Multipart uploads to S3 part by part, to be gone on with from saved state."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from haulier.core.checksums import combine_crc64nvme, crc64nvme
from haulier.errors import (
    BadDigest,
    ChunksMissing,
    FileSizeError,
    NoSuchUpload,
    ValidationError,
)
from haulier.errors import FileNotFoundError as NoSuchSession

if TYPE_CHECKING:
    from haulier.store.base import MultipartStore, ObjectInfo, PartReceipt
    from haulier.store.s3_credentials import S3Access

SMALLEST_PART_BYTES = 5 << 20
LARGEST_PART_BYTES = 100 << 20
_PIECE_BYTES = 1 << 20
_log = logging.getLogger("haulier.uploads")


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamedBytes:
    """How much of an upload is stored, or on its way in the part that is being sent."""

    upload_id: str
    key: str
    sent_bytes: int
    parts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPart:
    """A part that the store has."""

    number: int
    size_bytes: int
    etag: str
    crc64nvme: str


@dataclass(slots=True)
class _Upload:
    key: str
    parts: dict[int, StoredPart] = field(default_factory=dict)
    on_the_way: dict[int, int] = field(default_factory=dict)


class StreamingUploadHandler:
    """Sends objects to S3 part by part.

    Parts have 5 to 100 MiB, the last one may be smaller; they may come in any order and several
    at once (into a directory one after the other). Each carries a CRC-64/NVME that the store
    compares, and the whole is compared when it is completed.
    `haulier.sync.StreamingUploadHandler` is its blocking twin.

    Args:
        store: where to; see `for_bucket`.
        on_progress: called as bytes leave; what it raises is logged and changes nothing.
    """

    def __init__(
        self,
        store: MultipartStore,
        *,
        on_progress: Callable[[StreamedBytes], None] | None = None,
    ) -> None:
        self._store = store
        self._on_progress = on_progress
        self._uploads: dict[str, _Upload] = {}
        self._stack = AsyncExitStack()

    @classmethod
    async def for_bucket(
        cls,
        bucket: str,
        *,
        access: S3Access | None = None,
        on_progress: Callable[[StreamedBytes], None] | None = None,
    ) -> Self:
        """Return a handler for a bucket whose checks were tried, and that tries again for a while.

        Raises:
            StoreError: it can't be reached.
        """
        from haulier.store.s3 import S3Store
        from haulier.store.wrappers import Retrying

        bare = S3Store(bucket, access=access)
        try:
            store = Retrying(bare.with_checks(await bare.probe()))
        except BaseException:
            await bare.aclose()
            raise
        handler = cls(store, on_progress=on_progress)
        handler._stack.push_async_callback(bare.aclose)
        return handler

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Give back the connections of a handler made by `for_bucket`; uploads stay open."""
        await self._stack.aclose()

    async def start_multipart_upload(
        self,
        key: str,
        *,
        content_type: str = "application/octet-stream",
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        """Open an upload and return its id.

        Raises:
            UnsafePath: a key that no store can hold.
            StoreError: the store said no.
        """
        from haulier.store.base import ObjectOptions

        options = ObjectOptions(content_type=content_type, metadata=metadata or {})
        upload_id = await self._store.start_upload(key, options)
        self._uploads[upload_id] = _Upload(key)
        return upload_id

    async def upload_part(
        self, upload_id: str, part_number: int, data: bytes | bytearray | memoryview
    ) -> StoredPart:
        """Store a part; one that was stored already with the same bytes is not sent again.

        Args:
            upload_id: which upload.
            part_number: from 1 to 10,000.
            data: its bytes; they are sent as they lie in memory.

        Raises:
            FileNotFoundError: no upload of that id was started or resumed here.
            ValidationError: a part number that can't be, or whose turn has not come in a directory.
            FileSizeError: more than 100 MiB.
            BadDigest: the store received other bytes. NoSuchUpload: it has given the upload up.
        """
        upload = self._upload(upload_id)
        _check_part(part_number, len(data), self._store.limits.max_parts)
        if self._store.limits.contiguous_parts and part_number - 1 not in {0, *upload.parts}:
            raise ValidationError(
                f"a directory takes part {part_number} after part {part_number - 1}",
                hint="Send the parts in order; S3 takes them in any.",
            )
        checksum = f"{crc64nvme(data):016x}"
        known = upload.parts.get(part_number)
        if known is not None and (known.size_bytes, known.crc64nvme) == (len(data), checksum):
            return known
        receipt = await self._send(upload_id, upload, part_number, data, checksum)
        part = StoredPart(
            number=part_number, size_bytes=len(data), etag=receipt.etag, crc64nvme=checksum
        )
        upload.parts[part_number] = part
        self._tell(upload_id, upload)
        return part

    async def upload_stream(
        self,
        upload_id: str,
        pieces: AsyncIterator[bytes],
        *,
        part_bytes: int = 8 << 20,
    ) -> list[StoredPart]:
        """Cut what comes into parts of `part_bytes`, behind those that are stored.

        One part is held in memory at a time. To resume, hand in the bytes from
        `stored_bytes` on.

        Raises:
            ValidationError: `part_bytes` is no size of parts. Others as `upload_part`.
        """
        if not SMALLEST_PART_BYTES <= part_bytes <= LARGEST_PART_BYTES:
            raise ValidationError("parts have 5 to 100 MiB")
        number = max(self._upload(upload_id).parts, default=0) + 1
        collected = bytearray()
        made: list[StoredPart] = []
        async for piece in pieces:
            collected += piece
            while len(collected) >= part_bytes:
                head = bytes(memoryview(collected)[:part_bytes])
                del collected[:part_bytes]
                made.append(await self.upload_part(upload_id, number + len(made), head))
        if collected:
            made.append(await self.upload_part(upload_id, number + len(made), collected))
        return made

    def stored_bytes(self, upload_id: str) -> int:
        """Return how many bytes of an upload the store has."""
        return sum(part.size_bytes for part in self._upload(upload_id).parts.values())

    def saved_state(self, upload_id: str) -> dict[str, Any]:
        """Return what `resume_multipart_upload` needs, fit for JSON; save it after each part."""
        upload = self._upload(upload_id)
        parts = [
            {"number": n, "size": p.size_bytes, "etag": p.etag, "crc64nvme": p.crc64nvme}
            for n, p in sorted(upload.parts.items())
        ]
        return {"key": upload.key, "upload_id": upload_id, "parts": parts}

    async def resume_multipart_upload(self, state: Mapping[str, Any]) -> str:
        """Go on with an upload from its saved state, also in another process; return its id.

        Only parts count that the store still has as they were saved.

        Raises:
            ValidationError: this is no saved state.
            NoSuchUpload: the store has given the upload up, or it was completed.
        """
        try:
            key, upload_id = str(state["key"]), str(state["upload_id"])
            saved = [
                StoredPart(
                    number=int(part["number"]),
                    size_bytes=int(part["size"]),
                    etag=str(part["etag"]),
                    crc64nvme=str(part["crc64nvme"]),
                )
                for part in state["parts"]
            ]
        except (KeyError, TypeError, ValueError) as exc:
            raise ValidationError("this is not the saved state of an upload") from exc
        found = await self._store.list_parts(key, upload_id, sent=_receipts(saved))
        listed = {part.number: part for part in found}
        kept = {
            part.number: part
            for part in saved
            if part.number in listed
            and (listed[part.number].size_bytes, listed[part.number].etag)
            == (part.size_bytes, part.etag)
        }
        self._uploads[upload_id] = _Upload(key, kept)
        return upload_id

    async def complete_upload(self, upload_id: str) -> ObjectInfo:
        """Make the object visible, and return what the store says of it.

        Raises:
            ChunksMissing: there are holes between the parts, or none at all.
            FileSizeError: a part before the last one has less than 5 MiB.
            BadDigest: the object is not what the parts make.
            NoSuchUpload: the store has given the upload up.
        """
        upload = self._upload(upload_id)
        parts = [upload.parts[number] for number in sorted(upload.parts)]
        self._check_whole(upload)
        checksum = size_bytes = 0
        for part in parts:
            checksum = combine_crc64nvme(checksum, int(part.crc64nvme, 16), part.size_bytes)
            size_bytes += part.size_bytes
        receipts = _receipts(parts)
        wanted = f"{checksum:016x}"
        try:
            await self._store.complete_upload(upload.key, upload_id, receipts, crc64nvme=wanted)
        except NoSuchUpload:
            # An earlier call may have completed it, and its answer been lost.
            info = await self._store.head(upload.key)
            if info.crc64nvme != wanted:
                raise
        info = await self._store.head(upload.key)
        if info.size_bytes != size_bytes or info.crc64nvme not in {None, wanted}:
            raise BadDigest(f"{upload.key} is not what was sent")
        del self._uploads[upload_id]
        return replace(info, crc64nvme=info.crc64nvme or wanted)

    async def abort_upload(self, upload_id: str) -> None:
        """Forget an upload and its parts; no error when the store has forgotten it already.

        Raises:
            FileNotFoundError: no upload of that id was started or resumed here.
        """
        await self._store.abort_upload(self._upload(upload_id).key, upload_id)
        del self._uploads[upload_id]

    async def _send(
        self,
        upload_id: str,
        upload: _Upload,
        number: int,
        data: bytes | bytearray | memoryview,
        checksum: str,
    ) -> PartReceipt:
        from haulier.store.base import Part

        def advance(count: int) -> None:
            upload.on_the_way[number] = upload.on_the_way.get(number, 0) + count
            self._tell(upload_id, upload)

        md5 = ""
        if self._store.limits.wants_md5:
            digest = hashlib.md5(usedforsecurity=False)
            await asyncio.to_thread(digest.update, data)
            md5 = digest.hexdigest()
        part = Part(
            number=number,
            offset=sum(one.size_bytes for n, one in upload.parts.items() if n < number),
            buffers=[data],
            size_bytes=len(data),
            md5=md5,
            crc64nvme=checksum,
        )
        try:
            return await self._store.put_part(upload.key, upload_id, part, advance=advance)
        finally:
            upload.on_the_way.pop(number, None)

    def _upload(self, upload_id: str) -> _Upload:
        if upload_id not in self._uploads:
            raise NoSuchSession(
                "there is no such upload here",
                hint="Start it, or resume it from its saved state.",
            )
        return self._uploads[upload_id]

    def _check_whole(self, upload: _Upload) -> None:
        last = max(upload.parts, default=0)
        missing = [number for number in range(1, last + 1) if number not in upload.parts]
        if missing or not last:
            runs = [(number, number) for number in missing or [1]]
            raise ChunksMissing(f"parts of {upload.key} are missing", missing=runs)
        least = self._store.limits.min_part_bytes
        for number in range(1, last):
            if upload.parts[number].size_bytes < least:
                raise FileSizeError(
                    f"part {number} of {upload.key} has less than {least} bytes",
                    hint="Only the last part may be smaller: send larger ones.",
                )

    def _tell(self, upload_id: str, upload: _Upload) -> None:
        if self._on_progress is None:
            return
        stored = sum(part.size_bytes for part in upload.parts.values())
        state = StreamedBytes(
            upload_id=upload_id,
            key=upload.key,
            sent_bytes=stored + sum(upload.on_the_way.values()),
            parts=len(upload.parts),
        )
        try:
            self._on_progress(state)
        except Exception:  # noqa: BLE001 - the caller's code
            # Whoever watches can't break what is watched.
            _log.exception("a progress callback failed")


def _receipts(parts: Iterable[StoredPart]) -> list[PartReceipt]:
    from haulier.store.base import PartReceipt

    return [
        PartReceipt(number=p.number, size_bytes=p.size_bytes, etag=p.etag, crc64nvme=p.crc64nvme)
        for p in parts
    ]


def _check_part(number: int, size_bytes: int, most: int) -> None:
    if not 1 <= number <= most:
        raise ValidationError(f"parts are numbered from 1 to {most}")
    if not size_bytes:
        raise ValidationError("a part has at least one byte")
    if size_bytes > LARGEST_PART_BYTES:
        raise FileSizeError(
            f"part {number} has {size_bytes} bytes; at most 100 MiB are sent at once"
        )
