"""What is configured, reachable and missing, and how to mend it."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from haulier._version import __version__
from haulier.core.records import OperationStatus
from haulier.core.units import format_size
from haulier.errors import HaulierError
from haulier.journeys.archive.context import ArchiveContext
from haulier.journeys.archive.gc import find_garbage
from haulier.journeys.archive.lease import is_dead
from haulier.journeys.archive.open import open_archive, open_catalog
from haulier.settings import Settings

_LOW_SPACE_BYTES = 1 << 30
_GARBAGE_AGE = timedelta(hours=24)
_EXTRAS = {
    "psycopg": ("PostgreSQL as catalog", "postgres"),
    "nacl": ("encryption", "encrypt"),
    "keyring": ("keys in the keyring", "encrypt"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `fix` says what to do when it is not `ok`."""

    name: str
    state: Literal["ok", "warning", "problem"]
    detail: str
    fix: str | None = None


async def examine(settings: Settings) -> list[Finding]:
    """Look at everything the archive journey needs; never raises for what it finds."""
    findings = [
        Finding("version", "ok", f"haulier {__version__}, Python {platform.python_version()}"),
        _data_directory(settings),
        _completed_directory(settings),
        *_extras(),
    ]
    findings.append(await _guarded("catalog", lambda: _catalog(settings)))
    try:
        async with open_archive(settings) as ctx:
            findings += [finding async for finding in _journey(ctx)]
    except HaulierError as error:
        findings.append(Finding("destination", "problem", error.message, error.hint))
    return findings


def _data_directory(settings: Settings) -> Finding:
    path = settings.general.data
    existing = path
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not os.access(existing, os.W_OK):
        fix = "Set HAULIER_DATA to a directory you may write to."
        return Finding("data directory", "problem", f"{path} may not be written", fix)
    return _with_space("data directory", str(path), str(existing))


def _completed_directory(settings: Settings) -> Finding:
    if not settings.archive.completed_enabled:
        return Finding("completed directory", "ok", "off: sources stay where they are")
    local, completed = settings.archive.local_dir, settings.archive.completed
    if not local.is_dir():
        fix = "Set MGMT_LOCAL_DIR to the directory that holds your media."
        return Finding("completed directory", "problem", f"{local} does not exist", fix)
    existing = completed if completed.exists() else completed.parent
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        fix = "Set MGMT_COMPLETED_DIR to a directory you may write to."
        return Finding("completed directory", "problem", f"{completed} may not be written", fix)
    if existing.stat().st_dev != local.stat().st_dev:
        detail = f"{completed} is on another file system: sources are copied, then removed"
        return Finding("completed directory", "ok", detail)
    return Finding("completed directory", "ok", f"{completed}")


def _with_space(name: str, shown: str, path: str) -> Finding:
    free = shutil.disk_usage(path).free
    detail = f"{shown}, {format_size(free)} free"
    if free < _LOW_SPACE_BYTES:
        return Finding(name, "warning", detail, "Free some space.")
    return Finding(name, "ok", detail)


def _extras() -> list[Finding]:
    findings = []
    for module, (purpose, extra) in _EXTRAS.items():
        if importlib.util.find_spec(module) is None:
            fix = f"pip install 'haulier[{extra}]' if you need it"
            findings.append(Finding(f"extra {extra}", "warning", f"{purpose}: missing", fix))
    return findings


async def _guarded(name: str, look: Callable[[], Awaitable[Finding]]) -> Finding:
    try:
        return await look()
    except HaulierError as error:
        return Finding(name, "problem", error.message, error.hint)


async def _catalog(settings: Settings) -> Finding:
    async with await open_catalog(settings) as catalog:
        open_uploads = await catalog.read(lambda tx: len(tx.list_uploads()))
    where = "PostgreSQL" if "://" in str(settings.catalog_url) else str(settings.catalog_url)
    return Finding("catalog", "ok", f"{where}, {open_uploads} uploads not finished")


async def _journey(ctx: ArchiveContext) -> AsyncIterator[Finding]:
    place, checks = ctx.destination.destination, ctx.destination.checks
    made = [
        name
        for name, found in (
            ("CRC-64/NVME", checks.crc64nvme),
            ("MD5 as ETag", checks.etag_is_md5),
            ("refuses to overwrite", checks.if_none_match),
        )
        if found
    ]
    detail = f"{place.root}/{place.prefix} checks: {', '.join(made) or 'nothing but the size'}"
    if made:
        yield Finding("destination", "ok", detail)
    else:
        yield Finding("destination", "warning", detail, "Verify uploads with --deep.")
    yield await _unfinished(ctx)
    yield await _guarded("orphans", lambda: _orphans(ctx))


async def _unfinished(ctx: ArchiveContext) -> Finding:
    journals = await ctx.catalog.read(lambda tx: tx.list_uploads())
    waiting = [j for j in journals if j.owner is None or is_dead(j.owner)]
    failed = 0
    for journal in waiting:
        record = await ctx.catalog.get_operation(journal.operation_id)
        failed += record.status in {OperationStatus.FAILED, OperationStatus.PARTIAL}
    interrupted = len(waiting) - failed
    if not waiting:
        return Finding("uploads", "ok", f"{len(journals)} running, none interrupted")
    fixes = []
    if interrupted:
        fixes.append("`haulier resume`")
    if failed:
        fixes.append("`haulier retry --failed`")
    detail = f"{interrupted} interrupted, {failed} failed"
    return Finding("uploads", "warning", detail, f"Run {' and '.join(fixes)}.")


async def _orphans(ctx: ArchiveContext) -> Finding:
    found = await find_garbage(ctx, older_than=_GARBAGE_AGE)
    if not found:
        return Finding("orphans", "ok", "none older than a day")
    return Finding("orphans", "warning", f"{len(found)} found", "Run `haulier gc`.")
