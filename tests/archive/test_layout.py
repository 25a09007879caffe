from __future__ import annotations

import io
import os
import tarfile

import pytest

from archive.trees import NANOSECONDS, hostile_tree, mixed_tree
from haulier.archive.entry import Entry, EntryType
from haulier.archive.layout import TarLayout, dump_plan, entry_end, header, load_plan
from haulier.archive.walk import walk
from haulier.errors import CorruptArchive


def layout_of(target):
    walked = walk(str(target))
    return TarLayout(walked.base, walked.entries)


def read_back(data):
    return tarfile.open(fileobj=io.BytesIO(data), mode="r:").getmembers()


def test_headers_carry_nanoseconds_and_no_owner(tmp_path):
    (tmp_path / "f").write_bytes(b"")
    os.utime(tmp_path / "f", ns=(NANOSECONDS, NANOSECONDS))
    block = header(walk(str(tmp_path / "f")).entries[0].entry)
    (member,) = read_back(block + bytes(1024))
    assert member.pax_headers["mtime"] == "1700000000.123456789"
    assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "")


@pytest.mark.parametrize("size", [0, 8**11 - 1, 8**11, 9 << 40])
def test_sizes_past_eight_gib_survive(size):
    entry = Entry(path="big", type=EntryType.FILE, mode=0o644, mtime_ns=0, size=size)
    info = tarfile.TarFile(fileobj=io.BytesIO(header(entry)), mode="r").firstmember
    assert info.size == size


@pytest.mark.parametrize(
    "path",
    ["a" * 300, "d/" * 150 + "f", "two\nlines", "ünï", os.fsdecode(b"\xff\xfe"), "-rf", "x" * 100],
)
def test_names_survive(path):
    entry = Entry(path=path, type=EntryType.FILE, mode=0o644, mtime_ns=NANOSECONDS)
    (member,) = read_back(header(entry) + bytes(1024))
    assert os.fsencode(member.name) == os.fsencode(path)


def test_times_before_1970_survive():
    entry = Entry(path="old", type=EntryType.FILE, mode=0o644, mtime_ns=-1_500_000_000)
    (member,) = read_back(header(entry) + bytes(1024))
    assert member.pax_headers["mtime"] == "-1.500000000"


def test_places_follow_each_other_and_the_end_is_a_whole_record(tmp_path):
    layout = layout_of(hostile_tree(tmp_path / "h"))
    offset = 0
    for number, item in enumerate(layout.entries):
        assert item.entry.tar_offset == offset
        assert layout.index_at(offset) == number
        assert layout.index_at(entry_end(item.entry) - 1) == number
        offset = entry_end(item.entry)
    assert layout.content_end == offset
    assert layout.index_at(offset) == len(layout.entries)
    assert layout.size_bytes % 10240 == 0
    assert layout.size_bytes >= offset + 1024


def test_a_plan_survives_the_journal(tmp_path):
    layout = layout_of(hostile_tree(tmp_path / "h"))
    again = load_plan(dump_plan(layout))
    assert again.entries == layout.entries
    assert again.base == layout.base
    assert again.size_bytes == layout.size_bytes


def test_a_damaged_plan_is_an_error_of_ours(tmp_path):
    blob = dump_plan(layout_of(mixed_tree(tmp_path / "m")))
    for bad in (b"", blob[:-10], b"x" + blob):
        with pytest.raises(CorruptArchive):
            load_plan(bad)


def test_the_unchanged_prefix_ends_where_a_file_changed(tmp_path):
    root = mixed_tree(tmp_path / "m")
    before = layout_of(root)
    assert before.unchanged_prefix(layout_of(root)) == before.size_bytes
    with open(root / "notes.txt", "ab") as file:
        file.write(b"more")
    after = layout_of(root)
    changed = next(i.entry for i in before.entries if i.entry.path == "m/notes.txt")
    assert before.unchanged_prefix(after) == changed.tar_offset > 3 << 20


def test_the_unchanged_prefix_ends_where_a_file_was_added_at_the_end(tmp_path):
    root = tmp_path / "d"
    root.mkdir()
    (root / "a").write_bytes(b"1")
    status = root.stat()
    before = layout_of(root)
    (root / "z").write_bytes(b"2")
    os.utime(root, ns=(status.st_atime_ns, status.st_mtime_ns))
    after = layout_of(root)
    assert before.unchanged_prefix(after) < before.size_bytes
