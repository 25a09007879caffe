"""What worker processes are asked to do with images; Pillow is imported there and not before.

Each task gets and returns what JSON can carry: `limits` are the fields of `ImageLimits`, formats
the values of `ImageFormat`.
"""

from __future__ import annotations

import os
from typing import Any

from haulier.media.image_formats import ImageFormat, ImageLimits


def inspect(*, path: str) -> dict[str, Any]:
    """Describe an image by its header."""
    from haulier.media import image_reading

    return image_reading.describe(path, _name(path))


def validate(*, path: str, limits: dict[str, Any]) -> dict[str, Any]:
    """Decode all of an image; returns its description."""
    from haulier.media import image_reading

    image_reading.decode_to_the_end(path, _name(path), ImageLimits(**limits))
    return image_reading.describe(path, _name(path))


def thumbnail(
    *, path: str, out: str, limits: dict[str, Any], size: list[int],
    image_format: str, quality: int,
) -> dict[str, Any]:  # fmt: skip
    """Write a thumbnail to `out`."""
    from haulier.media import image_writing

    return image_writing.make_thumbnail(
        path,
        out,
        _name(path),
        ImageLimits(**limits),
        (size[0], size[1]),
        ImageFormat(image_format),
        quality,
    )


def convert(
    *, path: str, out: str, limits: dict[str, Any], image_format: str, quality: int
) -> dict[str, Any]:
    """Write the image in another format to `out`."""
    from haulier.media import image_writing

    return image_writing.convert(
        path, out, _name(path), ImageLimits(**limits), ImageFormat(image_format), quality
    )


def strip_metadata(*, path: str, out: str) -> dict[str, Any]:
    """Write a copy without private metadata to `out`."""
    from haulier.media import image_writing

    return image_writing.strip_metadata(path, out, _name(path))


def fit(
    *, path: str, out: str, limits: dict[str, Any], max_bytes: int | None,
    max_pixels: int | None, max_width: int | None, max_height: int | None,
    image_format: str | None, quality_floor: int,
) -> dict[str, Any]:  # fmt: skip
    """Write the image within limits to `out`."""
    from haulier.media import image_fit

    return image_fit.fit(
        path, out, _name(path), ImageLimits(**limits), max_bytes=max_bytes, max_pixels=max_pixels,
        max_width=max_width, max_height=max_height,
        image_format=None if image_format is None else ImageFormat(image_format),
        quality_floor=quality_floor,
    )  # fmt: skip


def _name(path: str) -> str:
    return os.path.basename(path)
