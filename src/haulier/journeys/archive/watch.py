"""Uploading what settles in a directory: an entry nothing has changed for a while."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from haulier.catalog.transaction import Tx
from haulier.core.records import OperationStatus, UploadRecord, new_operation_id
from haulier.core.selection import IGNORE_FILE, Selection
from haulier.errors import (
    HaulierError,
    OperationBusy,
    TargetMissing,
    TargetUnreadable,
    UnknownReference,
    UsageError,
)
from haulier.journeys.archive.context import ArchiveContext
from haulier.journeys.archive.options import UploadOptions
from haulier.journeys.archive.upload import resume, retry, upload

POLL_S = 2.0
FIRST_RETRY_S = 30.0
LONGEST_RETRY_S = 3600.0

_INTERRUPTED = {OperationStatus.PENDING, OperationStatus.RUNNING, OperationStatus.CANCELLED}

Signature = tuple[int, int, int]
"""Number of entries, sum of sizes, newest time in nanoseconds."""

Tell = Callable[[list[UploadRecord]], None]


@dataclass(slots=True)
class _Entry:
    """What is known of one entry since it last changed."""

    signature: Signature
    since_s: float
    is_done: bool = False
    failed_id: str | None = None
    failures: int = 0
    retry_at_s: float = 0.0

    def note(self, records: list[UploadRecord], now_s: float) -> None:
        failed = [record for record in records if record.status is not OperationStatus.SUCCESS]
        if not failed:
            self.is_done = True
            return
        self.failed_id = failed[0].operation_id
        self.retry_at_s = now_s + min(FIRST_RETRY_S * 2.0**self.failures, LONGEST_RETRY_S)
        self.failures += 1


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
    """Upload each entry of the local directory once it has settled; ends when cancelled.

    What an earlier run left unfinished there is resumed first. Links, haulier's own directories
    and temporary names are left alone, hidden entries too unless the options take them. An entry
    that changes is uploaded again. What fails is tried again after 30 seconds, then after twice
    as long each time, at most an hour, going on where it stopped.

    Args:
        settle_s: for how many seconds nothing in an entry must have changed.
        tell: called with the records of each upload.

    Raises:
        UsageError: options that can't work. TargetMissing, TargetUnreadable: the directory can't
        be listed (any more).
    """
    root = os.path.realpath(options.local_dir)
    await asyncio.to_thread(_entries, root, options, ())
    tell(await _resume_in(ctx, root))
    seen: dict[str, _Entry] = {}
    while True:
        paths = await asyncio.to_thread(_entries, root, options, _own_directories(ctx, options))
        for path in seen.keys() - set(paths):
            del seen[path]
        for path in paths:
            signature = await asyncio.to_thread(signature_of, path)
            entry = seen.get(path)
            if entry is None or entry.signature != signature:
                entry = seen[path] = _Entry(signature, clock())
            if _is_due(entry, clock(), settle_s):
                records = await _upload(ctx, path, entry, options)
                entry.note(records, clock())
                tell(records)
        await sleep(poll_s)


async def _resume_in(ctx: ArchiveContext, root: str) -> list[UploadRecord]:
    def interrupted(tx: Tx) -> list[str]:
        records = [tx.get_operation(journal.operation_id) for journal in tx.list_uploads()]
        return [
            record.operation_id
            for record in records
            if record is not None
            and record.status in _INTERRUPTED
            and os.path.dirname(record.target_path) == root
        ]

    resumed: list[UploadRecord] = []
    for operation_id in await ctx.catalog.read(interrupted):
        try:
            resumed += await resume(ctx, [operation_id])
        except OperationBusy:
            continue
    return resumed


def _own_directories(ctx: ArchiveContext, options: UploadOptions) -> set[str]:
    own = [
        ctx.data_dir, ctx.destination.directory, options.completed_dir, options.keep_archive_dir,
    ]  # fmt: skip
    return {os.path.realpath(path) for path in own if path is not None}


def _entries(root: str, options: UploadOptions, own: Collection[str]) -> list[str]:
    try:
        with os.scandir(root) as found:
            entries = [
                (e.name, e.is_dir(follow_symlinks=False)) for e in found if not e.is_symlink()
            ]
    except FileNotFoundError:
        raise TargetMissing(f"{root} does not exist") from None
    except OSError as error:
        raise TargetUnreadable(f"{root} can't be listed: {error.strerror}") from error
    selection = Selection(
        exclude=options.exclude, hidden=options.hidden, ignore_lines=_ignore_lines(root)
    )
    paths = [os.path.join(root, name) for name, is_dir in entries if selection.takes(name, is_dir)]
    return sorted(path for path in paths if path not in own)


def _ignore_lines(root: str) -> list[str]:
    try:
        with open(os.path.join(root, IGNORE_FILE), encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
    except OSError:
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
        # Times can be set back, as by `cp -p`; when they were set can't.
        newest = max(newest, status.st_mtime_ns, status.st_ctime_ns)
    return entries, size, newest


def _is_due(entry: _Entry, now_s: float, settle_s: float) -> bool:
    is_settled = now_s - entry.since_s >= settle_s
    return is_settled and not entry.is_done and now_s >= entry.retry_at_s


async def _upload(
    ctx: ArchiveContext, path: str, entry: _Entry, options: UploadOptions
) -> list[UploadRecord]:
    try:
        if entry.failed_id is not None:
            try:
                return await retry(ctx, [entry.failed_id])
            except UnknownReference:
                pass  # it failed before anything of it was recorded
        return await upload(ctx, [path], options)
    except UsageError:
        raise
    except HaulierError as error:
        return [
            UploadRecord(
                operation_id=entry.failed_id or new_operation_id(),
                operation_type="upload",
                target_path=path,
                target_name=os.path.basename(path),
                status=OperationStatus.FAILED,
                error_message=error.message,
                metadata={"error": {"code": error.code, "hint": error.hint}},
            )
        ]
