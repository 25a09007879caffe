"""Downloads from a server that misbehaves, over real connections and with real kills."""

import asyncio
import hashlib
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from haulier import errors
from haulier.core.checksums import crc64nvme
from haulier.core.progress import ProgressBoard
from haulier.net.guard import AddressGuard
from haulier.net.http import HttpClient
from haulier.store.local import LocalStore
from haulier.testing.range_server import Fault, RangeServer, ServedFile
from haulier.transfer.control_file import part_path
from haulier.transfer.download import DownloadReceipt, download
from haulier.transfer.range_source import HttpRangeSource, StoreRangeSource
from small_disk import SmallDisk

MIB = 1 << 20
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def content_of(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


@pytest.fixture
async def server() -> AsyncIterator[RangeServer]:
    async with RangeServer() as server:
        yield server


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    async with HttpClient(guard=AddressGuard(["127.0.0.1"]), stall_timeout_s=0.5) as client:
        yield client


class Case:
    """One target to download to, with small pieces and no waiting."""

    def __init__(self, server: RangeServer, client: HttpClient, directory: Path) -> None:
        self.server, self.client = server, client
        self.target = directory / "film.mp4"
        self.board = ProgressBoard()
        self.slept: list[float] = []

    def source(self, path: str = "/film.mp4") -> HttpRangeSource:
        return HttpRangeSource(self.server.url(path), self.client)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)

    async def fetch(self, **options: Any) -> DownloadReceipt:
        options = {"piece_bytes": 256 << 10, "fsync": False, "sleep": self.sleep, **options}
        return await download(self.source(), self.target, **options)

    def left_over(self) -> list[str]:
        return sorted(name for name in os.listdir(self.target.parent) if name != "film.mp4")

    @property
    def asked_again(self) -> int:
        """Bytes that the server sent beyond the size of its file."""
        size = len(self.server.files["/film.mp4"].content)
        return sum(request.sent_bytes for request in self.server.log) - size


@pytest.fixture
def case(server: RangeServer, client: HttpClient, tmp_path: Path) -> Case:
    return Case(server, client, tmp_path)


@pytest.mark.parametrize("size", [0, 1, 256 << 10, (256 << 10) + 1, 3 * MIB + 5])
@pytest.mark.parametrize("connections", [1, 4])
async def test_a_file_of_any_size(case: Case, size: int, connections: int) -> None:
    content = content_of(1, size)
    case.server.put("/film.mp4", content)
    meter = case.board.start("1", "film.mp4")
    receipt = await case.fetch(connections=connections, meter=meter, fsync=True)
    assert case.target.read_bytes() == content
    assert receipt == DownloadReceipt(
        path=case.target,
        size_bytes=size,
        crc64nvme=f"crc64nvme:{crc64nvme(content):016x}",
        checksum=None,
        etag='"1"',
        last_modified=None,
        resumed_bytes=0,
        received_bytes=size,
        restarts=0,
    )
    assert case.left_over() == []
    assert case.asked_again == 0
    [progress] = case.board.sample()
    assert (progress.done_bytes, progress.total_bytes) == (size, size)


async def test_several_connections_share_one_file(case: Case) -> None:
    case.server.put("/film.mp4", content_of(1, 2 * MIB))
    await case.fetch()
    ranges = {request.range for request in case.server.log}
    step = 256 << 10
    assert ranges == {f"bytes={n * step}-{(n + 1) * step - 1}" for n in range(8)}
    assert all(request.if_range == '"1"' for request in case.server.log[1:])


SERVERS: list[dict[str, Any]] = [
    {},
    {"takes_ranges": False},
    {"chunked": True, "takes_ranges": False},
    {"if_range": "dates", "last_modified": LONG_AGO},
    {"if_range": "dates"},
    {"if_range": "ignored"},
    {"etag": None, "last_modified": LONG_AGO},
    {"etag": None, "last_modified": LONG_AGO, "if_range": "etags"},
    {"etag": 'W/"1"'},
    {"etag": None},
    {"new_etags": True},
]


