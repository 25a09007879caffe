"""Removing private metadata from images without touching a pixel's bits.

Each format is a chain of parts; those that hold no picture are left out: EXIF, XMP, IPTC,
comments, preview pictures, whatever follows the end. Colour profiles stay, and so does the
orientation, in an EXIF block that holds nothing else.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

from haulier.errors import UnreadableMedia
from haulier.media import image_strip_boxes, image_strip_tiff
from haulier.media.image_formats import ImageFormat

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_PRIVATE = {b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"tIME"}
_PNG_KEPT = {
    b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"mDCV", b"cLLI", b"sBIT", b"pHYs",
    b"hIST", b"sPLT", b"acTL", b"fcTL", b"fdAT", b"bKGD",
}  # fmt: skip
_WEBP_KEPT = {b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"ICCP"}
_WEBP_EXIF_AND_XMP = 0x08 | 0x04
_GIF_KEPT_APPLICATIONS = {b"NETSCAPE2.0", b"ANIMEXTS1.0", b"ICCRGBG1012"}
_MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])", re.DOTALL)
_SOI, _EOI, _SOS, _APP0, _APP2, _APP14, _COM = 0xD8, 0xD9, 0xDA, 0xE0, 0xE2, 0xEE, 0xFE


def stripped(data: bytes, image_format: ImageFormat, orientation: int, name: str) -> bytes:
    """Return the image without private metadata, its pixels' bits unchanged.

    Args:
        data: the whole file.
        image_format: any but BMP, which holds no metadata and has no parts.
        orientation: as EXIF numbers it, 1 to 8; kept where the format has it in EXIF.
        name: what messages call the file.

    Raises:
        UnreadableMedia: its structure is damaged or cut short.
        UnsupportedMedia: it is built in a way that can't be taken apart.
    """
    makers: dict[ImageFormat, Callable[[], bytes]] = {
        ImageFormat.JPEG: lambda: b"".join(_jpeg(data, orientation)),
        ImageFormat.PNG: lambda: b"".join(_png(data, orientation)),
        ImageFormat.WEBP: lambda: _webp(data, orientation),
        ImageFormat.GIF: lambda: b"".join(_gif(data)),
        ImageFormat.ICO: lambda: _ico(data),
        ImageFormat.TIFF: lambda: image_strip_tiff.stripped(data, name),
        ImageFormat.HEIC: lambda: image_strip_boxes.stripped(data, name),
        ImageFormat.AVIF: lambda: image_strip_boxes.stripped(data, name),
    }
    try:
        return makers[image_format]()
    except (IndexError, struct.error, _Cut) as error:
        raise UnreadableMedia(f"{name} is damaged or ends too early") from error


def check_structure(data: bytes, image_format: ImageFormat, name: str) -> None:
    """Check that an image's parts are whole, which decoders don't in these formats.

    Raises:
        UnreadableMedia: they are damaged or cut short.
    """
    if image_format in {ImageFormat.JPEG, ImageFormat.PNG, ImageFormat.WEBP, ImageFormat.GIF}:
        stripped(data, image_format, 1, name)


class _Cut(Exception):
    """The data ends where more should follow."""


def _slice(data: bytes, start: int, size: int) -> bytes:
    if start + size > len(data):
        raise _Cut
    return data[start : start + size]


def _exif(orientation: int) -> bytes:
    """A TIFF structure that holds the orientation alone."""
    return struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def _jpeg(data: bytes, orientation: int) -> Iterator[bytes]:
    yield b"\xff\xd8"
    if orientation != 1:
        content = b"Exif\0\0" + _exif(orientation)
        yield b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content
    position = 2
    in_scan = False
    while True:
        found = _MARKER.search(data, position)
        if found is None:
            raise _Cut
        if in_scan:
            # The coded picture stands between segments, behind the one that begins a scan.
            yield data[position : found.start()]
        marker, position = found[1][0], found.end()
        if marker == _EOI:
            yield b"\xff\xd9"
            return
        if marker in {_SOI, 0x01}:
            continue
        (size,) = struct.unpack(">H", _slice(data, position, 2))
        content = _slice(data, position + 2, size - 2)
        position += size
        in_scan = marker == _SOS
        if (kept := _jpeg_segment(marker, content)) is not None:
            yield bytes([0xFF, marker]) + struct.pack(">H", len(kept) + 2) + kept


def _jpeg_segment(marker: int, content: bytes) -> bytes | None:
    if marker == _APP0 and content.startswith(b"JFIF\0"):
        # It may end in a preview picture, of what the picture was before it was cropped.
        return content[:12] + b"\0\0"
    if marker == _APP2:
        return content if content.startswith(b"ICC_PROFILE\0") else None
    if marker == _APP14:
        return content if content.startswith(b"Adobe") else None
    return None if marker == _COM or 0xE0 <= marker <= 0xEF else content


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield type and content; the checksum of each is checked."""
    position = len(_PNG_SIGNATURE)
    kind = b""
    while kind != b"IEND":
        size, kind = struct.unpack(">I4s", _slice(data, position, 8))
        content = _slice(data, position + 8, size)
        (checksum,) = struct.unpack(">I", _slice(data, position + 8 + size, 4))
        if checksum != zlib.crc32(content, zlib.crc32(kind)):
            raise _Cut
        yield kind, content
        position += size + 12


