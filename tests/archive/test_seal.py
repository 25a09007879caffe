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
    sealed_size,
    unseal_index,
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


def sealed_index(plain):
    return Sealer(KEY, FILE_ID).seal_index(plain)


def opened(data, key=KEY):
    stream = UnsealedStream(io.BytesIO(data), key)
    return b"".join(iter(lambda: stream.read(50_000), b""))


@pytest.mark.parametrize("size", SIZES)
def test_any_size_comes_back_and_is_as_large_as_said(size):
    plain = os.urandom(size)
    sealed = sealed_index(plain)
    assert len(sealed) == sealed_size(size)
    assert unseal_index(KEY, sealed) == plain
    assert size < 16 or plain[:16] not in sealed


def test_parts_follow_each_other():
    parts = [os.urandom(size) for size in (100_000, 70_000, 5)]
    assert opened(b"".join(sealed_parts(parts))) == b"".join(parts)


def test_another_key_is_told_apart_from_damage():
    sealed = sealed_index(b"secret")
    with pytest.raises(DecryptionFailed, match=key_id(KEY)):
        unseal_index(b"x" * 32, sealed)


@given(st.integers(0, sealed_size(200_000) - 1), st.integers(0, 7))
def test_any_flipped_bit_is_noticed(at, bit):
    sealed = bytearray(sealed_index(b"p" * 200_000))
    sealed[at] ^= 1 << bit
    with pytest.raises(DecryptionFailed):
        unseal_index(KEY, bytes(sealed))


@given(st.integers(0, sealed_size(200_000) - 1))
def test_any_cut_is_noticed(at):
    sealed = sealed_index(b"p" * 200_000)
    with pytest.raises(DecryptionFailed):
        unseal_index(KEY, sealed[:at])


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


# What somebody may do who can write to the bucket and does not have the key.

HEAD_BYTES = sealed_size(0) - 40
SEALED_FRAME = 24 + FRAME_BYTES + 16
PLAIN = [os.urandom(3 * FRAME_BYTES), os.urandom(2 * FRAME_BYTES)]
SIZES_OF_PARTS = [len(part) for part in PLAIN]


def frames_of(sealed_part):
    """Return a sealed part as its header and its frames."""
    head, rest = sealed_part[:HEAD_BYTES], sealed_part[HEAD_BYTES:]
    return [head, *(rest[at : at + SEALED_FRAME] for at in range(0, len(rest), SEALED_FRAME))]


def require_refused(data):
    """Neither the whole nor any frame that is not where it was is given out."""
    with pytest.raises(DecryptionFailed):
        opened(data)
    genuine = b"".join(PLAIN)
    for start in range(0, len(genuine), FRAME_BYTES):
        (run,) = frames_covering(SIZES_OF_PARTS, start, start + FRAME_BYTES)
        raw = io.BytesIO(data[run.start : run.end])
        try:
            got = b"".join(FrameReader(raw, run, KEY, FILE_ID).pieces())
        except DecryptionFailed:
            continue
        assert got == genuine[start : start + FRAME_BYTES]


@given(st.permutations(range(5)).filter(lambda order: order != sorted(order)))
def test_frames_in_another_order_are_refused(order):
    first, second = map(frames_of, sealed_parts(PLAIN))
    frames = [*first[1:], *second[1:]]
    moved = [frames[number] for number in order]
    require_refused(b"".join([first[0], *moved[:3], second[0], *moved[3:]]))


@pytest.mark.parametrize("frames", range(7))
def test_an_archive_cut_at_a_frame_is_refused(frames):
    first, second = map(frames_of, sealed_parts(PLAIN))
    require_refused(b"".join([*first, *second][:frames]))


@pytest.mark.parametrize("part", [0, 1])
@pytest.mark.parametrize("last", [0, 1])
def test_a_header_made_to_fit_the_cut_is_refused(part, last):
    parts = sealed_parts(PLAIN)
    head, *frames = frames_of(parts[part])
    plain_bytes = (len(frames) - 1) * FRAME_BYTES
    forged = bytearray(head[:-8] + plain_bytes.to_bytes(8, "big"))
    forged[5] = last
    parts[part] = bytes(forged) + b"".join(frames[:-1])
    with pytest.raises(DecryptionFailed):
        opened(b"".join(parts))


@pytest.mark.parametrize("number", range(5))
def test_a_frame_of_another_archive_under_the_same_key_is_refused(number):
    other = Sealer(KEY, b"g" * 16)
    mine = [frames_of(part) for part in sealed_parts(PLAIN)]
    part, frame = (0, number + 1) if number < 3 else (1, number - 2)
    theirs = b"".join(other.seal_part(part + 1, [PLAIN[part]], last=part == 1))
    mine[part][frame] = frames_of(theirs)[frame]
    require_refused(b"".join(b"".join(frames) for frames in mine))


def test_another_archive_under_the_same_key_is_not_the_one_that_is_wanted():
    sealed = b"".join(Sealer(KEY, b"g" * 16).seal_part(1, [b"theirs"], last=True))
    assert UnsealedStream(io.BytesIO(sealed), KEY, file_id=b"g" * 16).read(9) == b"theirs"
    with pytest.raises(DecryptionFailed, match="mixed up"):
        UnsealedStream(io.BytesIO(sealed), KEY, file_id=FILE_ID).read(9)


def test_frames_of_the_index_and_of_its_archive_can_not_be_swapped():
    plain = os.urandom(2 * FRAME_BYTES)
    (archive,) = sealed_parts([plain])
    index = sealed_index(plain)
    assert len(archive) == len(index)
    for number in range(3):
        for into, out_of, read in ((archive, index, opened), (index, archive, read_index_of)):
            frames = frames_of(into)
            frames[number] = frames_of(out_of)[number]
            with pytest.raises(DecryptionFailed):
                read(b"".join(frames))


def test_the_index_and_its_archive_can_not_stand_for_each_other():
    (archive,) = sealed_parts([b"one"])
    with pytest.raises(DecryptionFailed):
        read_index_of(archive)
    with pytest.raises(DecryptionFailed):
        opened(sealed_index(b"one"))


def read_index_of(data):
    return unseal_index(KEY, data)


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
