"""Images: what they are, whether they are whole, and copies that others can take.

Every file is read in a worker process (`isolation`), and no more pixels are decoded than
`ImageLimits` allow. What is written appears at its name whole or not at all; the file it is made
from is never altered. SVG is never drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from haulier.errors import UnsupportedMedia
from haulier.media import image_tasks
from haulier.media.image_formats import (
    FittedImage,
    ImageFormat,
    ImageInfo,
    ImageLimits,
    WrittenImage,
    with_ending_of,
)
from haulier.media.image_output import new_file, source_size
from haulier.media.isolation import Workers
from haulier.media.picture_making import picture_format, require, write_picture

__all__ = [
    "FittedImage", "ImageFormat", "ImageInfo", "ImageLimits", "WrittenImage", "convert_image",
    "fit_image", "inspect_image", "make_thumbnail", "strip_metadata", "validate_image",
]  # fmt: skip

DEFAULT_LIMITS = ImageLimits()
_FIT_TIMEOUT_S = 180


async def inspect_image(
    path: Path, *, workers: Workers, limits: ImageLimits = DEFAULT_LIMITS
) -> ImageInfo:
    """Tell what an image is, by its header; nothing is decoded, so any number of pixels may be.

    Raises:
        TargetMissing, TargetUnreadable: there is no such file, or it may not be read.
        UnsupportedMedia: it is no image of a known kind, or is SVG.
        UnreadableMedia: its header is damaged.
        MediaTooDemanding: it is larger than `limits.max_bytes`, or took too long.
    """
    size_bytes = source_size(path, max_bytes=limits.max_bytes)
    told = await workers.run(
        image_tasks.inspect, name=path.name, timeout_s=limits.timeout_s, **_reading(path)
    )
    return _info(told, size_bytes)


async def validate_image(
    path: Path,
    *,
    workers: Workers,
    limits: ImageLimits = DEFAULT_LIMITS,
    formats: frozenset[ImageFormat] = frozenset(ImageFormat),
) -> ImageInfo:
    """Check that an image is of an allowed format and size, and decodes to its end.

    Raises:
        UnsupportedMedia: its format is not among `formats`; and as `inspect_image`.
        UnreadableMedia: it is damaged or cut short.
        MediaTooDemanding: bytes, pixels or time exceed `limits`.
        TargetMissing, TargetUnreadable: as `inspect_image`.
    """
    info = await inspect_image(path, workers=workers, limits=limits)
    if info.format not in formats:
        allowed = ", ".join(sorted(formats))
        raise UnsupportedMedia(
            f"{path.name} is {info.format}, which is not allowed here", hint=f"Send {allowed}."
        )
    await workers.run(
        image_tasks.validate,
        name=path.name,
        timeout_s=limits.timeout_s,
        limits=asdict(limits),
        **_reading(path),
    )
    return info


async def make_thumbnail(
    path: Path,
    out: Path,
    *,
    workers: Workers,
    size: tuple[int, int] = (320, 320),
    format: ImageFormat | None = None,  # noqa: A002  # the field's word
    quality: int = 80,
    limits: ImageLimits = DEFAULT_LIMITS,
) -> WrittenImage:
    """Write a small picture of the image, or of the first frame of a moving one.

    It is upright, in sRGB, without metadata, and never larger than the image. Transparency is
    kept where the format has it, and white elsewhere.

    Args:
        path: the image.
        out: where the thumbnail goes; what was there is replaced.
        workers: where it is decoded.
        size: width and height in pixels that it stays within.
        format: by the ending of `out` when left out.
        quality: 1 to 100, for formats with loss.
        limits: what is decoded at most.

    Raises:
        MediaTooDemanding: bytes, pixels or time exceed `limits`.
        UnsupportedMedia: it is no image of a known kind, or `out` names none.
        UnreadableMedia: it is damaged.
        EncoderFailed: the thumbnail can't be encoded.
        UsageError: a number makes no sense, or `out` is the image itself.
        TargetMissing, TargetUnreadable, StorageFull: as the system says of either file.
    """
    image_format = picture_format(format, out, quality=quality, width=size[0], height=size[1])
    return await _written(
        image_tasks.thumbnail, path, out, workers, limits,
        limits=asdict(limits), size=list(size), image_format=image_format, quality=quality,
    )  # fmt: skip


async def convert_image(
    path: Path,
    out: Path,
    *,
    workers: Workers,
    format: ImageFormat | None = None,  # noqa: A002  # the field's word
    quality: int = 85,
    limits: ImageLimits = DEFAULT_LIMITS,
) -> WrittenImage:
    """Write the image in another format, upright and without metadata but its colour profile.

    Args and errors are those of `make_thumbnail`; besides:

    Raises:
        UnsupportedMedia: the image moves or has pages and the format can't hold them, or it
            has more pixels a side than the format takes.
    """
    image_format = picture_format(format, out, quality=quality)
    return await _written(
        image_tasks.convert, path, out, workers, limits,
        limits=asdict(limits), image_format=image_format, quality=quality,
    )  # fmt: skip


async def strip_metadata(
    path: Path, out: Path, *, workers: Workers, limits: ImageLimits = DEFAULT_LIMITS
) -> WrittenImage:
    """Write a copy without EXIF, GPS, XMP, IPTC, comments and embedded previews.

    Nothing is encoded anew: the pixels' bits stay as they are, and so do the colour profile and
    the orientation. The format is the source's, whatever `out` is called.

    Raises:
        UnsupportedMedia: it is no image of a known kind, or metadata can't be taken out of it.
        UnreadableMedia: it is damaged or cut short.
        MediaTooDemanding: it is larger than `limits.max_bytes`, or took too long.
        UsageError: `out` is the image itself.
        TargetMissing, TargetUnreadable, StorageFull: as the system says of either file.
    """
    return await _written(image_tasks.strip_metadata, path, out, workers, limits)


async def fit_image(
    path: Path,
    out: Path,
    *,
    workers: Workers,
    max_bytes: int | None = None,
    max_pixels: int | None = None,
    max_width: int | None = None,
    max_height: int | None = None,
    format: ImageFormat | None = None,  # noqa: A002  # the field's word
    quality_floor: int = 50,
    limits: ImageLimits = DEFAULT_LIMITS,
    timeout_s: float = _FIT_TIMEOUT_S,
) -> FittedImage:
    """Write the image within limits, as good as they allow.

    One that fits already is copied as it is, metadata included. Otherwise it is encoded anew,
    upright and without metadata but its colour profile: first at the highest quality that fits,
    and where even `quality_floor` does not, at fewer pixels. All frames of a moving picture are
    kept.

    Args:
        path: the image.
        out: where the result goes; its ending is changed to that of the format chosen.
        workers: where it is decoded.
        max_bytes: most bytes of the result.
        max_pixels: most pixels, width times height.
        max_width: most pixels wide.
        max_height: most pixels high.
        format: the result's. When left out: the source's if that can be met, else JPEG, or
            WebP for what is transparent or moves; HEIC becomes JPEG.
        quality_floor: lowest quality, 1 to 100, before pixels are given up.
        limits: what is decoded at most.
        timeout_s: seconds it may take.

    Raises:
        DoesNotFit: even 160 pixels a side take more bytes; `smallest_bytes` says how many.
        UnsupportedMedia: it is no image of a known kind, has several pages, or moves and
            `format` can't.
        MediaTooDemanding, UnreadableMedia, EncoderFailed, UsageError, TargetMissing,
            TargetUnreadable, StorageFull: as `make_thumbnail`.
    """
    bounds = {
        "max_bytes": max_bytes,
        "max_pixels": max_pixels,
        "max_width": max_width,
        "max_height": max_height,
    }
    for what, bound in bounds.items():
        if bound is not None:
            require(what, bound)
    require("quality_floor", quality_floor, 100)
    source_size(path, max_bytes=limits.max_bytes)
    async with new_file(out, source=path) as file:
        told = await workers.run(
            image_tasks.fit, name=path.name, timeout_s=timeout_s, limits=asdict(limits),
            out=str(file.temporary), image_format=format, quality_floor=quality_floor,
            **_reading(path), **bounds,
        )  # fmt: skip
        file.out = with_ending_of(out, ImageFormat(told["format"]))
    return FittedImage(path=file.out, **_typed(told))


async def _written(
    task: Callable[..., dict[str, Any]], path: Path, out: Path, workers: Workers,
    bounds: ImageLimits, **arguments: Any,
) -> WrittenImage:  # fmt: skip
    told = await write_picture(
        task, path, out, workers=workers, timeout_s=bounds.timeout_s, max_bytes=bounds.max_bytes,
        **arguments,
    )  # fmt: skip
    return WrittenImage(**told)


def _reading(path: Path) -> dict[str, Any]:
    return {"path": str(path.absolute())}


def _typed(told: dict[str, Any]) -> dict[str, Any]:
    return {**told, "format": ImageFormat(told["format"])}


def _info(told: dict[str, Any], size_bytes: int) -> ImageInfo:
    image_format = ImageFormat(told["format"])
    return ImageInfo(mime_type=image_format.mime_type, size_bytes=size_bytes, **_typed(told))
