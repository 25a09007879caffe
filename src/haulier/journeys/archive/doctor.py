"""What is configured, reachable and missing, and how to mend it."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import platform
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast
from urllib.parse import unquote, urlsplit

from haulier._version import __version__
from haulier.catalog.catalog import Catalog
from haulier.catalog.filters import OperationFilter
from haulier.catalog.schema import HEAD, refuse_network_filesystem
from haulier.core.recordings import TRASH_DAYS
from haulier.core.records import OperationStatus
from haulier.core.units import format_duration, format_size
from haulier.errors import HaulierError
from haulier.journeys.archive.context import ArchiveContext
from haulier.journeys.archive.gc import find_garbage
from haulier.journeys.archive.lease import STALE_AFTER, is_dead
from haulier.journeys.archive.open import open_archive
from haulier.journeys.recording.looking import look
from haulier.settings import Settings

if TYPE_CHECKING:
    from haulier.store.haulier import HaulierStore
    from haulier.store.s3 import S3Store

_LOW_SPACE_BYTES = 1 << 30
_COUNTED = 1000
_NAMED = 5
_NOTABLE_SKEW = timedelta(minutes=1)
_REFUSED_SKEW = timedelta(minutes=15)
_EXTRAS = {
    "psycopg": ("a catalog in PostgreSQL", "postgres"),
    "nacl": ("encryption", "encrypt"),
    "keyring": ("keys in the system's keyring", "encrypt"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `fix` says what to do when it is not `ok`."""

    name: str
    state: Literal["ok", "warning", "problem"]
    detail: str
    fix: str | None = None


async def examine(settings: Settings, *, to: str | None = None) -> list[Finding]:
    """Look at everything the archive journey needs; never raises for what it finds.

    Args:
        to: the destination to look at, as in `open_archive`.
    """
    findings = [
        Finding("version", "ok", f"haulier {__version__}, Python {platform.python_version()}"),
        _directory("data directory", settings.general.data, "HAULIER_DATA"),
        _local_directory(settings),
        _completed_directory(settings),
        *_extras(),
        await _guarded("recordings", lambda: _recordings(settings.recordings_dir)),
        await _guarded("catalog", lambda: _catalog(settings)),
    ]
    if findings[-1].state == "problem":
        fix = "Mend the catalog first."
        return [*findings, Finding("destination", "warning", "was not looked at", fix)]
    try:
        async with open_archive(settings, to=to) as ctx:
            findings += [finding async for finding in _journey(ctx, settings)]
    except HaulierError as error:
        findings.append(Finding("destination", "problem", error.message, error.hint))
    return findings


async def _guarded(name: str, look: Callable[[], Awaitable[Finding]]) -> Finding:
    try:
        return await look()
    except HaulierError as error:
        return Finding(name, "problem", error.message, error.hint)


def _directory(name: str, path: Path, setting: str) -> Finding:
    """Judge a directory that is made when it is needed: may it be written, is there space?"""
    nearest = _nearest(path)
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        fix = f"Set {setting} to a directory you may write to."
        return Finding(name, "problem", f"{path} can't be written to", fix)
    free = shutil.disk_usage(nearest).free
    detail = f"{path}, {format_size(free)} free"
    if free < _LOW_SPACE_BYTES:
        return Finding(name, "warning", detail, "Free some space.")
    return Finding(name, "ok", detail)


def _nearest(path: Path) -> Path:
    """Return `path`, or the nearest directory above it that exists."""
    nearest = path.absolute()
    while not os.path.lexists(nearest):
        nearest = nearest.parent
    return nearest


def _local_directory(settings: Settings) -> Finding:
    local = settings.archive.local_dir.absolute()
    if not local.is_dir():
        fix = "Set MGMT_LOCAL_DIR to the directory that holds your media."
        return Finding("local directory", "problem", f"{local} is not a directory", fix)
    if not os.access(local, os.R_OK | os.X_OK):
        fix = "Give yourself permission, or set MGMT_LOCAL_DIR."
        return Finding("local directory", "problem", f"{local} can't be read", fix)
    return Finding("local directory", "ok", str(local))


def _completed_directory(settings: Settings) -> Finding:
    name = "completed directory"
    if not settings.archive.completed_enabled:
        return Finding(name, "ok", "off: sources stay where they are")
    completed = settings.archive.completed.absolute()
    finding = _directory(name, completed, "MGMT_COMPLETED_DIR")
    local = settings.archive.local_dir
    if finding.state == "problem" or not local.is_dir():
        return finding
    if _nearest(completed).stat().st_dev != local.stat().st_dev:
        detail = f"{finding.detail}; on another file system: sources are copied, then removed"
        return Finding(name, finding.state, detail, finding.fix)
    return finding


def _extras() -> list[Finding]:
    missing = [
        Finding(f"extra {extra}", "warning", f"{module} is missing, for {purpose}", fix)
        for module, (purpose, extra) in _EXTRAS.items()
        if importlib.util.find_spec(module) is None
        for fix in [f"If you want that: pip install 'haulier[{extra}]'."]
    ]
    return missing or [Finding("extras", "ok", f"all there: {', '.join(_EXTRAS)}")]


