"""Downloads of any link, from servers that lie, hide, expire, redirect and change their files."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from haulier import errors
from haulier.core.file_version import Version
from haulier.core.progress import ProgressBoard, ProgressState
from haulier.core.ranges import Resumable
from haulier.core.units import parse_limit
from haulier.testing.range_server import Fault, RangeServer
from haulier.transfer.control_file import PartFile
from haulier.transfer.download_manager import DownloadManager
from haulier.transfer.download_requests import DownloadRequest, batch_items
from haulier.transfer.file_cache import FileCache

MIB = 1 << 20


def content_of(seed: int, size: int = 2 * MIB) -> bytes:
    return random.Random(seed).randbytes(size)


def named(header: str) -> Fault:
    return Fault(headers={"Content-Disposition": header})


async def no_wait(_seconds: float) -> None:
    await asyncio.sleep(0)


@pytest.fixture
async def server() -> AsyncIterator[RangeServer]:
    async with RangeServer() as server:
        yield server


@pytest.fixture
def managed(tmp_path: Path):
    def make(**options: Any) -> DownloadManager:
        return DownloadManager(**{"allow": ["127.0.0.1"], "sleep": no_wait, **options})

    return make


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "here"


def listed(place: Path) -> list[str]:
    return sorted(os.listdir(place)) if place.exists() else []


def open_files(place: Path) -> list[str]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:
            continue
    return [path for path in found if path.startswith(str(place))]


async def test_a_link_becomes_a_file(server, managed, place):
    content = content_of(1, 40 * MIB)
    server.put("/a/film.mp4?sig=1", content)
    async with managed() as manager:
        done = await manager.download(server.url("/a/film.mp4?sig=1"), place)
    assert done.path == place / "film.mp4"
    assert done.path.read_bytes() == content
    assert (done.size_bytes, done.received_bytes, done.from_cache) == (40 * MIB, 40 * MIB, False)
    assert listed(place) == ["film.mp4"]
    assert len(server.log) == 3, "several requests share a large file"
    assert sum(request.sent_bytes for request in server.log) == len(content)
    json.dumps(done.to_json())


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ('attachment; filename="report.pdf"', "report.pdf"),
        (f"attachment; filename*=utf-8''{quote(quote('Отчёт.pdf'))}", "Отчёт.pdf"),
        ('attachment; filename="../../.ssh/authorized_keys"', "authorized_keys"),
        ('attachment; filename="..%2f..%2f.bashrc"', "bashrc"),
        ('attachment; filename="/etc/passwd"', "passwd"),
        ('attachment; filename=".."', "x.bin"),
    ],
)
async def test_the_server_names_the_file_and_can_do_no_harm(server, managed, place, header, name):
    server.put("/x.bin", b"content").faults.append(named(header))
    async with managed() as manager:
        done = await manager.download(server.url("/x.bin"), place)
    assert done.path == place / name
    assert listed(place) == [name]
    assert listed(place.parent) == ["here"]


async def test_a_given_name_counts_and_is_made_safe(server, managed, place):
    server.put("/x", b"content").faults.extend([named('attachment; filename="no"')] * 3)
    async with managed() as manager:
        done = await manager.download(server.url("/x"), place, name="../yes.txt")
        assert done.path == place / "yes.txt"
        with pytest.raises(errors.ValidationError):
            await manager.download(server.url("/x"), place, name="..")


async def test_a_name_that_is_taken(server, managed, place):
    file = server.put("/x", b"new")
    place.mkdir()
    (place / "a.txt").write_text("old")
    async with managed() as manager:
        file.faults.append(named("attachment; filename=a.txt"))
        with pytest.raises(errors.DuplicateName):
            await manager.download(server.url("/x"), place)
        assert server.log[-1].sent_bytes <= len(file.content)
        for name in ("a-2.txt", "a-3.txt"):
            file.faults.append(named("attachment; filename=a.txt"))
            done = await manager.download(server.url("/x"), place, if_exists="rename")
            assert done.path.name == name
        before = len(server.log)
        with pytest.raises(errors.DuplicateName):
            await manager.download(server.url("/x"), place, name="a.txt")
        assert len(server.log) == before, "nothing is asked for a name that is known to be taken"
        await manager.download(server.url("/x"), place, name="a.txt", if_exists="overwrite")
    assert (place / "a.txt").read_bytes() == b"new"
    assert listed(place) == ["a-2.txt", "a-3.txt", "a.txt"]


async def test_equal_names_at_once_get_names_of_their_own(server, managed, place):
    contents = [content_of(seed, 300_000) for seed in range(4)]
    for number, content in enumerate(contents):
        server.put(f"/{number}/i", content, etag=f'"{number}"')
    async with managed() as manager:
        urls = [server.url(f"/{number}/i") for number in range(4)]
        done = await asyncio.gather(
            *(manager.download(url, place, name="i.webp", if_exists="rename") for url in urls)
        )
    assert [one.path.read_bytes() for one in done] == contents
    assert listed(place) == ["i-2.webp", "i-3.webp", "i-4.webp", "i.webp"]


async def test_an_interrupted_file_goes_on_and_keeps_the_name_it_was_told(server, managed, place):
    content = content_of(1, 40 * MIB)
    file = server.put("/x", content)
    names = named("attachment; filename=a.bin")
    file.faults.extend([names, Fault(stall_after=MIB), Fault(stall_after=MIB)])
    async with managed() as manager:
        task = asyncio.create_task(manager.download(server.url("/x"), place))
        while file.faults or not any(
            event.done_bytes >= 2 * MIB for event in manager.board.sample()
        ):
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert open_files(place) == []
    assert len(listed(place)) == 2, "the part file and what is there of it"
    file.faults.append(names)
    async with managed() as manager:
        done = await manager.download(server.url("/x"), place)
    assert done.resumed_bytes >= 2 * MIB
    assert done.resumed_bytes + done.received_bytes == len(content)
    assert done.path.read_bytes() == content
    assert listed(place) == ["a.bin"]


async def test_a_file_of_which_all_was_there_is_asked_for_its_name(server, managed, place):
    file = server.put("/x", b"content")
    url = server.url("/x")
    place.mkdir()
    # As a process leaves it that is killed after the last byte and before the rename.
    part = PartFile(place / hashlib.sha256(url.encode()).hexdigest()[:32])
    part.write(b"content", 0)
    version = Version(size_bytes=7, etag='"1"')
    part.save(url, url, Resumable(version=version, done=((0, 7),)))
    part.close()
    file.faults.append(named("attachment; filename=told.txt"))
    async with managed() as manager:
        done = await manager.download(url, place)
    assert (done.path, done.received_bytes) == (place / "told.txt", 0)
    assert done.path.read_bytes() == b"content"
    assert listed(place) == ["told.txt"]


async def test_a_directory_is_never_overwritten(server, managed, place):
    server.put("/x", b"content")
    (place / "x").mkdir(parents=True)
    async with managed() as manager:
        for name in (None, "x"):
            with pytest.raises(errors.DuplicateName):
                await manager.download(server.url("/x"), place, name=name, if_exists="overwrite")
    assert listed(place) == ["x"]


async def test_cancelling_anywhere_leaves_no_handle_and_a_state_to_go_on_from(
    server, managed, place
):
    content = content_of(1, 20 * MIB)
    server.put("/x.bin", content)
    async with managed() as manager:
        for delay_s in (0.0, 0.001, 0.003, 0.01, 0.02, 0.04):
            task = asyncio.create_task(
                manager.download(server.url("/x.bin"), place, if_exists="overwrite")
            )
            await asyncio.sleep(delay_s)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert open_files(place) == []
        done = await manager.download(server.url("/x.bin"), place, if_exists="overwrite")
    assert done.path.read_bytes() == content
    assert listed(place) == ["x.bin"]


async def test_nothing_is_left_of_what_never_came(server, managed, place):
    async with managed(attempts=1) as manager:
        with pytest.raises(errors.NoSuchObject):
            await manager.download(server.url("/none"), place)
        with pytest.raises(errors.AddressRefused):
            await manager.download("http://10.0.0.1/x", place)
    assert listed(place) == []


async def test_an_expired_link_is_renewed_in_the_middle(server, managed, place):
    content = content_of(1, 40 * MIB)
    old = server.put("/x?sig=old", content)
    new = server.put("/x?sig=new", content)
    old.faults.extend([Fault(), *[Fault(status=403)] * 20])
    asked: list[str] = []

    async def refresh() -> str:
        asked.append("once")
        return server.url("/x?sig=new")

    async with managed() as manager:
        done = await manager.download(
            server.url("/x?sig=old"), place, key="file 7", refresh=refresh
        )
    assert done.path.read_bytes() == content
    assert (done.restarts, asked) == (0, ["once"])
    assert not new.faults


async def test_a_link_that_never_gets_fresh_fails(server, managed, place):
    server.put("/x", b"content").faults.extend([Fault(status=410)] * 100)
    asked: list[str] = []

    async def refresh() -> str:
        asked.append("again")
        return server.url("/x")

    async with managed() as manager:
        with pytest.raises(errors.NoSuchObject):
            await manager.download(server.url("/x"), place, refresh=refresh)
    assert 1 <= len(asked) <= 5
    assert listed(place) == []


async def test_another_process_goes_on_with_a_fresh_link_by_the_key(server, managed, place):
    content = content_of(1, 40 * MIB)
    first = server.put("/x?sig=1", content)
    first.faults.extend([Fault(), Fault(status=404), *[Fault(status=404)] * 10])
    server.put("/x?sig=2", content)
    async with managed() as manager:
        with pytest.raises(errors.NoSuchObject):
            await manager.download(server.url("/x?sig=1"), place, key="file 7")
    async with managed() as manager:
        done = await manager.download(server.url("/x?sig=2"), place, key="file 7")
    assert done.resumed_bytes > 0
    assert done.path.read_bytes() == content


async def test_what_is_not_as_expected_is_not_kept(server, managed, place):
    content = content_of(1, 1000)
    server.put("/x", content)
    server.put("/endless", content, chunked=True, takes_ranges=False)
    good = f"sha256:{hashlib.sha256(content).hexdigest()}"
    async with managed() as manager:
        for path in ("/x", "/endless"):
            with pytest.raises(errors.VerificationFailed):
                await manager.download(server.url(path), place, size_bytes=999)
            with pytest.raises(errors.VerificationFailed):
                await manager.download(server.url(path), place, checksum=f"sha256:{'0' * 64}")
        assert listed(place) == []
        done = await manager.download(server.url("/x"), place, checksum=good, size_bytes=1000)
    assert done.checksum == good


@pytest.mark.parametrize("chunked", [False, True])
async def test_too_large_a_file_is_refused_as_soon_as_that_shows(server, managed, place, chunked):
    file = server.put("/x", content_of(1, 8 * MIB), chunked=chunked, takes_ranges=not chunked)
    async with managed(max_bytes=MIB) as manager:
        with pytest.raises(errors.FileSizeError):
            await manager.download(server.url("/x"), place)
    assert server.log[0].sent_bytes < len(file.content)
    assert listed(place) == []


LIES = [
    Fault(headers={"Content-Length": "99999999", "Connection": "close"}),
    Fault(headers={"Content-Length": "1000", "Connection": "close"}),
    Fault(headers={"Content-Range": "bytes 0-999999/2097152"}),
    Fault(ignore_range=True),
    Fault(cut_after=1000),
]


@pytest.mark.parametrize("fault", LIES, ids=str)
async def test_a_server_that_lies_about_length_or_ranges(server, managed, place, fault):
    content = content_of(1)
    file = server.put("/x.bin", content)
    file.faults.extend([fault, fault])
    async with managed() as manager:
        done = await manager.download(server.url("/x.bin"), place)
    assert done.path.read_bytes() == content


async def test_a_file_that_changes_between_two_pieces_is_never_mixed(server, managed, place):
    old, new = content_of(1, 48 * MIB), content_of(2, 48 * MIB)
    file = server.put("/x.bin", old)
    file.faults.extend([Fault(), Fault(before=lambda: file.change(new, '"2"'))])
    async with managed() as manager:
        done = await manager.download(server.url("/x.bin"), place)
    assert done.path.read_bytes() == new
    assert done.restarts == 1


@pytest.mark.parametrize(
    "target", ["http://10.0.0.1/x", "http://127.0.0.2:1/x", "http://[::1]/", "file:///etc/passwd"]
)
async def test_a_redirect_to_the_inside_is_refused(server, managed, place, target):
    file = server.put("/x", b"")
    file.faults.append(Fault(status=302, headers={"Location": target}))
    async with managed() as manager:
        with pytest.raises(errors.AddressRefused):
            await manager.download(server.url("/x"), place)
    assert listed(place) == []


async def test_only_hosts_of_the_list_are_asked_at_each_redirect(server, managed, place):
    file = server.put("/x", b"content")
    file.faults.append(Fault(status=302, headers={"Location": "http://example.com/x"}))
    async with managed(hosts=["127.0.0.1", "oneme.ru"]) as manager:
        with pytest.raises(errors.AddressRefused):
            await manager.download(server.url("/x"), place)
        await manager.download(server.url("/x"), place)
    async with managed(hosts=["oneme.ru"]) as manager:
        with pytest.raises(errors.AddressRefused):
            await manager.download(server.url("/x"), place, name="y")


async def test_headers_go_along(server, managed, place):
    server.put("/x", b"content")
    async with managed() as manager:
        await manager.download(server.url("/x"), place, headers={"Authorization": "secret"})
    assert server.log[0].headers["authorization"] == "secret"


async def test_several_files_at_once_and_no_more(server, managed, place):
    for number in range(6):
        file = server.put(f"/{number}", content_of(number, 1000))
        file.faults.append(Fault(stall_after=10))
    async with managed(parallel=2) as manager:
        tasks = [
            asyncio.create_task(manager.download(server.url(f"/{number}"), place))
            for number in range(6)
        ]
        while len(server.log) < 2:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)
        assert len(server.log) == 2
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert open_files(place) == []


async def test_the_rate_is_kept(server, managed, place):
    server.put("/x", content_of(1, 300_000))
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with managed(limit_rate=parse_limit("500K"), sleep=asyncio.sleep) as manager:
        await manager.download(server.url("/x"), place)
    assert loop.time() - began > 0.2


async def test_progress_reaches_whoever_listens(server, managed, place):
    server.put("/x", content_of(1, 1000))
    events = []
    async with managed(progress=events.append, attempts=1) as manager:
        await manager.download(server.url("/x"), place)
        with pytest.raises(errors.NoSuchObject):
            await manager.download(server.url("/none"), place)
    last = {event.name: event for event in events}
    assert last["x"].state is ProgressState.FINISHED
    assert (last["x"].done_bytes, last["x"].total_bytes) == (1000, 1000)
    assert last["none"].state is ProgressState.FAILED


async def test_progress_of_nobody_does_not_pile_up(server, managed, place):
    server.put("/x", b"content")
    async with managed() as manager:
        for number in range(5):
            await manager.download(server.url("/x"), place, name=str(number))
        assert manager.board.sample() == []
        assert manager.board.total().done_bytes == 35


async def test_what_was_fetched_comes_from_the_cache(server, managed, place, tmp_path):
    content = content_of(1)
    server.put("/x", content).faults.append(named("attachment; filename=a.bin"))
    checksum = f"sha256:{hashlib.sha256(content).hexdigest()}"
    cache = FileCache(tmp_path / "cache")
    async with managed(cache=cache) as manager:
        await manager.download(server.url("/x"), place / "1", key="file 7")
        before = len(server.log)
        again = await manager.download("http://10.0.0.1/x", place / "2", key="file 7")
        other = await manager.download("http://10.0.0.1/y", place / "3", checksum=checksum)
        assert len(server.log) == before
    assert (again.path.name, again.from_cache, again.received_bytes) == ("a.bin", True, 0)
    assert other.path.name == "y"
    for one in (again, other):
        assert one.path.read_bytes() == content
    assert (await cache.statistics()).bytes_saved == 2 * len(content)
    assert open_files(tmp_path) == []


async def test_a_damaged_file_in_the_cache_is_fetched_anew(server, managed, place, tmp_path):
    content = content_of(1)
    server.put("/x", content)
    cache = FileCache(tmp_path / "cache")
    async with managed(cache=cache) as manager:
        await manager.download(server.url("/x"), place / "1", key="file 7")
        [kept] = (tmp_path / "cache" / "files").rglob("*/*")
        kept.write_bytes(bytes(len(content)))
        again = await manager.download(server.url("/x"), place / "2", key="file 7")
    assert again.path.read_bytes() == content
    assert not again.from_cache
    assert kept.read_bytes() == content


async def test_a_cache_that_can_not_be_used_costs_no_file(server, managed, place, tmp_path):
    server.put("/x", b"content")
    (tmp_path / "cache").write_text("not a directory")
    async with managed(cache=FileCache(tmp_path / "cache")) as manager:
        done = await manager.download(server.url("/x"), place, key="file 7")
    assert done.path.read_bytes() == b"content"


async def test_a_link_without_key_or_checksum_is_asked_each_time(server, managed, place, tmp_path):
    server.put("/x", b"content")
    cache = FileCache(tmp_path / "cache")
    async with managed(cache=cache) as manager:
        for number in range(2):
            await manager.download(server.url("/x"), place / str(number))
    assert len(server.log) == 2
    assert (await cache.statistics()).files == 0


async def test_many_files_of_which_some_fail_and_are_fetched_later(server, managed, place):
    place.mkdir()
    for number in range(8):
        server.put(f"/{number}.bin", content_of(number, 5000))
    server.files.pop("/3.bin")
    requests = [DownloadRequest(url=server.url(f"/{number}.bin")) for number in range(8)]
    state = place / "state.jsonl"
    async with managed(attempts=1) as manager:
        report = await manager.download_many(requests, place, state=state)
    assert [one.code for one in report.failed] == ["no-such-object"]
    server.put("/3.bin", content_of(3, 5000))
    server.log.clear()
    async with managed() as manager:
        report = await manager.download_many(requests, place, state=state)
    assert [request.path for request in server.log] == ["/3.bin"]
    assert report.failed == ()
    for number, one in enumerate(report.outcomes):
        assert Path(one.result["path"]).read_bytes() == content_of(number, 5000)


async def test_a_batch_of_downloads_retries_the_failed_alone(server, managed, place):
    board = ProgressBoard()
    server.put("/a", b"content")
    async with managed(board=board, attempts=1) as manager:
        batch = manager.batch(place)
        requests = [DownloadRequest(url=server.url(path)) for path in ("/a", "/b")]
        assert len((await batch.run(batch_items(requests))).failed) == 1
        server.put("/b", b"late")
        assert (await batch.retry_failed()).failed == ()
    board.sample()
    assert board.total().done_bytes == len(b"content" + b"late")
    assert listed(place) == ["a", "b"]


PROCESS = """
import asyncio, sys
from haulier import DownloadManager
from haulier.transfer import download
download.SAVE_INTERVAL_S = 0.05
async def main():
    async with DownloadManager(allow=["127.0.0.1"]) as manager:
        await manager.download(sys.argv[1], sys.argv[2])