@pytest.mark.parametrize("settings", SERVERS, ids=str)
@pytest.mark.parametrize("connections", [1, 3])
async def test_cut_five_times_and_changed_once_gives_the_right_bytes(
    case: Case, settings: dict[str, Any], connections: int
) -> None:
    old, new = content_of(1, 2 * MIB), content_of(2, 2 * MIB)
    file = case.server.put("/film.mp4", old, **settings)
    etag = file.etag and file.etag.replace("1", "2")
    cuts = [Fault(cut_after=count) for count in (100_000, 200_001, 0, 70_000)]
    change = Fault(before=lambda: file.change(new, etag), cut_after=150_000)
    file.faults.extend([*cuts[:2], change, *cuts[2:]])
    meter = case.board.start("1", "film.mp4")
    receipt = await case.fetch(connections=connections, meter=meter)
    assert case.target.read_bytes() == new
    assert receipt.size_bytes == len(new)
    assert receipt.crc64nvme == f"crc64nvme:{crc64nvme(new):016x}"
    assert case.left_over() == []
    assert case.board.sample()[-1].done_bytes == len(new)
    assert not file.faults


async def test_a_change_of_size_midway_is_noticed(case: Case) -> None:
    file = case.server.put("/film.mp4", content_of(1, 2 * MIB))
    new = content_of(2, MIB)
    file.faults.extend([Fault(), Fault(), Fault(before=lambda: file.change(new, '"2"'))])
    receipt = await case.fetch()
    assert case.target.read_bytes() == new
    assert receipt.restarts >= 1


LIES: list[Fault] = [
    Fault(headers={"Content-Range": "bytes 1-262144/2097152"}),
    Fault(headers={"Content-Range": "bytes 0-999999/2097152"}),
    Fault(headers={"Content-Range": "bytes 0-262143/*"}),
    Fault(headers={"Content-Range": "nonsense"}),
    Fault(headers={"Content-Length": "99999999", "Connection": "close"}),
    Fault(headers={"Content-Length": "1000", "Connection": "close"}),
    Fault(ignore_range=True),
    Fault(stall_after=1000),
    Fault(stall_after=0),
    Fault(cut_after=0),
    Fault(status=500),
    Fault(status=503, headers={"Retry-After": "7"}),
    Fault(status=429),
    Fault(status=408),
]


@pytest.mark.parametrize("position", [0, 1, 3])
@pytest.mark.parametrize("fault", LIES, ids=str)
async def test_a_server_that_lies_fails_or_stalls_once_does_no_harm(
    case: Case, fault: Fault, position: int
) -> None:
    content = content_of(1, 2 * MIB)
    file = case.server.put("/film.mp4", content)
    file.faults.extend([Fault()] * position + [fault])
    await case.fetch()
    assert case.target.read_bytes() == content
    assert not file.faults


async def test_retry_after_is_waited_for(case: Case) -> None:
    file = case.server.put("/film.mp4", b"x")
    file.faults.extend([Fault(status=503, headers={"Retry-After": "7"}), Fault(status=503)])
    await case.fetch(jitter=lambda: 0.5)
    assert case.slept == [7.0, pytest.approx(0.9)]


async def test_a_wait_of_hours_is_an_error(case: Case) -> None:
    file = case.server.put("/film.mp4", b"x")
    file.faults.append(Fault(status=503, headers={"Retry-After": "7200"}))
    with pytest.raises(errors.ServiceFault) as caught:
        await case.fetch()
    assert caught.value.retry_after_s == 7200


async def test_attempts_are_used_up_only_without_any_byte_in_between(case: Case) -> None:
    content = content_of(1, MIB)
    file = case.server.put("/film.mp4", content)
    file.faults.extend([Fault(cut_after=1000)] * 50)
    await case.fetch(connections=1, attempts=2)
    assert case.target.read_bytes() == content

    case.target.unlink()
    file.faults.extend([Fault(cut_after=0)] * 50)
    with pytest.raises(errors.ConnectionLost):
        await case.fetch(connections=1, attempts=3)
    assert len(file.faults) == 47


