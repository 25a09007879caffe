"""Whether something of equal content is stored already.

The catalog is asked for records of the same size; only when there is one are contents read. An
object that the catalog does not know is judged by the index that lies beside it.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass

from haulier.archive.entry import Entry, EntryType
from haulier.archive.index import INDEX_SUFFIX, IndexHeader, read_header
from haulier.archive.layout import TarLayout
from haulier.archive.manifest import manifest_checksum
from haulier.core.checksums import format_checksum
from haulier.core.records import FileStatus, UploadRecord
from haulier.errors import CorruptArchive, NoSuchObject, TargetUnreadable
from haulier.journeys.archive.context import ArchiveContext
from haulier.journeys.archive.destination import Destination
from haulier.journeys.archive.select import Selected
from haulier.journeys.archive.shipment import Shipment
from haulier.store.base import ObjectInfo

_HEADER_BYTES = 256 << 10
_BLOCK_BYTES = 1 << 20
# Each costs a question to the store, and of empty files there may be any number. Content that
# is stored and not found is only sent again.
_CANDIDATES_ASKED = 20


@dataclass(frozen=True, slots=True)
class Twin:
    """A stored archive of the same content, and what its index says of it."""

    info: ObjectInfo
    header: IndexHeader


async def already_uploaded(ctx: ArchiveContext, selected: Selected) -> UploadRecord | None:
    """Return the upload that brought equal content to the same destination, if it is still
    there."""
    kind = selected.is_directory
    size_bytes = selected.size_bytes
    if not await ctx.catalog.read(lambda tx: tx.has_uploaded(size_bytes, is_directory=kind)):
        return None
    checksum = await asyncio.to_thread(source_checksum, selected.layout)
    candidates = await ctx.catalog.read(
        lambda tx: tx.find_uploaded(checksum, is_directory=kind, limit=_CANDIDATES_ASKED)
    )
    # Two records of an upload, where its source was and where it went, have the content.
    for operation_id in dict.fromkeys(c.tags.get("upload_operation_id") for c in candidates):
        upload = await _find_upload(ctx, operation_id)
        if upload is not None and await _is_still_stored(ctx, upload):
            return upload
    return None


async def _find_upload(ctx: ArchiveContext, operation_id: str | None) -> UploadRecord | None:
    if operation_id is None:
        return None
    found = await ctx.catalog.read(lambda tx: tx.get_operation(operation_id))
    return found if isinstance(found, UploadRecord) else None


async def _is_still_stored(ctx: ArchiveContext, upload: UploadRecord) -> bool:
    remote = upload.s3_file_record
    place = upload.metadata.get("destination")
    if remote is None or remote.status is not FileStatus.COMPLETED or place is None:
        return False
    here = ctx.destination.destination
    if Destination.from_json(place).identity != here.identity or upload.s3_object_key is None:
        return False
    try:
        info = await ctx.destination.store.head(upload.s3_object_key)
    except NoSuchObject:
        return False
    return info.size_bytes == upload.compressed_size and upload.checksum_s3_etag in {
        info.etag,
        None,
    }


async def twin_at_key(shipment: Shipment, info: ObjectInfo) -> Twin | None:
    """Return the object at the wanted key as a twin when its index proves equal content."""
    header = await _index_header(shipment, info.key)
    if header is None or header.sealed is not None or shipment.options.encrypt is not None:
        return None
    if header.size != info.size_bytes or header.etag not in {info.etag, None}:
        return None
    if header.operation.get("original_size") != shipment.record.original_size:
        return None
    checksum = await asyncio.to_thread(source_checksum, shipment.layout)
    return Twin(info, header) if header.checksum == checksum else None


async def _index_header(shipment: Shipment, key: str) -> IndexHeader | None:
    store = shipment.destination.store
    try:
        async with store.get(key + INDEX_SUFFIX, start=0, end=_HEADER_BYTES) as pieces:
            head = b"".join([piece async for piece in pieces])
        return read_header(head)
    except (NoSuchObject, CorruptArchive):
        return None


def source_checksum(layout: TarLayout) -> str:
    """Read everything in `layout` and return the checksum of the source; blocks.

    A file's is its SHA-256; a directory's is that of its manifest.
    """
    digests = {
        item.entry.path: digest_file(os.path.join(layout.base, item.entry.path))
        for item in layout.entries
        if item.entry.type is EntryType.FILE
    }
    return checksum_of([item.entry for item in layout.entries], digests)


def checksum_of(entries: Iterable[Entry], digests: dict[str, str]) -> str:
    """Return the checksum of a source whose files have `digests` (path -> SHA-256)."""
    listed = list(entries)
    root = listed[0]
    if root.type is not EntryType.DIRECTORY:
        return format_checksum("sha256", digests[root.path])
    pairs = []
    for entry in listed:
        if entry.type is EntryType.FILE:
            pairs.append((entry.path[len(root.path) + 1 :], digests[entry.path]))
        elif entry.type is EntryType.HARDLINK and entry.link_target is not None:
            pairs.append((entry.path[len(root.path) + 1 :], digests[entry.link_target]))
    return manifest_checksum(pairs)


def digest_file(path: str) -> str:
    """Return the SHA-256 of the file at `path`, lower hex; blocks."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb", buffering=0) as file:
            buffer = memoryview(bytearray(_BLOCK_BYTES))
            while count := file.readinto(buffer):
                digest.update(buffer[:count])
    except OSError as error:
        raise TargetUnreadable(f"{path} can't be read: {error.strerror}") from error
    return digest.hexdigest()