def _png(data: bytes, orientation: int) -> Iterator[bytes]:
    yield _PNG_SIGNATURE
    for kind, content in _png_chunks(data):
        is_critical = kind[:1].isupper()
        if is_critical or kind in _PNG_KEPT:
            yield _png_chunk(kind, content)
        if kind == b"IHDR" and orientation != 1:
            yield _png_chunk(b"eXIf", _exif(orientation))


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def _png_headers(stream: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yield type and size of each chunk, the stream standing at its content."""
    position = len(_PNG_SIGNATURE)
    kind = b""
    while kind != b"IEND":
        stream.seek(position)
        head = stream.read(8)
        if len(head) < 8:
            return
        size, kind = struct.unpack(">I4s", head)
        yield kind, size
        position += size + 12


def png_exif(stream: BinaryIO) -> bytes | None:
    """Return the EXIF block of a PNG, wherever it stands."""
    for kind, size in _png_headers(stream):
        if kind == b"eXIf":
            return stream.read(min(size, 1 << 20))
    return None


def png_has_metadata(stream: BinaryIO) -> bool:
    """Tell whether a PNG holds text, a time, or EXIF with more than the orientation."""
    for kind, size in _png_headers(stream):
        if kind == b"eXIf" and size == len(_exif(1)) and stream.read(size)[:12] == _exif(1)[:12]:
            continue
        if kind in _PNG_PRIVATE:
            return True
    return False


def _riff_chunks(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, bytes]]:
    while start < end:
        kind, size = struct.unpack("<4sI", _slice(data, start, 8))
        yield kind, _slice(data, start + 8, size)
        start += 8 + size + size % 2


def _riff_chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def _webp(data: bytes, orientation: int) -> bytes:
    (size,) = struct.unpack("<I", _slice(data, 4, 4))
    _slice(data, 8, size - size % 2)
    kept = []
    for kind, content in _riff_chunks(data, 12, 8 + size):
        if kind == b"VP8X":
            flags = content[0] & ~_WEBP_EXIF_AND_XMP
            turned = 0x08 if orientation != 1 else 0
            kept.append(_riff_chunk(kind, bytes([flags | turned]) + content[1:]))
        elif kind == b"ANMF":
            frame = b"".join(
                _riff_chunk(inner, part)
                for inner, part in _riff_chunks(content, 16, len(content))
                if inner in _WEBP_KEPT
            )
            kept.append(_riff_chunk(kind, content[:16] + frame))
        elif kind in _WEBP_KEPT:
            kept.append(_riff_chunk(kind, content))
    if orientation != 1:
        kept.append(_riff_chunk(b"EXIF", _exif(orientation)))
    return _riff_chunk(b"RIFF", b"WEBP" + b"".join(kept))


def _gif(data: bytes) -> Iterator[bytes]:
    position = 13 + _gif_palette_bytes(data[10])
    yield _slice(data, 0, position)
    control = b""
    while (kind := data[position]) != 0x3B:
        start = position
        if kind == 0x2C:
            position += 10 + _gif_palette_bytes(data[position + 9]) + 1
            position = _after_blocks(data, position)
            yield control + data[start:position]
            control = b""
        elif kind == 0x21:
            label = data[position + 1]
            position = _after_blocks(data, position + 2)
            block = data[start:position]
            if label == 0xF9:
                control = block
            elif label == 0xFF and block[3:14] in _GIF_KEPT_APPLICATIONS:
                yield block
            elif label == 0x01:
                # Plain text is shown by nobody; its timing must not fall to the next frame.
                control = b""
        else:
            raise _Cut
    yield b"\x3b"


def _gif_palette_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after_blocks(data: bytes, position: int) -> int:
    while size := data[position]:
        position += size + 1
    return position + 1


def _ico(data: bytes) -> bytes:
    reserved, kind, count = struct.unpack("<3H", _slice(data, 0, 6))
    directory, pictures = [], []
    offset = 6 + 16 * count
    for number in range(count):
        entry = _slice(data, 6 + 16 * number, 16)
        size, start = struct.unpack("<II", entry[8:])
        picture = _slice(data, start, size)
        if picture.startswith(_PNG_SIGNATURE):
            picture = b"".join(_png(picture, 1))
        directory.append(entry[:8] + struct.pack("<II", len(picture), offset))
        pictures.append(picture)
        offset += len(picture)
    return struct.pack("<3H", reserved, kind, count) + b"".join(directory + pictures)
