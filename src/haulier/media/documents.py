"""Documents and archives: what they are and hold, told without opening what is inside.

Every file is read in a worker process (`isolation`). Nothing is extracted, no link or script is
followed, and nothing is asked for a password.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from haulier.media import document_tasks
from haulier.media.archive_listing import ArchiveEntry, ArchiveLimits, EntryKind
from haulier.media.image_formats import ImageFormat, WrittenImage
from haulier.media.image_output import source_size
from haulier.media.isolation import Workers
from haulier.media.picture_making import picture_format, write_picture

__all__ = [
    "ArchiveEntry",
    "ArchiveLimits",
    "ArchiveListing",
    "DocumentInfo",
    "EntryKind",
    "inspect_document",
    "list_archive",
    "pdf_thumbnail",
]

MAX_DOCUMENT_BYTES = 512 << 20
MAX_ARCHIVE_BYTES = 64 << 30
_TIMEOUT_S = 30
_DEFAULT_LIMITS = ArchiveLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentInfo:
    """What a document says of itself; None where it says nothing.

    Attributes:
        mime_type: by content.
        pages: pages or slides; office programs count them when they save, haulier does not.
        program: what made it.
        created_at: UTC, as `modified_at`.
    """

    mime_type: str
    size_bytes: int
    pages: int | None
    title: str | None
    author: str | None
    subject: str | None
    program: str | None
    created_at: datetime | None
    modified_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveListing:
    """What an archive's headers say; a zip's may lie, so heed limits again when unpacking.

    Attributes:
        format: `zip`, `tar`, `tar.gz`, `tar.bz2`, `tar.xz`, `tar.zst`, or `gz`, `bz2`, `xz`,
            `zst` for one packed file.
        total_size_bytes: of all entries, unpacked.
        ratio: unpacked bytes for each byte of the archive.
        encrypted: some entry needs a password.
        unsafe_names: entries whose name or link leads out of where they are unpacked.
        nested: entries that are archives themselves, by their names.
    """

    format: str
    entries: tuple[ArchiveEntry, ...]
    total_size_bytes: int
    ratio: float
    encrypted: bool
    unsafe_names: tuple[str, ...]
    nested: tuple[str, ...]


async def inspect_document(
    path: Path, *, workers: Workers, max_bytes: int = MAX_DOCUMENT_BYTES
) -> DocumentInfo:
    """Tell what a PDF, an office document (docx, xlsx, pptx) or an OpenDocument file is.

    Raises:
        UnsupportedMedia: it is none of these, or opens with a password only.
        UnreadableMedia: it is damaged.
        MediaTooDemanding: it is larger than `max_bytes`, or took too long.
        TargetMissing, TargetUnreadable: there is no such file, or it may not be read.
    """
    size_bytes = source_size(path, max_bytes=max_bytes)
    told = await workers.run(
        document_tasks.inspect, name=path.name, timeout_s=_TIMEOUT_S, path=str(path.absolute())
    )
    times = {
        key: None if told[key] is None else datetime.fromisoformat(told[key])
        for key in ("created_at", "modified_at")
    }
    return DocumentInfo(**{**told, **times}, size_bytes=size_bytes)


async def pdf_thumbnail(
    path: Path,
    out: Path,
    *,
    workers: Workers,
    size: tuple[int, int] = (320, 320),
    format: ImageFormat | None = None,  # noqa: A002  # the field's word
    quality: int = 80,
    max_bytes: int = MAX_DOCUMENT_BYTES,
) -> WrittenImage:
    """Draw the first page of a PDF on white.

    Args:
        path: the PDF.
        out: where the picture goes; what was there is replaced.
        workers: where it is drawn.
        size: width and height in pixels that it stays within.
        format: by the ending of `out` when left out.
        quality: 1 to 100, for formats with loss.
        max_bytes: largest PDF that is read.

    Raises:
        UnsupportedMedia: it opens with a password only, or `out` names no image format.
        UnreadableMedia: it is no PDF, is damaged or has no pages.
        MediaTooDemanding: it is larger than `max_bytes`, or took too much time or memory.
        UsageError: a number makes no sense, or `out` is the PDF itself.
        TargetMissing, TargetUnreadable, StorageFull: as the system says of either file.
    """
    image_format = picture_format(format, out, quality=quality, width=size[0], height=size[1])
    told = await write_picture(
        document_tasks.pdf_thumbnail, path, out, workers=workers, timeout_s=_TIMEOUT_S,
        max_bytes=max_bytes, size=list(size), image_format=image_format, quality=quality,
    )  # fmt: skip
    return WrittenImage(**told)


async def list_archive(
    path: Path, *, workers: Workers, limits: ArchiveLimits = _DEFAULT_LIMITS
) -> ArchiveListing:
    """List a zip, a tar (also packed with gzip, bzip2, xz or zstd) or a single packed file.

    Raises:
        MediaTooDemanding: it exceeds `limits`, or its entries overlap as in zip bombs.
        UnsupportedMedia: it is 7z, RAR or CAB, or no archive.
        UnreadableMedia: it is damaged or cut short.
        TargetMissing, TargetUnreadable: there is no such file, or it may not be read.
    """
    source_size(path, max_bytes=MAX_ARCHIVE_BYTES)
    told = await workers.run(
        document_tasks.list_archive,
        name=path.name,
        timeout_s=limits.timeout_s,
        path=str(path.absolute()),
        limits=asdict(limits),
    )
    entries = tuple(
        ArchiveEntry(**{**entry, "kind": EntryKind(entry["kind"])}) for entry in told["entries"]
    )
    return ArchiveListing(
        format=told["format"],
        entries=entries,
        total_size_bytes=told["total_size_bytes"],
        ratio=round(told["total_size_bytes"] / told["packed_size_bytes"], 2),
        encrypted=any(entry.is_encrypted for entry in entries),
        unsafe_names=tuple(told["unsafe_names"]),
        nested=tuple(told["nested"]),
    )
