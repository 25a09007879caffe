"""The row every operation has: committed as running before anything is done, finished after.

A crash in between leaves the row running, which is the truth: it was begun and not finished.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from haulier.core.progress import Meter
from haulier.core.records import OperationRecord, OperationStatus
from haulier.errors import HaulierError, Interrupted, Transient
from haulier.journeys.archive.context import ArchiveContext

_log = logging.getLogger(__name__)


class RunningOperation:
    """An operation while it runs; `record` is what is known of it so far."""

    def __init__(self, ctx: ArchiveContext, record: OperationRecord) -> None:
        self._ctx = ctx
        self.record = record
        self.meter: Meter | None = None
        self._measured_bytes = 0

    @property
    def operation_id(self) -> str:
        return self.record.operation_id

    def note(self, **metadata: Any) -> None:
        """Add JSON values to the record's metadata; stored when the operation ends."""
        self.record = replace(self.record, metadata={**self.record.metadata, **metadata})

    def measure(self, size_bytes: int, stage: str) -> Meter:
        """Show progress over `size_bytes` more; the meter ends with the operation."""
        self._measured_bytes += size_bytes
        if self.meter is None:
            self.meter = self._ctx.board.start(self.operation_id, self.record.target_name)
        self.meter.set_stage(stage)
        self.meter.set_total(self._measured_bytes)
        return self.meter

    def result_in(self, path: str) -> None:
        """Say where the outcome is, as a path or URL."""
        self.record = replace(self.record, result_path=path)


@asynccontextmanager
async def operation(
    ctx: ArchiveContext,
    operation_type: str,
    *,
    target_path: str,
    target_name: str,
    metadata: dict[str, Any] | None = None,
    keep_failure: bool = False,
    monotonic: Callable[[], float] = time.monotonic,
) -> AsyncIterator[RunningOperation]:
    """Record what the body does: running before it starts, then how it ended.

    Args:
        ctx: where the row goes, and who asked for it.
        operation_type: `verify`, `download`, `delete`, …
        target_path: what it is done to, as a path or URL.
        target_name: the same for people.
        metadata: what is known from the start.
        keep_failure: leave a HaulierError of the body in the record instead of raising it,
            so that one failed item spares the others. An interruption is always raised.
        monotonic: the clock of `duration_seconds`.

    Raises whatever the body raises; the record then says `failed`, or `cancelled`.
    """
    running = RunningOperation(
        ctx,
        OperationRecord(
            operation_type=operation_type,
            target_path=target_path,
            target_name=target_name,
            started_at=ctx.now(),
            status=OperationStatus.RUNNING,
            metadata=dict(metadata or {}),
            user=ctx.user,
            command_args=list(ctx.command_args),
        ),
    )
    began_s = monotonic()

    async def finish(status: OperationStatus, message: str | None = None) -> None:
        running.record = replace(
            running.record,
            status=status,
            error_message=message,
            completed_at=ctx.now(),
            duration_seconds=monotonic() - began_s,
        )
        await save(ctx, running.record)
        if running.meter is not None and message is None:
            running.meter.finish()
        elif running.meter is not None:
            running.meter.fail(message or "")

    await save(ctx, running.record)
    try:
        yield running
    except (asyncio.CancelledError, KeyboardInterrupt, Interrupted):
        await asyncio.shield(finish(OperationStatus.CANCELLED, "interrupted"))
        raise
    except HaulierError as error:
        retryable = isinstance(error, Transient)
        running.note(error={"code": error.code, "hint": error.hint, "retryable": retryable})
        await finish(OperationStatus.FAILED, error.message)
        if not keep_failure:
            raise
        _log.debug("%s of %r failed", operation_type, target_path, exc_info=True)
    except BaseException as error:
        await finish(OperationStatus.FAILED, f"{type(error).__name__}: {error}")
        raise
    else:
        await finish(OperationStatus.SUCCESS)


async def save(ctx: ArchiveContext, record: OperationRecord) -> None:
    """Commit `record` in a transaction of its own."""
    await ctx.catalog.transaction(lambda tx: tx.put_operation(record))
