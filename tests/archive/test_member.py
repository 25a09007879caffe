"""One member from just its bytes, and what becomes of bytes that are not the index's."""

from __future__ import annotations

import io
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pytest

from archive.trees import hostile_tree, mixed_tree
from haulier.archive.codec import codec_named
from haulier.archive.entry import EntryType
from haulier.archive.index import ArchiveIndex, IndexHeader
from haulier.archive.layout import TarLayout
from haulier.archive.member import (
    byte_range,
    content_entry,
    entries_below,
    extract_file,
    make_link,
)
from haulier.archive.parts import PartCutter, segments_of
from haulier.archive.tar_stream import TarStream
from haulier.archive.walk import walk
from haulier.errors import CorruptArchive, DuplicateName, UnsafeArchive


@dataclass
class Packed:
    index: ArchiveIndex
    data: bytes

    def of(self, entry):
        start, end = byte_range(self.index, entry)
        return self.data[start:end]

    def extract(self, entry, target, *, data=None, **options):
        source = io.BytesIO(self.of(entry) if data is None else data)
        return extract_file(source, self.index, entry, target, **options)


def packed(root, compression="gzip"):
    walked = walk(str(root))
    layout = TarLayout(walked.base, walked.entries)
    with ThreadPoolExecutor(2) as pool, TarStream(layout) as stream:
        cutter = PartCutter(
            stream, codec_named(compression), pool,
            start=0, end=layout.size_bytes, part_bytes=None,
        )  # fmt: skip
        part = cutter.next_part()
    data = b"".join(bytes(buffer) for buffer in part.buffers)
    header = IndexHeader(
        name=root.name, key="k", compression=compression, tar_size=layout.size_bytes,
        size=len(data),
    )  # fmt: skip
    entries = [replace(i.entry, sha256=part.digests.get(i.entry.path)) for i in layout.entries]
    return Packed(ArchiveIndex(header, entries, segments_of([(0, part.segments)])), data)


@pytest.fixture(scope="module", params=["gzip", "zstd", "none"])
def mixed(request, tmp_path_factory):
    root = mixed_tree(tmp_path_factory.mktemp("mixed") / "m")
    return root, packed(root, request.param)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    root = hostile_tree(tmp_path_factory.mktemp("hostile") / "h")
    return root, packed(root)


def test_each_file_comes_from_its_own_range(mixed, tmp_path):
    root, archive = mixed
    for entry in archive.index.entries:
        if entry.type is not EntryType.FILE:
            continue
        target = archive.extract(entry, tmp_path / entry.path)
        source = root.parent / entry.path
        assert target.read_bytes() == source.read_bytes()
        assert target.stat().st_mtime_ns == source.stat().st_mtime_ns
    small = archive.index.find("small-03.txt")
    assert len(archive.of(small)) <= 3 << 20  # the segments that touch it, not the archive


def test_files_of_any_name_come_with_mode_and_times(hostile, tmp_path):
    root, archive = hostile
    for entry in archive.index.entries:
        if entry.type is EntryType.FILE:
            got = archive.extract(entry, tmp_path / entry.path).stat()
            was = (root.parent / entry.path).stat()
            assert (got.st_size, got.st_mode, got.st_mtime_ns) == (
                was.st_size, was.st_mode, was.st_mtime_ns,
            )  # fmt: skip


def test_of_a_hard_link_the_content_is_the_files(hostile):
    _, archive = hostile
    link = next(e for e in archive.index.entries if e.type is EntryType.HARDLINK)
    assert content_entry(archive.index, link) == archive.index.find(link.link_target)
    file = archive.index.find("plain.txt")
    assert content_entry(archive.index, file) == file


@pytest.mark.parametrize(
    ("path", "below"),
    [("a", ["m/a", "m/a/x"]), ("a/x", ["m/a/x"]), ("ab", ["m/ab", "m/ab/x"])],
)
def test_what_lies_below_is_not_what_begins_alike(tmp_path, path, below):
    for name in ("a", "ab"):
        (tmp_path / "m" / name).mkdir(parents=True)
        (tmp_path / "m" / name / "x").touch()
    index = packed(tmp_path / "m").index
    assert [e.path for e in entries_below(index, index.find(path))] == below


def test_set_user_id_is_not_brought_back(tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "tool").write_bytes(b"#!")
    (tmp_path / "m" / "tool").chmod(0o6755)
    archive = packed(tmp_path / "m")
    target = archive.extract(archive.index.find("tool"), tmp_path / "tool")
    assert target.stat().st_mode & 0o7777 == 0o755


def test_bytes_that_are_not_the_members_leave_nothing(mixed, tmp_path):
    _, archive = mixed
    entry, other = archive.index.find("photo.jpg"), archive.index.find("notes.txt")
    right = archive.of(entry)
    middle = len(right) // 2
    flipped = bytes([right[middle] ^ 0xFF])
    for data in (
        b"", right[:1], right[:middle], right[: -(len(right) // 4)],
        right[:middle] + flipped + right[middle + 1 :], archive.of(other),
    ):  # fmt: skip
        with pytest.raises(CorruptArchive):
            archive.extract(entry, tmp_path / "out" / "photo.jpg", data=data)
        assert list(tmp_path.rglob("*.*")) == []


@pytest.mark.parametrize(
    "change", [{"sha256": "0" * 64}, {"mode": 0o1}, {"size": 5}, {"path": "m/other"}]
)
def test_what_is_not_as_the_index_says_leaves_nothing(mixed, tmp_path, change):
    _, archive = mixed
    entry = replace(archive.index.find("notes.txt"), **change)
    with pytest.raises(CorruptArchive):
        archive.extract(entry, tmp_path / "x", data=archive.of(archive.index.find("notes.txt")))
    assert list(tmp_path.iterdir()) == []


def test_a_taken_name_is_left_alone_unless_asked(hostile, tmp_path):
    _, archive = hostile
    file, link = archive.index.find("plain.txt"), archive.index.find("to plain")
    target = tmp_path / "mine"
    target.write_text("mine")
    with pytest.raises(DuplicateName):
        archive.extract(file, target)
    with pytest.raises(DuplicateName):
        make_link(link, target)
    assert target.read_text() == "mine"
    archive.extract(file, target, overwrite=True)
    assert target.stat().st_size == file.size
    make_link(link, target, overwrite=True)
    assert os.readlink(target) == "plain.txt"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_link_has_its_time_and_does_not_lead_out(hostile, tmp_path):
    _, archive = hostile
    entry = archive.index.find("dangling")
    made = make_link(entry, tmp_path / "deep" / "link")
    assert made.lstat().st_mtime_ns == entry.mtime_ns
    for target in ("/etc/passwd", "../../x", "", "a\0b"):
        with pytest.raises(UnsafeArchive):
            make_link(replace(entry, link_target=target), tmp_path / "evil")
    assert not os.path.lexists(tmp_path / "evil")


def test_progress_is_told_in_bytes_of_content(mixed, tmp_path):
    _, archive = mixed
    told = []
    entry = archive.index.find("clip.mp4")
    archive.extract(entry, tmp_path / "x", advance=told.append)
    assert sum(told) == entry.size
    assert len(told) > 1