asyncio.run(main())
"""


@pytest.mark.processes
async def test_killed_and_another_process_goes_on(server, managed, place):
    content = content_of(1, 64 * MIB)
    file = server.put("/x.bin", content)
    file.faults.extend([Fault(), Fault(), *[Fault(stall_after=0)] * 4])
    process = subprocess.Popen([sys.executable, "-c", PROCESS, server.url("/x.bin"), str(place)])
    while not any(saved(place) >= 2 * 16 * MIB for _ in [0]):
        await asyncio.sleep(0.01)
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    file.faults.clear()
    async with managed() as manager:
        done = await manager.download(server.url("/x.bin"), place)
    assert done.resumed_bytes >= 32 * MIB
    assert done.path.read_bytes() == content
    assert listed(place) == ["x.bin"]


def saved(place: Path) -> int:
    for path in place.glob(".haulier-*.json") if place.exists() else ():
        return sum(end - start for start, end in json.loads(path.read_text())["done"])
    return 0


@pytest.mark.processes
async def test_two_processes_do_not_fetch_one_file_into_one_place(server, managed, place):
    file = server.put("/x.bin", content_of(1))
    file.faults.append(Fault(stall_after=10))
    process = subprocess.Popen([sys.executable, "-c", PROCESS, server.url("/x.bin"), str(place)])
    try:
        while not server.log:
            await asyncio.sleep(0.01)
        async with managed() as manager:
            with pytest.raises(errors.OperationBusy):
                await manager.download(server.url("/x.bin"), place)
    finally:
        process.kill()
        process.wait()


BLOCKING = """
import sys
from haulier.sync import DownloadManager
with DownloadManager(allow=["127.0.0.1"]) as manager:
    print(manager.download(sys.argv[1], sys.argv[2]).path.read_text())
    print(manager.download(sys.argv[1], sys.argv[2], if_exists="rename").path.name)
"""


@pytest.mark.processes
async def test_programs_without_a_loop_have_a_twin(server, place):
    server.put("/x", b"content")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", BLOCKING, server.url("/x"), str(place)),
        stdout=asyncio.subprocess.PIPE,
    )
    told, _ = await process.communicate()
    assert told.decode().split() == ["content", "x-2"]
