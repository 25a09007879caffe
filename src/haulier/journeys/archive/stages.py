"""The archive journey, told from top to bottom: open, send, prove, move, finish.

Each step ends by committing the stage it reached; an interrupted upload walks on from there,
through the same steps.
"""

from __future__ import annotations

import asyncio
import errno
import logging

from haulier.catalog.journal import JournalStage
from haulier.core.records import OperationStatus, UploadRecord
from haulier.errors import HaulierError, NoSuchUpload, StorageFull
from haulier.journeys.archive import completing, lease, proving, sending
from haulier.journeys.archive.context import ArchiveContext, StageReached
from haulier.journeys.archive.shipment import Shipment, commit, failed

_log = logging.getLogger(__name__)
_RESTARTS = 3


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
            await _record_failure(ctx, shipment, as_haulier_error(error))
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
    _log.debug("the upload of %r failed", shipment.record.target_path, exc_info=True)
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


def as_haulier_error(error: OSError) -> HaulierError:
    """Return what the system's `error` means for an upload."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StorageFull(f"no space left: {error.filename or error.strerror}")
    return HaulierError(
        f"{error.filename or 'the system'}: {error.strerror or error}",
        hint="Mend that and run `haulier retry ID`.",
    )
