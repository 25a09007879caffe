"""The image formats haulier reads and writes, what is told of an image, how much is decoded.

Plain tables and records without Pillow: the parent process thinks in them too.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from haulier.errors import UnsupportedMedia


class ImageFormat(StrEnum):
    """A format of still or moving pictures."""

    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    GIF = "gif"
    BMP = "bmp"
    TIFF = "tiff"
    ICO = "ico"
    HEIC = "heic"
    AVIF = "avif"

    @property
    def mime_type(self) -> str:
        """The media type, such as `image/jpeg`."""
        return "image/vnd.microsoft.icon" if self is ImageFormat.ICO else f"image/{self}"

    @property
    def suffixes(self) -> tuple[str, ...]:
        """File name endings, the usual one first."""
        return _SUFFIXES.get(self, (f".{self}",))

    @property
    def has_quality(self) -> bool:
        """Whether it is written with loss, at a quality of 1 to 100."""
        return self in _LOSSY

    @property
    def has_alpha(self) -> bool:
        """Whether it can be written with transparency."""
        return self not in {ImageFormat.JPEG, ImageFormat.BMP}

    @property
    def moves(self) -> bool:
        """Whether it can be written with several frames."""
        return self in _MOVING

    @property
    def most_side(self) -> int:
        """The most pixels a side that can be written."""
        return _MOST_SIDE.get(self, 65_535)


_SUFFIXES = {
    ImageFormat.JPEG: (".jpg", ".jpeg", ".jpe", ".jfif"),
    ImageFormat.TIFF: (".tif", ".tiff"),
    ImageFormat.HEIC: (".heic", ".heif", ".hif"),
    ImageFormat.AVIF: (".avif", ".avifs"),
    ImageFormat.PNG: (".png", ".apng"),
    ImageFormat.BMP: (".bmp", ".dib"),
}
_LOSSY = {ImageFormat.JPEG, ImageFormat.WEBP, ImageFormat.HEIC, ImageFormat.AVIF}
_MOVING = {ImageFormat.GIF, ImageFormat.WEBP, ImageFormat.PNG, ImageFormat.AVIF}
# libjpeg's own limit, WebP's 14 bits, the byte of an icon's directory, what x265 takes.
_MOST_SIDE = {
    ImageFormat.JPEG: 65_500,
    ImageFormat.WEBP: 16_383,
    ImageFormat.ICO: 256,
    ImageFormat.HEIC: 16_384,
    ImageFormat.AVIF: 16_384,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLimits:
    """How much of an image is read and decoded.

    Attributes:
        max_bytes: largest file.
        max_pixels: most pixels of one frame or page.
        max_total_pixels: most pixels of all frames or pages together.
        timeout_s: seconds one reading may take.
    """

    max_bytes: int = 256 << 20
    max_pixels: int = 100_000_000
    max_total_pixels: int = 200_000_000
    timeout_s: float = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageInfo:
    """What an image's header says.

    Attributes:
        format: by content; `mime_type` goes with it.
        width: pixels, as the image is shown; `height` likewise.
        orientation: as EXIF numbers it: 1 is upright, 2 to 8 are turned by who shows it.
        frames: of a moving picture, or pages.
        has_alpha: it may be seen through.
        has_metadata: there is EXIF beyond the orientation, XMP, IPTC, text or a comment.
        has_gps: it says where it was taken.
        mode: how colours are stored, as Pillow names it: `RGB`, `CMYK`, `I;16`, …
        icc_name: the colour profile's description, where there is one.
    """

    format: ImageFormat
    mime_type: str
    size_bytes: int
    width: int
    height: int
    orientation: int
    frames: int
    has_alpha: bool
    has_metadata: bool
    has_gps: bool
    mode: str
    icc_name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenImage:
    """An image that was written: width and height are in pixels."""

    path: Path
    format: ImageFormat
    size_bytes: int
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedImage(WrittenImage):
    """An image within limits.

    Attributes:
        quality: 1 to 100; None for formats without loss, and for a copy.
        recompressed: False when the source fitted already: then this is a copy of it.
    """

    quality: int | None
    recompressed: bool


def format_of_name(path: Path) -> ImageFormat:
    """Return the format that a file's ending names.

    Raises:
        UnsupportedMedia: it names none that can be written.
    """
    suffix = path.suffix.lower()
    for image_format in ImageFormat:
        if suffix in image_format.suffixes:
            return image_format
    raise UnsupportedMedia(
        f"{path.name}: {suffix or 'a name without an ending'} is no image format that haulier "
        f"writes",
        hint=f"Use one of {', '.join(each.suffixes[0] for each in ImageFormat)}.",
    )


def with_ending_of(path: Path, image_format: ImageFormat) -> Path:
    """Return the path with an ending that fits the format; as it is when it does already."""
    suffix = path.suffix.lower()
    if suffix in image_format.suffixes:
        return path
    names_another = any(suffix in each.suffixes for each in ImageFormat)
    stem = path.stem if names_another else path.name
    return path.with_name(stem + image_format.suffixes[0])
