"""Pictures out of video: at a moment, the best of several, many on a sheet.

Every file is decoded in a worker process (`isolation`). Pictures are shown as players show them:
turned, with the shape of their pixels, and with high dynamic range mapped to that of ordinary
screens; of Dolby Vision without a compatible layer (profile 5) the colours are wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from haulier.errors import UsageError
from haulier.media import video_tasks
from haulier.media.image_formats import ImageFormat, WrittenImage
from haulier.media.isolation import Workers
from haulier.media.picture_making import picture_format, require, write_picture

__all__ = ["ContactSheet", "VideoThumbnail", "contact_sheet", "video_thumbnail"]

_TIMEOUT_S = 60
_MOST_LOOKS = 50
_MOST_TILES = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoThumbnail(WrittenImage):
    """A picture of a video.

    Attributes:
        at_s: the second of the video at which it appears.
    """

    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactSheet(WrittenImage):
    """Pictures of a video side by side.

    Attributes:
        moments_s: the seconds of the video at which they appear, row by row.
    """

    moments_s: tuple[float, ...]


async def video_thumbnail(
    path: Path,
    target: Path,
    *,
    workers: Workers,
    at_s: float | None = None,
    best_of: int = 6,
    max_side: int = 320,
    format: ImageFormat | None = None,  # noqa: A002  # the field's word
    quality: int = 80,
    timeout_s: float = _TIMEOUT_S,
) -> VideoThumbnail:
    """Write the picture that a video shows at a moment, or the best of several.

    The best is the one with the highest product of contrast, sharpness and exposure; frames that
    are nearly black, white or of one colour are taken only where there is nothing else. Looked at
    are the key frames near moments evenly spaced from 10 to 90 % of the video.

    Args:
        path: the video.
        target: where the picture goes; what was there is replaced.
        workers: where it is decoded.
        at_s: the moment, in seconds; the best of several when left out.
        best_of: how many moments are looked at for the best, 1 to 50.
        max_side: pixels that width and height stay within; nothing is enlarged.
        format: by the ending of `target` when left out.
        quality: 1 to 100, for formats with loss.
        timeout_s: seconds it may take.

    Raises:
        UnsupportedMedia: there is no video in it, or `target` names no image format.
        UnreadableMedia: it is damaged.
        MediaTooDemanding: it claims absurdly many pixels, or took too much time or memory.
        EncoderFailed: the picture can't be encoded.
        UsageError: a number makes no sense, the video ends before `at_s`, or `target` is the
            video itself.
        TargetMissing, TargetUnreadable, StorageFull: as the system says of either file.
    """
    if at_s is not None and not (at_s >= 0 and math.isfinite(at_s)):
        raise UsageError(
            f"there is no moment {at_s:g} s in a video", hint="Give seconds from its beginning."
        )
    require("best_of", best_of, _MOST_LOOKS)
    told = await _written(
        video_tasks.thumbnail, path, target, workers, timeout_s, format, quality,
        at_s=at_s, best_of=best_of, max_side=max_side,
    )  # fmt: skip
    return VideoThumbnail(**told)


async def contact_sheet(
    path: Path,
    target: Path,
    *,
    workers: Workers,
    columns: int = 4,
    rows: int = 3,
    max_side: int = 240,
    format: ImageFormat | None = None,  # noqa: A002  # the field's word
    quality: int = 80,
    timeout_s: float = _TIMEOUT_S,
) -> ContactSheet:
    """Write pictures of evenly spaced moments of a video, row by row, each with its time.

    Args and errors are those of `video_thumbnail`, but `max_side` bounds each of the pictures;
    besides:

    Args:
        path: the video.
        target: where the sheet goes.
        workers: where it is decoded.
        columns: pictures side by side.
        rows: pictures one above the other; all together at most 400.
        max_side: pixels that each picture stays within.
        format: by the ending of `target` when left out.
        quality: 1 to 100, for formats with loss.
        timeout_s: seconds it may take.

    Raises:
        UnsupportedMedia: it is a bare stream, which tells no duration.
    """
    require("columns", columns, _MOST_TILES)
    require("columns times rows", columns * rows, _MOST_TILES)
    told = await _written(
        video_tasks.contact_sheet, path, target, workers, timeout_s, format, quality,
        columns=columns, rows=rows, max_side=max_side,
    )  # fmt: skip
    return ContactSheet(**{**told, "moments_s": tuple(told["moments_s"])})


async def _written(
    task: Callable[..., dict[str, Any]], path: Path, target: Path, workers: Workers,
    timeout_s: float, wanted: ImageFormat | None, quality: int, *, max_side: int, **arguments: Any,
) -> dict[str, Any]:  # fmt: skip
    image_format = picture_format(wanted, target, quality=quality, max_side=max_side)
    return await write_picture(
        task, path, target, workers=workers, timeout_s=timeout_s, image_format=image_format,
        quality=quality, max_side=max_side, **arguments,
    )  # fmt: skip
