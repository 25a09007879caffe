"""The names that scripts written for `mgmt` use, as thin faces of the library. All block."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from haulier.catalog.catalog import Catalog
from haulier.catalog.filters import FileFilter, OperationFilter
from haulier.core.names import duplicate_names
from haulier.core.records import FileRecord, OperationRecord, UploadRecord, utc_now
from haulier.errors import TargetUnreadable, UnknownReference
from haulier.journeys.archive import api
from haulier.journeys.archive.equal import digest_file
from haulier.journeys.archive.open import open_archive
from haulier.settings import Settings
from haulier.transfer.move import move

T = TypeVar("T")

__all__ = [
    "AwsStorageMgmt",
    "FileManager",
    "MetadataManager",
    "calculate_checksum",
    "move_to_completed",
]


class MetadataManager:
    """Reads the catalog.

    Args:
        catalog: a path or URL; None: the one the settings name.
    """

    def __init__(self, catalog: str | Path | None = None) -> None:
        self._url = catalog

    def get_operation(self, operation_id: str) -> OperationRecord:
        """Return one operation; raises UnknownReference."""
        return self._ask(lambda catalog: catalog.get_operation(operation_id))

    def list_operations(self, **filters: Any) -> list[OperationRecord]:
        """Return operations, newest first; `filters` are fields of `OperationFilter`."""
        return self._ask(lambda catalog: catalog.list_operations(OperationFilter(**filters))).items

    def list_files(self, **filters: Any) -> list[FileRecord]:
        """Return file records, newest first; `filters` are fields of `FileFilter`."""
        return self._ask(lambda catalog: catalog.list_files(FileFilter(**filters))).items

    def _ask(self, work: Callable[[Catalog], Awaitable[T]]) -> T:
        async def ask() -> T:
            url = self._url or Settings.load().catalog_url
            async with await Catalog.open(url) as catalog:
                return await work(catalog)

        return asyncio.run(ask())


class AwsStorageMgmt:
    """Uploads into the bucket of the settings and asks it about objects."""

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings or Settings.load()

    def upload_file(self, path: str | Path, **options: Any) -> UploadRecord:
        """Pack, upload and verify `path`; `options` as for `haulier.upload`."""
        (record,) = asyncio.run(api.upload(path, settings=self._settings, **options))
        return record

    def get_obj_head(self, key: str) -> dict[str, Any]:
        """Return size, ETag, checksum and storage class of an object; raises NoSuchObject."""

        async def ask() -> dict[str, Any]:
            async with open_archive(self._settings) as ctx:
                info = await ctx.destination.store.head(key)
            return {
                "key": info.key,
                "size": info.size_bytes,
                "etag": info.etag,
                "crc64nvme": info.crc64nvme,
                "storage_class": info.storage_class,
                "modified_at": info.modified_at,
            }

        return asyncio.run(ask())


class FileManager:
    """Makes archives without uploading them."""

    @staticmethod
    def gzip_process(source: str | Path, target_dir: str | Path | None = None) -> Path:
        """Pack `source` as `NAME.tar.gz` into `target_dir` (its own directory when left out).

        Raises TargetMissing, TargetUnreadable, UnsafePath, DuplicateName, StorageFull.
        """
        path = Path(os.path.realpath(source))
        place = Path(target_dir) if target_dir is not None else path.parent
        settings = Settings.load()
        (record,) = asyncio.run(
            api.upload(
                path, settings=settings, to=place.absolute().as_uri(), complete=False, force=True
            )
        )
        if record.s3_object_key is None:
            raise TargetUnreadable(record.error_message or f"{path} could not be packed")
        return place / record.s3_object_key


def calculate_checksum(path: str | Path, algorithm: str = "sha256") -> str:
    """Return `<algorithm>:<hex>` of a file; raises TargetUnreadable, UnknownReference."""
    if algorithm == "sha256":
        return f"sha256:{digest_file(os.fspath(path))}"
    if algorithm not in hashlib.algorithms_available:
        raise UnknownReference(f"there is no checksum called {algorithm!r}")
    with open(path, "rb") as file:
        return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"


def move_to_completed(
    source: str | Path, completed_dir: str | Path, *, moment: datetime | None = None
) -> Path:
    """Move a file or directory to `completed_dir` without overwriting; returns where it is.

    Raises what `haulier.transfer.move.move` does.
    """
    path = Path(source)
    names = duplicate_names(path.name, "timestamp", moment or utc_now())
    return move(path, Path(completed_dir), names)
