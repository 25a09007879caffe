"""HEIC and AVIF without private metadata: its bytes are overwritten where they stand.

Encoding anew would lose quality, 10-bit colour, depth and gain maps, and take seconds. So nothing
moves: an EXIF item becomes an empty one of the same size, and other metadata becomes blanks. How
the picture is turned is said elsewhere in these formats, and stays.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from haulier.errors import UnsupportedMedia

_TOP_KEPT = {b"ftyp", b"meta", b"mdat", b"moov", b"free", b"skip", b"idat", b"pdin"}
_TRACKS_PRIVATE = {b"udta", b"meta", b"uuid"}
_EMPTY_EXIF = struct.pack(">I2sHIHI", 0, b"MM", 42, 8, 0, 0)
_MOST_DEPTH = 3


@dataclass(frozen=True, slots=True)
class _Box:
    kind: bytes
    start: int
    content: int
    end: int


@dataclass(frozen=True, slots=True)
class _Item:
    """Where an item's bytes are: `in_idat` says from where its extents count.

    `is_elsewhere`: they are in another item or file.
    """

    in_idat: bool
    is_elsewhere: bool
    extents: list[tuple[int, int]]


def stripped(data: bytes, name: str) -> bytes:
    """Return the file with its EXIF, XMP and other metadata made empty.

    Raises:
        UnsupportedMedia: metadata is kept in a way that can't be overwritten.
    """
    out = bytearray(data)
    for box in _boxes(data, 0, len(data)):
        if box.kind == b"meta":
            _blank_items(out, data, box, name)
        elif box.kind == b"moov":
            _blank_tracks(out, data, box, 0)
        elif box.kind not in _TOP_KEPT:
            _blank_box(out, box)
    return bytes(out)


def _boxes(data: bytes, position: int, end: int) -> Iterator[_Box]:
    while position + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, position)
        content = position + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, content)
            content += 8
        size = size or end - position
        if size < content - position or position + size > end:
            raise struct.error("a box lies behind the end")
        yield _Box(kind, position, content, position + size)
        position += size


def _blank_tracks(out: bytearray, data: bytes, box: _Box, depth: int) -> None:
    for inner in _boxes(data, box.content, box.end):
        if inner.kind in _TRACKS_PRIVATE:
            _blank_box(out, inner)
        elif inner.kind == b"trak" and depth < _MOST_DEPTH:
            _blank_tracks(out, data, inner, depth + 1)


def _blank_box(out: bytearray, box: _Box) -> None:
    out[box.start + 4 : box.start + 8] = b"free"
    out[box.content : box.end] = bytes(box.end - box.content)


def _blank_items(out: bytearray, data: bytes, meta: _Box, name: str) -> None:
    inner = {box.kind: box for box in _boxes(data, meta.content + 4, meta.end)}
    if b"iinf" not in inner or b"iloc" not in inner:
        return
    kinds = dict(_item_kinds(data, inner[b"iinf"]))
    for number, item in _items(data, inner[b"iloc"]):
        kind = kinds.get(number)
        if kind not in {b"Exif", b"mime", b"uri "}:
            continue
        if item.is_elsewhere:
            raise UnsupportedMedia(f"{name} keeps metadata in a way that can't be overwritten")
        base = inner[b"idat"].content if item.in_idat and b"idat" in inner else 0
        filling = _EMPTY_EXIF if kind == b"Exif" else b""
        for offset, size in item.extents:
            start = base + offset
            if start + size > len(data):
                raise struct.error("an item lies behind the end")
            blank = b"\0" if kind == b"Exif" else b" "
            out[start : start + size] = filling[:size].ljust(size, blank)
            filling = filling[size:]


def _item_kinds(data: bytes, iinf: _Box) -> Iterator[tuple[int, bytes]]:
    counted = 2 if data[iinf.content] == 0 else 4
    for box in _boxes(data, iinf.content + 4 + counted, iinf.end):
        version = data[box.content]
        if box.kind != b"infe" or version < 2:
            continue
        code = ">H2x4s" if version == 2 else ">I2x4s"
        number, kind = struct.unpack_from(code, data, box.content + 4)
        yield number, kind


def _items(data: bytes, iloc: _Box) -> Iterator[tuple[int, _Item]]:
    numbers = _Numbers(data, iloc.content)
    version = numbers.take(1)
    numbers.take(3)
    sizes = numbers.take(2)
    offset_size, length_size, base_size, index_size = (
        sizes >> shift & 15 for shift in (12, 8, 4, 0)
    )
    for _ in range(numbers.take(2 if version < 2 else 4)):
        number = numbers.take(2 if version < 2 else 4)
        construction = numbers.take(2) & 15 if version else 0
        elsewhere = numbers.take(2)
        base = numbers.take(base_size)
        extents = []
        for _ in range(numbers.take(2)):
            if version:
                numbers.take(index_size)
            offset, length = numbers.take(offset_size), numbers.take(length_size)
            extents.append((base + offset, length))
        yield number, _Item(construction == 1, construction > 1 or elsewhere != 0, extents)


class _Numbers:
    """Big-endian numbers of any width, one after another."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self._position = position

    def take(self, size: int) -> int:
        start, self._position = self._position, self._position + size
        if self._position > len(self._data):
            raise struct.error("the data ends too early")
        return int.from_bytes(self._data[start : self._position])
