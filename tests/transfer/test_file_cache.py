"""The cache of files, shared by processes, killed at bad moments."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from haulier import errors
from haulier.transfer.file_cache import FileCache


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source(tmp_path: Path):
    def write(content: bytes) -> Path:
        path = tmp_path / "source"
        path.write_bytes(content)
        return path

    return write


async def read(cache: FileCache, key: str) -> bytes | None:
    found = await cache.open(key)
    if found is None:
        return None
    with found.file:
        content = found.file.read()
    assert found.sha256 == hashlib.sha256(content).hexdigest()
    assert found.size_bytes == len(content)
    return content


def inside(cache: FileCache) -> list[Path]:
    return [
        path for path in cache.directory.rglob("*") if path.is_file() and path.suffix != ".lock"
    ]


async def test_content_is_found_by_itself_and_by_a_key(tmp_path, source):
    cache = FileCache(tmp_path / "cache")
    assert await read(cache, "max:1") is None
    sha256 = await cache.put(source(b"hello"), key="max:1", about={"name": "a.txt"})
    assert sha256 == hashlib.sha256(b"hello").hexdigest()
    assert await read(cache, f"sha256:{sha256}") == b"hello"
    assert await read(cache, "max:1") == b"hello"
    found = await cache.open("max:1")
    assert found is not None
    found.file.close()
    assert found.about == {"name": "a.txt"}
    assert await read(cache, "max:2") is None
    statistics = await cache.statistics()
    assert (statistics.files, statistics.size_bytes) == (1, 5)
    assert (statistics.hits, statistics.misses, statistics.bytes_saved) == (3, 2, 15)


async def test_a_key_means_what_it_was_last_said_to(tmp_path, source):
    cache = FileCache(tmp_path / "cache")
    await cache.put(source(b"old"), key="k")
    await cache.put(source(b"new"), key="k")
    assert await read(cache, "k") == b"new"


async def test_what_is_removed_is_gone(tmp_path, source):
    cache = FileCache(tmp_path / "cache")
    sha256 = await cache.put(source(b"one"), key="k")
    assert await cache.remove("k")
    assert not await cache.remove("k")
    assert await read(cache, f"sha256:{sha256}") == b"one"
    assert await cache.remove(f"sha256:{sha256}")
    assert await read(cache, f"sha256:{sha256}") is None
    await cache.put(source(b""), key="empty")
    await cache.put(source(b"two"), key="k")
    await cache.clear()
    assert inside(cache) == []


async def test_the_longest_unused_goes_first(tmp_path, source, clock):
    cache = FileCache(tmp_path / "cache", max_bytes=1000, clock=clock)
    for number in range(10):
        clock.now += 10
        await cache.put(source(bytes([number]) * 100), key=str(number))
    clock.now += 10
    assert await read(cache, "0") == bytes(100)
    clock.now += 10
    await cache.put(source(b"x" * 100), key="x")
    left = [name for name in [*map(str, range(10)), "x"] if await read(cache, name) is not None]
    assert left == ["0", *map(str, range(3, 10)), "x"]
    assert (await cache.statistics()).size_bytes == 900
    assert len(list((cache.directory / "names").rglob("*/*"))) == 9


async def test_what_was_not_used_for_long_is_not_found(tmp_path, source, clock):
    cache = FileCache(tmp_path / "cache", max_age_s=60, clock=clock)
    await cache.put(source(b"a"), key="a")
    await cache.put(source(b"b"), key="b")
    clock.now += 50
    assert await read(cache, "a") == b"a"
    clock.now += 50
    assert await read(cache, "b") is None
    assert await read(cache, "a") == b"a"
    await cache.clean()
    assert (await cache.statistics()).files == 1


async def test_a_reader_keeps_what_is_evicted(tmp_path, source):
    cache = FileCache(tmp_path / "cache")
    await cache.put(source(b"content"), key="k")
    found = await cache.open("k")
    assert found is not None
    await cache.clear()
    with found.file:
        assert found.file.read() == b"content"


async def test_a_damaged_key_is_a_miss(tmp_path, source):
    cache = FileCache(tmp_path / "cache")
    await cache.put(source(b"content"), key="k")
    [name] = (cache.directory / "names").rglob("*/*")
    for text in ("", "{}", "[]", '{"content": "../../etc/passwd", "about": {}}'):
        name.write_text(text)
        assert await read(cache, "k") is None
    await cache.clean()
    assert not name.exists()


async def test_only_its_owner_may_look_inside(tmp_path, source):
    cache = FileCache(tmp_path / "cache")
    await cache.put(source(b"content"), key="k")
    assert cache.directory.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o077 == 0 for path in inside(cache))


async def test_a_full_disk_keeps_nothing_and_says_so(small_disk, tmp_path_factory):
    cache = FileCache(small_disk.path / "cache")
    large = tmp_path_factory.mktemp("large") / "sparse"
    large.touch()
    os.truncate(large, 64 << 20)
    with pytest.raises(errors.StorageFull):
        await cache.put(large, key="k")
    assert inside(cache) == []


async def test_a_cancelled_put_leaves_nothing(tmp_path, source):
    cache = FileCache(tmp_path / "cache")
    big = source(os.urandom(32 << 20))
    task = asyncio.create_task(cache.put(big, key="k"))
    while not any((cache.directory / "new").glob("*")) and not task.done():
        await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not list((cache.directory / "new").glob("*"))
    assert not [name for name in os.listdir("/proc/self/fd") if str(cache.directory) in link(name)]


def link(name: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{name}")
    except FileNotFoundError:
        return ""


PROCESS = """
import asyncio, hashlib, random, sys
from pathlib import Path
from haulier.transfer.file_cache import FileCache
async def main():
    chance = random.Random(int(sys.argv[2]))
    cache = FileCache(sys.argv[1], max_bytes=2_000_000)
    own = Path(sys.argv[3]); n = 0
    print("ready", flush=True)
    while n < int(sys.argv[4]):
        n += 1
        number = chance.randrange(40)
        content = random.Random(number).randbytes(100_000)
        found = await cache.open(f"key {number}")
        if found is None:
            own.write_bytes(content)
            await cache.put(own, key=f"key {number}")
        else:
            with found.file:
                assert found.file.read() == content
asyncio.run(main())
"""


@pytest.mark.processes
async def test_processes_share_it_and_one_is_killed(tmp_path):
    directory = tmp_path / "cache"

    def start(seed: int, turns: int) -> subprocess.Popen[str]:
        arguments = [str(directory), str(seed), str(tmp_path / f"own{seed}"), str(turns)]
        return subprocess.Popen(
            [sys.executable, "-c", PROCESS, *arguments], stdout=subprocess.PIPE, text=True
        )

    victims = [start(seed, 10**9) for seed in range(2)]
    for victim in victims:
        victim.stdout.readline()
    await asyncio.sleep(0.5)
    for victim in victims:
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        victim.stdout.close()
    fair = [start(seed, 60) for seed in (5, 6)]
    for process in fair:
        process.communicate()
        assert process.returncode == 0
    cache = FileCache(directory, max_bytes=2_000_000)
    await cache.clean()
    assert list((directory / "new").iterdir()) == []
    for path in (directory / "files").rglob("*/*"):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    assert (await cache.statistics()).size_bytes <= 2_000_000
