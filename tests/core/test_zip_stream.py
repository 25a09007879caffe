"""Streamed archives, as Python's own reader and `unzip`'s rules see them."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from datetime import UTC, datetime

import pytest

from haulier.core.zip_stream import (
    ZipEntry,
    directory,
    length_of_zip,
    local_header,
    unique_paths,
)

WHEN = datetime(2026, 3, 1, 12, 34, 56, tzinfo=UTC)


def entry(path, content=b"", **more):
    values = {"size_bytes": len(content), "crc32": zlib.crc32(content), "modified_at": WHEN}
    return ZipEntry(path=path, **{**values, **more})


def test_an_archive_is_read_by_others():
    contents = {"a.txt": b"one", "trip/ö 😀.bin": bytes(range(256)) * 99, "empty": b""}
    entries = [entry(path, content) for path, content in contents.items()]
    whole = b"".join(local_header(one) + contents[one.path] for one in entries)
    whole += directory(entries)
    assert len(whole) == length_of_zip(entries)
    with zipfile.ZipFile(io.BytesIO(whole)) as read:
        assert read.testzip() is None
        assert {name: read.read(name) for name in read.namelist()} == contents
        assert {one.date_time for one in read.infolist()} == {(2026, 3, 1, 12, 34, 56)}


class Hollow(io.RawIOBase):
    """A file of some pieces far apart, with nothing but zeros between them."""

    def __init__(self, pieces, size):
        self.pieces, self.size, self.at = pieces, size, 0

    def seekable(self):
        return True

    def readable(self):
        return True

    def seek(self, offset, whence=0):
        self.at = offset + {0: 0, 1: self.at, 2: self.size}[whence]
        return self.at

    def tell(self):
        return self.at

    def read(self, count=-1):
        end = self.size if count < 0 else min(self.size, self.at + count)
        found = bytearray(max(0, end - self.at))
        for start, piece in self.pieces:
            lead, tail = max(start, self.at), min(start + len(piece), end)
            if lead < tail:
                found[lead - self.at : tail - self.at] = piece[lead - start : tail - start]
        self.at = end
        return bytes(found)


@pytest.mark.parametrize("size", [(1 << 32) - 2, (1 << 32) - 1, 5 << 30])
def test_large_files_and_what_lies_behind_them(size):
    entries = [entry("large", size_bytes=size, crc32=7), entry("behind", b"abc")]
    pieces, offset = [], 0
    for one in entries:
        pieces.append((offset, local_header(one) + (b"abc" if one.path == "behind" else b"")))
        offset += len(local_header(one)) + one.size_bytes
    pieces.append((offset, directory(entries)))
    with zipfile.ZipFile(Hollow(pieces, length_of_zip(entries))) as read:
        large, behind = read.infolist()
        assert (large.file_size, large.compress_size, large.CRC) == (size, size, 7)
        assert behind.header_offset == len(local_header(entries[0])) + size
        assert read.read("behind") == b"abc"


def test_more_files_than_sixteen_bits_count():
    entries = [entry(f"{number}") for number in range(70_000)]
    whole = b"".join(map(local_header, entries)) + directory(entries)
    with zipfile.ZipFile(io.BytesIO(whole)) as read:
        assert len(read.namelist()) == 70_000


def test_times_that_dos_did_not_know():
    for year, kept in ((1970, 1980), (2200, 2107)):
        header = local_header(entry("a", modified_at=WHEN.replace(year=year)))
        (date,) = struct.unpack_from("<H", header, 12)
        assert (date >> 9) + 1980 == kept


def test_paths_are_unique_and_none_is_anothers_folder():
    wanted = [("", "a"), ("", "a"), ("", "b"), ("b", "c.txt"), ("b", "c.txt"), ("b", "c (2).txt")]
    assert unique_paths(wanted) == [
        "a", "a (2)", "b (2)", "b/c.txt", "b/c (2).txt", "b/c (2) (2).txt",
    ]  # fmt: skip