async def _recordings(directory: Path) -> Finding:
    found = await asyncio.to_thread(look, directory)
    detail = f"{found.files} in {directory}, {found.waiting} wait to be sent"
    fixes = []
    if found.only_in_trash:
        names = _few(found.only_in_trash)
        detail += f"; there is no copy elsewhere of what lies in the trash: {names}"
        fixes.append(
            "Move what you want, sound and .json, from trash/ to recordings/ beside it and sync it:"
            f" it is removed when it was seen there on {TRASH_DAYS} days."
        )
    if found.damaged:
        detail += f"; metadata can't be used: {_few(found.damaged)}"
        fixes.append("Restart haulier: it describes sound anew and sets aside what it can't use.")
    if fixes:
        return Finding("recordings", "warning", detail, " ".join(fixes))
    return Finding("recordings", "ok", detail)


def _few(names: list[str]) -> str:
    more = f", and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


async def _catalog(settings: Settings) -> Finding:
    url = settings.catalog_url
    where = "PostgreSQL"
    if isinstance(url, Path):
        refuse_network_filesystem(url)
        where = str(url)
    async with await Catalog.open(url) as catalog:
        page = await catalog.list_operations(OperationFilter(limit=_COUNTED))
    count = f"over {_COUNTED}" if page.next_cursor else str(len(page.items))
    return Finding("catalog", "ok", f"{where}, schema {HEAD}, {count} operations")


async def _journey(ctx: ArchiveContext, settings: Settings) -> AsyncIterator[Finding]:
    yield _destination(ctx)
    if ctx.destination.store.scheme == "s3":
        yield await _guarded("bucket", lambda: _bucket(ctx))
    elif ctx.destination.directory is None:
        yield await _guarded("server", lambda: _server(ctx))
    else:
        root = Path(unquote(urlsplit(ctx.destination.store.url).path))
        yield _directory("store", root, "HAULIER_DATA, or --to,")
    yield await _unfinished(ctx)
    archive = settings.archive
    directories = [str(archive.completed)] if archive.completed_enabled else []
    yield await _guarded("orphans", lambda: _orphans(ctx, directories))


def _destination(ctx: ArchiveContext) -> Finding:
    place, checks = ctx.destination.destination, ctx.destination.checks
    abilities = {
        "CRC-64/NVME": checks.crc64nvme,
        "MD5 as ETag": checks.etag_is_md5,
        "no overwriting": checks.if_none_match,
    }
    made = [name for name, is_made in abilities.items() if is_made]
    endpoint = f" at {place.endpoint_url}" if place.endpoint_url else ""
    detail = f"{place.root}/{place.prefix}{endpoint} checks: {', '.join(made) or 'only the size'}"
    if not checks.crc64nvme and not checks.etag_is_md5:
        fix = "It can't prove what it stores: run `haulier verify --deep` after uploads."
        return Finding("destination", "warning", detail, fix)
    return Finding("destination", "ok", detail)


async def _bucket(ctx: ArchiveContext) -> Finding:
    """Ask the bucket now: what was probed may be weeks old. Its answer tells its clock, too."""
    # The store may be wrapped for retry and throttle; wrappers pass everything on.
    store = cast("S3Store", ctx.destination.store)
    answer = await store.http.send("HEAD")
    try:
        skew = abs(parsedate_to_datetime(answer.headers["Date"]) - ctx.now())
    except (KeyError, ValueError, TypeError):
        return Finding("bucket", "ok", f"{store.bucket} answers; its clock is unknown")
    detail = f"{store.bucket} answers; clocks differ by {format_duration(skew.total_seconds())}"
    fix = "Set this machine's clock (NTP): requests signed 15 minutes off are refused."
    if skew >= _REFUSED_SKEW:
        return Finding("bucket", "problem", detail, fix)
    if skew >= _NOTABLE_SKEW:
        return Finding("bucket", "warning", detail, fix)
    return Finding("bucket", "ok", detail)


async def _server(ctx: ArchiveContext) -> Finding:
    store = cast("HaulierStore", ctx.destination.store)
    account = await store.check_account()
    quota, used = account["quota"], format_size(account["used"])
    room = "" if quota is None else f" of {format_size(quota)}"
    return Finding("server", "ok", f"{account['name']} keeps {used}{room} there")


async def _unfinished(ctx: ArchiveContext) -> Finding:
    journals = await ctx.catalog.read(lambda tx: tx.list_uploads())
    stale_before = ctx.now() - STALE_AFTER
    interrupted = failed = 0
    for journal in journals:
        is_led = journal.owner is not None and not is_dead(journal.owner)
        if is_led and journal.heartbeat_at is not None and journal.heartbeat_at >= stale_before:
            continue
        record = await ctx.catalog.get_operation(journal.operation_id)
        if record.status in {OperationStatus.FAILED, OperationStatus.PARTIAL}:
            failed += 1
        else:
            interrupted += 1
    running = len(journals) - interrupted - failed
    fixes = ["`haulier resume`"] * bool(interrupted) + ["`haulier retry --failed`"] * bool(failed)
    detail = f"{running} running, {interrupted} interrupted, {failed} failed"
    if fixes:
        return Finding("uploads", "warning", detail, f"Run {' and '.join(fixes)}.")
    return Finding("uploads", "ok", detail)


async def _orphans(ctx: ArchiveContext, directories: list[str]) -> Finding:
    found = await find_garbage(ctx, directories=directories)
    if not found:
        return Finding("orphans", "ok", "none older than a day")
    unknown = sum(not item.known for item in found)
    detail = f"{len(found)} older than a day, {unknown} of them of unknown origin"
    return Finding("orphans", "warning", detail, "Look with `haulier gc --dry-run`.")
