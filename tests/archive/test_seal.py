from __future__ import annotations

import base64
import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulier.archive.seal import (
    FRAME_BYTES,
    FrameReader,
    Sealer,
    UnsealedStream,
    frames_covering,
    key_id,
    load_key,
    seal_bytes,
    sealed_size,
    unseal_bytes,
)
from haulier.errors import ConfigurationError, DecryptionFailed

KEY = bytes(range(32))
FILE_ID = b"f" * 16
SIZES = [0, 1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 3 * FRAME_BYTES + 5]


def sealed_parts(parts):
    sealer = Sealer(KEY, FILE_ID)
    return [
        b"".join(sealer.seal_part(number, [part[:7], part[7:]], last=number == len(parts)))
        for number, part in enumerate(parts, 1)
    ]


def opened(data, key=KEY):
    stream = UnsealedStream(io.BytesIO(data), key)
    return b"".join(iter(lambda: stream.read(50_000), b""))


@pytest.mark.parametrize("size", SIZES)
def test_any_size_comes_back_and_is_as_large_as_said(size):
    plain = os.urandom(size)
    sealed = seal_bytes(KEY, FILE_ID, plain)
    assert len(sealed) == sealed_size(size)
    assert unseal_bytes(KEY, sealed) == plain
    assert size < 16 or plain[:16] not in sealed


def test_parts_follow_each_other():
    parts = [os.urandom(size) for size in (100_000, 70_000, 5)]
    assert opened(b"".join(sealed_parts(parts))) == b"".join(parts)


def test_another_key_is_told_apart_from_damage():
    sealed = seal_bytes(KEY, FILE_ID, b"secret")
    with pytest.raises(DecryptionFailed, match=key_id(KEY)):
        unseal_bytes(b"x" * 32, sealed)


@given(st.integers(0, sealed_size(200_000) - 1), st.integers(0, 7))
def test_any_flipped_bit_is_noticed(at, bit):
    sealed = bytearray(seal_bytes(KEY, FILE_ID, b"p" * 200_000))
    sealed[at] ^= 1 << bit
    with pytest.raises(DecryptionFailed):
        unseal_bytes(KEY, bytes(sealed))


@given(st.integers(0, sealed_size(200_000) - 1))
def test_any_cut_is_noticed(at):
    sealed = seal_bytes(KEY, FILE_ID, b"p" * 200_000)
    with pytest.raises(DecryptionFailed):
        unseal_bytes(KEY, sealed[:at])


@pytest.mark.parametrize(
    "order", [[0, 1], [1, 0, 2], [0, 2, 1], [0, 0, 1, 2], [1, 2], [2], [0, 1, 2, 2]]
)
def test_parts_left_out_swapped_or_repeated_are_noticed(order):
    parts = sealed_parts([b"a" * 1000, b"b" * 1000, b"c" * 1000])
    with pytest.raises(DecryptionFailed):
        opened(b"".join(parts[number] for number in order))


def test_a_part_of_another_file_is_noticed():
    mine = sealed_parts([b"a" * 10, b"b" * 10])
    other = Sealer(KEY, b"g" * 16).seal_part(2, [b"x" * 10], last=True)
    with pytest.raises(DecryptionFailed):
        opened(mine[0] + b"".join(other))


def test_swapped_frames_are_noticed():
    sealed = seal_bytes(KEY, FILE_ID, os.urandom(3 * FRAME_BYTES))
    frame = 24 + FRAME_BYTES + 16
    head, rest = sealed[:42], sealed[42:]
    with pytest.raises(DecryptionFailed):
        unseal_bytes(KEY, head + rest[frame : 2 * frame] + rest[:frame] + rest[2 * frame :])


@given(st.data())
def test_any_range_comes_from_its_frames_alone(data):
    sizes = data.draw(st.lists(st.integers(1, 150_000), min_size=1, max_size=3))
    parts = [os.urandom(size) for size in sizes]
    sealed, plain = b"".join(sealed_parts(parts)), b"".join(parts)
    start = data.draw(st.integers(0, len(plain) - 1))
    end = data.draw(st.integers(start + 1, len(plain)))
    got = b""
    for run in frames_covering(sizes, start, end):
        raw = io.BytesIO(sealed[run.start : run.end])
        got += b"".join(FrameReader(raw, run, KEY, FILE_ID).pieces())
        assert run.end - run.start <= run.keep + 2 * (FRAME_BYTES + 40)
    assert got == plain[start:end]


@pytest.mark.parametrize(
    "content", [KEY, KEY.hex().encode() + b"\n", base64.b64encode(KEY) + b"\n"]
)
def test_key_files(tmp_path, content):
    (tmp_path / "key").write_bytes(content)
    assert load_key(str(tmp_path / "key")) == KEY


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 31, b"not a key at all" * 4])
def test_what_is_no_key_says_how_to_make_one(tmp_path, content):
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        load_key(str(tmp_path / "key"))
    assert "/dev/urandom" in caught.value.hint


def test_a_missing_key_file():
    with pytest.raises(ConfigurationError, match="no-such"):
        load_key("/no-such-key")
