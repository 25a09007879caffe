"""A ZIP archive as a stream: files stored as they are, whose sizes and CRC-32 are known before.

So each header says all about its file when it is sent, and the archive's length is known before
its first byte. ZIP64 (APPNOTE 4.5.3) is used where a number needs it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from haulier.core.file_names import ancestors, another_name

_UTF8 = 0x800
_UNIX = 3 << 8
_PLAIN_FILE = 0o100644 << 16
_VERSION, _VERSION_ZIP64 = 20, 45
_MOST_16, _MOST_32 = 0xFFFF, 0xFFFFFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class ZipEntry:
    """A file of the archive.

    Args:
        path: with `/` between its names, relative, unique in the archive.
        size_bytes: of its content.
        crc32: of its content.
        modified_at: kept to two seconds, in UTC.
    """

    path: str
    size_bytes: int
    crc32: int
    modified_at: datetime


def unique_paths(wanted: Iterable[tuple[str, str]]) -> list[str]:
    """Return a path for each folder and name; none is another's, nor a folder of another."""
    pairs = list(wanted)
    taken = {around for folder, _ in pairs for around in ancestors(folder)}
    paths = []
    for folder, name in pairs:
        number, free = 2, name
        while (path := f"{folder}/{free}".lstrip("/")) in taken:
            free, number = another_name(name, number), number + 1
        taken.add(path)
        paths.append(path)
    return paths


def local_header(entry: ZipEntry) -> bytes:
    """Return what stands before the content of a file."""
    name, is_large = entry.path.encode(), entry.size_bytes >= _MOST_32
    extra = _zip64(entry.size_bytes, entry.size_bytes) if is_large else b""
    size = _MOST_32 if is_large else entry.size_bytes
    version = _VERSION_ZIP64 if is_large else _VERSION
    fixed = struct.pack(
        "<4s5H3I2H",
        b"PK\3\4", version, _UTF8, 0, *_dos_time(entry.modified_at), entry.crc32, size, size,
        len(name), len(extra),
    )  # fmt: skip
    return fixed + name + extra


def directory(entries: Sequence[ZipEntry]) -> bytes:
    """Return what stands behind the last file."""
    parts, offset = [], 0
    for entry in entries:
        parts.append(_central_header(entry, offset))
        offset += len(local_header(entry)) + entry.size_bytes
    listed = b"".join(parts)
    return listed + _end(len(entries), len(listed), offset)


def length_of_zip(entries: Sequence[ZipEntry]) -> int:
    """Return how many bytes the whole archive has."""
    files = sum(len(local_header(entry)) + entry.size_bytes for entry in entries)
    return files + len(directory(entries))


def _central_header(entry: ZipEntry, offset: int) -> bytes:
    name = entry.path.encode()
    is_large, is_far = entry.size_bytes >= _MOST_32, offset >= _MOST_32
    numbers = [entry.size_bytes, entry.size_bytes] if is_large else []
    extra = _zip64(*numbers, *([offset] if is_far else [])) if is_large or is_far else b""
    size = _MOST_32 if is_large else entry.size_bytes
    version = _VERSION_ZIP64 if extra else _VERSION
    fixed = struct.pack(
        "<4s6H3I5H2I",
        b"PK\1\2", _UNIX | version, version, _UTF8, 0, *_dos_time(entry.modified_at),
        entry.crc32, size, size, len(name), len(extra), 0, 0, 0, _PLAIN_FILE,
        _MOST_32 if is_far else offset,
    )  # fmt: skip
    return fixed + name + extra


def _end(count: int, size: int, offset: int) -> bytes:
    zip64 = b""
    if count >= _MOST_16 or size >= _MOST_32 or offset >= _MOST_32:
        zip64 = struct.pack(
            "<4sQ2H2I4Q",
            b"PK\6\6", 44, _UNIX | _VERSION_ZIP64, _VERSION_ZIP64, 0, 0, count, count, size, offset,
        )  # fmt: skip
        zip64 += struct.pack("<4sIQI", b"PK\6\7", 0, offset + size, 1)
    count, size, offset = min(count, _MOST_16), min(size, _MOST_32), min(offset, _MOST_32)
    return zip64 + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, size, offset, 0)


def _zip64(*numbers: int) -> bytes:
    return struct.pack(f"<2H{len(numbers)}Q", 1, 8 * len(numbers), *numbers)


def _dos_time(moment: datetime) -> tuple[int, int]:
    local = moment.astimezone(UTC)
    year = min(max(local.year, 1980), 2107)
    time = local.hour << 11 | local.minute << 5 | local.second // 2
    return time, (year - 1980) << 9 | local.month << 5 | local.day
