"""Uploads to a tus server that others wrote, which checks no checksums and tells none."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from haulier.errors import RequestRejected
from haulier.net.guard import AddressGuard
from haulier.net.http import HttpClient
from haulier.net.tus import TusClient
from haulier.testing.faults import Fault, FaultProxy
from haulier.transfer.persistence import Persistence
from haulier.transfer.source_file import SourceFile
from haulier.transfer.tus_stream import TusStream
from haulier.transfer.tus_upload import TusUpload
from haulier.transfer.upload_journal import UploadJournal

pytestmark = pytest.mark.processes

MIB = 1 << 20
CLIENTS = Path(__file__).parents[1] / "clients"


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("tus-server")


@pytest.fixture(scope="module")
def foreign(kept):
    assert (CLIENTS / "node_modules").is_dir(), "`make test-programs` installs the server"
    process = subprocess.Popen(
        ["node", CLIENTS / "tus-server.mjs", kept], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.terminate()
    process.wait(90)
    process.stdout.close()


@pytest.fixture
def proxy(foreign):
    with FaultProxy(foreign.removesuffix("/files/")) as made:
        yield made


@pytest.fixture
async def client(proxy):
    async with HttpClient(guard=AddressGuard([urlsplit(proxy.url).hostname])) as http:
        yield TusClient(http, f"{proxy.url}/files/")


async def no_time(_seconds):
    await asyncio.sleep(0)


def persistence(attempts=4):
    return Persistence(attempts=attempts, wait_max_s=0, sleep=no_time)


async def send(client, path, folder, **options):
    journal = None
    try:
        with SourceFile(path) as source:
            journal = UploadJournal(folder, path.name, source.size_bytes)
            given = {"persistence": persistence(12), **options}
            upload = TusUpload(client, source, name=path.name, journal=journal, **given)
            return await upload.run()
    finally:
        if journal is not None:
            journal.close()


def content(kept, sent):
    return (kept / sent.url.rsplit("/", 1)[-1]).read_bytes()


@pytest.fixture
def path(tmp_path):
    made = tmp_path / "clip.bin"
    made.write_bytes(os.urandom(5 * MIB + 17))
    return made


async def test_a_file_arrives(client, kept, path, proxy, tmp_path):
    sent = await send(client, path, tmp_path / "journal")
    assert content(kept, sent) == path.read_bytes()
    assert len([one for one in proxy.seen if one.method == "PATCH"]) == 1


async def test_an_empty_file_arrives(client, kept, tmp_path):
    path = tmp_path / "empty"
    path.touch()
    assert content(kept, await send(client, path, None)) == b""


async def test_cut_ten_times(client, kept, path, proxy, tmp_path):
    for cut in (0, 1, 70_000, MIB - 1, MIB, 2 * MIB, 5, 90_000, MIB // 2, 2):
        proxy.faults.append(Fault(method="PATCH", pattern="^/files/", cut_after=cut))
    sent = await send(client, path, tmp_path / "journal")
    assert content(kept, sent) == path.read_bytes()
    assert not any(fault.times for fault in proxy.faults)


async def stopped(foreign, path, folder):
    """Send a part of the file, and return the upload's URL once the server has some of it."""
    blocks = 0

    async def pace(_count):
        nonlocal blocks
        blocks += 1
        if blocks > 3:
            raise RequestRejected("stopped")

    async with HttpClient(guard=AddressGuard([urlsplit(foreign).hostname])) as http:
        direct = TusClient(http, foreign)
        with pytest.raises(RequestRejected):
            await send(direct, path, folder, pace=pace)
        journal = UploadJournal(folder, path.name, path.stat().st_size)
        url = journal.place["url"]
        journal.close()
        for _ in range(600):
            if (await direct.state(url)).offset:
                return url
            await asyncio.sleep(0.05)
    raise AssertionError("the server kept nothing")


async def test_another_run_goes_on_in_the_middle(client, foreign, kept, path, tmp_path):
    url = await stopped(foreign, path, tmp_path / "journal")
    sent = await send(client, path, tmp_path / "journal")
    assert content(kept, sent) == path.read_bytes()
    assert sent.url == url


async def test_a_file_that_changed_between_is_not_mixed(client, foreign, kept, path, tmp_path):
    url = await stopped(foreign, path, tmp_path / "journal")
    status, data = path.stat(), bytearray(path.read_bytes())
    data[10] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    sent = await send(client, path, tmp_path / "journal")
    assert content(kept, sent) == data
    assert sent.url != url


async def test_what_changed_before_it_was_sent_is_sent_as_it_is(
    client, foreign, kept, path, tmp_path
):
    url = await stopped(foreign, path, tmp_path / "journal")
    status, data = path.stat(), bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    sent = await send(client, path, tmp_path / "journal")
    assert content(kept, sent) == data
    assert sent.url == url


async def test_an_upload_that_was_removed_is_begun_anew(client, foreign, kept, path, tmp_path):
    await stopped(foreign, path, tmp_path / "journal")
    for one in kept.iterdir():
        one.unlink()
    sent = await send(client, path, tmp_path / "journal")
    assert content(kept, sent) == path.read_bytes()


async def test_a_stream_of_unknown_size_arrives_whatever_is_cut(client, kept, proxy):
    data = os.urandom(3 * MIB + 5)

    async def pieces():
        for start in range(0, len(data), 400_000):
            yield data[start : start + 400_000]

    for cut in (5, 300_000, 0):
        proxy.faults.append(Fault(method="PATCH", pattern="^/files/", cut_after=cut))
    stream = TusStream(client, name="s", chunk_bytes=MIB, persistence=persistence(12))
    assert content(kept, await stream.run(pieces())) == data
