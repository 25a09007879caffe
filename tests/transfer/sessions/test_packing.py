"""Packed files: any range comes back, damage is told, and a kill at any step leaves one to read."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from haulier.core.checksums import crc64nvme
from haulier.core.sessions.chunks import Span
from haulier.errors import ExternalServiceError, StorageFull, VerificationFailed
from haulier.transfer.sessions.packing import SUFFIX, packed_path
from haulier.transfer.sessions.seekable import frame_bytes_for
from haulier.transfer.sessions.stage import LocalStage
from haulier.transfer.sessions.stored import stored_pieces
from sessions_engine import sealed_stage

FRAME = frame_bytes_for(1)
CHANCE = random.Random(8)
# Frames that are packed well, hardly and not at all, and a last one that is short.
DATA = b"keep the light " * (FRAME // 8) + CHANCE.randbytes(1000) + bytes(2 * FRAME) + b"end"
FILE = "abc123"


def stage_in(root):
    return LocalStage(root / "uploads", root / "files")


def stored(stage, content=DATA):
    path = stage.path_of(FILE)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
async def stage(tmp_path):
    stage = stage_in(tmp_path)
    yield stage
    await stage.aclose()


async def pack(stage, content=DATA):
    return await stage.pack(FILE, len(content), crc64nvme(content))


async def read(stage, offset=0, end=None):
    end = len(DATA) if end is None else end
    async with stage.read(FILE, Span(offset, end - offset)) as pieces:
        return b"".join([bytes(piece) async for piece in pieces])


@pytest.fixture
async def packed(stage):
    """The file of which only the packed one is left."""
    path = stored(stage)
    packed_bytes = await pack(stage)
    await stage.remove_plain(FILE)
    assert not path.exists()
    assert packed_path(path).stat().st_size == packed_bytes < len(DATA) / 100
    return packed_path(path)


@pytest.fixture(scope="module")
def module_packed(tmp_path_factory):
    root = tmp_path_factory.mktemp("packed")
    stage = stage_in(root)

    async def make():
        path = stored(stage)
        await pack(stage)
        path.unlink()

    asyncio.run(make())
    yield stage
    asyncio.run(stage.aclose())


@given(st.integers(0, len(DATA)), st.integers(0, len(DATA)), st.integers(-2, 2), st.booleans())
def test_every_range_is_that_of_the_plain_bytes(module_packed, one, other, near, is_at_border):
    if is_at_border:
        one = min(len(DATA), max(0, one // FRAME * FRAME + near))
    offset, end = sorted((one, other))
    assert asyncio.run(read(module_packed, offset, end)) == DATA[offset:end]


@pytest.mark.processes
async def test_any_zstd_unpacks_it(packed):
    with packed.open("rb") as file:
        reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
        assert reader.read() == DATA
    by_program = subprocess.run(["zstd", "-dc", packed], capture_output=True)
    assert by_program.returncode == 0, by_program.stderr
    assert by_program.stdout == DATA


def test_the_table_of_a_huge_file_stays_small():
    for size_bytes in (1, 1 << 34, (1 << 34) + 1, 1 << 40, 5 << 40):
        frame_bytes = frame_bytes_for(size_bytes)
        assert -(-size_bytes // frame_bytes) <= 1 << 16
        assert frame_bytes == FRAME or size_bytes > frame_bytes << 15


async def test_it_is_told_that_there_is_no_plain_file(stage, packed):
    assert stage.path_of(FILE) is None
    assert stage.paths_of(FILE) == [packed]
    with stage.open(FILE) as descriptor:
        assert descriptor is None
    with pytest.raises(ExternalServiceError, match="shorter"):
        await read(stage, 0, len(DATA) + 1)
    await stage.delete(FILE)
    assert list(packed.parent.iterdir()) == []
    with pytest.raises(ExternalServiceError, match="can't be read"):
        await read(stage)


async def test_who_has_the_path_still_may_open_it_for_a_while(stage):
    path = stored(stage)
    assert await pack(stage) == await pack(stage)
    assert stage.path_of(FILE) is None, "it will be gone soon"
    assert stage.paths_of(FILE) == [path, packed_path(path)]
    assert path.read_bytes() == await read(stage) == DATA
    with stage.open(FILE) as descriptor:
        await stage.remove_plain(FILE)
        assert os.pread(descriptor, len(DATA), 0) == DATA


async def test_what_is_packed_already_stays_as_it_is(stage):
    content = CHANCE.randbytes(FRAME) + bytes(FRAME // 20)
    path = stored(stage, content)
    assert await pack(stage, content) is None
    await stage.remove_plain(FILE)
    assert list(path.parent.iterdir()) == [path]
    assert await read(stage, 0, len(content)) == content


async def test_of_a_large_one_it_is_told_soon_that_it_is_not_worth_it(stage):
    content = CHANCE.randbytes(5 << 20) + bytes(20 << 20)
    path = stored(stage, content)
    assert await pack(stage, content) is None
    assert list(path.parent.iterdir()) == [path]


async def test_what_is_not_what_was_stored_is_not_packed(stage):
    path = stored(stage, DATA[:-1] + b"?")
    with pytest.raises(VerificationFailed, match="other bytes"):
        await pack(stage)
    path.write_bytes(DATA[:-1])
    with pytest.raises(ExternalServiceError, match="shorter"):
        await pack(stage)
    path.write_bytes(DATA + b"more")
    assert await pack(stage) is not None, "what lies behind its end is none of it"
    path.unlink()
    assert await read(stage) == DATA
    packed_path(path).unlink()
    with pytest.raises(ExternalServiceError):
        await pack(stage)
    assert list(path.parent.iterdir()) == []


async def test_a_full_disk_keeps_it_plain(stage, monkeypatch):
    path = stored(stage)

    class Full:
        f_blocks = f_frsize = f_bavail = 1

    monkeypatch.setattr(os, "statvfs", lambda _place: Full)
    with pytest.raises(StorageFull):
        await pack(stage)
    assert list(path.parent.iterdir()) == [path]


@settings(max_examples=200)
@given(st.data())
def test_what_was_touched_is_never_taken_for_the_content(module_packed, data):
    """Whatever byte is altered, or the file cut: the right bytes or an error."""
    path = module_packed.paths_of(FILE)[0]
    altered = bytearray(path.read_bytes())
    whole = len(altered)
    at = data.draw(
        st.integers(0, whole - 1) | st.integers(0, 99) | st.integers(whole - 99, whole - 1)
    )
    if data.draw(st.booleans()):
        altered[at] ^= data.draw(st.integers(1, 255))
    else:
        del altered[at:]
    path.with_name(f"altered{SUFFIX}").write_bytes(altered)
    try:
        found = asyncio.run(read_path(path.with_name("altered")))
    except VerificationFailed:
        return
    assert found == DATA


async def read_path(path):
    async with stored_pieces(path, Span(0, len(DATA))) as pieces:
        return b"".join([bytes(piece) async for piece in pieces])


async def test_files_packed_before_there_was_a_key_are_read(tmp_path, catalog, packed):
    stage = sealed_stage(tmp_path, catalog)
    assert await read(stage) == DATA
    await stage.delete(FILE)
    assert not packed.exists()
    await stage.aclose()


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from haulier.core.checksums import crc64nvme
from haulier.transfer.sessions.stage import LocalStage

left = [int(sys.argv[2])]

def watch(event, arguments):
    # What is to touch the directory passes here, and is not done any more.
    if event in EVENTS and f"{sys.argv[1]}/files" in str(arguments):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

EVENTS = {"open", "os.rename", "os.remove", "tempfile.mkstemp"}

async def main():
    root = Path(sys.argv[1])
    stage = LocalStage(root / "uploads", root / "files")
    data = (root / "data").read_bytes()
    sys.addaudithook(watch)
    await stage.pack("abc123", len(data), crc64nvme(data))
    await stage.remove_plain("abc123")

asyncio.run(main())
"""


