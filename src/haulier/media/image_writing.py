"""Pictures turned into files: thumbnails, other formats, copies without private metadata.

Whatever is encoded comes out upright and without metadata but its colour profile. Imported in
worker processes only.
"""

from __future__ import annotations

import errno
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from haulier import errors
from haulier.media import image_strip
from haulier.media.image_formats import ImageFormat, ImageLimits
from haulier.media.image_reading import (
    check_pixels,
    describe,
    displayable,
    frames_of,
    in_srgb,
    load_upright,
    opened,
    register_heic,
)  # fmt: skip

BACKGROUND = (255, 255, 255)
_OPTIONS: dict[ImageFormat, dict[str, Any]] = {
    ImageFormat.JPEG: {"optimize": True, "progressive": True},
    ImageFormat.WEBP: {"method": 4},
    # A tenth of the time of the usual 6 at a tenth more bytes.
    ImageFormat.AVIF: {"speed": 8},
    ImageFormat.TIFF: {"compression": "tiff_adobe_deflate"},
}


@dataclass(frozen=True, slots=True)
class Picture:
    """Upright frames with 8 bits a channel, and what goes with them."""

    frames: list[Image.Image]
    icc_profile: bytes | None = None
    durations_ms: tuple[int, ...] = ()
    loops: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.frames[0].size

    @property
    def has_alpha(self) -> bool:
        """Whether any frame may be seen through."""
        return any(frame.mode == "RGBA" for frame in self.frames)

    def scaled_to(self, size: tuple[int, int]) -> Picture:
        """Return the picture at that width and height."""
        if size == self.size:
            return self
        frames = [
            frame.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0) for frame in self.frames
        ]
        return replace(self, frames=frames)


def load_picture(image: Image.Image, name: str, *, within: tuple[int, int] | None) -> Picture:
    """Decode a freshly opened image, all frames of a moving one, no larger than `within`.

    Raises:
        UnsupportedMedia: it is a document of several pages.
    """
    if frames_of(image) == 1:
        still = load_upright(image, within=within)
        if still.mode == "CMYK":
            return Picture([in_srgb(still)])
        return Picture([displayable(still)], still.info.get("icc_profile"))
    if image.format == "TIFF":
        raise errors.UnsupportedMedia(
            f"{name} has {frames_of(image)} pages, which would be lost",
            hint="Make a thumbnail of the first page, or send it as it is.",
        )
    return _load_moving(image, within)


def _load_moving(image: Image.Image, within: tuple[int, int] | None) -> Picture:
    frames, durations = [], []
    profile = image.info.get("icc_profile")
    for number in range(frames_of(image)):
        image.seek(number)
        frame = image.convert("RGBA" if image.has_transparency_data else "RGB")
        if within is not None:
            frame.thumbnail(within, Image.Resampling.LANCZOS)
        frames.append(frame)
        durations.append(round(image.info.get("duration") or 100))
    if any(frame.mode == "RGBA" for frame in frames):
        frames = [frame.convert("RGBA") for frame in frames]
    return Picture(frames, profile, tuple(durations), int(image.info.get("loop") or 0))


def encode(picture: Picture, image_format: ImageFormat, quality: int | None, name: str) -> bytes:
    """Return the picture as a file of that format.

    Raises:
        UnsupportedMedia: the format can't hold it: it moves, or has too many pixels a side.
        EncoderFailed: the encoder said no.
    """
    if max(picture.size) > image_format.most_side:
        raise errors.UnsupportedMedia(
            f"{name} has {picture.size[0]} x {picture.size[1]} pixels; {image_format} takes at "
            f"most {image_format.most_side} a side",
            hint="Make it smaller with a limit on width and height.",
        )
    if len(picture.frames) > 1 and not image_format.moves:
        raise errors.UnsupportedMedia(
            f"{name} moves, which {image_format} can't",
            hint="Choose webp or gif, or make a thumbnail of its first frame.",
        )
    options = dict(_OPTIONS.get(image_format, {}))
    if quality is not None and image_format.has_quality:
        options["quality"] = quality
    if picture.icc_profile and image_format not in {ImageFormat.BMP, ImageFormat.GIF}:
        options["icc_profile"] = picture.icc_profile
    if image_format is ImageFormat.ICO:
        options["sizes"] = [picture.size]
    frames = [_clean(frame, image_format) for frame in picture.frames]
    if len(frames) > 1:
        options |= _motion(picture, frames, image_format)
    plugin = image_format.value
    if image_format is ImageFormat.HEIC:
        register_heic()
        plugin = "HEIF"
    buffer = io.BytesIO()
    try:
        frames[0].save(buffer, plugin, **options)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise errors.EncoderFailed(f"{name} can't be made {image_format}: {error}") from error
    return buffer.getvalue()


