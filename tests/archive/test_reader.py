from __future__ import annotations

import gzip
import io
import os
from itertools import pairwise

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from archive.tars import member, tar_of
from haulier.archive.codec import CODECS
from haulier.archive.reader import detect_compression, open_tar_stream
from haulier.errors import ConfigurationError, CorruptArchive

PLAIN = os.urandom(5000) + b"words " * 20_000
TAR = tar_of(member("x", content=b"content"))
NAMES = sorted(CODECS)


def packed(name, *pieces):
    return b"".join(bytes(CODECS[name].encode(memoryview(p), store=False)) for p in pieces)


class Dripping:
    """Gives at most `most` bytes at a time, as a network does."""

    def __init__(self, data, most):
        self._file, self._most = io.BytesIO(data), most

    def read(self, size, /):
        return self._file.read(min(size, self._most))


def unpacked(data, name, *, step=4096, drip=1 << 20, **options):
    stream = open_tar_stream(Dripping(data, drip), name, **options)
    whole = b"".join(iter(lambda: stream.read(step), b""))
    assert stream.position == len(whole)
    return whole


@pytest.mark.parametrize("name", NAMES)
@given(cuts=st.lists(st.integers(0, len(PLAIN)), max_size=4), drip=st.sampled_from([1000, 7777]))
def test_members_in_a_row_are_one_stream(name, cuts, drip):
    edges = [0, *sorted(cuts), len(PLAIN)]
    pieces = [PLAIN[a:b] for a, b in pairwise(edges)]
    assert unpacked(packed(name, *pieces), name, drip=drip) == PLAIN


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (gzip.compress(TAR), "gzip"),
        (zstandard.compress(TAR), "zstd"),
        (TAR, "none"),
        (b"", None),
        (b"PK\x03\x04", None),
        (b"BZh9", None),
        (b"\x1f", None),
        (bytes(512), None),
    ],
)
def test_compression_is_told_by_content(head, name):
    if name is None:
        with pytest.raises(CorruptArchive):
            detect_compression(head[:512])
    else:
        assert detect_compression(head[:512]) == name


@pytest.mark.parametrize("name", ["gzip", "zstd"])
@given(at=st.integers(1, 4000))
def test_a_cut_inside_a_member_is_noticed(name, at):
    first, second = packed(name, PLAIN[:3000]), packed(name, PLAIN[3000:6000])
    data = (first + second)[:at]
    if len(data) in {len(first), len(first) + len(second)}:
        return
    with pytest.raises(CorruptArchive):
        unpacked(data, name)


@pytest.mark.parametrize("checksum", [True, False])
def test_a_frame_of_stored_bytes_may_be_cut_nowhere(checksum):
    media = os.urandom(300)
    whole = zstandard.ZstdCompressor(write_checksum=checksum).compress(media)
    assert media in whole
    assert unpacked(whole, "zstd") == media
    for at in range(1, len(whole)):
        with pytest.raises(CorruptArchive):
            unpacked(whole[:at], "zstd")


def test_a_wrong_crc_is_noticed():
    data = bytearray(packed("gzip", PLAIN))
    data[-8] ^= 1
    with pytest.raises(CorruptArchive):
        unpacked(bytes(data), "gzip")


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_rubbish_behind_the_last_member_is_noticed(name):
    with pytest.raises(CorruptArchive):
        unpacked(packed(name, PLAIN) + b"rubbish!", name)


@pytest.mark.parametrize("name", NAMES)
def test_no_more_comes_than_may(name):
    assert unpacked(packed(name, PLAIN), name, max_bytes=len(PLAIN)) == PLAIN
    with pytest.raises(CorruptArchive, match="more than"):
        unpacked(packed(name, PLAIN), name, max_bytes=len(PLAIN) - 1)


def test_a_frame_that_wants_too_much_memory_is_refused():
    huge = zstandard.ZstdCompressionParameters(window_log=29, compression_level=1)
    packer = zstandard.ZstdCompressor(compression_params=huge).compressobj()
    data = packer.compress(PLAIN) + packer.flush()
    with pytest.raises(CorruptArchive):
        unpacked(data, "zstd")


def test_what_the_source_raises_comes_through():
    class Broken:
        def read(self, size, /):
            raise ConnectionResetError("gone")

    for name in NAMES:
        with pytest.raises(ConnectionResetError):
            open_tar_stream(Broken(), name).read(10)


def test_an_unknown_compression():
    with pytest.raises(ConfigurationError, match="rar"):
        open_tar_stream(io.BytesIO(), "rar")
