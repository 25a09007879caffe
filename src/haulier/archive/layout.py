"""Where everything lies in the tar stream, known before a byte of content is read.

Headers are pax (POSIX.1-2001) as the standard library writes them: owners are 0, names and
times that do not fit plain ustar fields go into a pax record, nanoseconds included. The stream
ends with two zero blocks and is padded to 10,240 bytes, like any tar.
"""

from __future__ import annotations

import json
import tarfile
import zlib
from bisect import bisect_right
from dataclasses import replace
from typing import Any

from haulier.archive.entry import Entry, EntryType
from haulier.archive.walk import Identity, PlannedEntry
from haulier.errors import CorruptArchive

BLOCK = tarfile.BLOCKSIZE
_NANO = 1_000_000_000
_TAR_TYPES = {
    EntryType.FILE: tarfile.REGTYPE,
    EntryType.DIRECTORY: tarfile.DIRTYPE,
    EntryType.SYMLINK: tarfile.SYMTYPE,
    EntryType.HARDLINK: tarfile.LNKTYPE,
}
_PLAN_VERSION = 1


def header(entry: Entry) -> bytes:
    """Return the tar headers of `entry`: one block, more where pax records are needed."""
    info = tarfile.TarInfo(entry.path)
    info.type = _TAR_TYPES[entry.type]
    info.mode = entry.mode
    info.size = entry.size
    seconds, nanoseconds = divmod(entry.mtime_ns, _NANO)
    info.mtime = max(seconds, 0)
    if nanoseconds or seconds < 0:
        info.pax_headers = {"mtime": _decimal_seconds(entry.mtime_ns)}
    info.linkname = entry.link_target or ""
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _decimal_seconds(mtime_ns: int) -> str:
    sign = "-" if mtime_ns < 0 else ""
    seconds, nanoseconds = divmod(abs(mtime_ns), _NANO)
    return f"{sign}{seconds}.{nanoseconds:09d}"


class TarLayout:
    """The plan of one tar stream: every entry with its place, and the stream's size."""

    def __init__(self, base: str, planned: list[PlannedEntry]) -> None:
        self.base = base
        self.entries: list[PlannedEntry] = []
        self._starts: list[int] = []
        offset = 0
        for item in planned:
            placed = replace(item.entry, tar_offset=offset, header_bytes=len(header(item.entry)))
            self.entries.append(PlannedEntry(placed, item.identity))
            self._starts.append(offset)
            offset = entry_end(placed)
        self.content_end = offset
        self.size_bytes = -(-(offset + 2 * BLOCK) // tarfile.RECORDSIZE) * tarfile.RECORDSIZE

    def index_at(self, tar_offset: int) -> int:
        """Return the index of the entry that covers `tar_offset`; the number of entries when
        it lies in the closing zero blocks."""
        if tar_offset >= self.content_end:
            return len(self.entries)
        return bisect_right(self._starts, tar_offset) - 1

    def unchanged_prefix(self, other: TarLayout) -> int:
        """Return up to which tar offset both plans describe the same bytes of the same files."""
        if self.base != other.base:
            return 0
        for mine, theirs in zip(self.entries, other.entries, strict=False):
            if mine != theirs:
                return mine.entry.tar_offset
        if len(self.entries) == len(other.entries):
            return self.size_bytes
        return min(self.content_end, other.content_end)


def entry_end(entry: Entry) -> int:
    """Return the tar offset behind `entry`: headers, content and padding."""
    return entry.tar_offset + entry.header_bytes + -(-entry.size // BLOCK) * BLOCK


def dump_plan(layout: TarLayout) -> bytes:
    """Return `layout` as bytes for the journal."""
    rows = [
        [
            item.entry.path, item.entry.type, item.entry.mode, item.entry.mtime_ns,
            item.entry.size, item.entry.link_target, item.identity.device, item.identity.inode,
            item.identity.size, item.identity.ctime_ns,
        ]
        for item in layout.entries
    ]  # fmt: skip
    document = {"version": _PLAN_VERSION, "base": layout.base, "entries": rows}
    return zlib.compress(json.dumps(document, separators=(",", ":")).encode(), 1)


def load_plan(blob: bytes) -> TarLayout:
    """Read what `dump_plan` wrote; raises CorruptArchive when it can't be read."""
    try:
        document = json.loads(zlib.decompress(blob))
        if document["version"] != _PLAN_VERSION:
            raise CorruptArchive("the upload was planned by another version of haulier")
        planned = [_planned(row) for row in document["entries"]]
        return TarLayout(document["base"], planned)
    except (zlib.error, ValueError, KeyError, TypeError) as error:
        raise CorruptArchive("the plan of the upload can't be read") from error


def _planned(row: list[Any]) -> PlannedEntry:
    path, kind, mode, mtime_ns, size, link, device, inode, file_size, ctime_ns = row
    entry = Entry(
        path=path, type=EntryType(kind), mode=mode, mtime_ns=mtime_ns, size=size, link_target=link
    )
    return PlannedEntry(entry, Identity(device, inode, file_size, mtime_ns, ctime_ns))
