"""Rebuilding the catalog from what is stored: a lost laptop does not lose the history.

An index lies beside each archive and carries the record of its upload. What it says is held
against the object; it comes from a bucket that others may write to, so it never replaces
anything the catalog has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import unquote

from haulier.archive.index import INDEX_SUFFIX, IndexHeader, read_index
from haulier.catalog.transaction import Tx
from haulier.core.checksums import format_checksum
from haulier.core.mime import mime_type_of
from haulier.core.records import (
    FileRecord,
    FileStatus,
    OperationRecord,
    OperationStatus,
    UploadRecord,
    new_file_id,
)
from haulier.errors import (
    ConfigurationError,
    CorruptArchive,
    DecryptionFailed,
    HaulierError,
    NoSuchObject,
)
from haulier.journeys.archive.bookkeeping import operation
from haulier.journeys.archive.context import ArchiveContext
from haulier.journeys.archive.destination import OpenDestination
from haulier.journeys.archive.foreign import read_upload
from haulier.journeys.archive.references import (
    ARCHIVE_SUFFIXES,
    StoredArchive,
    fetch_index,
    place_at,
    upload_of,
)
from haulier.store.base import ListingStore, ObjectInfo
from haulier.store.keys import split_url

_COMPRESSIONS = {".tar.gz": "gzip", ".tar.zst": "zstd", ".tar": "none"}


@dataclass(frozen=True, slots=True)
class _Found:
    """What lies beside an archive: its index, or why there is none to use."""

    blob: bytes | None = None
    header: IndexHeader | None = None
    trouble: str | None = None


async def import_archives(
    ctx: ArchiveContext, url: str | None = None, *, key: str | None = None
) -> list[OperationRecord]:
    """Add what is stored below `url` and not in the catalog yet.

    Args:
        url: `s3://bucket/prefix`, `https://server/folder` or `file:///path`; the current
            destination when left out.
        key: names the key that opens sealed indexes. Without it an encrypted archive gets a
            record that says little more than that it is there.

    Returns:
        The uploads that were added, and a failed operation for each archive that could not be.

    Raises:
        ConfigurationError: the URL is no store's, or the store can't list.
        StoreError: the store does not answer.
    """
    destination = await _open(ctx, url)
    prefix = destination.destination.prefix
    async with operation(
        ctx, "import", target_path=destination.url_of(prefix), target_name=prefix or "all"
    ) as running:
        archives, indexes = await _list(destination)
        results: list[OperationRecord] = []
        for info in archives:
            if await _is_known(ctx, destination, info):
                continue
            has_index = info.key + INDEX_SUFFIX in indexes
            added = await _import_one(ctx, destination, info, key, has_index=has_index)
            if added is not None:
                results.append(added)
        failed = sum(result.status is OperationStatus.FAILED for result in results)
        running.note(archives=len(archives), added=len(results) - failed, failed=failed)
    return results


async def _open(ctx: ArchiveContext, url: str | None) -> OpenDestination:
    here = ctx.destination
    if url is None:
        return here
    root, prefix = split_url(url.rstrip("/") or url)
    if f"{root}/".startswith(f"{here.destination.root}/") and here.store.scheme == "file":
        prefix = unquote(root.removeprefix(here.destination.root).lstrip("/"))
        root = here.destination.root
    prefix = f"{prefix}/" if prefix else ""
    return await ctx.open_destination(place_at(ctx, root, prefix))


async def _list(destination: OpenDestination) -> tuple[list[ObjectInfo], set[str]]:
    store = destination.store
    if not isinstance(store, ListingStore):
        raise ConfigurationError(f"{destination.destination.root} can't list what it holds")
    archives: list[ObjectInfo] = []
    indexes: set[str] = set()
    async for info in store.list_objects(destination.destination.prefix):
        if info.key.endswith(INDEX_SUFFIX):
            indexes.add(info.key)
        elif info.key.endswith(ARCHIVE_SUFFIXES):
            archives.append(info)
    return archives, indexes


async def _is_known(ctx: ArchiveContext, destination: OpenDestination, info: ObjectInfo) -> bool:
    upload = await upload_of(ctx, destination, info.key)
    if upload is None or upload.compressed_size != info.size_bytes:
        return False
    return info.etag is None or upload.checksum_s3_etag in {None, info.etag}


async def _import_one(
    ctx: ArchiveContext,
    destination: OpenDestination,
    listed: ObjectInfo,
    key: str | None,
    *,
    has_index: bool,
) -> OperationRecord | None:
    archive = StoredArchive(None, destination, listed.key)
    try:
        info = await destination.store.head(listed.key)
        found = await _look_beside(archive, key) if has_index else _Found()
        if found.header is not None:
            found = _held_against(found, found.header, info)
        upload = _upload(ctx, archive, info, found)
        return await ctx.catalog.transaction(_adding(upload, found.blob))
    except NoSuchObject:
        return None  # deleted since it was listed
    except HaulierError as error:
        return await _failure(ctx, archive, error)


async def _failure(
    ctx: ArchiveContext, archive: StoredArchive, error: HaulierError
) -> OperationRecord:
    async with operation(
        ctx, "import", target_path=archive.url, target_name=archive.name, keep_failure=True
    ) as running:
        raise error
    return running.record


async def _look_beside(archive: StoredArchive, key: str | None) -> _Found:
    try:
        blob = await fetch_index(archive, key)
        return _Found() if blob is None else _Found(blob, read_index(blob).header)
    except (CorruptArchive, DecryptionFailed) as error:
        return _Found(trouble=error.message)


def _held_against(found: _Found, header: IndexHeader, info: ObjectInfo) -> _Found:
    """Return `found` if the index is that of the object, else why it can't be used."""
    pairs = (header.crc64nvme, info.crc64nvme), (header.etag, info.etag)
    known = [said == stored for said, stored in pairs if said is not None and stored is not None]
    # Moving to another storage class gives an object a new ETag: the CRC decides first.
    is_same = known[0] if known else header.sealed is not None or header.size == info.size_bytes
    return found if is_same else _Found(trouble="the index is not that of the object")


