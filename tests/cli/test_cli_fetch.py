"""haulier fetch: as a user sees it, from a server on loopback."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from haulier.testing.range_server import Fault, RangeServer

pytestmark = pytest.mark.processes

MIB = 1 << 20
PROGRAM = str(Path(sys.executable).with_name("haulier"))


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


@pytest.fixture
async def server() -> AsyncIterator[RangeServer]:
    async with RangeServer() as server:
        yield server


def content_of(seed: int, size: int = 2 * MIB) -> bytes:
    return random.Random(seed).randbytes(size)


async def start(place: Path, *arguments: str, allow: bool = True) -> asyncio.subprocess.Process:
    allowed = ("--allow", "127.0.0.1") if allow else ()
    return await asyncio.create_subprocess_exec(
        *(PROGRAM, "fetch", *arguments, "--to", str(place), *allowed),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "HOME": str(place.parent)},
    )


async def run(place: Path, *arguments: str, allow: bool = True) -> Ended:
    process = await start(place, *arguments, allow=allow)
    out, err = await process.communicate()
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


async def test_a_file_is_fetched_and_told(server, tmp_path):
    content = content_of(1)
    server.put("/film.mp4", content)
    ended = await run(tmp_path / "films", server.url("/film.mp4"))
    assert ended.code == 0, ended
    assert (tmp_path / "films" / "film.mp4").read_bytes() == content
    assert "film.mp4  2.0 MiB  crc64nvme:" in ended.out
    again = await run(tmp_path / "films", server.url("/film.mp4"))
    assert again.code == 1
    assert "exists already" in again.err
    replaced = await run(tmp_path / "films", server.url("/film.mp4"), "--overwrite")
    assert replaced.code == 0


async def test_a_program_gets_every_field(server, tmp_path):
    server.put("/a", b"content")
    ended = await run(tmp_path, server.url("/a"), server.url("/b"), "--json")
    assert ended.code == 1
    good, bad = json.loads(ended.out)
    assert good["status"] == "success"
    assert good["path"] == str(tmp_path / "a")
    assert good["url"] == server.url("/a")
    assert (good["size_bytes"], good["resumed_bytes"], good["restarts"]) == (7, 0, 0)
    assert (bad["status"], bad["code"]) == ("failed", "no-such-object")
    assert bad["error_message"]


async def test_running_it_again_goes_on_where_it_was_stopped(server, tmp_path):
    content = content_of(1, 40 * MIB)
    file = server.put("/x.bin", content)
    file.faults.extend([Fault(), *[Fault(stall_after=1000)] * 6])
    process = await start(tmp_path, server.url("/x.bin"))
    while len(server.log) < 3 or min(one.sent_bytes for one in server.log[:3]) < 1000:
        await asyncio.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = await process.communicate()
    assert process.returncode == 130
    assert b"run the same command again" in err
    file.faults.clear()
    ended = await run(tmp_path, server.url("/x.bin"), "--connections", "2")
    assert ended.code == 0, ended
    assert "were there)" in ended.out
    assert (tmp_path / "x.bin").read_bytes() == content


async def test_of_several_only_the_missing_are_fetched_again(server, tmp_path):
    for name in "abc":
        server.put(f"/{name}", name.encode())
    urls = [server.url(f"/{name}") for name in "abcd"]
    first = await run(tmp_path, *urls, "--parallel", "2")
    assert first.code == 1
    (tmp_path / "b").unlink()
    server.put("/d", b"d")
    server.log.clear()
    second = await run(tmp_path, *urls)
    assert second.code == 0, second
    assert sorted(one.path for one in server.log) == ["/b", "/d"]
    assert sorted(os.listdir(tmp_path)) == ["a", "b", "c", "d"]


async def test_the_rate_is_kept(server, tmp_path):
    server.put("/x", content_of(1, 300_000))
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert (await run(tmp_path, server.url("/x"), "--limit-rate", "300K")).code == 0
    assert loop.time() - began > 0.5


async def test_a_checksum_is_checked(server, tmp_path):
    server.put("/x", b"content")
    good = f"sha256:{hashlib.sha256(b'content').hexdigest()}"
    bad = await run(tmp_path, server.url("/x"), "--checksum", f"sha256:{'0' * 64}")
    assert bad.code == 1
    assert os.listdir(tmp_path) == []
    assert (await run(tmp_path, server.url("/x"), "--checksum", good)).code == 0


async def test_the_inside_of_the_network_is_asked_only_when_allowed(server, tmp_path):
    server.put("/x", b"content")
    ended = await run(tmp_path, server.url("/x"), allow=False)
    assert ended.code == 1
    assert "private" in ended.err
    assert server.log == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("http://x/a", "http://x/a"),
        ("http://x/a", "--checksum", "nonsense"),
        ("http://x/a", "http://x/b", "--checksum", f"md5:{'0' * 32}"),
        ("http://x/a", "--limit-rate", "fast"),
        ("http://x/a", "--connections", "0"),
        ("http://x/a", "--allow", "10.0.0.0/99"),
    ],
)
async def test_what_makes_no_sense_is_refused_at_once(tmp_path, arguments):
    assert (await run(tmp_path, *arguments)).code == 2
    assert os.listdir(tmp_path) == []
