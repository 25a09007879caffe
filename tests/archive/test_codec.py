from __future__ import annotations

import gzip
import os
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulier.archive.codec import CODECS, PROBE_BYTES, codec_named, is_incompressible
from haulier.archive.entry import Segment
from haulier.archive.reader import decode_segment
from haulier.errors import ConfigurationError, CorruptArchive

NAMES = sorted(CODECS)
TEXT = b"the same words again and again\n" * 4000


def segment(plain, data):
    return Segment(0, len(plain), 0, len(data))


@pytest.mark.parametrize("name", NAMES)
@given(plain=st.one_of(st.binary(max_size=3000), st.just(TEXT)), store=st.booleans())
def test_a_unit_stands_alone_and_comes_back(name, plain, store):
    data = bytes(codec_named(name).encode(memoryview(plain), store=store))
    assert decode_segment(name, data, segment(plain, data)) == plain


@given(st.lists(st.tuples(st.binary(max_size=2000), st.booleans()), max_size=5))
def test_gzip_units_in_a_row_are_one_gzip_file(units):
    row = b"".join(CODECS["gzip"].encode(memoryview(p), store=s) for p, s in units)
    assert gzip.decompress(row) == b"".join(plain for plain, _ in units)


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_what_is_stored_costs_next_to_nothing_and_text_shrinks(name):
    media = os.urandom(1 << 20)
    stored = codec_named(name).encode(memoryview(media), store=True)
    assert len(media) < len(stored) < len(media) * 1.001
    assert len(codec_named(name).encode(memoryview(TEXT), store=False)) < len(TEXT) / 20


def test_nothing_is_copied_without_compression():
    plain = memoryview(TEXT)
    assert CODECS["none"].encode(plain, store=False) is plain
    assert not CODECS["none"].copies


@pytest.mark.parametrize("name", ["gzip", "zstd"])
@given(data=st.data())
def test_damage_of_a_unit_is_corrupt_and_never_other_bytes(name, data):
    plain = TEXT[:3000] + bytes(range(256))
    unit = bytearray(codec_named(name).encode(memoryview(plain), store=False))
    at = data.draw(st.integers(0, len(unit) - 1))
    unit[at] ^= 1 << data.draw(st.integers(0, 7))
    try:
        assert decode_segment(name, bytes(unit), segment(plain, unit)) == plain
    except CorruptArchive:
        return
    # What says nothing of the content may differ: gzip's time, zstd's unused bit, and the bits that
    # fill the last byte of a deflate stream, which gzip's checksum and length follow.
    assert at < 10 or (name == "gzip" and at == len(unit) - 9)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("change", ["cut", "longer", "two", "less than said", "more than said"])
def test_a_unit_that_is_not_as_the_index_says(name, change):
    plain = TEXT[:5000]
    data = bytes(codec_named(name).encode(memoryview(plain), store=False))
    altered = {"cut": data[:-1], "longer": data + b"x", "two": data + data}.get(change, data)
    tar_end = {"less than said": 5001, "more than said": 4999}.get(change, 5000)
    with pytest.raises(CorruptArchive):
        decode_segment(name, altered, Segment(0, tar_end, 0, len(altered)))


@pytest.mark.parametrize("at", [-8, -4])
def test_a_wrong_crc_or_length_behind_a_gzip_member_is_noticed(at):
    data = bytearray(CODECS["gzip"].encode(memoryview(TEXT), store=True))
    data[at] ^= 0xFF
    with pytest.raises(CorruptArchive):
        decode_segment("gzip", bytes(data), segment(TEXT, data))


def test_a_bomb_costs_no_more_than_the_index_promised():
    bomb = gzip.compress(bytes(200 << 20), 9)
    with pytest.raises(CorruptArchive):
        decode_segment("gzip", bomb, Segment(0, 1000, 0, len(bomb)))


@pytest.mark.parametrize(
    ("sample", "in_vain"),
    [
        (os.urandom(PROBE_BYTES), True),
        (zlib.compress(os.urandom(PROBE_BYTES)), True),
        (TEXT[:PROBE_BYTES], False),
        (bytes(PROBE_BYTES), False),
        (os.urandom(PROBE_BYTES // 2) + bytes(PROBE_BYTES // 2), False),
    ],
)
def test_what_is_squeezed_in_vain(sample, in_vain):
    assert is_incompressible(sample) is in_vain


def test_an_unknown_name_says_which_there_are():
    with pytest.raises(ConfigurationError) as caught:
        codec_named("rar")
    assert all(name in caught.value.hint for name in NAMES)
