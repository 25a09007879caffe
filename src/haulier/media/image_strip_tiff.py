"""A TIFF rebuilt of its pages alone: tags that say how to show pixels, and the pixels' bytes.

Tags that are not known to be needed are left out, so private ones can't slip through, and what no
tag points to any more is not copied.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from haulier.errors import UnreadableMedia, UnsupportedMedia

KEPT_TAGS = frozenset({
    254, 255, 256, 257, 258, 259, 262, 263, 266, 273, 274, 277, 278, 279, 280, 281, 282, 283, 284,
    290, 291, 292, 293, 296, 297, 301, 317, 318, 319, 320, 321, 322, 323, 324, 325, 332, 334, 336,
    338, 339, 340, 341, 342, 347, 529, 530, 531, 532, 34675,
})  # fmt: skip
_COMPRESSION, _OLD_JPEG = 259, 6
# The tags that hold where the pixels' bytes are, each with the one that says how many.
_DATA_TAGS = {273: 279, 324: 325}
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SIZES |= {16: 8, 17: 8, 18: 8}
_CODES = {3: "H", 4: "I", 16: "Q"}
_MOST_PAGES = 100_000


@dataclass(frozen=True, slots=True)
class _Layout:
    """Byte order, and whether it is BigTIFF, whose numbers have eight bytes."""

    order: str
    is_big: bool

    @property
    def count(self) -> struct.Struct:
        return struct.Struct(self.order + ("Q" if self.is_big else "H"))

    @property
    def offset(self) -> struct.Struct:
        return struct.Struct(self.order + ("Q" if self.is_big else "I"))

    @property
    def entry(self) -> struct.Struct:
        return struct.Struct(self.order + ("HHQ8s" if self.is_big else "HHI4s"))


@dataclass(frozen=True, slots=True)
class _Tag:
    type: int
    count: int
    content: bytes


def stripped(data: bytes, name: str) -> bytes:
    """Return the TIFF with all its pages and none of its private tags.

    Raises:
        UnreadableMedia: it is damaged or ends too early.
        UnsupportedMedia: it holds JPEG as version 6 of the standard had it.
    """
    order = "<" if data[:2] == b"II" else ">"
    (version,) = struct.unpack_from(order + "H", data, 2)
    layout = _Layout(order, version == 43)
    first_at = 8 if layout.is_big else 4
    out = bytearray(data[: first_at + layout.offset.size])
    link_at = first_at
    for page in _pages(data, layout, first_at, name):
        link_at = _append_page(out, page, data, layout, link_at, name)
    return bytes(out)


def _pages(data: bytes, layout: _Layout, first_at: int, name: str) -> Iterator[dict[int, _Tag]]:
    (position,) = layout.offset.unpack_from(data, first_at)
    seen: set[int] = set()
    while position:
        if position in seen or len(seen) == _MOST_PAGES:
            raise UnreadableMedia(f"{name} is damaged: its pages go round in a circle")
        seen.add(position)
        (count,) = layout.count.unpack_from(data, position)
        position += layout.count.size
        tags = {}
        for _ in range(count):
            number, kind, values, field = layout.entry.unpack_from(data, position)
            position += layout.entry.size
            if number in KEPT_TAGS:
                tags[number] = _read_tag(data, layout, kind, values, field)
        yield tags
        (position,) = layout.offset.unpack_from(data, position)


def _read_tag(data: bytes, layout: _Layout, kind: int, count: int, field: bytes) -> _Tag:
    size = _SIZES.get(kind, 1) * count
    if size <= len(field):
        return _Tag(kind, count, field[:size])
    (start,) = layout.offset.unpack(field)
    if start + size > len(data):
        raise struct.error("a value lies behind the end")
    return _Tag(kind, count, data[start : start + size])


def _append_page(
    out: bytearray, tags: dict[int, _Tag], data: bytes, layout: _Layout, link_at: int, name: str
) -> int:
    """Append the page and let what is at `link_at` point to it; returns where its own link is."""
    if _COMPRESSION in tags and _numbers(tags[_COMPRESSION], layout) == [_OLD_JPEG]:
        raise UnsupportedMedia(
            f"{name} holds JPEG in the way of TIFF 6.0, which can't be taken apart"
        )
    for offsets, sizes in _DATA_TAGS.items():
        if offsets in tags and sizes in tags:
            tags[offsets] = _copy_pixels(out, tags[offsets], tags[sizes], data, layout)
    places = {number: _place(out, tag, layout) for number, tag in sorted(tags.items())}
    _align(out)
    layout.offset.pack_into(out, link_at, len(out))
    out += layout.count.pack(len(tags))
    for number, field in places.items():
        out += layout.entry.pack(number, tags[number].type, tags[number].count, field)
    out += layout.offset.pack(0)
    return len(out) - layout.offset.size


def _copy_pixels(out: bytearray, offsets: _Tag, sizes: _Tag, data: bytes, layout: _Layout) -> _Tag:
    moved = []
    for start, size in zip(_numbers(offsets, layout), _numbers(sizes, layout), strict=True):
        if start + size > len(data):
            raise struct.error("pixels lie behind the end")
        _align(out)
        moved.append(len(out))
        out += data[start : start + size]
    kind, code = (16, "Q") if layout.is_big else (4, "I")
    return _Tag(kind, len(moved), struct.pack(f"{layout.order}{len(moved)}{code}", *moved))


def _numbers(tag: _Tag, layout: _Layout) -> list[int]:
    code = _CODES.get(tag.type)
    if code is None:
        raise struct.error("an offset is no whole number")
    return list(struct.unpack(f"{layout.order}{tag.count}{code}", tag.content))


def _place(out: bytearray, tag: _Tag, layout: _Layout) -> bytes:
    """Return the entry's field: the value itself, or where it was put."""
    if len(tag.content) <= layout.offset.size:
        return tag.content.ljust(layout.offset.size, b"\0")
    _align(out)
    position = len(out)
    out += tag.content
    return layout.offset.pack(position)


def _align(out: bytearray) -> None:
    out += bytes(-len(out) % 2)
