"""One small picture of any file that can have one, made by whatever fits its content."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from haulier.core.mime import FileKind
from haulier.core.records import JsonRecord, OperationStatus
from haulier.errors import HaulierError, UnsupportedMedia
from haulier.media.audio import cover_thumbnail, waveform_picture
from haulier.media.detect import DetectedType, detect_type
from haulier.media.documents import pdf_thumbnail
from haulier.media.image_formats import ImageFormat, WrittenImage
from haulier.media.images import make_thumbnail
from haulier.media.isolation import Workers
from haulier.media.probe import probe_media
from haulier.media.videos import contact_sheet, video_thumbnail

__all__ = ["Shows", "Thumbnail", "ThumbnailOutcome", "thumbnail_of", "try_thumbnail"]

_WAVEFORM_SHAPE = 4


class Shows(StrEnum):
    """What of a file a thumbnail shows."""

    IMAGE = "image"
    FRAME = "frame"
    SHEET = "sheet"
    COVER = "cover"
    WAVEFORM = "waveform"
    PAGE = "page"


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumbnail(WrittenImage):
    """A small picture of a file.

    Attributes:
        shows: what of the file is seen.
        at_s: the second of a video at which the picture appears.
    """

    shows: Shows
    at_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ThumbnailOutcome(JsonRecord):
    """What came of making a picture of one file; fields of the picture are None when none was made.

    Attributes:
        path: the file, as it was given.
        thumbnail: where the picture is.
        size: the picture's bytes; `width` and `height` are in pixels.
        error_message: why there is none.
        hint: what the reader can do about it.
    """

    path: str
    thumbnail: str | None = None
    shows: Shows | None = None
    at_s: float | None = None
    format: ImageFormat | None = None
    width: int | None = None
    height: int | None = None
    size: int | None = None
    status: OperationStatus = OperationStatus.SUCCESS
    error_message: str | None = None
    hint: str | None = None


async def thumbnail_of(
    path: Path,
    target: Path,
    *,
    workers: Workers,
    detected: DetectedType | None = None,
    size_px: int = 320,
    at_s: float | None = None,
    sheet: tuple[int, int] | None = None,
    waveform: bool = False,
    format: ImageFormat | None = None,  # noqa: A002  # the field's word
    quality: int = 80,
) -> Thumbnail:
    """Write a small picture of an image, a video, a sound or a PDF, told apart by content.

    A video is shown by the best of several frames, a sound by its cover picture, or by its
    waveform when it has none, a PDF by its first page. What is asked for besides counts where it
    applies: an image stays an image when a waveform is asked for.

    Args:
        path: the file.
        target: where the picture goes; what was there is replaced.
        workers: where it is decoded.
        detected: what the file is, where that is known already.
        size_px: pixels that width and height stay within; on a sheet, those of each picture.
        at_s: the moment of a video to show, in seconds.
        sheet: columns and rows of a contact sheet of a video.
        waveform: draw the sound of a video or audio file.
        format: by the ending of `target` when left out.
        quality: 1 to 100, for formats with loss.

    Raises:
        UnsupportedMedia: no picture is made of files of its kind, or `target` names no format.
        UnreadableMedia: it is damaged.
        MediaTooDemanding: it took too many pixels, too much time or memory.
        EncoderFailed: the picture can't be encoded.
        UsageError: a number makes no sense, or `target` is the file itself.
        TargetMissing, TargetUnreadable, StorageFull: as the system says of either file.
    """
    found = detected or await detect_type(path, workers=workers)
    if found.kind in {FileKind.VIDEO, FileKind.AUDIO}:
        return await _of_media(
            path, target, workers, size_px, at_s, sheet, waveform, format, quality
        )
    if found.kind is FileKind.IMAGE:
        image = await make_thumbnail(
            path, target, workers=workers, size=(size_px, size_px), format=format, quality=quality
        )
        return _thumbnail(image, Shows.IMAGE)
    if found.mime_type == "application/pdf":
        page = await pdf_thumbnail(
            path, target, workers=workers, size=(size_px, size_px), format=format, quality=quality
        )
        return _thumbnail(page, Shows.PAGE)
    raise UnsupportedMedia(
        f"{path.name} is {found.mime_type}, of which no picture is made",
        hint="Thumbnails are made of images, video, audio and PDF.",
    )


async def _of_media(
    path: Path, target: Path, workers: Workers, size_px: int, at_s: float | None,
    sheet: tuple[int, int] | None, waveform: bool, image_format: ImageFormat | None, quality: int,
) -> Thumbnail:  # fmt: skip
    probe = await probe_media(path, workers=workers)
    if probe.audio and (waveform or not (probe.video or probe.cover_art)):
        drawn = await waveform_picture(
            path, target, workers=workers, width_px=size_px,
            height_px=max(1, size_px // _WAVEFORM_SHAPE), format=image_format, quality=quality,
        )  # fmt: skip
        return _thumbnail(drawn, Shows.WAVEFORM)
    if probe.video is None:
        cover = await cover_thumbnail(
            path, target, workers=workers, max_side=size_px, format=image_format, quality=quality
        )
        return _thumbnail(cover, Shows.COVER)
    if sheet is not None:
        many = await contact_sheet(
            path, target, workers=workers, columns=sheet[0], rows=sheet[1], max_side=size_px,
            format=image_format, quality=quality,
        )  # fmt: skip
        return _thumbnail(many, Shows.SHEET)
    frame = await video_thumbnail(
        path, target, workers=workers, at_s=at_s, max_side=size_px, format=image_format,
        quality=quality,
    )  # fmt: skip
    return _thumbnail(frame, Shows.FRAME, at_s=frame.at_s)


def _thumbnail(written: WrittenImage, shows: Shows, *, at_s: float | None = None) -> Thumbnail:
    return Thumbnail(
        path=written.path, format=written.format, size_bytes=written.size_bytes,
        width=written.width, height=written.height, shows=shows, at_s=at_s,
    )  # fmt: skip


async def try_thumbnail(
    path: Path, target: Path, *, workers: Workers, **options: Any
) -> ThumbnailOutcome:
    """Do as `thumbnail_of`, with its options; an error is told instead of raised."""
    try:
        made = await thumbnail_of(path, target, workers=workers, **options)
    except HaulierError as error:
        return ThumbnailOutcome(
            path=str(path), status=OperationStatus.FAILED, error_message=error.message,
            hint=error.hint,
        )  # fmt: skip
    return ThumbnailOutcome(
        path=str(path), thumbnail=str(target), shows=made.shows, at_s=made.at_s, format=made.format,
        width=made.width, height=made.height, size=made.size_bytes,
    )  # fmt: skip
