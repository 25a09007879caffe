"""Opening images with Pillow: what they are, by their header alone, and their upright pixels.

Imported in worker processes only.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError

from haulier.core.sniff import HEAD_BYTES, sniff
from haulier.errors import MediaTooDemanding, UnreadableMedia, UnsupportedMedia
from haulier.media import image_strip, image_strip_tiff
from haulier.media.image_formats import ImageFormat, ImageLimits

ORIENTATION = ExifTags.Base.Orientation
_SIDEWAYS = {5, 6, 7, 8}
_DNG_VERSION = 50706
_SMOOTH_MODES = {"L", "LA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB"}
# libwebp takes memory for all pixels as soon as it opens a file, and Pillow decodes icons then.
_MOST_PIXELS_TO_OPEN = {ImageFormat.WEBP: 200_000_000, ImageFormat.ICO: 20_000_000}
# A phone's JPEG may carry further pictures behind the first (Pillow's MPO); they are never shown.
_PLUGINS = {ImageFormat.JPEG: ["JPEG"], ImageFormat.HEIC: ["HEIF"]}


def format_of(path: str, name: str) -> ImageFormat:
    """Return the format of a file by its first bytes.

    Raises:
        UnsupportedMedia: it is SVG, or no image of a kind that haulier reads.
    """
    with open(path, "rb") as stream:
        found = sniff(stream.read(HEAD_BYTES))
    mime_type = None if found is None else found.mime_type
    for image_format in ImageFormat:
        if mime_type == image_format.mime_type:
            return image_format
    if mime_type == "image/heif":
        return ImageFormat.HEIC
    if mime_type == "image/svg+xml":
        raise UnsupportedMedia(
            f"{name} is SVG, which is never drawn: it may hold scripts and links to other files",
            hint="Send it as it is, or export it as PNG with the program that made it.",
        )
    raise UnsupportedMedia(
        f"{name} is no image that haulier reads",
        hint="It reads JPEG, PNG, WebP, GIF, BMP, TIFF, ICO, HEIC and AVIF.",
    )


def register_heic() -> None:
    """Teach Pillow HEIC, in this process: it is a library of its own, and slow to load."""
    import pillow_heif

    pillow_heif.register_heif_opener()


@contextmanager
def opened(path: str, name: str) -> Iterator[tuple[Image.Image, ImageFormat]]:
    """Open an image without decoding it.

    Raises:
        UnsupportedMedia: as `format_of`; or it is a raw photograph.
        UnreadableMedia: its header is damaged.
        MediaTooDemanding: it is a WebP or icon that would take too much memory to open.
    """
    image_format = format_of(path, name)
    if image_format is ImageFormat.HEIC:
        register_heic()
    # Limits are checked by `check_pixels`, with the sizes told; Pillow's own would only warn. It
    # raises above twice this number.
    most = _MOST_PIXELS_TO_OPEN.get(image_format)
    Image.MAX_IMAGE_PIXELS = most // 2 if most else None
    plugins = _PLUGINS.get(image_format, [image_format.value.upper()])
    try:
        with Image.open(path, formats=plugins) as image:
            if _DNG_VERSION in getattr(image, "tag_v2", {}):
                raise UnsupportedMedia(
                    f"{name} is a raw photograph", hint="Develop it to JPEG or TIFF first."
                )
            yield image, image_format
    except UnidentifiedImageError:
        raise UnreadableMedia(
            f"{name} is damaged: its {image_format} header can't be read"
        ) from None
    except Image.DecompressionBombError as error:
        raise MediaTooDemanding(f"{name} has too many pixels: {error}") from None


def check_pixels(image: Image.Image, name: str, limits: ImageLimits) -> None:
    """Check the header's size and count of frames, before anything is decoded.

    Raises:
        MediaTooDemanding: there are more pixels than `limits` allow.
    """
    sizes = [image.size]
    if image.format == "TIFF":
        sizes = [image.size for _ in _pages(image)]
    width, height = max(sizes, key=math.prod)
    frames = frames_of(image)
    total = sum(map(math.prod, sizes)) if len(sizes) > 1 else width * height * frames
    if width * height > limits.max_pixels or total > limits.max_total_pixels:
        times = f" in {frames} frames" if frames > 1 else ""
        raise MediaTooDemanding(
            f"{name} has {width} x {height} pixels{times}; at most "
            f"{limits.max_pixels / 1e6:g} million a frame and "
            f"{limits.max_total_pixels / 1e6:g} million in all are decoded"
        )


def _pages(image: Image.Image) -> Iterator[int]:
    for number in range(frames_of(image)):
        image.seek(number)
        yield number
    image.seek(0)


def frames_of(image: Image.Image) -> int:
    """Return the number of frames or pages; the further pictures of a JPEG or HEIC don't count."""
    return 1 if image.format in {"MPO", "HEIF"} else getattr(image, "n_frames", 1)