def _upload(
    ctx: ArchiveContext, archive: StoredArchive, info: ObjectInfo, found: _Found
) -> UploadRecord:
    recorded = None
    trouble = found.trouble
    if found.header is not None:
        recorded = read_upload(found.header.operation)
        trouble = None if recorded is not None else "the index carries no sound record"
    base = recorded or UploadRecord(
        operation_type="upload",
        target_path=archive.name,
        target_name=archive.name,
        started_at=info.modified_at or ctx.now(),
        compression_type=_compression(archive.key),
    )
    return _as_stored(archive, info, base, trouble)


def _as_stored(
    archive: StoredArchive, info: ObjectInfo, base: UploadRecord, trouble: str | None
) -> UploadRecord:
    """Return `base` with what the store says now of its object."""
    crc = None if info.crc64nvme is None else format_checksum("crc64nvme", info.crc64nvme)
    source = base.source_file_record
    metadata = {
        **base.metadata,
        "imported": True,
        "destination": archive.destination.destination.to_json(),
        "s3_bucket": archive.store.bucket,
        "s3_object_key": archive.key,
    }
    if info.crc64nvme is not None:
        metadata["crc64nvme"] = info.crc64nvme
    if trouble is not None:
        metadata["index_trouble"] = trouble
    return replace(
        base,
        status=OperationStatus.SUCCESS,
        error_message=None,
        completed_at=base.completed_at or info.modified_at,
        result_path=archive.url,
        compressed_size=info.size_bytes,
        s3_bucket=archive.store.bucket,
        s3_object_key=archive.key,
        s3_storage_class=info.storage_class or base.s3_storage_class,
        checksum_compressed=base.checksum_compressed or crc,
        checksum_s3_etag=info.etag,
        source_file_record=source and replace(source, status=FileStatus.COMPLETED),
        s3_file_record=_remote(archive, info, base, crc),
        metadata=metadata,
    )


def _remote(
    archive: StoredArchive, info: ObjectInfo, base: UploadRecord, crc: str | None
) -> FileRecord:
    recorded = base.s3_file_record
    name = archive.key.rsplit("/", 1)[-1]
    return FileRecord(
        id=new_file_id() if recorded is None else recorded.id,
        name=name,
        path=archive.url,
        location=archive.store.scheme,
        size=info.size_bytes,
        mime_type=mime_type_of(name),
        created_at=info.modified_at,
        modified_at=info.modified_at,
        checksum=crc if recorded is None else recorded.checksum or crc,
        status=FileStatus.COMPLETED,
        tags={
            **({} if recorded is None else recorded.tags),
            "upload_operation_id": base.operation_id,
        },
    )


def _compression(key: str) -> str | None:
    return next((name for suffix, name in _COMPRESSIONS.items() if key.endswith(suffix)), None)


def _adding(upload: UploadRecord, index: bytes | None) -> Callable[[Tx], UploadRecord | None]:
    """Return the transaction that adds `upload` unless its id is taken, and returns it."""

    def add(tx: Tx) -> UploadRecord | None:
        if tx.get_operation(upload.operation_id) is not None:
            return None
        added = _with_free_ids(tx, upload)
        tx.put_operation(added)
        if index is not None:
            tx.put_index(added.operation_id, index)
        return added

    return add


def _with_free_ids(tx: Tx, upload: UploadRecord) -> UploadRecord:
    def free(record: FileRecord | None) -> FileRecord | None:
        if record is None or tx.get_file(record.id) is None:
            return record
        return replace(record, id=new_file_id())

    return replace(
        upload,
        source_file_record=free(upload.source_file_record),
        compressed_file_record=free(upload.compressed_file_record),
        s3_file_record=free(upload.s3_file_record),
        completed_file_record=free(upload.completed_file_record),
    )
