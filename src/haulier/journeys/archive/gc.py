"""Finding and ending what interrupted runs left behind.

Three kinds: multipart uploads nobody will finish, temporary files of runs that are dead, and
indexes whose archive is gone. Only what is older than a day is looked at, in the store only
below our prefix, and what an upload can still go on with is never garbage.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from haulier.archive.index import INDEX_SUFFIX
from haulier.catalog.filters import OperationFilter
from haulier.catalog.journal import JournalStage, UploadJournal
from haulier.core.records import OperationRecord, UploadRecord
from haulier.errors import NoSuchObject, TargetUnreadable
from haulier.journeys.archive.bookkeeping import operation
from haulier.journeys.archive.context import ArchiveContext
from haulier.journeys.archive.destination import Destination, OpenDestination
from haulier.store.base import ListingStore, ObjectInfo, OpenUpload

TEMPORARY_PREFIX = ".haulier-"
OLDER_THAN = timedelta(hours=24)
_SENT = frozenset({JournalStage.VERIFIED, JournalStage.MOVED})


class GarbageKind(StrEnum):
    UPLOAD = "upload"
    TEMPORARY = "temporary"
    INDEX = "index"


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbage:
    """Something left behind: a key of the store, or the path of a temporary file.

    `known`: it is ours for certain. What is not may belong to another machine with a catalog
    of its own. `started_at` is None when the store does not say.
    """

    kind: GarbageKind
    key: str
    upload_id: str | None = None
    started_at: datetime | None = None
    known: bool = False
    operation_id: str | None = None


async def find_garbage(
    ctx: ArchiveContext,
    *,
    older_than: timedelta = OLDER_THAN,
    directories: Sequence[str] = (),
) -> list[Garbage]:
    """Return what can be ended, without touching it.

    Args:
        older_than: younger things may belong to a run that is still at work.
        directories: where temporary files of haulier may lie besides its data directory: the
            completed and the local directory.

    Raises StoreError when the store can't list.
    """
    before = ctx.now() - older_than
    found = [item async for item in _uploads(ctx, before)]
    found += [item async for item in _indexes(ctx, before)]
    roots = [ctx.data_dir, *directories]
    found += await asyncio.to_thread(lambda: list(_temporaries(roots, before)))
    return found


async def _uploads(ctx: ArchiveContext, before: datetime) -> AsyncIterator[Garbage]:
    store = ctx.destination.store
    if not isinstance(store, ListingStore):
        return
    journals = {
        journal.upload_id: journal
        for journal in await ctx.catalog.read(lambda tx: tx.list_uploads())
        if journal.upload_id is not None and _is_here(ctx.destination, journal)
    }
    async for upload in store.list_uploads(ctx.destination.destination.prefix):
        if upload.started_at is not None and upload.started_at > before:
            continue
        journal = journals.get(upload.upload_id)
        if journal is None or journal.stage in _SENT:
            yield _open_upload(upload, journal)


def _is_here(here: OpenDestination, journal: UploadJournal) -> bool:
    place = Destination.from_json(journal.options["destination"])
    return place.identity == here.destination.identity


def _open_upload(upload: OpenUpload, journal: UploadJournal | None) -> Garbage:
    return Garbage(
        kind=GarbageKind.UPLOAD,
        key=upload.key,
        upload_id=upload.upload_id,
        started_at=upload.started_at,
        known=journal is not None,
        operation_id=journal.operation_id if journal is not None else None,
    )


async def _indexes(ctx: ArchiveContext, before: datetime) -> AsyncIterator[Garbage]:
    """Yield indexes without their archive.

    In key order every key lies behind those it begins with, and between them only others that
    begin so too: a stack of beginnings tells whether the archive came by. The store is asked
    once more for those few where it did not.
    """
    store = ctx.destination.store
    if not isinstance(store, ListingStore):
        return
    beginnings: list[str] = []
    async for info in store.list_objects(ctx.destination.destination.prefix):
        while beginnings and not info.key.startswith(beginnings[-1]):
            beginnings.pop()
        archive = info.key.removesuffix(INDEX_SUFFIX)
        if archive != info.key and archive not in beginnings and _is_older(info, before):
            try:
                await store.head(archive)
            except NoSuchObject:
                yield await _index(ctx, info, archive)
        beginnings.append(info.key)


def _is_older(info: ObjectInfo, before: datetime) -> bool:
    return info.modified_at is None or info.modified_at <= before


async def _index(ctx: ArchiveContext, info: ObjectInfo, archive: str) -> Garbage:
    upload = await _any_upload_to(ctx, archive)
    return Garbage(
        kind=GarbageKind.INDEX,
        key=info.key,
        started_at=info.modified_at,
        known=upload is not None,
        operation_id=upload.operation_id if upload is not None else None,
    )


async def _any_upload_to(ctx: ArchiveContext, key: str) -> UploadRecord | None:
    """Return an upload of ours to `key`, also one that was deleted since."""
    page = await ctx.catalog.list_operations(
        OperationFilter(operation_type="upload", file=ctx.destination.url_of(key), limit=1)
    )
    upload = page.items[0] if page.items else None
    if isinstance(upload, UploadRecord) and upload.s3_object_key == key:
        return upload
    return None


def _temporaries(roots: Sequence[str], before: datetime) -> Iterator[Garbage]:
    seen: set[tuple[int, int]] = set()
    for root in roots:
        for directory, names, files in os.walk(root):
            status = os.stat(directory)
            if (status.st_dev, status.st_ino) in seen:
                names.clear()
                continue
            seen.add((status.st_dev, status.st_ino))
            ours = [name for name in (*names, *files) if name.startswith(TEMPORARY_PREFIX)]
            # A directory called plain `.haulier` is a local store's own.
            names[:] = [n for n in names if n not in ours and n != TEMPORARY_PREFIX.rstrip("-")]
            for name in ours:
                path = os.path.join(directory, name)
                touched_at = _last_touched(path)
                if touched_at is not None and touched_at <= before:
                    yield Garbage(
                        kind=GarbageKind.TEMPORARY, key=path, started_at=touched_at, known=True
                    )


def _last_touched(path: str) -> datetime | None:
    """Return when `path`, or anything in it, changed last; None when it is gone meanwhile."""
    try:
        newest = os.lstat(path).st_mtime
        for directory, _, files in os.walk(path):
            newest = max(newest, os.lstat(directory).st_mtime)
            for name in files:
                # Unpacked files carry times of their own; when they came here is the ctime.
                newest = max(newest, os.lstat(os.path.join(directory, name)).st_ctime)
    except FileNotFoundError:
        return None
    return datetime.fromtimestamp(newest, UTC)


async def collect(ctx: ArchiveContext, items: Sequence[Garbage]) -> list[OperationRecord]:
    """End each of `items`; returns an operation for each, `failed` where it could not be."""
    return [await _collect_one(ctx, item) for item in items]


async def _collect_one(ctx: ArchiveContext, item: Garbage) -> OperationRecord:
    about = {
        "kind": item.kind,
        "upload_id": item.upload_id,
        "upload_operation_id": item.operation_id,
    }
    is_local = item.kind is GarbageKind.TEMPORARY
    async with operation(
        ctx,
        "gc",
        target_path=item.key if is_local else ctx.destination.url_of(item.key),
        target_name=os.path.basename(item.key),
        metadata={name: value for name, value in about.items() if value is not None},
        keep_failure=True,
    ) as running:
        if item.upload_id is not None:
            await ctx.destination.store.abort_upload(item.key, item.upload_id)
        elif is_local:
            await asyncio.to_thread(_remove, item.key)
        else:
            await ctx.destination.store.delete(item.key)
    return running.record


def _remove(path: str) -> None:
    try:
        if stat.S_ISDIR(os.lstat(path).st_mode):
            shutil.rmtree(path)
        else:
            os.unlink(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise TargetUnreadable(
            f"{path} can't be removed: {error.strerror}", hint="Check who owns it, and remove it."
        ) from error
