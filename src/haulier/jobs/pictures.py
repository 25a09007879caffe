"""The small picture of a stored file: the image, a best moment, a first page, a waveform."""

from __future__ import annotations

from pathlib import Path

from haulier.core.accounts import StoredFile
from haulier.core.mime import FileKind
from haulier.errors import UnsupportedMedia
from haulier.media.audio import waveform_picture
from haulier.media.detect import detect_type
from haulier.media.documents import pdf_thumbnail
from haulier.media.image_formats import ImageFormat, WrittenImage
from haulier.media.images import make_thumbnail
from haulier.media.isolation import Workers
from haulier.media.videos import video_thumbnail

_SIDE_PX = 320
_WAVEFORM_HEIGHT_PX = 80


async def make_picture(
    stored: StoredFile, path: Path, out: Path, *, workers: Workers
) -> WrittenImage:
    """Write the picture of a file whose bytes lie at `path`, as WebP; its content says what it is.

    Raises:
        UnsupportedMedia: no picture is made of what it is.
        MediaError: it is damaged, or too demanding.
        StorageFull: no space is left.
    """
    declared = stored.mime_type
    found = await detect_type(path, name=stored.name, declared_type=declared, workers=workers)
    size, webp = (_SIDE_PX, _SIDE_PX), ImageFormat.WEBP
    if found.kind is FileKind.IMAGE:
        return await make_thumbnail(path, out, workers=workers, size=size, format=webp)
    if found.kind is FileKind.VIDEO:
        return await video_thumbnail(path, out, workers=workers, max_side=_SIDE_PX, format=webp)
    if found.kind is FileKind.AUDIO:
        return await waveform_picture(
            path,
            out,
            workers=workers,
            width_px=_SIDE_PX,
            height_px=_WAVEFORM_HEIGHT_PX,
            format=webp,
        )
    if found.mime_type == "application/pdf":
        return await pdf_thumbnail(path, out, workers=workers, size=size, format=webp)
    raise UnsupportedMedia(f"no picture is made of {found.mime_type}")
