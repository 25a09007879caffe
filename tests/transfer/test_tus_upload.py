"""Files and streams on their way to a tus server: cut, refused, expired, changed, killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys

import httpx2
import pytest

from haulier import sync, upload_tus
from haulier.core.checksums import crc64nvme
from haulier.core.progress import ProgressBoard
from haulier.errors import (
    AccessDenied,
    FileSizeError,
    NoSuchUpload,
    ObjectExists,
    OperationBusy,
    QuotaExceeded,
    RequestRejected,
    ServiceFault,
    SourceChanged,
    UsageError,
)
from haulier.store.haulier import HaulierStore
from haulier.testing.faults import Fault, FaultProxy
from haulier.transfer.persistence import Persistence
from haulier.transfer.source_file import SourceFile
from haulier.transfer.tus_stream import TusStream
from haulier.transfer.tus_upload import TusUpload
from haulier.transfer.upload_journal import UploadJournal
from running_server import start
from server_stores import new_account

pytestmark = pytest.mark.processes

MIB = 1 << 20
ONE = "^/tus/[0-9a-z]+"
NAME = "clip.bin"


async def no_time(_seconds):
    await asyncio.sleep(0)


def persistence(attempts=4):
    return Persistence(attempts=attempts, wait_max_s=0, sleep=no_time)


class Desk:
    """An account of a server behind a proxy, and what this machine keeps of its uploads."""

    def __init__(self, server, proxy, root, **account):
        self.server, self.proxy, self.root = server, proxy, root
        self.name, self.token = new_account(server, **account)
        self.path = root / NAME

    def make(self, size=5 * MIB + 123):
        self.path.write_bytes(os.urandom(size))
        return self.path.read_bytes()

    async def send(self, *, attempts=4, token=None, **options):
        store = HaulierStore.at(self.proxy.url, token or self.token)
        journal = None
        try:
            with SourceFile(self.path) as source:
                journal = UploadJournal(self.root / "journal", NAME, source.size_bytes)
                given = {"chunk_bytes": MIB, "persistence": persistence(attempts), **options}
                upload = TusUpload(store.tus, source, name=NAME, journal=journal, **given)
                return await upload.run()
        finally:
            if journal is not None:
                journal.close()
            await store.aclose()

    async def stream(self, pieces, *, attempts=4, **options):
        store = HaulierStore.at(self.proxy.url, self.token)
        given = {"chunk_bytes": MIB, "persistence": persistence(attempts), **options}
        try:
            return await TusStream(store.tus, name=NAME, **given).run(pieces)
        finally:
            await store.aclose()

    def ask(self, path, **query):
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx2.get(self.server.url + path, headers=headers, params=query)

    def content(self):
        (file,) = self.ask("/api/files", name=NAME).json()["items"]
        assert self.ask("/api/files/upload").json()["items"] == []
        return self.ask(f"/api/files/{file['id']}/download").content

    def taken(self):
        return [
            one.body_bytes for one in self.proxy.seen if (one.method, one.status) == ("PATCH", 204)
        ]

    def end_uploads(self):
        for one in self.ask("/api/files/upload").json()["items"]:
            headers = {"Authorization": f"Bearer {self.token}", "Tus-Resumable": "1.0.0"}
            httpx2.delete(f"{self.server.url}/tus/{one['session_id']}", headers=headers)

    def fault(self, method, **values):
        self.proxy.faults.append(Fault(method=method, pattern=values.pop("at", ONE), **values))


@pytest.fixture
def proxy(files_server):
    with FaultProxy(files_server.url) as made:
        yield made


@pytest.fixture
def desk(files_server, proxy, tmp_path):
    return Desk(files_server, proxy, tmp_path)


@pytest.mark.parametrize("size", [0, 1, MIB, 3 * MIB, 3 * MIB + 1])
async def test_a_file_arrives(desk, size):
    data = desk.make(size)
    sent = await desk.send(metadata={"folder": "a/b", "tags": json.dumps({"x": "y"})})
    assert desk.content() == data
    assert (sent.size_bytes, sent.crc64nvme) == (size, f"{crc64nvme(data):016x}")
    (file,) = desk.ask("/api/files", folder="a/b").json()["items"]
    assert file["tags"] == {"x": "y"}


async def test_one_call_sends_a_file_and_goes_on_with_it(desk):
    data = desk.make(17 * MIB)
    endpoint, place = f"{desk.proxy.url}/tus/", {"state_folder": desk.root / "uploads"}
    with pytest.raises(AccessDenied):
        await upload_tus(desk.path, endpoint, token="wrong", **place)
    desk.fault("PATCH", status=403, skip=1)  # ends this run, but not the upload
    with pytest.raises(AccessDenied):
        await upload_tus(desk.path, endpoint, token=desk.token, name=NAME, **place)
    board = ProgressBoard()
    meter = board.start("1", NAME)
    sent = await upload_tus(
        desk.path,
        endpoint,
        token=desk.token,
        name=NAME,
        meter=meter,
        metadata={"folder": "x"},
        **place,
    )
    assert desk.content() == data
    assert (sent.size_bytes, sent.crc64nvme) == (len(data), f"{crc64nvme(data):016x}")
    assert sum(desk.taken()) == len(data), "what came before is not sent again"
    assert board.total().done_bytes == len(data)
    assert list((desk.root / "uploads").iterdir()) == []


def test_its_blocking_twin(desk):
    data = desk.make(MIB)
    sync.upload_tus(desk.path, f"{desk.proxy.url}/tus/", token=desk.token, name=NAME)
    assert desk.content() == data


@pytest.mark.parametrize("endpoint", ["ftp://host/tus/", "host/tus/", "https://"])
async def test_what_is_no_endpoint_is_told(desk, endpoint):
    desk.make(1)
    with pytest.raises(UsageError, match="no tus endpoint"):
        await upload_tus(desk.path, endpoint)


async def test_cut_ten_times(desk):
    data = desk.make()
    for cut in (0, 1, 70_000, MIB - 1, 0, 300_000, 5, 90_000, MIB // 2, 2):
        desk.fault("PATCH", cut_after=cut)
    board = ProgressBoard()
    meter = board.start("1", NAME, len(data), "sending")
    await desk.send(attempts=12, meter=meter)
    assert desk.content() == data
    assert sum(desk.taken()) == len(data), "each byte was taken once"
    assert not any(fault.times for fault in desk.proxy.faults)
    assert board.total().done_bytes == len(data)


async def test_failures_after_progress_count_anew(desk):
    data = desk.make()
    for number in range(5):  # one in each chunk, more than there are attempts
        desk.fault("PATCH", status=500, skip=number)
    await desk.send(attempts=2)
    assert desk.content() == data


@pytest.mark.parametrize(
    ("status", "wait"), [(429, 0), (503, 0), (500, None), (423, None), (409, None), (408, None)]
)
async def test_what_passes_is_waited_for(desk, status, wait):
    data = desk.make(2 * MIB)
    desk.fault("PATCH", status=status, retry_after_s=wait, skip=1)
    await desk.send()
    assert desk.content() == data
    assert sum(desk.taken()) == len(data)


async def test_a_wait_that_is_too_long_is_told(desk):
    desk.make(MIB)
    desk.fault("PATCH", status=503, retry_after_s=3600)
    with pytest.raises(ServiceFault) as caught:
        await desk.send()
    assert caught.value.retry_after_s == 3600


async def test_an_answer_that_was_lost_costs_nothing(desk):
    data = desk.make(3 * MIB)
    desk.fault("PATCH", lose_answer=True, skip=1)
    await desk.send()
    assert desk.content() == data
    assert len([one for one in desk.proxy.seen if one.method == "PATCH"]) == 3


async def test_an_altered_byte_is_sent_again(desk):
    data = desk.make(2 * MIB)
    desk.fault("PATCH", corrupt_at=1000)
    await desk.send()
    assert desk.content() == data


@pytest.mark.parametrize("status", [404, 410])
async def test_an_upload_that_is_gone_is_begun_anew(desk, status):
    data = desk.make(3 * MIB)
    desk.fault("PATCH", status=status, skip=2)
    sent = await desk.send()
    desk.end_uploads()
    assert desk.content() == data
    assert desk.taken()[2:] == [MIB] * 3
    assert sent.size_bytes == len(data)


async def test_uploads_that_never_last_are_given_up(desk):
    desk.make(MIB)
    desk.fault("PATCH", status=410, times=100)
    with pytest.raises(RequestRejected, match="none of them lasted"):
        await desk.send(attempts=20)


async def stopped_in_the_middle(desk):
    data = desk.make()
    desk.fault("PATCH", status=400, skip=3)
    with pytest.raises(RequestRejected):
        await desk.send()
    desk.proxy.faults.clear()
    return data


async def test_another_run_goes_on_where_it_was_stopped(desk):
    data = await stopped_in_the_middle(desk)
    board = ProgressBoard()
    meter = board.start("1", NAME, len(data), "sending")
    await desk.send(meter=meter)
    assert desk.content() == data
    assert sum(desk.taken()) == len(data)
    assert board.total().done_bytes == len(data)


async def test_a_file_that_changed_between_two_runs_is_sent_from_its_beginning(desk):
    data = bytearray(await stopped_in_the_middle(desk))
    status = desk.path.stat()
    data[100] ^= 1
    desk.path.write_bytes(data)
    os.utime(desk.path, ns=(status.st_atime_ns, status.st_mtime_ns))
    await desk.send()
    desk.end_uploads()
    assert desk.content() == data


async def test_a_file_that_changes_meanwhile_is_told(desk):
    desk.make()

    async def pace(_count):
        with desk.path.open("ab") as file:
            file.write(b"x")

    with pytest.raises(SourceChanged):
        await desk.send(pace=pace)


async def test_two_at_once_are_one_too_many(desk):
    desk.make(MIB)
    journal = UploadJournal(desk.root / "journal", NAME, MIB)
    try:
        with pytest.raises(OperationBusy):
            await desk.send()
    finally:
        journal.close()


async def test_what_a_server_refuses_is_told(desk, files_server, proxy, tmp_path):
    desk.make(2 * MIB)
    with pytest.raises(AccessDenied) as caught:
        await desk.send(token="no-token-at-all")
    assert "token" in caught.value.hint
    assert "no-token-at-all" not in f"{caught.value.message}{caught.value.hint}"
    desk.fault("PATCH", status=507)
    with pytest.raises(Exception, match="507") as full:
        await desk.send()
    assert full.value.code == "storage-full"
    poor = Desk(files_server, proxy, tmp_path, quota=MIB)
    with pytest.raises(QuotaExceeded):
        await poor.send()


async def test_a_file_larger_than_the_server_takes_is_not_begun(files_server, tmp_path):
    data = tmp_path / "small-server"
    data.mkdir()
    subprocess.run(
        [sys.executable, "-m", "haulier.cli.main", "user", "add", "root", "--role", "admin",
         "--data", str(data)], check=True, capture_output=True,
    )  # fmt: skip
    small = start(data, HAULIER_MAX_FILE_SIZE="1000000", RATE_LIMIT_SIGN_IN="1000/minute")
    try:
        with FaultProxy(small.url) as proxy:
            desk = Desk(small, proxy, tmp_path)
            desk.make(MIB)
            with pytest.raises(FileSizeError, match="1000000"):
                await desk.send()
            assert [one.method for one in proxy.seen] == ["OPTIONS"]
    finally:
        small.process.send_signal(signal.SIGTERM)
        small.process.wait(90)
        small.process.stdout.close()


async def test_only_where_there_is_none(desk):
    desk.make(MIB)
    await desk.send(only_new=True)
    desk.path.write_bytes(b"another")
    with pytest.raises(ObjectExists):
        await desk.send(only_new=True)


# --- killed

SENDER = """
import asyncio, sys
from pathlib import Path
from haulier.store.haulier import HaulierStore
from haulier.transfer.source_file import SourceFile
from haulier.transfer.tus_upload import TusUpload
from haulier.transfer.upload_journal import UploadJournal

