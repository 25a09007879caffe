"""Uploading what settles in a directory: an entry nothing has changed for a while."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from haulier.core.records import OperationStatus, UploadRecord
from haulier.errors import HaulierError, NothingSelected
from haulier.journeys.archive.context import ArchiveContext
from haulier.journeys.archive.options import UploadOptions
from haulier.journeys.archive.select import EVERYTHING, Target, resolve_targets
from haulier.journeys.archive.upload import upload

POLL_S = 2.0
_FIRST_RETRY_S = 30.0
_LONGEST_RETRY_S = 3600.0

Signature = tuple[int, int, int]
"""Number of entries, sum of sizes, newest time in nanoseconds."""

Tell = Callable[[list[UploadRecord]], None]


@dataclass(slots=True)
class _Seen:
    signature: Signature
    since_s: float
    done: bool = False
    retry_at_s: float = 0.0
    failures: int = 0


async def watch(
    ctx: ArchiveContext,
    options: UploadOptions,
    *,
    settle_s: float,
    tell: Tell = lambda _records: None,
    poll_s: float = POLL_S,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Upload each entry of the local directory once it has settled; returns when cancelled.

    Args:
        settle_s: for how many seconds nothing in an entry must have changed.
        tell: called with the records of each upload.

    An entry that failed is tried again after 30 seconds, then after twice as long each time, at
    most an hour; one that changed is taken for new.
    """
    seen: dict[str, _Seen] = {}
    while True:
        targets = await asyncio.to_thread(_targets, options, ctx.data_dir)
        for path in set(seen) - {target.path for target in targets}:
            del seen[path]
        for target in targets:
            signature = await asyncio.to_thread(signature_of, target.path)
            if _is_due(seen, target.path, signature, clock(), settle_s):
                records = await _upload(ctx, target, options)
                _note(seen[target.path], records, clock())
                tell(records)
        await sleep(poll_s)


def _targets(options: UploadOptions, data_dir: str) -> Sequence[Target]:
    try:
        return resolve_targets([EVERYTHING], options, [data_dir])
    except NothingSelected:
        return []


def signature_of(path: str) -> Signature:
    """Return what tells whether anything at or below `path` changed; an entry that vanishes
    meanwhile counts for nothing."""
    entries = size = newest = 0
    pending = [path]
    while pending:
        current = pending.pop()
        try:
            status = os.lstat(current)
            if os.path.isdir(current) and not os.path.islink(current):
                pending.extend(os.path.join(current, name) for name in os.listdir(current))
        except OSError:
            continue
        entries += 1
        size += status.st_size
        newest = max(newest, status.st_mtime_ns, status.st_ctime_ns)
    return entries, size, newest


def _is_due(
    seen: dict[str, _Seen], path: str, signature: Signature, now_s: float, settle_s: float
) -> bool:
    known = seen.get(path)
    if known is None or known.signature != signature:
        seen[path] = _Seen(signature, now_s)
        return settle_s <= 0
    if known.done or now_s < known.retry_at_s:
        return False
    return now_s - known.since_s >= settle_s


async def _upload(
    ctx: ArchiveContext, target: Target, options: UploadOptions
) -> list[UploadRecord]:
    try:
        return await upload(ctx, [target.path], options)
    except HaulierError as error:
        return [
            UploadRecord(
                operation_type="upload",
                target_path=target.path,
                target_name=target.name,
                status=OperationStatus.FAILED,
                error_message=error.message,
            )
        ]


def _note(known: _Seen, records: list[UploadRecord], now_s: float) -> None:
    if all(record.status is OperationStatus.SUCCESS for record in records):
        known.done = True
        return
    known.retry_at_s = now_s + min(_FIRST_RETRY_S * 2**known.failures, _LONGEST_RETRY_S)
    known.failures += 1
