from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulier.archive.entry import Entry, EntryType, Segment
from haulier.archive.index import IndexHeader, read_header, read_index, write_index
from haulier.errors import CorruptArchive, UnknownReference

HEADER = IndexHeader(
    name="photos", key="p/photos.tar.gz", compression="gzip", tar_size=10240, size=300,
    crc64nvme="0" * 16, etag="e-1", checksum="sha256:" + "0" * 64, part_sizes=(300,),
    operation={"operation_id": "x"},
)  # fmt: skip
ENTRIES = [
    Entry(path="photos", type=EntryType.DIRECTORY, mode=0o755, mtime_ns=1, header_bytes=512),
    Entry(
        path="photos/a\udcff\nb.jpg", type=EntryType.FILE, mode=0o644, mtime_ns=-5, size=1000,
        sha256="a" * 64, tar_offset=512, header_bytes=1536,
    ),
    Entry(
        path="photos/link", type=EntryType.SYMLINK, mode=0o777, mtime_ns=1, link_target="x",
        tar_offset=3072,
    ),
]  # fmt: skip
SEGMENTS = [Segment(0, 4000, 0, 100), Segment(4000, 10240, 100, 200)]
BLOB = write_index(HEADER, ENTRIES, SEGMENTS)


def test_it_comes_back_as_it_was():
    index = read_index(BLOB)
    assert index.header == HEADER
    assert list(index.entries) == ENTRIES
    assert list(index.entries) == ENTRIES
    assert list(index.segments) == SEGMENTS


def test_it_is_lines_that_anybody_can_read():
    lines = gzip.decompress(BLOB).decode("ascii").splitlines()
    assert json.loads(lines[0])["format"] == "haulier-index"


def test_the_header_is_known_from_the_beginning_alone():
    assert read_header(BLOB[: len(BLOB) - 20]) == HEADER


def test_members_are_found_with_and_without_the_name():
    index = read_index(BLOB)
    assert index.find("photos/link").path == "photos/link"
    assert index.find("link").path == "photos/link"
    with pytest.raises(UnknownReference) as caught:
        index.find("lnik")
    assert "photos/link" in caught.value.hint


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(0, 1, (0, 0, 100)), (3999, 4001, (0, 0, 300)), (4000, 10240, (1, 100, 300))],
)
def test_byte_ranges_are_whole_segments(start, end, expected):
    assert read_index(BLOB).byte_range(start, end) == expected


@given(st.integers(0, len(BLOB) - 1))
def test_a_cut_index_is_corrupt(at):
    with pytest.raises(CorruptArchive):
        list(read_index(BLOB[:at]).entries)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "x"}, {"version": 99}, {"tar_size": -1}, {"tar_size": "1"}, {"name": 5},
        {"compression": "rar"}, {"sealed": 7}, {"part_sizes": [1, -2]}, {"operation": []},
    ],
)  # fmt: skip
def test_a_hostile_header_is_corrupt_and_nothing_else(change):
    lines = gzip.decompress(BLOB).split(b"\n")
    lines[0] = json.dumps({**json.loads(lines[0]), **change}).encode()
    with pytest.raises(CorruptArchive):
        read_index(gzip.compress(b"\n".join(lines)))


@given(st.binary(max_size=200))
def test_rubbish_is_corrupt_and_nothing_else(data):
    for blob in (data, gzip.compress(data)):
        with pytest.raises(CorruptArchive):
            list(read_index(blob).entries)
