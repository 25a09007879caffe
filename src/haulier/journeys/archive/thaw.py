"""Archives in a class that must be brought back before it can be read (S3 Glacier)."""

from __future__ import annotations

from haulier.errors import ObjectArchived
from haulier.journeys.archive.references import StoredArchive
from haulier.store.base import ArchiveClassStore, ObjectInfo

FROZEN_CLASSES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_DAYS_READABLE = 7
_AGAIN = "Run the same command again later: in some hours, up to two days for DEEP_ARCHIVE."


async def require_readable(archive: StoredArchive) -> ObjectInfo:
    """Return what the store says of an object that can be read now.

    Raises:
        ObjectArchived: it can't; retrieval was requested, or is under way already.
        NoSuchObject: there is none.
    """
    info = await archive.store.head(archive.key)
    if info.storage_class not in FROZEN_CLASSES:
        return info
    if info.restore is None:
        raise await requested(archive)
    if 'ongoing-request="true"' in info.restore:
        raise ObjectArchived(
            f"{archive.key} rests in {info.storage_class}: its retrieval is still in progress",
            hint=_AGAIN,
        )
    return info


async def requested(archive: StoredArchive) -> ObjectArchived:
    """Ask the store for a readable copy, kept for a week; returns the error that says so."""
    if isinstance(archive.store, ArchiveClassStore):
        await archive.store.request_restore(archive.key, days=_DAYS_READABLE)
    return ObjectArchived(
        f"{archive.key} rests in an archive class: its retrieval was requested now", hint=_AGAIN
    )
