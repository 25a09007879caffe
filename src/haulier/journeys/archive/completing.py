"""The last steps: the source moves out of the way, and everything is recorded as done.

A source moves only after its archive was proven. Where it is going is committed before it goes,
so that a run that dies in between can tell, next time, that it has arrived.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from haulier.catalog.journal import JournalStage
from haulier.catalog.transaction import Tx
from haulier.core.names import duplicate_names
from haulier.core.records import (
    FileRecord,
    FileStatus,
    OperationStatus,
    format_time,
    new_file_id,
)
from haulier.errors import DuplicateName, HaulierError, SourceChanged
from haulier.journeys.archive.context import ArchiveContext, StageReached
from haulier.journeys.archive.select import Target, select
from haulier.journeys.archive.shipment import Shipment, commit
from haulier.transfer.move import move

_MOVING_TO = "moving_to"


def completed_dir_for(target_path: str, completed_dir: str, local_dir: str, preserve: bool) -> str:
    """Return the directory below the completed directory that a target moves into.

    With `preserve`, the directories between the local directory and the target are kept; a
    target from elsewhere goes flat.
    """
    if not preserve:
        return completed_dir
    relative = os.path.relpath(os.path.dirname(target_path), os.path.realpath(local_dir))
    if relative == os.curdir or relative.startswith(os.pardir):
        return completed_dir
    return os.path.join(completed_dir, relative)


def require_free_name(target_path: str, name: str, options: Any) -> None:
    """Refuse, before a byte moves, a target whose name is taken in the completed directory.

    Only when duplicates are to be errors. Raises DuplicateName.
    """
    if options.completed_dir is None or options.duplicate_handling != "error":
        return
    directory = completed_dir_for(
        target_path, options.completed_dir, options.local_dir, options.preserve_structure
    )
    if os.path.lexists(os.path.join(directory, name)):
        raise DuplicateName(f"{os.path.join(directory, name)} exists already")


async def move_source(ctx: ArchiveContext, shipment: Shipment) -> None:
    """Move the source to the completed directory and commit where it is.

    A failure does not undo the upload: it is recorded as partial, and a retry moves again.
    """
    if shipment.options.completed_dir is None:
        await commit(ctx, shipment, stage=JournalStage.MOVED)
        return
    shipment.meter.set_stage("moving")
    landed = await _move(ctx, shipment, shipment.options.completed_dir)
    ctx.observe(StageReached(shipment.id, "source-moved", landed))
    await commit(
        ctx,
        shipment,
        stage=JournalStage.MOVED,
        completed_file_record=_completed_record(ctx, shipment, landed),
    )


async def _move(ctx: ArchiveContext, shipment: Shipment, completed_dir: str) -> str:
    source = Path(shipment.record.target_path)
    earlier = shipment.journal.options.get(_MOVING_TO)
    if earlier and not os.path.lexists(source) and os.path.lexists(earlier):
        return str(earlier)
    if not (earlier and os.path.lexists(earlier)):
        await _require_unchanged(shipment)
    directory = completed_dir_for(
        str(source),
        completed_dir,
        shipment.options.local_dir,
        shipment.options.preserve_structure,
    )
    for name in _names(shipment, earlier, directory):
        target = os.path.join(directory, name)
        await commit(
            ctx, shipment, journal={"options": {**shipment.journal.options, _MOVING_TO: target}}
        )
        already = Path(earlier) if earlier == target else None
        try:
            return str(
                await asyncio.to_thread(move, source, Path(directory), [name], already=already)
            )
        except DuplicateName:
            if shipment.options.duplicate_handling == "error":
                raise
    raise AssertionError("the names never end")


async def _require_unchanged(shipment: Shipment) -> None:
    """Refuse to put away as uploaded what is no longer what was uploaded."""
    target = Target(shipment.record.target_path, shipment.record.target_name)
    now = await asyncio.to_thread(select, target, shipment.options)
    if [i.entry for i in now.layout.entries] != [i.entry for i in shipment.layout.entries]:
        raise SourceChanged(
            f"{target.path} changed after it was uploaded",
            hint="What was uploaded is safe. Upload the source again as it is now.",
        )


def _names(shipment: Shipment, earlier: str | None, directory: str) -> Iterator[str]:
    """Yield names to try: the one an earlier run had begun with, then those of the rules."""
    if earlier is not None:
        yield os.path.relpath(earlier, directory)
    yield from duplicate_names(
        shipment.record.target_name,
        shipment.options.duplicate_handling,
        shipment.record.started_at,
    )


def _completed_record(ctx: ArchiveContext, shipment: Shipment, landed: str) -> FileRecord:
    record = shipment.record
    return replace(
        shipment.source,
        id=new_file_id(),
        path=landed,
        location="completed",
        status=FileStatus.COMPLETED,
        tags={
            **({"s3_bucket": record.s3_bucket} if record.s3_bucket else {}),
            "s3_object_key": record.s3_object_key or "",
            "upload_operation_id": shipment.id,
            "upload_timestamp": format_time(ctx.now()),
        },
    )


async def finish(ctx: ArchiveContext, shipment: Shipment) -> None:
    """Record the upload as done and forget its journal, in one transaction."""
    now = ctx.now()
    completed = shipment.record.completed_file_record
    source = replace(shipment.source, status=FileStatus.COMPLETED, error_message=None)
    if completed is not None:
        source = replace(source, path=completed.path, location="completed")
    kept = shipment.record.compressed_file_path
    archive = shipment.record.compressed_file_record
    if archive is not None and kept is not None:
        archive = replace(archive, path=kept, status=FileStatus.COMPLETED)
    record = replace(
        shipment.record,
        status=OperationStatus.SUCCESS,
        error_message=None,
        completed_at=now,
        duration_seconds=max((now - shipment.record.started_at).total_seconds(), 0.0),
        source_file_record=source,
        compressed_file_record=archive,
        metadata={k: v for k, v in shipment.record.metadata.items() if k != "error"},
    )

    def write(tx: Tx) -> None:
        tx.put_operation(record)
        tx.delete_upload(shipment.id)

    await ctx.catalog.transaction(write)
    shipment.record = record
    ctx.observe(StageReached(shipment.id, "done", shipment.journal.key))


async def leave_unmoved(ctx: ArchiveContext, shipment: Shipment, error: HaulierError) -> None:
    """Record that the object is safe and the source could not be moved."""
    now = ctx.now()
    await commit(
        ctx,
        shipment,
        status=OperationStatus.PARTIAL,
        error_message=f"uploaded and verified, but not moved: {error.message}",
        completed_at=now,
        duration_seconds=max((now - shipment.record.started_at).total_seconds(), 0.0),
        metadata={
            "error": {"code": error.code, "hint": error.hint, "retryable": False},
        },
    )
