"""A server from its backup, and whether a backup is sound."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from haulier.archive.rename import sync_directory
from haulier.catalog.catalog import Catalog
from haulier.catalog.snapshots import load_snapshot
from haulier.coordination.events import MemoryEventBus
from haulier.coordination.locks import MemoryLocks
from haulier.core.sessions.session import SessionStatus
from haulier.errors import StorageFull, TargetUnreadable, UsageError, VerificationFailed
from haulier.files.data_directory import LOCK, RESTORING, locked_directory, write_version
from haulier.files.events import FileEvents
from haulier.files.reception import Reception
from haulier.journeys.backup.layout import (
    DATA,
    Manifest,
    checksum_of,
    copy_file,
    read_items,
    read_manifest,
    sha256_of,
)
from haulier.transfer.sessions.finishing import Finisher
from haulier.transfer.sessions.order import HashesInOrder
from haulier.transfer.sessions.stage import LocalStage

_UNFINISHED = frozenset(
    {
        SessionStatus.RECEIVING,
        SessionStatus.JOINING,
        SessionStatus.FINISHING,
        SessionStatus.VERIFYING,
    }
)
_WHY = "the server was restored from a backup"
_BATCH = 100
_OF_THE_DISK = "lost+found"


def find_damage(backup: Path) -> list[str]:
    """Read every byte of a backup; return what is wrong with it, in words.

    Raises:
        UnknownReference: there is no finished backup.
        ConfigurationError: a newer haulier made it.
        VerificationFailed: what it holds can't be told.
    """
    manifest = read_manifest(backup)
    found = [f"the bytes of {one} were missing when it was made" for one in manifest.missing]
    return [*found, *_damage_of_catalog(backup, manifest), *_damage_of_items(backup, manifest)]


async def restore_server(backup: Path, data: Path, catalog_url: str | Path) -> Manifest:
    """Make a server's data directory and catalog of a backup; return what it held.

    All is checked while it is copied. Uploads that were under way are not in a backup whose files
    are: they end here, and what they had set aside of a quota is given back.

    Args:
        backup: the directory of the backup.
        data: an empty directory, or one with a restore that was cut off; made when it is missing.
        catalog_url: where the catalog is to be; there must be none.

    Raises:
        UsageError: there is something in `data`.
        OperationBusy: a server works on it.
        UnknownReference: there is no finished backup.
        ConfigurationError: a newer haulier made it.
        VerificationFailed: it is damaged.
        CatalogError: there is a catalog already, or it can't be written.
        StorageFull: there is no room for it.
        TargetUnreadable: something can't be read or written.
    """
    manifest = read_manifest(backup)
    with locked_directory(data):
        try:
            await asyncio.to_thread(_fill, backup, manifest, data, catalog_url)
            if manifest.bucket is None:
                await _end_uploads(data, catalog_url)
            write_version(data)
            os.sync()
            (data / RESTORING).unlink()
            sync_directory(data)
        except OSError as exc:
            if exc.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise StorageFull(f"there is no room in {data}") from exc
            raise TargetUnreadable(f"the restore failed: {exc}") from exc
    return manifest


def _fill(backup: Path, manifest: Manifest, data: Path, catalog_url: str | Path) -> None:
    _clear(data)
    wrong = next(_damage_of_catalog(backup, manifest), None)
    if wrong is not None:
        raise VerificationFailed(wrong, hint="Take another backup.")
    for item in read_items(backup / manifest.catalog):
        found = copy_file(backup / DATA / item.path, data / item.path)
        if found != (item.size_bytes, item.crc64nvme):
            raise VerificationFailed(
                f"{item.path} in the backup is damaged",
                hint="Take another backup; `haulier backup DIR --verify` lists all that is wrong.",
            )
    load_snapshot(backup / manifest.catalog, catalog_url)


def _clear(data: Path) -> None:
    """Empty a directory that a restore began to fill, and mark it as such."""
    names = set(os.listdir(data)) - {LOCK, _OF_THE_DISK}
    if names and RESTORING not in names:
        raise UsageError(
            f"{data} is not empty", hint="Restore into an empty directory, named by --data."
        )
    (data / RESTORING).touch(mode=0o600)
    sync_directory(data)
    for name in names - {RESTORING}:
        path = data / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


async def _end_uploads(data: Path, catalog_url: str | Path) -> None:
    stage = LocalStage(data / "uploads", data / "files")
    async with await Catalog.open(catalog_url) as catalog:
        finisher = Finisher(
            catalog=catalog,
            stage=stage,
            hashes=HashesInOrder(),
            locks=MemoryLocks(),
            hooks=Reception(FileEvents(MemoryEventBus())),
        )
        for status in _UNFINISHED:
            while found := await catalog.read(
                lambda tx, status=status: tx.sessions.in_status({status}, None, _BATCH)  # type: ignore[misc]  # a default binds it
            ):
                for session in found:
                    await finisher.fail(session, _WHY)
    await stage.aclose()


def _damage_of_catalog(backup: Path, manifest: Manifest) -> Iterator[str]:
    for name, sha256 in manifest.catalog_files.items():
        path = backup / manifest.catalog / name
        if not path.is_file() or sha256_of(path) != sha256:
            yield f"{manifest.catalog}/{name} is not what was written"
            return
    database = backup / manifest.catalog / "catalog.db"
    if not database.is_file():
        return
    with closing(sqlite3.connect(f"file:{database}?mode=ro&immutable=1", uri=True)) as connection:
        for (words,) in connection.execute("PRAGMA quick_check(1)"):
            if words != "ok":
                yield f"the catalog is damaged: {words}"


def _damage_of_items(backup: Path, manifest: Manifest) -> Iterator[str]:
    for item in read_items(backup / manifest.catalog):
        try:
            found = checksum_of(backup / DATA / item.path)
        except OSError as exc:
            yield f"{item.path} can't be read: {exc.strerror}"
            continue
        if found != (item.size_bytes, item.crc64nvme):
            yield f"{item.path} is not what was copied"
