"""Thumbnails and contact sheets of video. Imported in worker processes only."""

from __future__ import annotations

import os
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from haulier.errors import UnsupportedMedia, UsageError
from haulier.media.frame_pictures import Painter, score
from haulier.media.frame_reading import Frames, Moment, opened_frames
from haulier.media.image_formats import ImageFormat
from haulier.media.image_writing import Picture, save

# Videos begin with titles and end with credits.
_FIRST_LOOK, _LAST_LOOK = 0.1, 0.9
_MARGIN_PX = 8
_GROUND = (24, 24, 24)
_INK = (255, 255, 255)
_SMALLEST_TEXT_PX = 10


def make_thumbnail(
    path: str, out: str, *, at_s: float | None, best_of: int, max_side: int,
    image_format: ImageFormat, quality: int,
) -> dict[str, Any]:  # fmt: skip
    """Write the picture at a moment, or the best of several."""
    name = os.path.basename(path)
    with opened_frames(path) as frames:
        moment = _best(frames, best_of) if at_s is None else _at(frames, at_s, name)
        painter = Painter(frames.stream.sample_aspect_ratio, max_side)
        picture = Picture([painter.picture(moment.frame)])
        return {**save(picture, out, image_format, quality, name), "at_s": moment.at_s}


def _at(frames: Frames, at_s: float, name: str) -> Moment:
    if frames.duration_s and at_s > frames.duration_s:
        raise UsageError(
            f"{name} lasts {frames.duration_s:.1f} s, and has no picture at {at_s:g} s",
            hint="Give a moment within the video, in seconds.",
        )
    return frames.at(at_s)


def _best(frames: Frames, count: int) -> Moment:
    """Return the best of the key frames near the moments that are looked at.

    Where they show nothing, such as when the only one is a black beginning, the frames at the
    moments themselves are decoded, which takes longer.
    """
    looks = [_FIRST_LOOK + (_LAST_LOOK - _FIRST_LOOK) * n / max(1, count - 1) for n in range(count)]
    moments_s = [share * frames.duration_s for share in looks]
    keys = [key for at_s in moments_s if (key := frames.key_frame_near(at_s)) is not None]
    best = max(keys, key=_score, default=None)
    if best is not None and (_score(best) or not frames.duration_s):
        return best
    exact = [frames.at(at_s) for at_s in moments_s]
    return max(exact, key=_score)


def _score(moment: Moment) -> float:
    return score(moment.frame)


def make_contact_sheet(
    path: str, out: str, *, columns: int, rows: int, max_side: int,
    image_format: ImageFormat, quality: int,
) -> dict[str, Any]:  # fmt: skip
    """Write pictures of evenly spaced moments, row by row, each with its time."""
    count = columns * rows
    name = os.path.basename(path)
    with opened_frames(path) as frames:
        if not frames.duration_s:
            raise UnsupportedMedia(
                f"{name} does not tell how long it lasts",
                hint="Copy it into MP4 or Matroska first, or make a thumbnail.",
            )
        painter = Painter(frames.stream.sample_aspect_ratio, max_side)
        step_s = frames.duration_s / count
        moments = [_near(frames, (n + 0.5) * step_s, within_s=step_s / 2) for n in range(count)]
        tiles = [(painter.picture(each.frame), each.at_s) for each in moments]
    picture = Picture([_sheet(tiles, columns, rows)])
    written = save(picture, out, image_format, quality, name)
    return {**written, "moments_s": [at_s for _, at_s in tiles]}


def _near(frames: Frames, at_s: float, *, within_s: float) -> Moment:
    key = frames.key_frame_near(at_s)
    if key is not None and abs(key.at_s - at_s) <= within_s:
        return key
    return frames.at(at_s)


def _sheet(tiles: list[tuple[Image.Image, float]], columns: int, rows: int) -> Image.Image:
    width = max(image.width for image, _ in tiles)
    height = max(image.height for image, _ in tiles)
    size = (
        columns * (width + _MARGIN_PX) + _MARGIN_PX,
        rows * (height + _MARGIN_PX) + _MARGIN_PX,
    )
    sheet = Image.new("RGB", size, _GROUND)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(max(_SMALLEST_TEXT_PX, height // 12))
    for number, (image, at_s) in enumerate(tiles):
        row, column = divmod(number, columns)
        left = _MARGIN_PX + column * (width + _MARGIN_PX)
        top = _MARGIN_PX + row * (height + _MARGIN_PX)
        sheet.paste(image, (left, top))
        corner = (left + image.width - _MARGIN_PX // 2, top + image.height - _MARGIN_PX // 2)
        draw.text(
            corner, _clock(at_s), _INK, font, anchor="rs", stroke_width=2, stroke_fill=_GROUND
        )
    return sheet


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
