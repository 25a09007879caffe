"""One upload under way: its record, its journal row, its plan, and how a change is committed.

What is in memory here is always what was committed last; a change is made by `commit`, which
writes record and journal in one transaction and only then lets the next step begin.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from haulier.archive.codec import codec_named
from haulier.archive.entry import EntryType
from haulier.archive.layout import TarLayout, dump_plan, load_plan
from haulier.catalog.journal import JournalStage, UploadJournal
from haulier.catalog.transaction import Tx
from haulier.core.mime import mime_type_of
from haulier.core.names import object_key
from haulier.core.part_plan import part_bytes_for
from haulier.core.progress import Meter
from haulier.core.records import (
    FileRecord,
    FileStatus,
    OperationStatus,
    UploadRecord,
    new_operation_id,
)
from haulier.errors import HaulierError, StorageFull, Transient, UnknownReference
from haulier.journeys.archive.context import ArchiveContext, StageReached
from haulier.journeys.archive.destination import Destination, OpenDestination
from haulier.journeys.archive.options import UploadOptions
from haulier.journeys.archive.select import Selected

_LEFT_OUT_SHOWN = 100


@dataclass(slots=True, kw_only=True)
class Shipment:
    """An upload between its first record and its last."""

    record: UploadRecord
    journal: UploadJournal
    options: UploadOptions
    destination: OpenDestination
    layout: TarLayout
    meter: Meter

    @property
    def id(self) -> str:
        return self.record.operation_id

    @property
    def source(self) -> FileRecord:
        assert self.record.source_file_record is not None
        return self.record.source_file_record


async def commit(
    ctx: ArchiveContext,
    shipment: Shipment,
    *,
    stage: JournalStage | None = None,
    metadata: dict[str, Any] | None = None,
    journal: dict[str, Any] | None = None,
    index: bytes | None = None,
    **record_changes: Any,
) -> None:
    """Commit changes of record and journal in one transaction, then tell the observer."""
    if metadata:
        record_changes["metadata"] = {**shipment.record.metadata, **metadata}
    record = replace(shipment.record, **record_changes)
    row = replace(shipment.journal, **(journal or {}))
    if stage is not None:
        row = replace(row, stage=stage)

    def write(tx: Tx) -> None:
        tx.put_operation(record)
        tx.put_upload(row)
        if index is not None:
            tx.put_index(record.operation_id, index)

    await ctx.catalog.transaction(write)
    shipment.record, shipment.journal = record, row
    if stage is not None:
        ctx.observe(StageReached(shipment.id, stage, row.key))


async def begin(ctx: ArchiveContext, selected: Selected, options: UploadOptions) -> Shipment:
    """Record the upload of `selected` before anything moves, and return it."""
    record = new_record(ctx, selected, options)
    place = ctx.destination.destination
    journal = UploadJournal(
        operation_id=record.operation_id,
        stage=JournalStage.PLANNED,
        destination=f"{place.root}/{place.prefix}",
        key=object_key(place.prefix, selected.target.name, options.compression),
        tar_size=selected.layout.size_bytes,
        part_bytes=part_bytes_for(
            selected.layout.size_bytes, ctx.destination.store.limits.max_parts
        ),
        options={
            "upload": options.to_json(),
            "destination": place.to_json(),
            "file_id": secrets.token_hex(16),
        },
        owner=ctx.owner,
        heartbeat_at=ctx.now(),
        created_at=ctx.now(),
    )
    plan = dump_plan(selected.layout)

    def write(tx: Tx) -> None:
        tx.put_operation(record)
        tx.put_upload(journal)
        tx.put_plan(record.operation_id, plan)

    await ctx.catalog.transaction(write)
    ctx.observe(StageReached(record.operation_id, JournalStage.PLANNED, journal.key))
    return Shipment(
        record=record,
        journal=journal,
        options=options,
        destination=ctx.destination,
        layout=selected.layout,
        meter=ctx.board.start(
            record.operation_id, record.target_name, selected.layout.size_bytes, "planned"
        ),
    )


async def load(ctx: ArchiveContext, journal: UploadJournal) -> Shipment:
    """Return the interrupted upload that `journal` tells of."""

    def read(tx: Tx) -> tuple[Any, bytes | None]:
        return tx.get_operation(journal.operation_id), tx.get_plan(journal.operation_id)

    record, plan = await ctx.catalog.read(read)
    if not isinstance(record, UploadRecord) or plan is None:
        raise UnknownReference(f"{journal.operation_id} is not an upload that can go on")
    layout = load_plan(plan)
    place = Destination.from_json(journal.options["destination"])
    return Shipment(
        record=record,
        journal=journal,
        options=UploadOptions.from_json(journal.options["upload"]),
        destination=await ctx.open_destination(place),
        layout=layout,
        meter=ctx.board.start(
            record.operation_id, record.target_name, layout.size_bytes, "resuming"
        ),
    )


def new_record(ctx: ArchiveContext, selected: Selected, options: UploadOptions) -> UploadRecord:
    """Return the record of an upload that is about to begin."""
    left_out = selected.left_out
    place = ctx.destination.destination
    return UploadRecord(
        operation_id=new_operation_id(),
        operation_type="upload",
        target_path=selected.target.path,
        target_name=selected.target.name,
        started_at=ctx.now(),
        status=OperationStatus.RUNNING,
        user=ctx.user,
        command_args=list(ctx.command_args),
        compression_type=options.compression,
        original_size=selected.size_bytes,
        s3_bucket=ctx.destination.store.bucket,
        s3_storage_class=options.storage_class,
        completed_dir_path=options.completed_dir,
        source_file_record=source_record(selected),
        metadata={
            "compression_type": options.compression,
            "original_size": selected.size_bytes,
            "s3_bucket": ctx.destination.store.bucket,
            "destination": place.to_json(),
            **({"left_out": left_out[:_LEFT_OUT_SHOWN]} if left_out else {}),
        },
    )


def source_record(selected: Selected) -> FileRecord:
    """Return the file record of what is to be uploaded."""
    status = os.lstat(selected.target.path)
    root = selected.layout.entries[0].entry
    return FileRecord(
        name=selected.target.name,
        path=selected.target.path,
        location="local",
        size=selected.size_bytes,
        is_directory=root.type is EntryType.DIRECTORY,
        mime_type=mime_type_of(selected.target.path),
        created_at=_utc(status.st_ctime),
        modified_at=_utc(status.st_mtime),
        accessed_at=_utc(status.st_atime),
        tags={"inode": f"{status.st_dev}:{status.st_ino}"},
        status=FileStatus.UPLOADING,
    )


def archive_name(shipment: Shipment) -> str:
    """Return what the archive is called: the target's name and the codec's suffix."""
    return shipment.record.target_name + codec_named(shipment.options.compression).suffix


def archive_record(shipment: Shipment, size_bytes: int) -> FileRecord:
    """Return the record of the archive itself, which was never a file of its own here."""
    return FileRecord(
        name=archive_name(shipment),
        path=archive_name(shipment),
        location="local",
        size=size_bytes,
        mime_type={"gzip": "application/gzip", "zstd": "application/zstd"}.get(
            shipment.options.compression, "application/x-tar"
        ),
        status=FileStatus.PENDING,
    )


def failed(ctx: ArchiveContext, record: UploadRecord, error: HaulierError) -> UploadRecord:
    """Return `record` as it ends with `error`."""
    source = record.source_file_record
    now = ctx.now()
    return replace(
        record,
        status=OperationStatus.FAILED,
        error_message=error.message,
        completed_at=now,
        duration_seconds=max((now - record.started_at).total_seconds(), 0.0),
        source_file_record=source
        and replace(source, status=FileStatus.FAILED, error_message=error.message),
        metadata={
            **record.metadata,
            "error": {
                "code": error.code,
                "hint": error.hint,
                "retryable": isinstance(error, Transient | StorageFull),
            },
        },
    )


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
