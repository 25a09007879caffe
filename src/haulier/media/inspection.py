"""Everything that is told of a file without decoding it: its type, and what its kind has to say."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from haulier.core.mime import FileKind
from haulier.core.records import JsonRecord, OperationStatus
from haulier.errors import HaulierError, MediaError, MissingExtra, SourceError, UnsupportedMedia
from haulier.media.detect import detect_sample, detect_type, read_sample
from haulier.media.documents import inspect_document, list_archive
from haulier.media.images import inspect_image
from haulier.media.isolation import Workers
from haulier.media.probe import probe_media

__all__ = ["FileInspection", "failed_inspection", "inspect_file", "inspect_files"]

_AHEAD = 8
_TOLD_APART = frozenset({"mime_type", "size_bytes"})
# What a kind is looked into by.
_INSPECTORS: dict[FileKind, Callable[..., Awaitable[Any]]] = {
    FileKind.VIDEO: probe_media,
    FileKind.AUDIO: probe_media,
    FileKind.IMAGE: inspect_image,
    FileKind.DOCUMENT: inspect_document,
    FileKind.ARCHIVE: list_archive,
}
# Notes and no sound: no decoder has anything to tell.
_OPAQUE = frozenset({"audio/midi"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FileInspection(JsonRecord):
    """What is told of one file.

    Attributes:
        path: as it was given.
        mime_type: by content where that tells; None when the file can't be read.
        size: bytes; None when the file can't be read.
        warnings: a sentence for each thing that does not fit together.
        metadata: the fields of `ImageInfo`, `MediaProbe`, `DocumentInfo` or `ArchiveListing`;
            empty for other kinds, and for formats that are not looked into.
        status: `failed` when the file, or what its kind has to say, can't be read.
        error_message: why it failed.
        hint: what the reader can do about it.
    """

    path: str
    mime_type: str | None
    size: int | None
    kind: FileKind
    warnings: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    status: OperationStatus = OperationStatus.SUCCESS
    error_message: str | None = None
    hint: str | None = None


async def inspect_files(
    paths: Iterable[Path], *, workers: Workers
) -> AsyncIterator[FileInspection]:
    """Inspect files, some at a time; yields in the order given. What can't be read is told so."""
    waiting: deque[asyncio.Task[FileInspection]] = deque()
    try:
        for path in paths:
            waiting.append(asyncio.create_task(_or_failed(path, workers)))
            if len(waiting) == _AHEAD:
                yield await waiting.popleft()
        while waiting:
            yield await waiting.popleft()
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def inspect_file(path: Path, *, workers: Workers) -> FileInspection:
    """Tell everything of one file; damage inside it is told by `status` and `error_message`.

    Raises:
        TargetMissing: there is no such file.
        TargetUnreadable: it may not be read, or is no regular file.
    """
    sample = await asyncio.to_thread(read_sample, path)
    detected = detect_sample(sample, name=path.name)
    if sample.head and detected.certainty is None:
        detected = await detect_type(path, workers=workers)
    told = FileInspection(
        path=str(path),
        mime_type=detected.mime_type,
        size=sample.size_bytes,
        kind=detected.kind,
        warnings=detected.warnings,
    )
    inspector = _INSPECTORS.get(told.kind)
    if inspector is None or told.mime_type in _OPAQUE or not sample.head:
        return told
    try:
        return replace(told, metadata=_fields(await inspector(path, workers=workers)))
    except UnsupportedMedia:
        return told
    except MissingExtra as error:
        return replace(told, warnings=(*told.warnings, f"more can't be told: {error.message}"))
    except (MediaError, SourceError) as error:
        return replace(told, **_failure(error))


def failed_inspection(path: Path, error: HaulierError) -> FileInspection:
    """Return what is told of a file that can't be read."""
    return FileInspection(
        path=str(path),
        mime_type=None,
        size=None,
        kind=FileKind.UNKNOWN,
        **_failure(error),
    )


def _failure(error: HaulierError) -> dict[str, Any]:
    return {
        "status": OperationStatus.FAILED, "error_message": error.message, "hint": error.hint,
    }  # fmt: skip


async def _or_failed(path: Path, workers: Workers) -> FileInspection:
    try:
        return await inspect_file(path, workers=workers)
    except (SourceError, MediaError) as error:
        return failed_inspection(path, error)


def _fields(record: Any) -> dict[str, Any]:
    names = (each.name for each in fields(record))
    return {name: getattr(record, name) for name in names if name not in _TOLD_APART}