async def test_a_server_that_takes_one_connection_only_is_served_by_one(case: Case) -> None:
    content = content_of(1, 2 * MIB)
    file = case.server.put("/film.mp4", content)
    file.faults.extend([Fault(), *([Fault(), Fault(status=503), Fault(status=503)] * 8)])
    await case.fetch(connections=3, attempts=3)
    assert case.target.read_bytes() == content


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, errors.NoSuchObject), (403, errors.AccessDenied), (400, errors.RequestRejected)],
)
async def test_a_refusal_midway_is_raised_and_what_is_there_kept(
    case: Case, status: int, kind: type[Exception]
) -> None:
    content = content_of(1, 2 * MIB)
    file = case.server.put("/film.mp4", content)
    file.faults.extend([Fault(), Fault(), Fault(status=status)])
    with pytest.raises(kind):
        await case.fetch()
    assert not case.target.exists()
    receipt = await case.fetch()
    assert receipt.resumed_bytes >= 256 << 10
    assert case.target.read_bytes() == content


async def test_a_cancelled_download_leaves_no_open_file_and_goes_on_later(case: Case) -> None:
    content = content_of(1, 4 * MIB)
    file = case.server.put("/film.mp4", content)
    file.faults.extend([Fault()] * 6 + [Fault(stall_after=1000)] * 4)
    task = asyncio.create_task(case.fetch())
    while len(case.server.log) < 10 or case.server.log[9].sent_bytes < 1000:
        await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert open_files(case.target.parent) == []

    case.server.log.clear()
    meter = case.board.start("1", "film.mp4")
    receipt = await case.fetch(meter=meter)
    assert case.target.read_bytes() == content
    assert receipt.resumed_bytes >= 6 * (256 << 10)
    assert receipt.resumed_bytes + receipt.received_bytes == len(content)
    assert case.asked_again == -receipt.resumed_bytes
    assert case.board.sample()[-1].done_bytes == len(content)


def open_files(directory: Path) -> list[str]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            path = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            continue
        if path.startswith(str(directory)):
            found.append(path)
    return found


@pytest.mark.parametrize("delay_s", [0.0, 0.001, 0.003, 0.01, 0.02, 0.05])
async def test_cancelling_anywhere_is_safe(case: Case, delay_s: float) -> None:
    content = content_of(1, 8 * MIB)
    case.server.put("/film.mp4", content)
    for _ in range(3):
        task = asyncio.create_task(case.fetch(fsync=True, overwrite=True))
        await asyncio.sleep(delay_s)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert open_files(case.target.parent) == []
    await case.fetch(overwrite=True)
    assert case.target.read_bytes() == content


DOWNLOADER = """
import asyncio, sys
from pathlib import Path
from haulier.net.guard import AddressGuard
from haulier.net.http import HttpClient
from haulier.transfer import download as d
from haulier.transfer.range_source import HttpRangeSource
d.SAVE_INTERVAL_S = 0.05
async def main():
    async with HttpClient(guard=AddressGuard(["127.0.0.1"])) as client:
        await d.download(HttpRangeSource(sys.argv[1], client), Path(sys.argv[2]), piece_bytes=1 << 20)
asyncio.run(main())
"""


@pytest.mark.processes
async def test_a_killed_process_costs_only_what_was_not_yet_on_the_disk(case: Case) -> None:
    content = content_of(1, 8 * MIB)
    file = case.server.put("/film.mp4", content)
    # Three pieces come, then nothing more: what came is saved while the others stall.
    file.faults.extend([Fault()] * 3 + [Fault(stall_after=0)] * 4)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DOWNLOADER, case.server.url("/film.mp4"), str(case.target)
    )
    control = Path(f"{part_path(case.target)}.json")
    done: list[tuple[int, int]] = []
    while sum(end - start for start, end in done) < 3 * MIB:
        await asyncio.sleep(0.01)
        done = json.loads(control.read_text())["done"] if control.exists() else []
    process.send_signal(signal.SIGKILL)
    await process.wait()
    assert not case.target.exists()

    case.server.log.clear()
    receipt = await case.fetch(piece_bytes=MIB)
    assert case.target.read_bytes() == content
    assert receipt.resumed_bytes == 3 * MIB
    assert {request.range for request in case.server.log} == {
        f"bytes={start}-{start + MIB - 1}"
        for start in range(0, len(content), MIB)
        if not any(first <= start < end for first, end in done)
    }
    assert case.asked_again == -3 * MIB
    assert receipt.crc64nvme == f"crc64nvme:{crc64nvme(content):016x}"