@pytest.mark.processes
async def test_a_kill_before_any_step_leaves_a_file_to_read(tmp_path):
    """Killed before its first touch of the disk, then before its second, until it comes through."""
    (tmp_path / "data").write_bytes(DATA)
    seen = set()
    for step in range(1, 30):
        stage = stage_in(tmp_path)
        path = stored(stage)
        arguments = [sys.executable, "-c", KILLED, tmp_path, str(step)]
        ended = (await asyncio.to_thread(subprocess.run, arguments)).returncode
        lies = (path.exists(), packed_path(path).exists(), len(list(path.parent.iterdir())))
        seen.add(lies)
        assert await read(stage) == DATA
        # Another run goes on from whatever it finds, and leaves nothing else.
        assert await pack(stage) is not None
        await stage.remove_plain(FILE)
        assert list(path.parent.iterdir()) == [packed_path(path)]
        assert await read(stage) == DATA
        await stage.delete(FILE)
        await stage.aclose()
        if ended == 0:
            break
        assert ended == -signal.SIGKILL
    assert ended == 0
    assert step > 5, "few steps were seen"
    assert {(True, False, 1), (True, False, 2), (True, True, 2), (False, True, 1)} <= seen


async def test_a_removal_takes_what_a_killed_one_began(stage):
    path = stored(stage)
    unfinished = path.with_name(f".{FILE}.abcdefgh")
    unfinished.write_bytes(b"half")
    other = path.with_name(f".{FILE}x.abcdefgh")
    other.write_bytes(b"of another")
    await stage.delete(FILE)
    assert list(path.parent.iterdir()) == [other]


async def test_who_is_cancelled_leaves_nothing_behind(stage):
    content = bytes(64 << 20)
    path = stored(stage, content)
    working = asyncio.create_task(pack(stage, content))
    while len(list(path.parent.iterdir())) < 2:
        await asyncio.sleep(0)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert list(path.parent.iterdir()) == [path]
