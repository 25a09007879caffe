"""Frames: what was sealed comes back, any range of it, and nothing that was touched."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulier.core.sessions.chunks import Span
from haulier.core.sessions.session import Order
from haulier.errors import (
    ConfigurationError,
    DecryptionFailed,
    ExternalServiceError,
    SessionGone,
)
from haulier.transfer.sessions.frames import (
    FRAME_BYTES,
    SEALED_FRAME_BYTES,
    FrameCipher,
    KeyRing,
    plain_size,
    sealed_size,
)
from haulier.transfer.sessions.sealed_stage import require_keys, rewrap
from sessions_engine import KEY, body_of, build, sealed_stage

DATA = random.Random(3).randbytes(5 * FRAME_BYTES + 1234)
OTHER = b"o" * 32


@given(st.integers(0, 1 << 40))
def test_sizes_agree(size_bytes):
    assert plain_size(sealed_size(size_bytes)) == size_bytes


def test_a_frame_fits_its_own_place_in_its_own_file_alone():
    cipher = FrameCipher(KEY)
    sealed = bytes(cipher.seal(0, memoryview(DATA)))
    assert len(sealed) == sealed_size(len(DATA))
    assert cipher.open(0, sealed) == DATA
    second = sealed[SEALED_FRAME_BYTES : 2 * SEALED_FRAME_BYTES]
    assert cipher.open(1, second) == DATA[FRAME_BYTES : 2 * FRAME_BYTES]
    # The same bytes are never sealed to the same.
    assert cipher.seal(0, memoryview(DATA)) != sealed
    for wrong in (
        lambda: cipher.open(0, second),
        lambda: FrameCipher(OTHER).open(1, second),
        lambda: cipher.open(1, second[:-1]),
        lambda: cipher.open(1, second[:20]),
        *(lambda n=n: cipher.open(1, flipped(second, n)) for n in (0, 12, 999, len(second) - 1)),
    ):
        with pytest.raises(DecryptionFailed):
            wrong()


def flipped(data, at):
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


def test_a_wrapped_key_is_its_contents_own():
    ring = KeyRing.of(KEY)
    key = ring.new_key("a")
    sealed = ring.cipher(key).seal(0, memoryview(b"light"))
    moved = ring.rewrapped(key, "b")
    assert ring.cipher(moved).open(0, sealed) == b"light"
    assert KEY not in key.wrapped
    from dataclasses import replace

    for wrong in (replace(key, content_id="b"), replace(key, wrapped=flipped(key.wrapped, 20))):
        with pytest.raises(DecryptionFailed, match="altered in the catalog"):
            ring.cipher(wrong)
    with pytest.raises(DecryptionFailed, match="not here"):
        KeyRing.of(OTHER).cipher(key)
    newer = KeyRing.of(OTHER, KEY).rewrapped(key)
    assert KeyRing.of(OTHER).cipher(newer).open(0, sealed) == b"light"


async def stored(receiving, data=DATA, cuts=(), **more):
    session = await receiving.start(len(data), order=Order.SEQUENTIAL, **more)
    for start, end in zip((0, *cuts), (*cuts, len(data)), strict=True):
        session = await receiving.append(session.session_id, start, body_of(data[start:end]))
    return session


async def read(stage, file_id, start, end):
    async with stage.read(file_id, Span(start, end - start)) as pieces:
        return b"".join([bytes(piece) async for piece in pieces])


@pytest.fixture
async def receiving(tmp_path, catalog):
    made = build(tmp_path, catalog, stage=sealed_stage(tmp_path, catalog))
    yield made
    await made.stage.aclose()


def on_disk(root):
    return [path for path in root.rglob("*") if path.is_file() and "catalog" not in path.name]


async def test_any_range_comes_back_and_nothing_lies_plain(receiving, tmp_path):
    marker = b"keep the light " * 20_000
    session = await receiving.start(len(marker), order=Order.SEQUENTIAL)
    # A run that ends within a frame, more than once within the same.
    cuts = (3, 70_000, 70_001, 131_072, 200_001)
    for start, end in zip((0, *cuts), (*cuts, len(marker)), strict=True):
        session = await receiving.append(session.session_id, start, body_of(marker[start:end]))
        assert not any(b"the light" in path.read_bytes() for path in on_disk(tmp_path))
    [path] = on_disk(tmp_path)
    assert path.stat().st_size == sealed_size(len(marker))
    chance = random.Random(8)
    edges = [0, 1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, len(marker) - 1, len(marker)]
    edges += [chance.randrange(len(marker)) for _ in range(12)]
    for start in edges:
        for end in edges:
            if start < end:
                assert await read(receiving.stage, session.file_id, start, end) == marker[start:end]
    assert receiving.stage.path_of(session.file_id) is None


async def test_a_size_that_is_told_last_is_no_matter(receiving):
    session = await receiving.start(None, order=Order.SEQUENTIAL)
    await receiving.append(session.session_id, 0, body_of(DATA[:-5]))
    await receiving.append(session.session_id, len(DATA) - 5, body_of(DATA[-5:]))
    await receiving.set_size(session.session_id, len(DATA))
    done = await receiving.engine.complete(session.session_id)
    assert await receiving.bytes_of(done) == DATA


async def test_what_was_touched_on_the_disk_is_told(receiving, tmp_path):
    session = await stored(receiving)
    [path] = on_disk(tmp_path)
    whole = path.read_bytes()
    frames = [whole[i : i + SEALED_FRAME_BYTES] for i in range(0, len(whole), SEALED_FRAME_BYTES)]
    for changed, error in (
        (flipped(whole, 100_000), DecryptionFailed),
        (b"".join([frames[1], frames[0], *frames[2:]]), DecryptionFailed),
        (b"".join(frames[:-1]), ExternalServiceError),
        (whole[:-1], ExternalServiceError),
        (whole[:-40], ExternalServiceError),
    ):
        path.write_bytes(changed)
        with pytest.raises(error):
            await read(receiving.stage, session.file_id, 0, len(DATA))
    # What is whole of it can still be read.
    path.write_bytes(flipped(whole, len(whole) - 1))
    assert await read(receiving.stage, session.file_id, 0, 10) == DATA[:10]


async def test_keys_are_rotated_without_the_files(receiving, tmp_path, catalog):
    session = await stored(receiving)
    unfinished = await receiving.start(len(DATA), order=Order.SEQUENTIAL)
    await receiving.append(unfinished.session_id, 0, body_of(DATA[:99_999]))
    before = {path: path.read_bytes() for path in on_disk(tmp_path)}
    both = KeyRing.of(OTHER, KEY)
    await require_keys(catalog, both)
    assert await rewrap(catalog, both) == 2
    assert await rewrap(catalog, both) == 0
    assert {path: path.read_bytes() for path in on_disk(tmp_path)} == before
    with pytest.raises(ConfigurationError, match="not here"):
        await require_keys(catalog, KeyRing.of(KEY))
    with pytest.raises(ConfigurationError, match="not here"):
        await require_keys(catalog, None)
    after = build(
        tmp_path,
        catalog,
        stage=sealed_stage(tmp_path, catalog, keys=KeyRing.of(OTHER)),
        ledger=receiving.ledger,
        clock=receiving.clock,
    )
    assert await after.bytes_of(session) == DATA
    done = await after.append(unfinished.session_id, 99_999, body_of(DATA[99_999:]))
    assert await after.bytes_of(done) == DATA
    await after.stage.aclose()


async def test_a_removed_file_takes_its_key_along(receiving, catalog):
    session = await stored(receiving)
    await receiving.stage.delete(session.file_id)
    cancelled = await receiving.start(9, order=Order.SEQUENTIAL)
    await receiving.append(cancelled.session_id, 0, body_of(b"abc"))
    await receiving.engine.cancel(cancelled.session_id)
    assert await catalog.read(lambda tx: tx.content_keys.key_ids()) == set()
    assert await receiving.stage.session_ids() == []


async def test_what_was_stored_before_there_was_a_key_is_read(tmp_path, catalog):
    plain = build(tmp_path, catalog)
    session = await stored(plain)
    half = await plain.start(len(DATA), order=Order.SEQUENTIAL)
    await plain.append(half.session_id, 0, body_of(DATA[:1000]))
    await plain.stage.aclose()
    sealed = build(
        tmp_path,
        catalog,
        stage=sealed_stage(tmp_path, catalog),
        ledger=plain.ledger,
        clock=plain.clock,
    )
    assert await sealed.bytes_of(session) == DATA
    assert await read(sealed.stage, session.file_id, 70_000, 70_100) == DATA[70_000:70_100]
    with pytest.raises(SessionGone, match="unsealed"):
        await sealed.append(half.session_id, 1000, body_of(DATA[1000:]))
    await sealed.stage.aclose()