def describe(path: str, name: str) -> dict[str, Any]:
    """Return what the header says, as `images.ImageInfo` names it; decodes no pixel."""
    with opened(path, name) as (image, image_format):
        exif = _exif(image, path)
        orientation = _orientation(image, exif)
        width, height = image.size
        if orientation in _SIDEWAYS:
            width, height = height, width
        return {
            "format": image_format,
            "width": width,
            "height": height,
            "orientation": orientation,
            "frames": frames_of(image),
            "has_alpha": image.has_transparency_data,
            "has_metadata": _has_metadata(image, path, exif),
            "has_gps": bool(exif.get_ifd(ExifTags.IFD.GPSInfo)),
            "mode": image.mode,
            "icc_name": _icc_name(image.info.get("icc_profile")),
        }


def _exif(image: Image.Image, path: str) -> Image.Exif:
    if image.format != "PNG":
        return image.getexif()
    # Pillow would decode the whole picture to see what stands behind it.
    exif = Image.Exif()
    with open(path, "rb") as stream:
        if (found := image_strip.png_exif(stream)) is not None:
            exif.load(found)
    return exif


def _orientation(image: Image.Image, exif: Image.Exif) -> int:
    # Pillow turns TIFF itself, as libheif does HEIC.
    if image.format in {"TIFF", "HEIF"}:
        return 1
    orientation = exif.get(ORIENTATION, 1)
    return orientation if orientation in range(1, 9) else 1


def _has_metadata(image: Image.Image, path: str, exif: Image.Exif) -> bool:
    if image.format == "TIFF":
        return any(tag not in image_strip_tiff.KEPT_TAGS for tag in getattr(image, "tag_v2", {}))
    if image.format == "PNG":
        with open(path, "rb") as stream:
            return image_strip.png_has_metadata(stream)
    # In HEIC and AVIF, XMP that was removed has become blanks.
    if (
        image.info.get("photoshop")
        or image.info.get("comment")
        or image.info.get("xmp", b"").strip()
    ):
        return True
    return any(tag != ORIENTATION for tag in exif)


def _icc_name(profile: bytes | None) -> str | None:
    if not profile:
        return None
    try:
        return ImageCms.getProfileDescription(io.BytesIO(profile)).strip() or None
    except ImageCms.PyCMSError:
        return None


def load_upright(image: Image.Image, *, within: tuple[int, int] | None = None) -> Image.Image:
    """Decode the current frame, turned as it is meant to be seen, no larger than `within`.

    A JPEG is decoded at a fraction of its size where that is enough.

    Args:
        image: freshly opened: nothing may have loaded its pixels.
        within: width and height in pixels, as shown; it is never made larger.
    """
    turns_itself = image.format in {"TIFF", "HEIF"}
    profile = image.info.get("icc_profile")
    sideways = _orientation(image, image.getexif()) in _SIDEWAYS
    if image.mode not in _SMOOTH_MODES or "transparency" in image.info:
        # Pillow would leave pixels out instead of blending them.
        image = displayable(image)
    if within is not None:
        box = (within[1], within[0]) if sideways else within
        image.thumbnail(box, Image.Resampling.LANCZOS, reducing_gap=2.0)
    image.load()
    if not turns_itself:
        ImageOps.exif_transpose(image, in_place=True)
    if profile is not None:
        image.info["icc_profile"] = profile
    return image


def displayable(image: Image.Image) -> Image.Image:
    """Return the image with 8 bits a channel: L, RGB or RGBA."""
    if image.has_transparency_data:
        return image.convert("RGBA")
    if image.mode in {"L", "RGB"}:
        return image
    if image.mode.startswith("I;16"):
        return image.point(lambda level: level * (1 / 256)).convert("L")
    if image.mode in {"I", "F"}:
        low, high = (float(level) for level in image.getextrema())  # type: ignore[arg-type]  # one channel
        scale = 255 / (high - low or 1)
        return image.point(lambda level: level * scale + -low * scale).convert("L")
    return image.convert("L" if image.mode == "1" else "RGB")


def in_srgb(image: Image.Image) -> Image.Image:
    """Return the image displayable without its colour profile."""
    profile = image.info.get("icc_profile")
    if image.mode != "CMYK":
        image = displayable(image)
    if not profile:
        return displayable(image)
    try:
        converted = ImageCms.profileToProfile(
            image,
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            outputMode="RGBA" if image.mode == "RGBA" else "RGB",
        )
    except ImageCms.PyCMSError:
        # A broken profile, or one for another kind of pixels: nobody else heeds it either.
        return displayable(image)
    return converted or image


def decode_to_the_end(path: str, name: str, limits: ImageLimits) -> None:
    """Decode every frame, and check that the file's structure is whole.

    Raises:
        MediaTooDemanding: there are more pixels than `limits` allow.
        UnreadableMedia: it is damaged or cut short.
    """
    with opened(path, name) as (image, image_format):
        check_pixels(image, name, limits)
        with open(path, "rb") as stream:
            image_strip.check_structure(stream.read(), image_format, name)
        # Every bit of a JPEG's data is read at an eighth of its size, too.
        image.draft(None, (1, 1))
        for number in range(frames_of(image)):
            if number:
                image.seek(number)
            image.load()