@pytest.mark.processes
async def test_kills_at_any_moment_never_mix_versions(case: Case) -> None:
    versions = [content_of(seed, 4 * MIB) for seed in range(6)]
    file = case.server.put("/film.mp4", versions[0])
    rng = random.Random(7)
    for number, version in enumerate(versions):
        file.change(version, f'"{number}"')
        file.faults.extend([Fault(), Fault(), Fault(cut_after=rng.randrange(MIB))])
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", DOWNLOADER, case.server.url("/film.mp4"), str(case.target)
        )
        before = len(case.server.log)
        while len(case.server.log) < before + 2 + number and process.returncode is None:
            await asyncio.sleep(0.001)
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.wait()
        if case.target.exists():
            assert case.target.read_bytes() == version
            case.target.unlink()
    file.faults.clear()
    await case.fetch()
    assert case.target.read_bytes() == versions[-1]


async def test_a_resumed_file_that_changed_is_fetched_anew(case: Case) -> None:
    file = case.server.put("/film.mp4", content_of(1, 2 * MIB))
    file.faults.extend([Fault(), Fault(), Fault(status=403)])
    with pytest.raises(errors.AccessDenied):
        await case.fetch()
    file.change(new := content_of(2, 2 * MIB), '"2"')
    file.faults.clear()
    receipt = await case.fetch(meter=case.board.start("1", "x"))
    assert case.target.read_bytes() == new
    assert (receipt.resumed_bytes, receipt.restarts) == (0, 1)
    assert case.board.sample()[-1].done_bytes == len(new)


async def test_an_existing_target_is_refused_before_anything_is_asked(case: Case) -> None:
    case.server.put("/film.mp4", b"new")
    case.target.write_bytes(b"old")
    with pytest.raises(errors.DuplicateName):
        await case.fetch()
    assert case.server.log == []
    await case.fetch(overwrite=True)
    assert case.target.read_bytes() == b"new"


async def test_a_directory_is_never_overwritten(case: Case) -> None:
    case.target.mkdir()
    with pytest.raises(errors.DuplicateName):
        await case.fetch(overwrite=True)
    assert case.server.log == []


async def test_a_target_that_appears_meanwhile_is_not_replaced(case: Case) -> None:
    file = case.server.put("/film.mp4", b"new")
    file.faults.append(Fault(before=lambda: case.target.write_bytes(b"somebody's") and None))
    with pytest.raises(errors.DuplicateName):
        await case.fetch()
    assert case.target.read_bytes() == b"somebody's"


async def test_two_downloads_to_one_target_do_not_meet(case: Case) -> None:
    file = case.server.put("/film.mp4", content_of(1, MIB))
    file.faults.append(Fault(stall_after=1000))
    first = asyncio.create_task(case.fetch())
    while not case.server.log:
        await asyncio.sleep(0.001)
    with pytest.raises(errors.OperationBusy):
        await case.fetch()
    await first
    assert case.target.read_bytes() == file.content


@pytest.mark.parametrize("algorithm", ["sha256", "md5", "crc32", "crc32c", "crc64nvme"])
async def test_the_expected_checksum_is_checked(case: Case, algorithm: str) -> None:
    from haulier.core.checksums import RunningChecksum

    content = content_of(1, MIB + 1)
    case.server.put("/film.mp4", content)
    checksum = RunningChecksum(algorithm)
    checksum.update(content)
    receipt = await case.fetch(expected_checksum=str(checksum).upper())
    assert receipt.checksum == str(checksum)

    case.target.unlink()
    checksum.update(b"x")
    with pytest.raises(errors.VerificationFailed, match="not " + str(checksum)):
        await case.fetch(expected_checksum=str(checksum))
    assert os.listdir(case.target.parent) == []


async def test_bytes_that_are_not_what_the_header_says_are_caught_by_the_checksum(
    case: Case,
) -> None:
    content = content_of(1, MIB)
    file = case.server.put("/film.mp4", content)
    file.faults.extend([Fault(), Fault(shift=1, headers={"Connection": "close"})])
    expected = "sha256:" + hashlib.sha256(content).hexdigest()
    with pytest.raises(errors.VerificationFailed):
        await case.fetch(expected_checksum=expected)
    assert not case.target.exists()