async def pace(_count):
    print("sending", flush=True)
    await asyncio.sleep(0.02)

async def main(url, token, path, folder):
    store = HaulierStore.at(url, token)
    with SourceFile(Path(path)) as source:
        journal = UploadJournal(Path(folder), "clip.bin", source.size_bytes)
        await TusUpload(
            store.tus, source, name="clip.bin", journal=journal, pace=pace, chunk_bytes=1 << 20
        ).run()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_killed_at_any_moment_costs_only_what_was_in_flight(desk):
    data = desk.make(8 * MIB)
    for blocks in (1, 2, 4, 2):
        process = subprocess.Popen(
            [sys.executable, "-c", SENDER, desk.proxy.url, desk.token, str(desk.path),
             str(desk.root / "journal")], stdout=subprocess.PIPE, env={**os.environ},
        )  # fmt: skip
        for _ in range(blocks):
            process.stdout.readline()
        process.kill()
        process.wait()
        process.stdout.close()
    await desk.send()
    assert desk.content() == data
    # Of an answer that nobody was there to take the proxy does not tell.
    assert sum(desk.taken()) <= len(data), "what the server had was not sent again"


# --- streams


async def pieces_of(data, size=300_000):
    for start_ in range(0, len(data), size):
        yield data[start_ : start_ + size]
        await asyncio.sleep(0)


