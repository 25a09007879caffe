from __future__ import annotations

import hashlib
import io
import tarfile
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.trees import hostile_tree, mixed_tree
from haulier.archive.codec import codec_named
from haulier.archive.entry import EntryType
from haulier.archive.layout import TarLayout
from haulier.archive.parts import PartCutter, segments_of
from haulier.archive.reader import open_tar_stream
from haulier.archive.tar_stream import TarStream
from haulier.archive.walk import walk
from haulier.core.checksums import crc64nvme
from haulier.errors import SourceChanged


def layout_of(target):
    walked = walk(str(target))
    return TarLayout(walked.base, walked.entries)


def tar_bytes(layout):
    with TarStream(layout) as stream:
        return b"".join(bytes(run.data) for run in stream.runs(0, layout.size_bytes))


def cut(layout, *, compression="gzip", start=0, end=None, number=1, part_bytes=1 << 20, known=None):
    with ThreadPoolExecutor(2) as pool, TarStream(layout, known) as stream:
        cutter = PartCutter(
            stream, codec_named(compression), pool, start=start, end=end or layout.size_bytes,
            number=number, part_bytes=part_bytes,
        )  # fmt: skip
        return list(iter(cutter.next_part, None))


def encoded(part):
    return b"".join(bytes(buffer) for buffer in part.buffers)


def decoded(data, compression):
    stream = open_tar_stream(io.BytesIO(data), compression)
    return b"".join(iter(lambda: stream.read(1 << 20), b""))


def test_the_stream_is_a_tar_of_the_tree(tmp_path):
    root = hostile_tree(tmp_path / "h")
    layout = layout_of(root)
    with tarfile.open(fileobj=io.BytesIO(tar_bytes(layout)), errors="surrogateescape") as tar:
        names = [member.name for member in tar]
    assert names == [item.entry.path for item in layout.entries]


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_parts_together_are_the_stream(tmp_path, compression):
    layout = layout_of(mixed_tree(tmp_path / "m"))
    parts = cut(layout, compression=compression)
    assert [part.number for part in parts] == list(range(1, len(parts) + 1))
    assert len(parts) > 3
    assert all(part.size_bytes >= 1 << 20 for part in parts[:-1])
    assert decoded(b"".join(map(encoded, parts)), compression) == tar_bytes(layout)
    for part in parts:
        assert part.crc64nvme == crc64nvme(encoded(part))
        assert part.size_bytes == len(encoded(part))


def test_each_part_can_be_built_again_from_its_range_alone(tmp_path):
    layout = layout_of(mixed_tree(tmp_path / "m"))
    whole = tar_bytes(layout)
    for part in cut(layout):
        (again,) = cut(
            layout, start=part.tar_start, end=part.tar_end, number=part.number, part_bytes=None
        )
        assert decoded(encoded(again), "gzip") == whole[part.tar_start : part.tar_end]
        assert again.number == part.number


def test_digests_are_told_once_and_right(tmp_path):
    root = mixed_tree(tmp_path / "m")
    layout = layout_of(root)
    told = [item for part in cut(layout) for item in part.digests.items()]
    files = {i.entry.path for i in layout.entries if i.entry.type is EntryType.FILE}
    assert {path for path, _ in told} == files
    assert len(told) == len(files)
    for path, digest in told:
        assert hashlib.sha256((tmp_path / path).read_bytes()).hexdigest() == digest


def test_a_digest_is_right_when_reading_starts_inside_the_file(tmp_path):
    root = mixed_tree(tmp_path / "m")
    layout = layout_of(root)
    clip = next(i.entry for i in layout.entries if i.entry.path == "m/clip.mp4")
    parts = cut(layout, start=clip.tar_offset + (2 << 20))
    digests = {path: digest for part in parts for path, digest in part.digests.items()}
    assert digests["m/clip.mp4"] == hashlib.sha256((root / "clip.mp4").read_bytes()).hexdigest()


def test_segments_lie_where_the_parts_put_them(tmp_path):
    layout = layout_of(mixed_tree(tmp_path / "m"))
    parts = cut(layout)
    data, whole = b"".join(map(encoded, parts)), tar_bytes(layout)
    segments = segments_of((part.tar_start, part.segments) for part in parts)
    for segment in segments:
        unit = data[segment.offset : segment.offset + segment.size_bytes]
        assert decoded(unit, "gzip") == whole[segment.tar_start : segment.tar_end]
    assert segments[-1].tar_end == layout.size_bytes


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    layout = layout_of(mixed_tree(tmp_path_factory.mktemp("t") / "m"))
    return layout, tar_bytes(layout)


@given(st.data())
def test_any_range_of_the_stream_is_that_slice(planned, data):
    layout, whole = planned
    start = data.draw(st.integers(0, layout.size_bytes - 1))
    end = data.draw(st.integers(start + 1, min(layout.size_bytes, start + 300_000)))
    with TarStream(layout) as stream:
        got = b"".join(bytes(run.data) for run in stream.runs(start, end))
    assert got == whole[start:end]


def test_a_file_that_changes_its_content_but_not_its_size_is_noticed(tmp_path):
    root = mixed_tree(tmp_path / "m")
    layout = layout_of(root)
    (root / "photo.jpg").write_bytes(b"x" * ((1 << 20) + 17))
    with pytest.raises(SourceChanged, match=r"photo\.jpg"):
        tar_bytes(layout)
