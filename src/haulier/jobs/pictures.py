"""The small picture of a stored file: the image, a best moment, a first page, a waveform."""

from __future__ import annotations

from pathlib import Path

from haulier.core.accounts import StoredFile
from haulier.core.mime import FileKind
from haulier.media.detect import detect_type
from haulier.media.image_formats import ImageFormat
from haulier.media.isolation import Workers
from haulier.media.thumbnails import Thumbnail, thumbnail_of

_SIDE_PX = 320


async def make_picture(stored: StoredFile, path: Path, out: Path, *, workers: Workers) -> Thumbnail:
    """Write the picture of a file whose bytes lie at `path`, as WebP; its content says what it is.

    Raises:
        UnsupportedMedia: no picture is made of what it is.
        MediaError: it is damaged, or too demanding.
        StorageFull: no space is left.
    """
    declared = stored.mime_type
    found = await detect_type(path, name=stored.name, declared_type=declared, workers=workers)
    return await thumbnail_of(
        path, out, workers=workers, detected=found, size_px=_SIDE_PX,
        waveform=found.kind is FileKind.AUDIO, format=ImageFormat.WEBP,
    )  # fmt: skip