def _motion(
    picture: Picture, frames: Sequence[Image.Image], image_format: ImageFormat
) -> dict[str, Any]:
    durations = list(picture.durations_ms)
    motion = {"save_all": True, "append_images": frames[1:], "duration": durations}
    if image_format is ImageFormat.GIF:
        # Each frame is whole: without this a clear pixel would show the frame before.
        motion["disposal"] = 2 if picture.has_alpha else 1
    if image_format is not ImageFormat.AVIF:
        motion["loop"] = picture.loops
    return motion


def _clean(frame: Image.Image, image_format: ImageFormat) -> Image.Image:
    if frame.mode == "RGBA" and not image_format.has_alpha:
        ground = Image.new("RGBA", frame.size, (*BACKGROUND, 255))
        frame = Image.alpha_composite(ground, frame).convert("RGB")
    if frame.mode == "RGBA" and image_format is ImageFormat.GIF:
        # A pixel of a GIF is either there or not.
        frame.putalpha(frame.getchannel("A").point(lambda level: 255 if level >= 128 else 0))
    # Pillow carries comments, and EXIF for some formats, from the image that was read.
    frame.info = {}
    frame.getexif().clear()
    return frame


def write(data: bytes, out: str, name: str) -> None:
    """Write the finished file; raises StorageFull when there is no room for it."""
    try:
        with open(out, "wb") as stream:
            stream.write(data)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise errors.StorageFull(f"no space is left for what is made of {name}") from error
        raise errors.EncoderFailed(f"{name}: the result can't be written: {error}") from error


def make_thumbnail(
    path: str, out: str, name: str, limits: ImageLimits, size: tuple[int, int],
    image_format: ImageFormat, quality: int,
) -> dict[str, Any]:  # fmt: skip
    """Write a small upright picture of the first frame, in sRGB and without a profile."""
    with opened(path, name) as (image, _):
        check_pixels(image, name, limits)
        within = (min(size[0], image_format.most_side), min(size[1], image_format.most_side))
        picture = Picture([in_srgb(load_upright(image, within=within))])
        return save(picture, out, image_format, quality, name)


def convert(
    path: str, out: str, name: str, limits: ImageLimits, image_format: ImageFormat, quality: int
) -> dict[str, Any]:
    """Write the image in another format."""
    with opened(path, name) as (image, _):
        check_pixels(image, name, limits)
        return save(load_picture(image, name, within=None), out, image_format, quality, name)


def save(
    picture: Picture, out: str, image_format: ImageFormat, quality: int | None, name: str
) -> dict[str, Any]:
    """Encode and write a picture; returns what `images.WrittenImage` holds."""
    data = encode(picture, image_format, quality, name)
    write(data, out, name)
    return written(data, picture.size, image_format)


def written(data: bytes, size: tuple[int, int], image_format: ImageFormat) -> dict[str, Any]:
    """Return what `images.WrittenImage` holds."""
    return {
        "format": image_format,
        "size_bytes": len(data),
        "width": size[0],
        "height": size[1],
    }


def strip_metadata(path: str, out: str, name: str) -> dict[str, Any]:
    """Write a copy without private metadata, and look whether any is left in it."""
    about = describe(path, name)
    image_format = ImageFormat(about["format"])
    with open(path, "rb") as stream:
        data = stream.read()
    orientation = int(about["orientation"])
    if image_format is not ImageFormat.BMP:
        data = image_strip.stripped(data, image_format, orientation, name)
    write(data, out, name)
    after = describe(out, name)
    if after["has_metadata"] or after["has_gps"]:
        raise errors.UnsupportedMedia(
            f"{name} holds metadata in a way that can't be removed",
            hint="Convert it to JPEG or PNG, which leaves all metadata out.",
        )
    return written(data, (int(after["width"]), int(after["height"])), image_format)


def bounded_size(
    size: tuple[int, int], *, max_pixels: int | None, max_width: int | None, max_height: int | None
) -> tuple[int, int]:
    """Return the largest size of the same shape within the limits, at least one pixel a side."""
    width, height = size
    scale = min(
        1.0,
        (max_width or width) / width,
        (max_height or height) / height,
        math.sqrt((max_pixels or width * height) / (width * height)),
    )
    return max(1, math.floor(width * scale)), max(1, math.floor(height * scale))
