"""The clamd client against a double that stalls, hangs up, lies; and what may be scanned at all."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import tempfile
from pathlib import Path

import pytest

from haulier.errors import (
    ConfigurationError,
    ScanFailed,
    SourceChanged,
    TargetMissing,
    TargetUnreadable,
)
from haulier.media.clamd import Clamd
from haulier.media.clamd_wire import Address, verdict_of
from haulier.media.scan import Verdict
from haulier.testing.fake_clamd import ClamdFault, FakeClamd

MIB = 1 << 20


@pytest.fixture(params=["unix", "tcp"])
async def clamd(request):
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "clamd.sock" if request.param == "unix" else None
        async with FakeClamd(path) as double:
            yield double


@pytest.fixture
async def over_tcp():
    async with FakeClamd() as double:
        yield double


@pytest.fixture
def film(tmp_path):
    path = tmp_path / "films" / "film.mp4"
    path.parent.mkdir()
    path.write_bytes(os.urandom(3 * MIB + 1))
    return path


def infected(path: Path) -> Path:
    path.write_bytes(path.read_bytes() + FakeClamd.MARKER)
    return path


async def pieces(*content: bytes):
    for piece in content:
        yield piece


# --- verdicts


async def test_a_file_is_sent_whole_and_the_verdict_comes_back(clamd, film):
    result = await Clamd(clamd.url).scan_file(film)
    assert (result.verdict, result.signature, result.reason) == (Verdict.CLEAN, None, None)
    assert result.scanner == "ClamAV 1.0.0"
    assert result.database_version == "27000/Thu Jan  2 03:04:05 2025"
    assert result.scanned_bytes == film.stat().st_size
    assert clamd.scanned == [film.read_bytes()]


async def test_what_is_found_is_named(clamd, film):
    result = await Clamd(clamd.url).scan_file(infected(film))
    assert (result.verdict, result.signature) == (Verdict.INFECTED, FakeClamd.SIGNATURE)


async def test_a_stream_of_any_pieces_arrives_as_it_is(clamd):
    content = [b"a", b"", bytes(3 * MIB), bytearray(b"b"), FakeClamd.MARKER]
    result = await Clamd(clamd.url).scan_stream(pieces(*content), name="upload")
    assert result.verdict is Verdict.INFECTED
    assert clamd.scanned == [b"".join(content)]
    assert result.scanned_bytes == len(clamd.scanned[0])


async def test_an_empty_file_is_clean(clamd, tmp_path):
    (tmp_path / "empty").touch()
    result = await Clamd(clamd.url).scan_file(tmp_path / "empty")
    assert (result.verdict, result.scanned_bytes) == (Verdict.CLEAN, 0)


async def test_how_long_it_took_is_told_by_the_clock_given(clamd, film):
    ticks = iter([100.0, 102.5])
    result = await Clamd(clamd.url, clock=lambda: next(ticks)).scan_file(film)
    assert result.duration_s == 2.5


@pytest.mark.parametrize(
    ("reply", "verdict", "signature"),
    [
        ("stream: OK", Verdict.CLEAN, None),
        ("fd[12]: OK", Verdict.CLEAN, None),
        ("stream: Win.Test(0a1b:68) FOUND", Verdict.INFECTED, "Win.Test(0a1b:68)"),
        ("fd[9]: Odd name FOUND", Verdict.INFECTED, "Odd name"),
        ("stream: OK FOUND", Verdict.INFECTED, "OK"),
        *(
            (f"stream: {name} FOUND", Verdict.UNSCANNED, name)
            for name in (
                "Heuristics.Limits.Exceeded.MaxFileSize",
                "Heuristics.Limits.Exceeded.MaxScanTime",
                "Heuristics.Encrypted.Zip",
                "Heuristics.Encrypted.PDF",
            )
        ),
        ("stream: Heuristics.Phishing.Email FOUND", Verdict.INFECTED, "Heuristics.Phishing.Email"),
        ("INSTREAM size limit exceeded. ERROR", Verdict.UNSCANNED, None),
    ],
)
def test_replies_are_read(reply, verdict, signature):
    found, name, reason = verdict_of(reply, name="film.mp4")
    assert (found, name) == (verdict, signature)
    assert (reason is not None) == (verdict is Verdict.UNSCANNED)


@pytest.mark.parametrize(
    "reply", ["", "OK", "stream: ", "stream: OK and more", "stream:  FOUND", "x: OK", "PONG"]
)
def test_a_reply_that_is_no_verdict_is_none(reply):
    with pytest.raises(ScanFailed, match="is not clamd"):
        verdict_of(reply, name="film.mp4")


def test_an_error_of_the_daemon_is_told():
    with pytest.raises(ScanFailed, match=r"film\.mp4: fd\[3\]: Can't allocate memory$"):
        verdict_of("fd[3]: Can't allocate memory ERROR", name="film.mp4")


# --- limits


async def test_a_file_over_the_known_limit_is_unscanned_and_not_sent(clamd, film):
    scanner = Clamd(clamd.url, max_file_bytes=film.stat().st_size - 1)
    result = await scanner.scan_file(infected(film))
    assert (result.verdict, result.scanned_bytes) == (Verdict.UNSCANNED, 0)
    assert "larger than" in (result.reason or "")
    assert clamd.scanned == []


async def test_a_file_of_exactly_the_limit_is_scanned(clamd, film):
    scanner = Clamd(clamd.url, max_file_bytes=film.stat().st_size)
    assert (await scanner.scan_file(film)).verdict is Verdict.CLEAN


async def test_only_streams_are_under_the_limit_of_streams(clamd, film):
    scanner = Clamd(clamd.url, max_stream_bytes=MIB)
    result = await scanner.scan_file(film)
    passed = clamd.url.startswith("unix")
    assert result.verdict is (Verdict.CLEAN if passed else Verdict.UNSCANNED)


async def test_a_stream_over_the_known_limit_is_left_where_the_verdict_is_known(clamd):
    read = 0

    async def endless():
        nonlocal read
        while True:
            read += 1
            yield bytes(1000)

    result = await Clamd(clamd.url, max_stream_bytes=10_000).scan_stream(endless(), name="upload")
    assert (result.verdict, result.scanned_bytes, read) == (Verdict.UNSCANNED, 10_000, 11)


@pytest.mark.parametrize("repetition", range(10))
async def test_a_daemon_that_hangs_up_over_its_own_limit_is_heard(clamd, repetition):
    clamd.stream_max_bytes = 100_000 + repetition
    result = await Clamd(clamd.url).scan_stream(pieces(bytes(20 * MIB)), name="upload")
    assert result.verdict is Verdict.UNSCANNED
    assert "StreamMaxLength" in (result.reason or "")


async def test_alerts_that_can_not_be_tried_are_missing(clamd):
    assert await Clamd(clamd.url, max_stream_bytes=10).missing_alerts() == [
        "AlertExceedsMax",
        "AlertEncrypted",
    ]


async def test_a_reply_that_comes_after_the_daemon_stopped_reading_is_heard():
    deaf = asyncio.Event()

    async def serve(reader, writer):
        if await reader.readuntil(b"\0") == b"zVERSION\0":
            writer.write(b"ClamAV 1.0.0\0")
        else:
            writer.get_extra_info("socket").shutdown(socket.SHUT_RD)
            deaf.set()
            await asyncio.sleep(0.1)
            writer.write(b"INSTREAM size limit exceeded. ERROR\0")
        writer.close()

    async def chunks():
        yield b"a"
        await deaf.wait()
        yield b"b"

    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/clamd.sock"
        async with await asyncio.start_unix_server(serve, path):
            result = await Clamd(f"unix:{path}").scan_stream(chunks(), name="upload")
    assert result.verdict is Verdict.UNSCANNED


# --- failures


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (ClamdFault(reply=b""), "without a verdict"),
        (ClamdFault(reply=b"stream: O"), "without a verdict"),
        (ClamdFault(reply=b"HTTP/1.1 400 Bad Request\r\n\r\n\0"), "is not clamd"),
        (ClamdFault(reply=b"\xff\xfe\0"), "is not clamd"),
        (ClamdFault(reply=b"x" * 100_000), "is not clamd"),
        (ClamdFault(reply=b"stream: %s FOUND" % (b"x" * 4082)), "is not clamd"),
        (ClamdFault(reply=b"stream: Time limit reached ERROR\0"), "Time limit reached"),
        (ClamdFault(after_bytes=1000, reply=b""), r"without a verdict|lost"),
        (ClamdFault(after_bytes=1000, reply=b"stream: OK\0"), "before it had all"),
    ],
)
async def test_what_is_no_verdict_is_an_error(over_tcp, film, fault, words):
    over_tcp.faults.append(fault)
    with pytest.raises(ScanFailed, match=words) as caught:
        await Clamd(over_tcp.url).scan_file(film)
    assert caught.value.hint
    assert (await Clamd(over_tcp.url).scan_file(film)).verdict is Verdict.CLEAN


async def test_a_daemon_that_takes_no_more_bytes_is_given_up(over_tcp):
    over_tcp.faults.append(ClamdFault(after_bytes=1000, stall=True))
    scanner = Clamd(over_tcp.url, stall_timeout_s=0.1)
    with pytest.raises(ScanFailed, match="took no bytes for"):
        await scanner.scan_stream(pieces(*[bytes(MIB)] * 20), name="upload")


async def test_a_daemon_that_stays_silent_is_given_up(clamd, film):
    clamd.faults.append(ClamdFault(stall=True))
    with pytest.raises(ScanFailed, match="no answer within"):
        await Clamd(clamd.url, stall_timeout_s=0.1).scan_file(film)


async def test_the_time_of_a_slow_source_is_not_the_daemons(clamd):
    async def slow():
        yield b"a"
        await asyncio.sleep(0.3)
        yield b"b"

    result = await Clamd(clamd.url, stall_timeout_s=0.1).scan_stream(slow(), name="upload")
    assert result.verdict is Verdict.CLEAN


async def test_what_the_source_raises_is_passed_on(clamd):
    async def broken():
        yield b"a"
        raise ConnectionResetError("the uploader went away")

    with pytest.raises(ConnectionResetError, match="uploader"):
        await Clamd(clamd.url).scan_stream(broken(), name="upload")
    assert clamd.scanned == []


async def test_a_daemon_that_is_not_there_is_told():
    with pytest.raises(ScanFailed, match="can't be reached") as caught:
        await Clamd("unix:/nowhere/clamd.sock").ping()
    assert "/nowhere" not in caught.value.message
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ScanFailed, match="can't be reached"):
        await Clamd(f"tcp://127.0.0.1:{port}").ping()


async def test_another_service_is_not_taken_for_clamd(over_tcp):
    over_tcp.pong = over_tcp.version = b"SSH-2.0-OpenSSH_9.2\0"
    with pytest.raises(ScanFailed, match="is not clamd"):
        await Clamd(over_tcp.url).ping()
    with pytest.raises(ScanFailed, match="is not clamd"):
        await Clamd(over_tcp.url).version()


async def test_a_daemon_without_official_signatures_tells_no_version_of_them(over_tcp):
    over_tcp.version = b"ClamAV 1.4.6\0"
    version = await Clamd(over_tcp.url).version()
    assert (version.scanner, version.database_version) == ("ClamAV 1.4.6", None)


async def test_a_name_with_an_address_that_does_not_answer_is_tried_at_the_next(over_tcp):
    # localhost is ::1 first where there is IPv6; the double listens on 127.0.0.1 alone.
    await Clamd(over_tcp.url.replace("127.0.0.1", "localhost")).ping()


# --- what may be scanned


async def test_no_directory_fifo_or_missing_file_is_scanned(clamd, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    scanner = Clamd(clamd.url)
    for name in ("fifo", "."):
        with pytest.raises(TargetUnreadable, match="no regular file"):
            await scanner.scan_file(tmp_path / name)
    with pytest.raises(TargetMissing, match=r"film\.mp4 is not there"):
        await scanner.scan_file(tmp_path / "film.mp4")


def _append(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(b"more")


def _alter(path: Path) -> None:
    before = path.stat()
    with path.open("r+b") as stream:
        stream.write(b"other")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _replace(path: Path) -> None:
    other = path.with_suffix(".new")
    other.write_bytes(path.read_bytes())
    os.replace(other, path)


def _move_the_directory(path: Path) -> None:
    path.parent.rename(path.parent.with_suffix(".moved"))
    path.parent.mkdir()
    path.write_bytes(b"another")


@pytest.mark.parametrize("change", [_append, _alter, _replace, Path.unlink, _move_the_directory])
async def test_a_file_that_changed_meanwhile_has_no_verdict(clamd, film, change):
    # What is newer than the clock's grain would bear the same time as the change.
    while os.stat(film).st_ctime_ns >= _now_on_disk(film):
        await asyncio.sleep(0.001)
    clamd.faults.append(ClamdFault(before=lambda: change(film)))
    with pytest.raises(SourceChanged, match=r"film\.mp4 changed"):
        await Clamd(clamd.url).scan_file(film)


def _now_on_disk(path: Path) -> int:
    probe = path.with_suffix(".probe")
    probe.touch()
    return probe.stat().st_ctime_ns


# --- many, and cancelled ones


async def test_no_more_scans_run_at_once_than_allowed(clamd, film):
    clamd.gate.clear()
    scanner = Clamd(clamd.url, max_scans=3)
    async with asyncio.TaskGroup() as group:
        scans = [group.create_task(scanner.scan_file(film)) for _ in range(10)]
        while clamd.at_gate < 3:
            await asyncio.sleep(0.01)
        clamd.gate.set()
    assert {scan.result().verdict for scan in scans} == {Verdict.CLEAN}
    assert clamd.most_at_gate == 3
    assert len(clamd.scanned) == 10


async def test_a_cancelled_scan_leaves_its_place_and_no_descriptor(clamd, film):
    clamd.gate.clear()
    scanner = Clamd(clamd.url, max_scans=1)
    scan = asyncio.create_task(scanner.scan_file(film))
    while clamd.at_gate < 1:
        await asyncio.sleep(0.01)
    scan.cancel()
    with pytest.raises(asyncio.CancelledError):
        await scan
    open_files = []
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            open_files.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    assert str(film) not in open_files
    clamd.gate.set()
    assert (await scanner.scan_file(film)).verdict is Verdict.CLEAN


# --- addresses


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("unix:/run/clamd.ctl", Address(path="/run/clamd.ctl")),
        ("unix:///run/clamd.ctl", Address(path="/run/clamd.ctl")),
        ("tcp://scanner:1234", Address(host="scanner", port=1234)),
        ("tcp://scanner", Address(host="scanner", port=3310)),
        ("tcp://[::1]:1234/", Address(host="::1", port=1234)),
    ],
)
def test_addresses_are_read(url, address):
    assert Address.parse(url) == address


@pytest.mark.parametrize(
    "url",
    ["", "clamd", "/run/clamd.ctl", "unix:clamd.ctl", "unix://run/clamd.ctl", "tcp://", "tcp://a:b",
     "tcp://a:99999", "tcp://a/b", "http://a:3310", "tcp://[::1"],
)  # fmt: skip
def test_what_is_no_address_is_refused_at_once(url):
    with pytest.raises(ConfigurationError) as caught:
        Clamd(url)
    assert "unix:" in caught.value.hint
