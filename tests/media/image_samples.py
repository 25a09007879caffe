"""Pictures made by real encoders, each with all the private metadata its format can hold.

What is private holds the word SECRET. The picture has four corners of their own colours, so that
one can see how it is turned.
"""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms, PngImagePlugin

pillow_heif.register_heif_opener()

WIDTH, HEIGHT = 96, 64
RED, GREEN, BLUE, GREY = (220, 30, 30), (30, 200, 30), (30, 30, 220), (128, 128, 128)
SECRET = b"SECRET"
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF>SECRET</rdf:RDF></x:xmpmeta>'
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
}  # fmt: skip


def upright(size=(WIDTH, HEIGHT)) -> Image.Image:
    width, height = size
    image = Image.new("RGB", size, GREY)
    image.paste(RED, (0, 0, width // 2, height // 2))
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    return image


def is_upright(image: Image.Image) -> bool:
    """Whether the four corners are where `upright` has them."""
    image = image.convert("RGB")
    right, bottom = image.width - 3, image.height - 3
    found = [image.getpixel(spot) for spot in ((2, 2), (right, 2), (2, bottom), (right, bottom))]
    pairs = zip(found, (RED, GREEN, BLUE, GREY), strict=True)
    return all(abs(a - b) < 60 for got, want in pairs for a, b in zip(got, want, strict=True))


def turned(orientation: int, size=(WIDTH, HEIGHT)) -> Image.Image:
    """The picture as it is stored when it is upright only after what EXIF says."""
    image = upright(size)
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def exif(orientation: int = 1) -> Image.Exif:
    block = Image.Exif()
    block[0x010F] = "SECRET camera"
    block[0x0112] = orientation
    block[0x8825] = {1: "N", 2: (52.0, 30.0, 0.0), 3: "E", 4: (13.0, 22.0, 0.0)}
    return block


def turned_file(suffix: str, orientation: int) -> bytes:
    """A picture that its metadata turns; HEIC says it in a box of its own, which the plugin makes."""
    image, options = turned(orientation), {}
    if suffix == ".tif":
        options["tiffinfo"] = {274: orientation}
    elif suffix == ".heic":
        image.info["exif"] = exif(orientation).tobytes()
    else:
        options["exif"] = exif(orientation)
    plugin = {".tif": "TIFF", ".heic": "HEIF", ".jpg": "JPEG"}.get(suffix, suffix[1:].upper())
    return _saved(image, plugin, **options)


def noise(size=(640, 480), *, seed: int = 1) -> Image.Image:
    """A picture that is as hard to compress as a grainy photograph."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 255, (12, 16, 3), dtype=np.uint8)).resize(size)
    grain = rng.normal(0, 9, (size[1], size[0], 3))
    return Image.fromarray((np.asarray(coarse) + grain).clip(0, 255).astype(np.uint8))


def moving(count: int = 5, *, alpha: bool = False) -> list[Image.Image]:
    frames = []
    for number in range(count):
        frame = upright().convert("RGBA" if alpha else "RGB")
        frame.paste((255, 255, 0), (number * 8, 20, number * 8 + 16, 36))
        if alpha:
            frame.paste((0, 0, 0, 0), (40, 50, 60, 60))
        frames.append(frame)
    return frames


def jpeg(orientation: int = 1) -> bytes:
    buffer = io.BytesIO()
    turned(orientation).save(
        buffer,
        "JPEG",
        quality=92,
        exif=exif(orientation),
        comment=b"SECRET",
        xmp=XMP,
        icc_profile=SRGB,
    )
    data = buffer.getvalue()
    iptc = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x0cSECRET city"
    segment = b"\xff\xed" + struct.pack(">H", len(iptc) + 2) + iptc
    return data[:2] + segment + data[2:] + b"SECRET motion clip"


def png(orientation: int = 1, mode: str = "RGB") -> bytes:
    buffer, text = io.BytesIO(), PngImagePlugin.PngInfo()
    text.add_text("Author", "SECRET")
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    image = turned(orientation).convert(mode)
    image.save(buffer, "PNG", exif=exif(orientation), pnginfo=text, icc_profile=SRGB)
    return buffer.getvalue() + b"SECRET tail"


def gif() -> bytes:
    buffer = io.BytesIO()
    first, *others = moving()
    first.save(
        buffer, "GIF", save_all=True, append_images=others, duration=[50, 60, 70, 80, 90], loop=0,
        comment=b"SECRET",
    )  # fmt: skip
    data = buffer.getvalue()
    xmp = b"\x21\xff\x0bXMP DataXMP" + bytes([len(XMP)]) + XMP + b"\0"
    return data[:-1] + xmp + b";"


def ico() -> bytes:
    picture = png()
    return struct.pack("<3H4B2H2I", 0, 1, 1, WIDTH, HEIGHT, 0, 0, 1, 32, len(picture), 22) + picture


def tiff() -> bytes:
    buffer, block = io.BytesIO(), exif()
    block[270], block[700], block[315] = "SECRET place", XMP, "SECRET person"
    upright().save(
        buffer, "TIFF", exif=block.tobytes(), icc_profile=SRGB, save_all=True,
        append_images=[noise((50, 40))],
    )  # fmt: skip
    return buffer.getvalue()


def _saved(image: Image.Image, plugin: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, plugin, **options)
    return buffer.getvalue()


def every_format() -> dict[str, bytes]:
    metadata = {"exif": exif().tobytes(), "xmp": XMP, "icc_profile": SRGB}
    animation = {"save_all": True, "append_images": moving()[1:], "duration": 80}
    return {
        "jpeg.jpg": jpeg(),
        "png.png": png(),
        "alpha.png": png(mode="RGBA"),
        "webp.webp": _saved(upright(), "WEBP", **metadata),
        "moving.webp": _saved(moving()[0], "WEBP", **metadata, **animation, lossless=True),
        "gif.gif": gif(),
        "bmp.bmp": _saved(upright(), "BMP"),
        "tiff.tif": tiff(),
        "ico.ico": ico(),
        "heic.heic": _saved(upright(), "HEIF", quality=80, **metadata),
        "avif.avif": _saved(upright(), "AVIF", **metadata),
    }


@pytest.fixture(scope="session")
def pictures(tmp_path_factory) -> Path:
    """A directory with one file of each kind."""
    folder = tmp_path_factory.mktemp("pictures")
    for name, data in every_format().items():
        (folder / name).write_bytes(data)
    return folder


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims any size, and holds nothing."""
    chunks = (
        (b"IHDR", struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", b"x"),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def resized_header(data: bytes, suffix: str, width: int, height: int) -> bytes:
    """The file with other numbers where its header says how large the picture is."""
    out = bytearray(data)
    if suffix == ".jpg":
        struct.pack_into(">HH", out, out.index(b"\xff\xc0") + 5, height, width)
    elif suffix == ".webp":
        at = out.index(b"VP8X") + 12
        out[at : at + 6] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    elif suffix == ".gif":
        struct.pack_into("<HH", out, 6, width, height)
    elif suffix == ".bmp":
        struct.pack_into("<ii", out, 18, width, height)
    elif suffix in {".heic", ".avif"}:
        at = -1
        while (at := out.find(b"ispe", at + 1)) >= 0:
            struct.pack_into(">II", out, at + 8, width, height)
    elif suffix == ".tif":
        out = bytearray(_saved(upright(), "TIFF"))
        (directory,) = struct.unpack_from("<I", out, 4)
        for entry in range(struct.unpack_from("<H", out, directory)[0]):
            at = directory + 2 + 12 * entry
            (tag,) = struct.unpack_from("<H", out, at)
            if tag in {256, 257}:
                struct.pack_into("<HII", out, at + 2, 4, 1, width if tag == 256 else height)
    else:
        raise ValueError(suffix)
    return bytes(out)
