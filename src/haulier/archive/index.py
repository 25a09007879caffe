"""The index of an archive: what is in it and where, so that one file can be had by itself.

It lies beside the archive as gzip'ed JSON lines: the header, then the segments in packs, then
one line per entry. An index may come from a bucket that others write to: whatever is wrong with
it is a CorruptArchive. Entries are read from the lines each time they are iterated, so a
million of them cost no memory.
"""

from __future__ import annotations

import difflib
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any, Self

from isal import isal_zlib

from haulier.archive.entry import Entry, EntryType, Segment
from haulier.archive.segments import SegmentTable
from haulier.errors import CorruptArchive, UnknownReference

FORMAT = "haulier-index"
VERSION = 1
INDEX_SUFFIX = ".index.gz"
_GZIP_WINDOW = 31  # zlib's code for a gzip wrapper around a 32 KiB window
_FEED_BYTES = 1 << 20
_MAX_LINE_BYTES = 16 << 20
_SEGMENTS_PER_LINE = 1000
_MAX_INTEGER = 1 << 70  # above any size, and any time of a file system in nanoseconds
_BLOCK_BYTES = 512
_NEAR_MATCHES = 3
_COMPARED_NAMES = 20_000
_JSON_ERRORS = (ValueError, TypeError, KeyError, RecursionError, AttributeError)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedBy:
    """With which key, and under which file id, an archive was sealed (both in hex)."""

    key_id: str
    file_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexHeader:
    """What an index says of its archive as a whole.

    `tar_size`, `size` and `part_sizes` are bytes of the tar stream, of the archive before
    sealing, and of its parts before sealing. `checksum` is the source's (a file's, or a
    directory's manifest's). `operation` is the upload's record as JSON values.
    """

    name: str
    key: str
    compression: str
    tar_size: int
    size: int
    crc64nvme: str | None = None
    etag: str | None = None
    checksum: str | None = None
    part_sizes: tuple[int, ...] = ()
    sealed: SealedBy | None = None
    operation: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the header line as JSON values."""
        return {"format": FORMAT, "version": VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, values: Any) -> Self:
        """Read what `to_json` wrote; raises CorruptArchive when it is anything else."""
        line = _Fields(values)
        if line.values.get("format") != FORMAT:
            raise CorruptArchive("this is not an index of haulier")
        if line.integer("version") != VERSION:
            raise CorruptArchive(
                "the index was written by another version of haulier",
                hint="Use the version that wrote it, or a newer one.",
            )
        compression = line.text("compression")
        if compression not in {"gzip", "zstd", "none"}:
            raise CorruptArchive(f"the index names an unknown compression: {compression!r}")
        return cls(
            name=line.text("name"),
            key=line.text("key"),
            compression=compression,
            tar_size=line.integer("tar_size"),
            size=line.integer("size"),
            crc64nvme=line.optional_text("crc64nvme"),
            etag=line.optional_text("etag"),
            checksum=line.optional_text("checksum"),
            part_sizes=tuple(line.integers("part_sizes")),
            sealed=_sealed_by(line.values.get("sealed")),
            operation=dict(_Fields(line.values.get("operation")).values),
        )


def _sealed_by(values: Any) -> SealedBy | None:
    if values is None:
        return None
    line = _Fields(values)
    return SealedBy(key_id=line.hexadecimal("key_id", 8), file_id=line.hexadecimal("file_id", 16))


class ArchiveIndex:
    """An archive's header, entries and segments.

    `entries` may be iterated any number of times; iterating raises CorruptArchive when a line
    of the index can't be read.
    """

    def __init__(
        self, header: IndexHeader, entries: Iterable[Entry], segments: Iterable[Segment]
    ) -> None:
        self.header = header
        self.entries = entries
        self.segments = SegmentTable.of(segments)

    def find(self, path: str) -> Entry:
        """Return the entry at `path`, which may leave out the archive's own name.

        Raises:
            UnknownReference: there is none; the hint names what is near.
        """
        wanted = path.strip("/").removeprefix("./")
        below = f"{self.header.name}/{wanted}"
        second = None
        for entry in self.entries:
            if entry.path == wanted:
                return entry
            if entry.path == below:
                second = entry
        if second is not None:
            return second
        raise UnknownReference(f"{self.header.name} holds no {path!r}", hint=self._hint_for(wanted))

    def _hint_for(self, wanted: str) -> str:
        name = _base_name(wanted)
        same = (entry.path for entry in self.entries if _base_name(entry.path) == name)
        near = list(islice(same, _NEAR_MATCHES)) or self._similar(wanted)
        if not near:
            return "List what is in it with `haulier ls`."
        return f"Did you mean {' or '.join(repr(path) for path in near)}?"

    def _similar(self, wanted: str) -> list[str]:
        prefix = f"{self.header.name}/"
        paths = {
            entry.path.removeprefix(prefix).casefold(): entry.path
            for entry in islice(self.entries, _COMPARED_NAMES)
        }
        names = difflib.get_close_matches(
            wanted.removeprefix(prefix).casefold(), paths, n=_NEAR_MATCHES
        )
        return [paths[name] for name in names]

    def byte_range(self, tar_start: int, tar_end: int) -> tuple[int, int, int]:
        """Return where tar bytes `tar_start` to `tar_end` lie in the unsealed archive.

        Returns:
            The number of the first segment that holds some of them, and the range of archive
            bytes (start, end) of all segments that do.

        Raises:
            CorruptArchive: the tar stream is not that long.
        """
        numbers = self.segments.covering(tar_start, tar_end)
        last = self.segments[numbers[-1]]
        return numbers[0], self.segments[numbers[0]].offset, last.offset + last.size_bytes


def _base_name(path: str) -> str:
    return path.rpartition("/")[2].casefold()


def write_index(
    header: IndexHeader, entries: Iterable[Entry], segments: Iterable[Segment]
) -> bytes:
    """Return the index file; the same input gives the same bytes on the same machine."""
    # Level 2: hashes don't compress, and the paths do at any level.
    compressor = isal_zlib.compressobj(2, isal_zlib.DEFLATED, _GZIP_WINDOW)
    output = []
    feed = bytearray()
    for line in _lines(header, entries, segments):
        feed += line
        if len(feed) >= _FEED_BYTES:
            output.append(compressor.compress(feed))
            feed.clear()
    output.append(compressor.compress(feed))
    output.append(compressor.flush())
    return b"".join(output)


def _lines(
    header: IndexHeader, entries: Iterable[Entry], segments: Iterable[Segment]
) -> Iterator[bytes]:
    # ASCII, so that bytes of names that are not UTF-8 survive as escaped surrogates.
    encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
    yield f"{encode(header.to_json())}\n".encode("ascii")
    lengths = SegmentTable.of(segments).lengths()
    while pack := list(islice(lengths, _SEGMENTS_PER_LINE)):
        yield f'{{"segments":{encode(pack)}}}\n'.encode("ascii")
    for entry in entries:
        yield f"{encode(_entry_values(entry))}\n".encode("ascii")


def _entry_values(entry: Entry) -> dict[str, Any]:
    values: dict[str, Any] = {
        "path": entry.path,
        "type": entry.type,
        "mode": entry.mode,
        "mtime_ns": entry.mtime_ns,
        "tar_offset": entry.tar_offset,
        "header_bytes": entry.header_bytes,
    }
    if entry.size:
        values["size"] = entry.size
    if entry.link_target is not None:
        values["link_target"] = entry.link_target
    if entry.sha256 is not None:
        values["sha256"] = entry.sha256
    return values


def read_index(blob: bytes) -> ArchiveIndex:
    """Read what `write_index` wrote.

    Header and segments are read at once, entries whenever `ArchiveIndex.entries` is iterated.

    Raises:
        CorruptArchive: it is damaged, malformed, or contradicts itself.
    """
    lines = _read_lines(blob)
    header = _read_header_line(next(lines, b""))
    stored = _StoredEntries(blob, header.tar_size)
    table = SegmentTable(_segment_lengths(lines))
    if (table.tar_size, table.size_bytes) != (header.tar_size, header.size):
        raise CorruptArchive("the segments of the index do not add up to the archive")
    if header.part_sizes and sum(header.part_sizes) != header.size:
        raise CorruptArchive("the parts of the index do not add up to the archive")
    return ArchiveIndex(header, stored, table)


def read_header(prefix: bytes) -> IndexHeader | None:
    """Read the header from the first bytes of an index file.

    Returns:
        None when the header does not end within `prefix`: read more of the file.

    Raises:
        CorruptArchive: this is not the beginning of an index.
    """
    try:
        text = zlib.decompressobj(_GZIP_WINDOW).decompress(prefix, _MAX_LINE_BYTES)
    except zlib.error as error:
        raise CorruptArchive(f"the index is damaged: {error}") from error
    line, newline, _ = text.partition(b"\n")
    if newline:
        return _read_header_line(line)
    if len(text) == _MAX_LINE_BYTES:
        raise CorruptArchive("the index has a line of absurd length")
    return None


def _read_header_line(line: bytes) -> IndexHeader:
    return IndexHeader.from_json(_parse(line))


class _StoredEntries:
    """Entries as lines of the compressed index."""

    def __init__(self, blob: bytes, tar_size: int) -> None:
        self._blob = blob
        self._tar_size = tar_size

    def __iter__(self) -> Iterator[Entry]:
        end = 0
        for line in _read_lines(self._blob):
            if not line.startswith(b'{"path"'):
                continue
            entry = _read_entry(_parse(line))
            if entry.tar_offset != end:
                raise CorruptArchive(f"the index leaves a gap before {entry.path!r}")
            padded = -(-entry.size // _BLOCK_BYTES) * _BLOCK_BYTES
            end += entry.header_bytes + padded
            if end > self._tar_size:
                raise CorruptArchive(f"the index has an entry beyond the end: {entry.path!r}")
            yield entry


def _read_lines(blob: bytes) -> Iterator[bytes]:
    member = isal_zlib.decompressobj(_GZIP_WINDOW)
    rest = b""
    pending = blob
    try:
        while not member.eof:
            text = member.decompress(pending, _FEED_BYTES)
            pending = member.unconsumed_tail
            if not text and not member.eof:
                raise CorruptArchive("the index is damaged: it ends too early")
            *lines, rest = (rest + text).split(b"\n")
            if len(rest) > _MAX_LINE_BYTES:
                raise CorruptArchive("the index has a line of absurd length")
            yield from lines
    except isal_zlib.IsalError as error:  # type: ignore[misc]  # isal declares it as a value
        raise CorruptArchive(f"the index is damaged: {error}") from error
    if rest or member.unused_data:
        raise CorruptArchive("the index is damaged: it does not end where it should")


def _segment_lengths(lines: Iterator[bytes]) -> Iterator[tuple[int, int]]:
    """Read the packs of segments, and require that every line after them is an entry's."""
    in_packs = True
    for line in lines:
        if line.startswith(b'{"path"'):
            in_packs = False
            continue
        pack = _Fields(_parse(line)).values.get("segments")
        if not in_packs or not isinstance(pack, list):
            raise CorruptArchive("the index has a line that is none of an index")
        for row in pack:
            if type(row) is not list or [type(value) for value in row] != [int, int]:
                raise CorruptArchive("the index has a malformed segment")
            yield row[0], row[1]


