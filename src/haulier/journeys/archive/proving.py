"""From parts to a proven object: complete, ask the store what it has, write the index.

Nothing here believes the answer to Complete alone: it may be lost, or come twice. What counts
is what the store says of the object afterwards, held against what was sent.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from haulier.archive.entry import Entry, EntryType
from haulier.archive.index import INDEX_SUFFIX, IndexHeader, SealedBy, write_index
from haulier.archive.parts import segments_of
from haulier.catalog.journal import JournalStage, PartRow
from haulier.core.checksums import format_checksum
from haulier.core.records import FileRecord, FileStatus, OperationStatus
from haulier.errors import NoSuchObject, NoSuchUpload, ObjectExists, VerificationFailed
from haulier.journeys.archive.context import ArchiveContext, StageReached
from haulier.journeys.archive.equal import Twin, checksum_of, digest_file
from haulier.journeys.archive.keeping import finish_kept
from haulier.journeys.archive.sending import restart, seal_for
from haulier.journeys.archive.shipment import Shipment, archive_record, commit
from haulier.store.base import ObjectInfo, ObjectOptions, StoreChecks
from haulier.transfer.part_upload import WholeObject, combine


async def prove(ctx: ArchiveContext, shipment: Shipment) -> None:
    """Complete the upload, verify the object, store its index, and commit that it is proven.

    Goes back to the plan when the store lost the upload or the key was taken meanwhile.

    Raises:
        VerificationFailed: the object is not what was sent. A retry sends it again.
    """
    shipment.meter.set_stage("verifying")
    rows = await ctx.catalog.read(lambda tx: tx.get_parts(shipment.id))
    whole = combine(rows)
    if not await _complete(shipment, whole):
        await restart(ctx, shipment)
        return
    ctx.observe(StageReached(shipment.id, "completed", shipment.journal.key))
    info = await shipment.destination.store.head(shipment.journal.key)
    checks = shipment.destination.checks
    try:
        made = compare(info, whole, checks)
    except VerificationFailed:
        await restart(ctx, shipment, untrusted=True)
        raise
    kept = await finish_kept(shipment, whole)
    digests = await _all_digests(shipment, rows)
    entries = _entries_with(shipment, digests)
    checksum = checksum_of(entries, digests)
    record_changes = _proven(shipment, whole, info, checksum, made)
    header = _index_header(shipment, rows, whole, info, checksum, record_changes)
    index = await asyncio.to_thread(_write_index, header, entries, rows)
    await _store_index(shipment, index)
    if shipment.options.sha256:
        record_changes["metadata"]["sha256"] = await _read_back_sha256(shipment)
        record_changes["checksum_compressed"] = record_changes["metadata"]["sha256"]
    record_changes["compressed_file_path"] = kept
    await commit(ctx, shipment, stage=JournalStage.VERIFIED, index=index, **record_changes)


async def _complete(shipment: Shipment, whole: WholeObject) -> bool:
    """Complete the upload; return False when it has to be started anew."""
    store = shipment.destination.store
    may_replace = shipment.options.force or bool(shipment.journal.options.get("untrusted_key"))
    try:
        await store.complete_upload(
            shipment.journal.key,
            shipment.journal.upload_id or "",
            whole.receipts,
            crc64nvme=whole.crc64nvme,
            if_none_match=not may_replace,
        )
    except (NoSuchUpload, ObjectExists):
        # The answer to an earlier Complete may have been lost: then the object is ours.
        return await _is_ours(shipment, whole)
    return True


async def _is_ours(shipment: Shipment, whole: WholeObject) -> bool:
    try:
        info = await shipment.destination.store.head(shipment.journal.key)
    except NoSuchObject:
        return False
    try:
        made = compare(info, whole, shipment.destination.checks)
    except VerificationFailed:
        return False
    return "etag" in made or "crc64nvme" in made


def compare(info: ObjectInfo, whole: WholeObject, checks: StoreChecks) -> list[str]:
    """Hold what the store says against what was sent.

    Returns the checks that could be made: `size` always, `etag` and `crc64nvme` where the store
    shows them. Raises VerificationFailed naming what differs.
    """
    made = ["size"]
    if info.size_bytes != whole.size_bytes:
        raise VerificationFailed(
            f"{info.key} has {info.size_bytes} bytes in the store, {whole.size_bytes} were sent"
        )
    if checks.etag_is_md5 and info.etag is not None and whole.etag_of_md5s is not None:
        if info.etag != whole.etag_of_md5s:
            raise VerificationFailed(
                f"{info.key} has ETag {info.etag} in the store, {whole.etag_of_md5s} was expected"
            )
        made.append("etag")
    if info.crc64nvme is not None:
        if info.crc64nvme != whole.crc64nvme:
            raise VerificationFailed(
                f"{info.key} has CRC-64/NVME {info.crc64nvme} in the store, "
                f"{whole.crc64nvme} was sent"
            )
        made.append("crc64nvme")
    return made


async def _all_digests(shipment: Shipment, rows: Sequence[PartRow]) -> dict[str, str]:
    digests: dict[str, str] = {}
    for row in rows:
        digests.update(row.digests)
    files = [i.entry.path for i in shipment.layout.entries if i.entry.type is EntryType.FILE]
    for path in files:
        if path not in digests:
            full = os.path.join(shipment.layout.base, path)
            digests[path] = await asyncio.to_thread(digest_file, full)
    return digests


def _entries_with(shipment: Shipment, digests: dict[str, str]) -> list[Entry]:
    return [
        replace(item.entry, sha256=digests[item.entry.path])
        if item.entry.type is EntryType.FILE
        else item.entry
        for item in shipment.layout.entries
    ]


def _proven(
    shipment: Shipment, whole: WholeObject, info: ObjectInfo, checksum: str, made: list[str]
) -> dict[str, Any]:
    """Return the changes of the record that hold once the object is proven."""
    record = shipment.record
    crc = format_checksum("crc64nvme", whole.crc64nvme)
    original = record.original_size or 0
    key = shipment.journal.key
    remote = _remote_record(shipment, info, crc)
    archive = replace(
        archive_record(shipment, whole.size_bytes), checksum=crc, status=FileStatus.DELETED
    )
    tag = {"upload_operation_id": shipment.id}
    return {
        "status": OperationStatus.RUNNING,
        "error_message": None,
        "compressed_size": whole.size_bytes,
        "compression_ratio": round(original / whole.size_bytes, 4) if whole.size_bytes else None,
        "checksum_original": checksum,
        "checksum_compressed": crc,
        "checksum_s3_etag": info.etag,
        "s3_object_key": key,
        "s3_storage_class": info.storage_class or shipment.options.storage_class,
        "result_path": shipment.destination.url_of(key),
        "source_file_record": replace(
            shipment.source,
            checksum=checksum,
            error_message=None,
            tags={**shipment.source.tags, **tag},
        ),
        "compressed_file_record": replace(archive, tags=tag),
        "s3_file_record": replace(remote, tags={**remote.tags, **tag}),
        "metadata": {
            **{k: v for k, v in record.metadata.items() if k != "error"},
            "compressed_size": whole.size_bytes,
            "s3_object_key": key,
            "crc64nvme": whole.crc64nvme,
            "checks": made,
            "parts": len(whole.receipts),
        },
    }


def _remote_record(shipment: Shipment, info: ObjectInfo, checksum: str) -> FileRecord:
    return FileRecord(
        name=info.key.rsplit("/", 1)[-1],
        path=shipment.destination.url_of(info.key),
        location=shipment.destination.store.scheme,
        size=info.size_bytes,
        mime_type=archive_record(shipment, 0).mime_type,
        created_at=info.modified_at,
        modified_at=info.modified_at,
        checksum=checksum,
        status=FileStatus.COMPLETED,
        tags={
            "original_path": shipment.record.target_path,
            "original_size": str(shipment.record.original_size),
            "compression_type": shipment.options.compression,
        },
    )


def _index_header(
    shipment: Shipment,
    rows: Sequence[PartRow],
    whole: WholeObject,
    info: ObjectInfo,
    checksum: str,
    record_changes: dict[str, Any],
) -> IndexHeader:
    final = replace(shipment.record, **record_changes)
    sealed = None
    if shipment.options.encrypt is not None:
        from haulier.archive.seal import key_id, load_key

        sealed = SealedBy(
            key_id=key_id(load_key(shipment.options.encrypt)),
            file_id=shipment.journal.options["file_id"],
        )
        record_changes["metadata"]["encrypted"] = sealed.key_id
    return IndexHeader(
        name=shipment.record.target_name,
        key=shipment.journal.key,
        compression=shipment.options.compression,
        tar_size=shipment.layout.size_bytes,
        size=sum(plain_size(row) for row in rows),
        crc64nvme=whole.crc64nvme,
        etag=info.etag,
        checksum=checksum,
        part_sizes=tuple(plain_size(row) for row in rows),
        sealed=sealed,
        operation=replace(final, status=OperationStatus.SUCCESS).to_json(),
    )


def plain_size(row: PartRow) -> int:
    """Return the size of a part before encryption."""
    return sum(segment.size_bytes for segment in segments_of([(row.tar_start, row.segments)]))


def _write_index(header: IndexHeader, entries: list[Entry], rows: Sequence[PartRow]) -> bytes:
    return write_index(header, entries, segments_of((r.tar_start, r.segments) for r in rows))


async def _store_index(shipment: Shipment, index: bytes) -> None:
    seal = seal_for(shipment)
    body = index if seal is None else await asyncio.to_thread(seal.seal_index, index)
    await shipment.destination.store.put(
        shipment.journal.key + INDEX_SUFFIX,
        body,
        options=ObjectOptions(
            content_type="application/gzip",
            sse=shipment.options.sse,
            sse_kms_key_id=shipment.options.sse_kms_key_id,
        ),
    )


async def _read_back_sha256(shipment: Shipment) -> str:
    """Read the object back for its SHA-256.

    Parts are built in parallel and sent out of order, so the one digest that must be taken in
    order is taken from what the store gives back, which proves that it can be read as well.
    """
    import hashlib

    digest = hashlib.sha256()
    async with shipment.destination.store.get(shipment.journal.key) as pieces:
        async for piece in pieces:
            digest.update(piece)
    return format_checksum("sha256", digest.hexdigest())


async def adopt(ctx: ArchiveContext, shipment: Shipment, twin: Twin) -> None:
    """Take the object that is there already as this upload's result."""
    info, header = twin.info, twin.header
    whole = WholeObject(info.size_bytes, header.crc64nvme or "", header.etag or "", [])
    made = compare(info, whole, shipment.destination.checks)
    changes = _proven(shipment, whole, info, header.checksum or "", made)
    changes["metadata"]["adopted"] = True
    changes["metadata"].pop("parts")
    await commit(ctx, shipment, stage=JournalStage.VERIFIED, journal={"key": info.key}, **changes)
