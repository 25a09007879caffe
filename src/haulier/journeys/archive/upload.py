"""Uploads from where they begin: selected and recorded, or loaded from the journal to go on.

From there all of them walk through the same `stages`. One target's failure is its own record and
does not stop the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from haulier.catalog.journal import UploadJournal
from haulier.core.names import object_key
from haulier.core.records import OperationStatus, UploadRecord
from haulier.core.selection import Selection
from haulier.errors import (
    HaulierError,
    OperationBusy,
    UnknownReference,
)
from haulier.journeys.archive import completing, lease
from haulier.journeys.archive.context import ArchiveContext
from haulier.journeys.archive.convoy import AT_ONCE, Convoy
from haulier.journeys.archive.equal import already_uploaded
from haulier.journeys.archive.options import UploadOptions
from haulier.journeys.archive.select import Refused, Selected, Target, resolve_targets, select
from haulier.journeys.archive.shipment import begin, commit, failed, load, new_record
from haulier.journeys.archive.stages import as_haulier_error, carry_on

_RESUMABLE = frozenset(
    {OperationStatus.PENDING, OperationStatus.RUNNING, OperationStatus.CANCELLED}
)
_FAILED = frozenset({OperationStatus.FAILED, OperationStatus.PARTIAL})


async def upload(
    ctx: ArchiveContext, names: Sequence[str], options: UploadOptions, *, dry_run: bool = False
) -> list[UploadRecord]:
    """Archive, upload, verify and complete what `names` mean.

    Small targets go a few at a time, at most `options.jobs`.

    Args:
        names: paths, or `all` for each entry of the local directory.
        dry_run: only tell what would be done; nothing is written anywhere.

    Returns:
        A record for each target, in their order: `success` (also for one that was skipped
        because equal content is stored already), `partial` when only the move failed, or
        `failed`.

    Raises:
        UsageError: the options make no sense.
        SourceError: nothing can be selected at all.
    """
    _require_sound(ctx, options)
    own = [path for path in (ctx.data_dir, ctx.destination.directory) if path is not None]
    targets = resolve_targets(names, options, own)
    try:
        async with asyncio.TaskGroup() as group:
            convoy = Convoy(group, min(AT_ONCE, options.jobs))
            started = [
                await _start(ctx, convoy, target, options, dry_run=dry_run) for target in targets
            ]
    except BaseExceptionGroup as bugs:
        raise bugs.exceptions[0] from None
    return [each if isinstance(each, UploadRecord) else each.result() for each in started]


def _require_sound(ctx: ArchiveContext, options: UploadOptions) -> None:
    """Raise UsageError for options that no target could be uploaded with."""
    Selection(exclude=options.exclude, include=options.include)
    object_key(ctx.destination.destination.prefix, "any", options.compression)


async def _start(
    ctx: ArchiveContext,
    convoy: Convoy,
    target: Target | Refused,
    options: UploadOptions,
    *,
    dry_run: bool,
) -> asyncio.Task[UploadRecord] | UploadRecord:
    """Select `target` and start its upload; returns its task, or why there is none."""
    if isinstance(target, Refused):
        return _never_begun(ctx, target.target, options, target.error, dry_run=dry_run)
    await convoy.clear_of(target)
    try:
        selected = await asyncio.to_thread(select, target, options)
    except (HaulierError, OSError) as error:
        return _never_begun(ctx, target, options, error, dry_run=dry_run)
    return await convoy.start(
        selected, lambda: _upload_one(ctx, selected, options, dry_run=dry_run)
    )


async def _upload_one(
    ctx: ArchiveContext, selected: Selected, options: UploadOptions, *, dry_run: bool
) -> UploadRecord:
    target = selected.target
    try:
        completing.require_free_name(target.path, target.name, options)
        earlier = None if options.force else await already_uploaded(ctx, selected)
        if earlier is not None:
            return _with_dry_run(_skipped(ctx, selected, options, earlier), dry_run)
        if dry_run:
            return _with_dry_run(_planned_only(ctx, selected, options), dry_run)
        shipment = await begin(ctx, selected, options)
    except (HaulierError, OSError) as error:
        return _never_begun(ctx, target, options, error, dry_run=dry_run)
    try:
        return await carry_on(ctx, shipment, resumed=False)
    except HaulierError as error:  # the catalog itself failed; the others are told of all the same
        return failed(ctx, shipment.record, error)


def _never_begun(
    ctx: ArchiveContext,
    target: Target,
    options: UploadOptions,
    error: HaulierError | OSError,
    *,
    dry_run: bool,
) -> UploadRecord:
    why = as_haulier_error(error) if isinstance(error, OSError) else error
    return _with_dry_run(failed(ctx, _unplanned(ctx, target, options), why), dry_run)


def _with_dry_run(record: UploadRecord, dry_run: bool) -> UploadRecord:
    return replace(record, metadata={**record.metadata, "dry_run": True}) if dry_run else record


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
        chosen += await _failed(ctx)
    return [await _go_on(ctx, journal) for journal in chosen]


async def count_failed(ctx: ArchiveContext) -> int:
    """Return how many uploads `retry` would try again."""
    return len(await _failed(ctx))


async def _failed(ctx: ArchiveContext) -> list[UploadJournal]:
    journals = await ctx.catalog.read(lambda tx: tx.list_uploads())
    return [
        journal
        for journal in journals
        if (await ctx.catalog.get_operation(journal.operation_id)).status in _FAILED
    ]


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
