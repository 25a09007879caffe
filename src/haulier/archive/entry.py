"""One entry of an archive, as planned, as indexed and as listed.

Paths are relative, `/`-separated, begin with the archive's name, and carry bytes that are
not UTF-8 as surrogate escapes (`os.fsdecode`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class EntryType(StrEnum):
    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    HARDLINK = "hardlink"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file, directory or link in an archive.

    `link_target` of a symlink is its text, of a hard link the path of the entry that holds
    the content. `tar_offset` is where its headers start in the tar stream, `header_bytes`
    how long they are; the content follows and is padded to 512 bytes.
    """

    path: str
    type: EntryType
    mode: int
    mtime_ns: int
    size: int = 0
    link_target: str | None = None
    sha256: str | None = None
    tar_offset: int = 0
    header_bytes: int = 512


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of the tar stream that was compressed on its own.

    Tar bytes `tar_start` to `tar_end` are the `size_bytes` bytes at `offset` of the
    (unencrypted) archive: one gzip member, one zstd frame, or the tar bytes themselves.
    """

    tar_start: int
    tar_end: int
    offset: int
    size_bytes: int