@pytest.mark.parametrize("is_told", [True, False])
@pytest.mark.parametrize("size", [0, 1, 3 * MIB, 3 * MIB + 17])
async def test_a_stream_arrives(desk, size, is_told):
    data = os.urandom(size)
    sent = await desk.stream(pieces_of(data), size_bytes=size if is_told else None)
    assert desk.content() == data
    assert (sent.size_bytes, sent.crc64nvme) == (size, f"{crc64nvme(data):016x}")


async def test_a_stream_that_is_cut_ten_times(desk):
    data = os.urandom(3 * MIB + 5)
    for cut in (0, 1, 70_000, MIB - 1, 0, 300_000, 5, 90_000, 3, 2):
        desk.fault("PATCH", cut_after=cut)
    desk.fault("PATCH", lose_answer=True, skip=1)
    await desk.stream(pieces_of(data), attempts=12)
    assert desk.content() == data
    assert sum(desk.taken()) == len(data) - MIB, "that answer was lost"


async def test_the_end_of_a_stream_is_told_once(desk):
    data = os.urandom(MIB)
    desk.fault("PATCH", lose_answer=True, skip=1)
    await desk.stream(pieces_of(data))
    assert desk.content() == data


async def test_a_stream_whose_upload_is_gone_has_to_be_sent_anew(desk):
    desk.fault("PATCH", status=410, skip=1)
    with pytest.raises(NoSuchUpload) as caught:
        await desk.stream(pieces_of(os.urandom(3 * MIB)))
    assert "anew" in caught.value.hint


@pytest.mark.parametrize("told", [MIB, 5 * MIB])
async def test_a_stream_of_another_size_than_was_said(desk, told):
    with pytest.raises(SourceChanged):
        await desk.stream(pieces_of(os.urandom(3 * MIB)), size_bytes=told)
