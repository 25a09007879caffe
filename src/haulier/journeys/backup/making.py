"""A backup of a server, made while it runs.

The catalog is copied as it is at one moment, then the bytes that it speaks of. What is deleted for
good in between would be missing: then the catalog is copied once more, until nothing is. So all
that a backup's catalog speaks of is in it, and the server need not be stopped or told.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from haulier._version import __version__
from haulier.catalog.schema import HEAD
from haulier.catalog.snapshots import Content, catalog_files, take_snapshot
from haulier.core.records import format_time, utc_now
from haulier.errors import (
    HaulierError,
    StorageFull,
    TargetUnreadable,
    UsageError,
    VerificationFailed,
)
from haulier.files.data_directory import LOCK, RESTORING, VERSION_FILE, locked_directory
from haulier.journeys.backup.layout import (
    DATA,
    FILES,
    MANIFEST,
    QUARANTINE,
    Item,
    Manifest,
    checksum_of_packed,
    content_paths,
    copy_file,
    read_items,
    read_manifest,
    sha256_of,
    write_items,
    write_manifest,
)
from haulier.transfer.sessions.frames import sealed_size
from haulier.transfer.sessions.packing import SUFFIX

_ROUNDS = 5
_CATALOGS = "catalog-"
# What is taken by the catalog's word, made anew when it is missing, or belongs to this machine.
_LEFT_OUT = frozenset({FILES, QUARANTINE, "uploads", "tails", LOCK, VERSION_FILE, RESTORING})
_CACHE, _KEPT_OF_CACHE = "cache", "thumbnails"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupReport:
    """What came of a backup.

    Args:
        files: stored files and versions in it.
        size_bytes: of these.
        copied_bytes: what had to be copied; the rest was in the backup already.
        missing: names of files whose bytes were not there to be copied.
        damaged: names of files whose bytes are not those that were stored.
    """

    files: int
    size_bytes: int
    copied_bytes: int
    missing: tuple[str, ...]
    damaged: tuple[str, ...]


def back_up(
    data: Path,
    catalog_url: str | Path,
    target: Path,
    *,
    bucket: str | None = None,
    now: Callable[[], datetime] = utc_now,
) -> BackupReport:
    """Make a backup in the directory `target`, or bring the one that is there up to date.

    Args:
        data: the server's data directory.
        catalog_url: its catalog.
        target: an empty directory, or one with a backup; made when it is missing.
        bucket: where the bytes of files are, when they are not in the data directory; they are
            not copied then.
        now: the clock.

    Raises:
        UsageError: `target` holds something else, or lies in the data directory.
        OperationBusy: another backup is made there.
        CatalogError: the catalog can't be copied.
        StorageFull: there is no room for it; the backup that was there before is still good.
        TargetUnreadable: something can't be read or written.
    """
    _check_target(data, target)
    with locked_directory(target):
        try:
            return _Backup(data, catalog_url, target, bucket, now).make()
        except OSError as exc:
            if exc.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise StorageFull(f"there is no room for the backup in {target}") from exc
            raise TargetUnreadable(f"the backup failed: {exc}") from exc


class _Backup:
    def __init__(
        self,
        data: Path,
        catalog_url: str | Path,
        target: Path,
        bucket: str | None,
        now: Callable[[], datetime],
    ) -> None:
        self._data = data
        self._catalog_url = catalog_url
        self._target = target
        self._bucket = bucket
        self._made_at = now()
        self._known = self._items_before()
        self._items: dict[str, Item] = {}
        self._damaged: set[str] = set()
        self._copied_bytes = 0

    def make(self) -> BackupReport:
        catalog, contents, missing = self._take()
        for path in self._others():
            self._take_other(path)
        write_items(catalog, self._items.values())
        hashes = {one.name: sha256_of(one) for one in sorted(catalog.iterdir())}
        manifest = Manifest(
            made_at=format_time(self._made_at),
            haulier=__version__,
            schema=HEAD,
            catalog=catalog.name,
            catalog_files=hashes,
            files=len(contents),
            bucket=self._bucket,
            missing=tuple(one.content_id for one in missing),
        )
        # One call for all files: each on its own would take as long as copying them.
        os.sync()
        write_manifest(self._target, manifest)
        self._forget_others(catalog)
        return BackupReport(
            files=len(contents),
            size_bytes=sum(one.size_bytes for one in contents),
            copied_bytes=self._copied_bytes,
            missing=tuple(one.name for one in missing),
            damaged=tuple(one.name for one in contents if one.content_id in self._damaged),
        )

    def _take(self) -> tuple[Path, list[Content], list[Content]]:
        """Copy the catalog, and the bytes that it speaks of; return what is missing of them."""
        before: list[Content] = []
        for number in range(_ROUNDS):
            catalog = self._target / f"{_CATALOGS}{self._made_at:%Y%m%dT%H%M%S%f}-{number}"
            catalog.mkdir(mode=0o700)
            contents = take_snapshot(self._catalog_url, catalog)
            if self._bucket is not None:
                return catalog, contents, []
            items = {}
            missing = []
            for content in contents:
                item = self._take_content(content)
                if item is None:
                    missing.append(content)
                else:
                    items[item.path] = item
            if not missing or missing == before:
                break
            before = missing
            if number < _ROUNDS - 1:
                shutil.rmtree(catalog)
        self._items = items
        return catalog, contents, missing

    def _take_content(self, content: Content) -> Item | None:
        # A plain one is removed after a packed one was put beside it, so that one of them is found.
        for path in content_paths(content.content_id):
            known = self._known.get(path)
            if known is not None and self._has(known) and (self._data / path).exists():
                return known
            try:
                item = self._copy(path)
            except FileNotFoundError:
                continue
            if not self._is_right(item, content):
                self._damaged.add(content.content_id)
            else:
                self._known[path] = item
            return item
        return None

    def _is_right(self, item: Item, content: Content) -> bool:
        if content.is_sealed:  # its sum is that of what can't be read here
            return item.size_bytes == sealed_size(content.size_bytes)
        found = item.size_bytes, item.crc64nvme
        if item.path.endswith(SUFFIX):
            try:
                found = checksum_of_packed(self._target / DATA / item.path)
            except VerificationFailed:
                return False
        return found == (content.size_bytes, content.crc64nvme)

    def _take_other(self, path: str) -> None:
        try:
            mtime_ns = (self._data / path).stat().st_mtime_ns
            known = self._known.get(path)
            if known is None or known.mtime_ns != mtime_ns or not self._has(known):
                known = self._copy(path, mtime_ns)
        except FileNotFoundError:
            return  # it was temporary
        self._items[path] = known

    def _copy(self, path: str, mtime_ns: int = 0) -> Item:
        size_bytes, crc64nvme = copy_file(self._data / path, self._target / DATA / path)
        self._copied_bytes += size_bytes
        return Item(path=path, size_bytes=size_bytes, crc64nvme=crc64nvme, mtime_ns=mtime_ns)

    def _has(self, item: Item) -> bool:
        try:
            return (self._target / DATA / item.path).stat().st_size == item.size_bytes
        except FileNotFoundError:
            return False

    def _others(self) -> Iterator[str]:
        """Return what else belongs to the server: secrets, recordings, pictures, archives."""
        catalog = catalog_files(self._catalog_url)
        for folder, folders, names in os.walk(self._data):
            inside = Path(folder).relative_to(self._data)
            if inside == Path():
                folders[:] = [one for one in folders if one not in _LEFT_OUT]
                names = [one for one in names if one not in _LEFT_OUT | catalog]  # noqa: PLW2901 - a shorter list of the same
            if inside == Path(_CACHE):
                folders[:] = [one for one in folders if one == _KEPT_OF_CACHE]
            for name in sorted(names):
                path = inside / name
                if not name.startswith(".") and (self._data / path).is_file():
                    yield path.as_posix()

    def _items_before(self) -> dict[str, Item]:
        try:
            known = read_manifest(self._target)
            return {one.path: one for one in read_items(self._target / known.catalog)}
        except (HaulierError, OSError, ValueError, TypeError):
            return {}  # there is none, or it is damaged: all is copied

    def _forget_others(self, catalog: Path) -> None:
        """Remove what only earlier backups in this directory spoke of."""
        for one in self._target.iterdir():
            if one.name.startswith(_CATALOGS) and one != catalog:
                shutil.rmtree(one)
        for folder, _, names in os.walk(self._target / DATA):
            inside = Path(folder).relative_to(self._target / DATA)
            for name in names:
                if (inside / name).as_posix() not in self._items:
                    (Path(folder) / name).unlink()


def _check_target(data: Path, target: Path) -> None:
    if target.resolve().is_relative_to(data.resolve()):
        raise UsageError(
            f"{target} lies in the data directory", hint="Name a directory on another disk."
        )
    if not target.exists():
        return
    names = set(os.listdir(target)) if target.is_dir() else {""}
    unfinished = {LOCK, DATA, f".{MANIFEST}"}
    strange = {one for one in names if one not in unfinished and not one.startswith(_CATALOGS)}
    if MANIFEST not in names and strange:
        raise UsageError(
            f"{target} holds something other than a backup",
            hint="Name an empty directory, or one with a backup to bring up to date.",
        )