def _parse(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise CorruptArchive("the index has a line that is no JSON") from error


def _read_entry(values: Any) -> Entry:
    line = _Fields(values)
    kind = line.text("type")
    if kind not in EntryType.__members__.values():
        raise CorruptArchive(f"the index has an entry of an unknown type: {kind!r}")
    header_bytes = line.integer("header_bytes")
    if not header_bytes or header_bytes % _BLOCK_BYTES:
        raise CorruptArchive("the index has an entry with a malformed header_bytes")
    sha256 = line.values.get("sha256")
    return Entry(
        path=line.text("path"),
        type=EntryType(kind),
        mode=line.integer("mode"),
        mtime_ns=line.integer("mtime_ns", signed=True),
        size=line.integer("size") if "size" in line.values else 0,
        link_target=line.optional_text("link_target"),
        sha256=None if sha256 is None else line.hexadecimal("sha256", 32),
        tar_offset=line.integer("tar_offset"),
        header_bytes=header_bytes,
    )


class _Fields:
    """One JSON object of the index, each field taken by its type or refused."""

    __slots__ = ("values",)

    def __init__(self, values: Any) -> None:
        if type(values) is not dict:
            raise CorruptArchive("the index has a line that is no JSON object")
        self.values: dict[str, Any] = values

    def text(self, name: str) -> str:
        value = self.values.get(name)
        if type(value) is not str or not value:
            raise CorruptArchive(f"the index has a malformed {name}")
        return value

    def optional_text(self, name: str) -> str | None:
        return None if self.values.get(name) is None else self.text(name)

    def hexadecimal(self, name: str, length_bytes: int) -> str:
        value = self.text(name)
        if len(value) != 2 * length_bytes or set(value) - set("0123456789abcdef"):
            raise CorruptArchive(f"the index has a malformed {name}")
        return value

    def integer(self, name: str, *, signed: bool = False) -> int:
        value = self.values.get(name)
        if type(value) is int and (-_MAX_INTEGER if signed else 0) <= value <= _MAX_INTEGER:
            return value
        raise CorruptArchive(f"the index has a malformed {name}")

    def integers(self, name: str) -> list[int]:
        value = self.values.get(name)
        if type(value) is not list:
            raise CorruptArchive(f"the index has a malformed {name}")
        return [_Fields({name: number}).integer(name) for number in value]
