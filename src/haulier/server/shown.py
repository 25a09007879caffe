"""Stored files as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from haulier.core.accounts import Folder, StoredFile
from haulier.core.records import format_time


def metadata_of(stored: StoredFile) -> dict[str, Any]:
    """Return a file's `FileMetadata`."""
    return {
        "id": stored.file_id,
        "name": stored.name,
        "folder": stored.folder,
        "size": stored.size_bytes,
        "mime_type": stored.mime_type,
        "owner": stored.owner_id,
        "version": stored.version,
        "created_at": format_time(stored.created_at),
        "modified_at": format_time(stored.modified_at),
        "deleted_at": None if stored.deleted_at is None else format_time(stored.deleted_at),
        "checksum": f"crc64nvme:{stored.crc64nvme}",
        "crc32": f"crc32:{stored.crc32}",
        "sha256": None if stored.sha256 is None else f"sha256:{stored.sha256}",
        "tags": dict(stored.tags),
        "scan_state": stored.scan_state,
        "scan_detail": stored.scan_detail,
    }


def folder_of(folder: Folder) -> dict[str, Any]:
    """Return a folder as the API shows it."""
    return {
        "id": folder.folder_id,
        "path": folder.path,
        "name": folder.path.rpartition("/")[2],
        "owner": folder.owner_id,
        "created_at": format_time(folder.created_at),
    }


def page_of(found: Sequence[StoredFile], limit: int) -> dict[str, Any]:
    """Return `limit` of the files that were found, which may be one more."""
    items = found[:limit]
    more = items[-1].file_id if len(found) > limit else None
    return {"items": [metadata_of(one) for one in items], "next_cursor": more}
