"""An image made to fit limits of bytes and pixels, as good as they allow.

First the quality is searched for, in memory; where even the lowest is too large, the picture is
made smaller and the search begins again. Imported in worker processes only.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

from haulier import errors
from haulier.core.units import format_size
from haulier.media.image_formats import ImageFormat, ImageLimits
from haulier.media.image_reading import check_pixels, describe, opened
from haulier.media.image_writing import Picture, bounded_size, encode, load_picture, write, written

_BEST_QUALITY = 92
_FIRST_QUALITY = 80
DEFAULT_QUALITY = 85
# A search ends when it has used this share of the bytes: another encode would not be seen.
_NEAR_ENOUGH = 0.97
_NEAR_ENOUGH_MOVING = 0.9
_LEAST_SIDE = 160
# Sizes go with the pixels' number, a little less than in proportion.
_MARGIN = 0.97
_LEAST_STEP = 0.9

Encode = Callable[[int], bytes]


def best_quality(
    encoded: Encode, *, max_bytes: int, floor: int, ceiling: int, near: float = _NEAR_ENOUGH
) -> tuple[int, bytes]:
    """Return the highest quality found that takes at most `max_bytes`, and its bytes.

    When there is none, the floor and its too many bytes.
    """
    under: tuple[int, bytes] | None = None
    over: tuple[int, int] | None = None
    quality = min(max(_FIRST_QUALITY, floor), ceiling)
    while True:
        data = encoded(quality)
        if len(data) <= max_bytes:
            under = quality, data
            if quality == ceiling or len(data) >= near * max_bytes:
                return under
        elif quality == floor:
            return quality, data
        else:
            over = quality, len(data)
        if under is None:
            quality = floor
        elif over is None:
            quality = ceiling
        elif over[0] - under[0] == 1:
            return under
        else:
            quality = _between((under[0], len(under[1])), over, max_bytes)


def _between(under: tuple[int, int], over: tuple[int, int], max_bytes: int) -> int:
    """Guess the quality at `max_bytes`: between two near ones, size grows by a steady factor."""
    gap = over[0] - under[0]
    share = 0.5
    if over[1] > under[1]:
        share = math.log(max_bytes / under[1]) / math.log(over[1] / under[1])
    # Never at the edge, so that each guess takes a good piece off the gap.
    share = min(max(share, 0.15), 0.85)
    return min(max(under[0] + round(gap * share), under[0] + 1), over[0] - 1)


def fit(
    path: str, out: str, name: str, limits: ImageLimits, *, max_bytes: int | None,
    max_pixels: int | None, max_width: int | None, max_height: int | None,
    image_format: ImageFormat | None, quality_floor: int,
) -> dict[str, Any]:  # fmt: skip
    """Write the image within the limits; returns what `images.FittedImage` holds."""
    about = describe(path, name)
    source = ImageFormat(about["format"])
    size = int(about["width"]), int(about["height"])
    size_bytes = os.path.getsize(path)
    wanted = bounded_size(size, max_pixels=max_pixels, max_width=max_width, max_height=max_height)
    fits = max_bytes is None or size_bytes <= max_bytes
    if fits and wanted == size and image_format in {None, source}:
        with open(path, "rb") as stream:
            write(stream.read(), out, name)
        same = {"format": source, "size_bytes": size_bytes, "width": size[0], "height": size[1]}
        return {**same, "quality": None, "recompressed": False}
    with opened(path, name) as (image, _):
        check_pixels(image, name, limits)
        picture = load_picture(image, name, within=wanted if wanted != size else None)
    if image_format is not None:
        formats = [image_format]
    elif max_bytes is None:
        formats = [_kept_format(source, picture)]
    else:
        formats = _smaller_formats(source, picture)
    if max_bytes is not None and source in formats:
        # What becomes smaller in pixels must not become larger in bytes.
        max_bytes = min(max_bytes, size_bytes)
    return _write_fitting(picture, formats, max_bytes, quality_floor, out, name)


def _kept_format(source: ImageFormat, picture: Picture) -> ImageFormat:
    if source is ImageFormat.HEIC:
        # Few programs show it, and its encoder is slow.
        return ImageFormat.WEBP if picture.has_alpha else ImageFormat.JPEG
    return source


def _smaller_formats(source: ImageFormat, picture: Picture) -> list[ImageFormat]:
    """What to try, in this order: without loss where that was so, then the smallest common one."""
    if len(picture.frames) > 1:
        return [ImageFormat.WEBP]
    if source.has_quality:
        return [_kept_format(source, picture)]
    return [ImageFormat.PNG, ImageFormat.WEBP if picture.has_alpha else ImageFormat.JPEG]


def _write_fitting(
    picture: Picture, formats: list[ImageFormat], max_bytes: int | None, floor: int,
    out: str, name: str,
) -> dict[str, Any]:  # fmt: skip
    for image_format in formats:
        picture = picture.scaled_to(
            bounded_size(
                picture.size,
                max_pixels=None,
                max_width=image_format.most_side,
                max_height=image_format.most_side,
            )
        )
        quality, data = _encoded(picture, image_format, max_bytes, floor, name)
        if max_bytes is None or len(data) <= max_bytes:
            break
    if max_bytes is not None and len(data) > max_bytes:
        picture, quality, data = _scaled_down(
            picture, image_format, max_bytes, floor, name, len(data)
        )
    write(data, out, name)
    return {
        **written(data, picture.size, image_format),
        "quality": quality,
        "recompressed": True,
    }


def _encoded(
    picture: Picture, image_format: ImageFormat, max_bytes: int | None, floor: int, name: str
) -> tuple[int | None, bytes]:
    if not image_format.has_quality:
        return None, encode(picture, image_format, None, name)
    if max_bytes is None:
        quality = max(DEFAULT_QUALITY, floor)
        return quality, encode(picture, image_format, quality, name)
    return best_quality(
        lambda quality: encode(picture, image_format, quality, name),
        max_bytes=max_bytes,
        floor=floor,
        ceiling=max(_BEST_QUALITY, floor),
        near=_NEAR_ENOUGH if len(picture.frames) == 1 else _NEAR_ENOUGH_MOVING,
    )


def _scaled_down(
    picture: Picture, image_format: ImageFormat, max_bytes: int, floor: int, name: str, got: int
) -> tuple[Picture, int | None, bytes]:
    """Make the picture smaller until it fits; `got` is what it takes at full size, in bytes."""
    scaled = picture
    while max(scaled.size) > _LEAST_SIDE:
        factor = min(math.sqrt(max_bytes / got) * _MARGIN, _LEAST_STEP)
        longest = max(round(max(scaled.size) * factor), _LEAST_SIDE)
        size = bounded_size(picture.size, max_pixels=None, max_width=longest, max_height=longest)
        scaled = picture.scaled_to(size)
        quality, data = _encoded(scaled, image_format, max_bytes, floor, name)
        if len(data) <= max_bytes:
            return scaled, quality, data
        got = len(data)
    raise errors.DoesNotFit(
        f"{name} can't be made smaller than {format_size(got)} as {image_format} without being "
        f"spoilt; {format_size(max_bytes)} were asked for",
        hint="Allow more bytes, or a lower quality.",
        smallest_bytes=got,
    )