async def test_a_disk_too_small_is_noticed_before_it_is_full(case: Case) -> None:
    file = case.server.put("/film.mp4", b"x")
    file.faults.append(Fault(headers={"Content-Length": str(1 << 60)}, ignore_range=True))
    with pytest.raises(errors.StorageFull, match="too little space"):
        await case.fetch()


async def test_a_disk_that_fills_up_costs_little_of_what_is_there(
    server: RangeServer, client: HttpClient, small_disk: SmallDisk
) -> None:
    case = Case(server, client, small_disk.path)
    content = content_of(1, 2 * MIB)
    file = server.put("/film.mp4", content, chunked=True)
    file.faults.append(Fault(ignore_range=True))
    with pytest.raises(errors.StorageFull, match="film"):
        await case.fetch()
    small_disk.grow("8m")
    receipt = await case.fetch()
    assert case.target.read_bytes() == content
    assert receipt.resumed_bytes > MIB // 2


async def test_redirects_are_followed_and_arguments_checked(case: Case) -> None:
    case.server.put("/film.mp4", b"x").faults.append(
        Fault(status=302, headers={"Location": "/other"})
    )
    case.server.put("/other", b"there")
    await case.fetch()
    assert case.target.read_bytes() == b"there"
    for bad in (
        {"connections": 0},
        {"piece_bytes": 0},
        {"attempts": 0},
        {"expected_checksum": "x"},
    ):
        with pytest.raises(errors.UsageError):
            await case.fetch(overwrite=True, **bad)


async def test_the_pace_is_asked_for_what_came(case: Case) -> None:
    case.server.put("/film.mp4", content_of(1, MIB))
    paced = 0

    async def pace(count: int) -> None:
        nonlocal paced
        paced += count

    await case.fetch(pace=pace)
    assert paced == MIB


async def test_from_a_store(case: Case, tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    content = content_of(1, 2 * MIB + 3)
    await store.put("a/film", content)
    (tmp_path / "store" / "by-hand").write_bytes(content)
    for key in ("a/film", "by-hand"):
        receipt = await download(
            StoreRangeSource(store, key), case.target, piece_bytes=MIB, overwrite=True, fsync=False
        )
        assert case.target.read_bytes() == content
        assert receipt.size_bytes == len(content)
    await store.put("empty", b"")
    await download(StoreRangeSource(store, "empty"), case.target, overwrite=True)
    assert case.target.read_bytes() == b""
    with pytest.raises(errors.NoSuchObject):
        await download(StoreRangeSource(store, "none"), case.target, overwrite=True)


@pytest.mark.parametrize("by_hand", [True, False])
async def test_an_object_replaced_midway_is_fetched_anew(
    case: Case, tmp_path: Path, by_hand: bool
) -> None:
    store = LocalStore(tmp_path / "store")
    await store.put("film", content_of(1, 2 * MIB))
    new = content_of(2, 2 * MIB + 1)
    replaced = asyncio.Event()
    begun = False

    async def pace(count: int) -> None:
        nonlocal begun
        if begun:
            await replaced.wait()
            return
        begun = True
        if by_hand:
            (tmp_path / "new").write_bytes(new)
            (tmp_path / "new").replace(tmp_path / "store" / "film")
        else:
            await store.put("film", new)
        replaced.set()

    receipt = await download(
        StoreRangeSource(store, "film"), case.target, connections=2, piece_bytes=MIB // 4, pace=pace
    )
    assert case.target.read_bytes() == new
    assert receipt.restarts == 1


@pytest.mark.processes
async def test_memory_does_not_grow_with_the_file(case: Case) -> None:
    """The peak of a fresh process that downloads 128 MiB, over one that downloads 1 MiB."""
    peaks = []
    for size in (MIB, 128 * MIB):
        case.server.put("/film.mp4", bytes(size))
        script = (
            DOWNLOADER
            + "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", script, case.server.url("/film.mp4"), str(case.target),
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, _ = await process.communicate()
        peaks.append(int(output) << 10)
        case.target.unlink()
    assert peaks[1] - peaks[0] < 32 * MIB


def test_served_files_know_their_faults() -> None:
    assert ServedFile(content=b"").faults is not ServedFile(content=b"").faults
