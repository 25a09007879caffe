"""The archive journey, told from top to bottom: select, record, send, prove, move, finish.

Each step ends by committing the stage it reached; an interrupted upload is loaded from the
journal and walks on from there, through the same steps. One target's failure is its own record
and does not stop the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from haulier.catalog.journal import JournalStage, UploadJournal
from haulier.core.names import object_key
from haulier.core.records import OperationStatus, UploadRecord
from haulier.errors import (
    HaulierError,
    NoSuchUpload,
    OperationBusy,
    StorageFull,
    UnknownReference,
    UsageError,
)
from haulier.journeys.archive import completing, lease, proving, sending
from haulier.journeys.archive.context import ArchiveContext, StageReached
from haulier.journeys.archive.equal import already_uploaded
from haulier.journeys.archive.options import UploadOptions
from haulier.journeys.archive.select import Selected, Target, resolve_targets, select
from haulier.journeys.archive.shipment import Shipment, begin, commit, failed, load, new_record

_RESUMABLE = frozenset(
    {OperationStatus.PENDING, OperationStatus.RUNNING, OperationStatus.CANCELLED}
)
_RESTARTS = 3


async def upload(
    ctx: ArchiveContext, names: Sequence[str], options: UploadOptions, *, dry_run: bool = False
) -> list[UploadRecord]:
    """Archive, upload, verify and complete what `names` mean.

    Args:
        names: paths, or `all` for each entry of the local directory.
        dry_run: only tell what would be done; nothing is written anywhere.

    Returns:
        A record for each target: `success` (also for one that was skipped because equal content
        is stored already), `partial` when only the move failed, or `failed`.

    Raises:
        UsageError: the options make no sense.
        SourceError: nothing can be selected at all.
    """
    targets = resolve_targets(names, options, [ctx.data_dir])
    return [await _upload_one(ctx, target, options, dry_run=dry_run) for target in targets]


async def _upload_one(
    ctx: ArchiveContext, target: Target, options: UploadOptions, *, dry_run: bool
) -> UploadRecord:
    dry = {"dry_run": True} if dry_run else {}
    try:
        selected = await asyncio.to_thread(select, target, options)
        completing.require_free_name(target.path, target.name, options)
        if not options.force:
            earlier = await already_uploaded(ctx, selected)
            if earlier is not None:
                return _with_metadata(_skipped(ctx, selected, options, earlier), dry)
    except UsageError:
        raise
    except HaulierError as error:
        return _with_metadata(failed(ctx, _unplanned(ctx, target, options), error), dry)
    if dry_run:
        return _with_metadata(_planned_only(ctx, selected, options), dry)
    return await carry_on(ctx, await begin(ctx, selected, options), resumed=False)


def _with_metadata(record: UploadRecord, more: dict[str, bool]) -> UploadRecord:
    return replace(record, metadata={**record.metadata, **more})


def _unplanned(ctx: ArchiveContext, target: Target, options: UploadOptions) -> UploadRecord:
    return UploadRecord(
        operation_type="upload",
        target_path=target.path,
        target_name=target.name,
        started_at=ctx.now(),
        user=ctx.user,
        command_args=list(ctx.command_args),
        compression_type=options.compression,
    )


def _skipped(
    ctx: ArchiveContext, selected: Selected, options: UploadOptions, earlier: UploadRecord
) -> UploadRecord:
    record = new_record(ctx, selected, options)
    return replace(
        record,
        status=OperationStatus.SUCCESS,
        completed_at=ctx.now(),
        duration_seconds=0.0,
        result_path=earlier.result_path,
        s3_object_key=earlier.s3_object_key,
        checksum_original=earlier.checksum_original,
        metadata={**record.metadata, "skipped": True, "equal_to": earlier.operation_id},
    )


def _planned_only(ctx: ArchiveContext, selected: Selected, options: UploadOptions) -> UploadRecord:
    record = new_record(ctx, selected, options)
    place = ctx.destination.destination
    key = object_key(place.prefix, selected.target.name, options.compression)
    return replace(
        record,
        status=OperationStatus.PENDING,
        s3_object_key=key,
        result_path=ctx.destination.url_of(key),
        metadata={
            **record.metadata,
            "files": len(selected.layout.entries),
            "tar_size": selected.layout.size_bytes,
        },
    )


async def carry_on(ctx: ArchiveContext, shipment: Shipment, *, resumed: bool) -> UploadRecord:
    """Take `shipment` from the stage it is in to its end; returns its final record.

    A failure is recorded with what was reached, and kept for `retry` and `resume`. Cancellation
    is recorded and goes on to the caller.
    """
    async with lease.held(ctx, shipment.id):
        try:
            await _walk_stages(ctx, shipment, resumed=resumed)
        except HaulierError as error:
            await _record_failure(ctx, shipment, error)
        except OSError as error:
            await _record_failure(ctx, shipment, _as_haulier_error(error))
        except asyncio.CancelledError:
            await asyncio.shield(_record_interruption(ctx, shipment))
            raise
        else:
            shipment.meter.finish()
    return shipment.record


async def _walk_stages(ctx: ArchiveContext, shipment: Shipment, *, resumed: bool) -> None:
    restarts = 0
    while True:
        match shipment.journal.stage:
            case JournalStage.PLANNED:
                twin = await sending.open_upload(ctx, shipment)
                if twin is not None:
                    await proving.adopt(ctx, shipment, twin)
            case JournalStage.SENDING:
                try:
                    await sending.send(ctx, shipment, resumed=resumed or restarts > 0)
                except NoSuchUpload:
                    await sending.restart(ctx, shipment)
            case JournalStage.COMPLETING:
                await proving.prove(ctx, shipment)
            case JournalStage.VERIFIED:
                await completing.move_source(ctx, shipment)
            case JournalStage.MOVED:
                await completing.finish(ctx, shipment)
                return
        if shipment.journal.stage is JournalStage.PLANNED:
            restarts += 1
            if restarts > _RESTARTS:
                raise NoSuchUpload(f"the store lost the upload of {shipment.journal.key} again")


async def _record_failure(ctx: ArchiveContext, shipment: Shipment, error: HaulierError) -> None:
    shipment.meter.fail(error.message)
    if shipment.journal.stage is JournalStage.VERIFIED:
        await completing.leave_unmoved(ctx, shipment, error)
        return
    record = failed(ctx, shipment.record, error)
    await ctx.catalog.transaction(lambda tx: tx.put_operation(record))
    shipment.record = record
    ctx.observe(StageReached(shipment.id, "failed", error.message))


async def _record_interruption(ctx: ArchiveContext, shipment: Shipment) -> None:
    shipment.meter.fail("interrupted")
    await commit(
        ctx,
        shipment,
        status=OperationStatus.CANCELLED,
        error_message="interrupted; `haulier resume` goes on where it stopped",
    )


def _as_haulier_error(error: OSError) -> HaulierError:
    import errno

    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StorageFull(f"no space left: {error.filename or error.strerror}")
    return HaulierError(
        f"{error.filename or 'the system'}: {error.strerror or error}",
        hint="Mend that and run `haulier retry ID`.",
    )


async def resume(ctx: ArchiveContext, references: Sequence[str] = ()) -> list[UploadRecord]:
    """Go on with every upload that was interrupted, or with those named.

    Uploads another process works on are left to it. Uploads that failed for good are for
    `retry`.
    """
    journals = await ctx.catalog.read(lambda tx: tx.list_uploads())
    wanted = {(await ctx.catalog.get_operation(text)).operation_id for text in references}
    records = []
    for journal in journals:
        record = await ctx.catalog.get_operation(journal.operation_id)
        if wanted and record.operation_id not in wanted:
            continue
        if not wanted and not _is_interrupted(record):
            continue
        try:
            records.append(await _go_on(ctx, journal))
        except OperationBusy:
            if wanted:
                raise
    return records


def _is_interrupted(record: object) -> bool:
    assert isinstance(record, UploadRecord)
    if record.status in _RESUMABLE:
        return True
    error = record.metadata.get("error") or {}
    return record.status is OperationStatus.FAILED and bool(error.get("retryable"))


async def retry(
    ctx: ArchiveContext, references: Sequence[str] = (), *, failed_ones: bool = False
) -> list[UploadRecord]:
    """Try uploads again that failed, or whose source could not be moved.

    Args:
        references: operation ids (or their beginnings).
        failed_ones: every upload that failed or is partial.

    Raises:
        UnknownReference: an id that is no upload, or one that has nothing left to do.
    """
    journals = {j.operation_id: j for j in await ctx.catalog.read(lambda tx: tx.list_uploads())}
    chosen: list[UploadJournal] = []
    for reference in references:
        record = await ctx.catalog.get_operation(reference)
        if record.operation_id not in journals:
            raise UnknownReference(
                f"{reference} is {record.status}; there is nothing left to do",
                hint="Upload it again with `haulier upload`, or check it with `haulier verify`.",
            )
        chosen.append(journals[record.operation_id])
    if failed_ones:
        for journal in journals.values():
            record = await ctx.catalog.get_operation(journal.operation_id)
            if record.status in {OperationStatus.FAILED, OperationStatus.PARTIAL}:
                chosen.append(journal)
    return [await _go_on(ctx, journal) for journal in chosen]


async def _go_on(ctx: ArchiveContext, journal: UploadJournal) -> UploadRecord:
    await lease.claim(ctx, journal)
    try:
        shipment = await load(ctx, journal)
    except HaulierError:
        await ctx.catalog.transaction(lambda tx: tx.release_upload(journal.operation_id, ctx.owner))
        raise
    await commit(
        ctx,
        shipment,
        status=OperationStatus.RUNNING,
        error_message=None,
        journal={"owner": ctx.owner, "heartbeat_at": ctx.now()},
        metadata={"resumed": int(shipment.record.metadata.get("resumed", 0)) + 1},
    )
    return await carry_on(ctx, shipment, resumed=True)
