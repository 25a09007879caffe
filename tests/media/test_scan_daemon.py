"""The clamd client against ClamAV's own daemon, with signatures made by hand."""

from __future__ import annotations

import asyncio
import io
import os
import tarfile
import zipfile

import pytest

from haulier.media.clamd import Clamd
from haulier.media.scan import Verdict
from haulier.testing.clamd import EICAR, EICAR_NAME, ClamDaemon

pytestmark = pytest.mark.servers

KIB = 1 << 10
LIMITS = {"stream_max_bytes": 256 * KIB, "file_max_bytes": 512 * KIB, "scan_max_bytes": 1024 * KIB}


@pytest.fixture(scope="module", params=["alerts", "silent"])
def daemon(request, tmp_path_factory):
    alerts = request.param == "alerts"
    with ClamDaemon(tmp_path_factory.mktemp("clamd"), alerts=alerts, **LIMITS) as running:
        running.alerts = alerts
        yield running


@pytest.fixture(params=["unix", "tcp"])
def scanner(request, daemon):
    url = daemon.unix_url if request.param == "unix" else daemon.tcp_url
    return Clamd(url, max_stream_bytes=256 * KIB, max_file_bytes=512 * KIB)


def zipped(*members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, member in enumerate(members):
            archive.writestr(f"{number}.bin", member)
    return buffer.getvalue()


def tarred(member: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo("eicar.com")
        info.size = len(member)
        archive.addfile(info, io.BytesIO(member))
    return buffer.getvalue()


def nested(levels: int, content: bytes = EICAR) -> bytes:
    for _ in range(levels):
        content = zipped(content)
    return content


async def pieces(*content: bytes):
    for piece in content:
        yield piece


def file(tmp_path, content):
    path = tmp_path / "sample.bin"
    path.write_bytes(content)
    return path


async def test_it_answers_and_tells_its_version(scanner):
    await scanner.ping()
    version = await scanner.version()
    assert version.scanner.startswith("ClamAV 1.")
    assert version.database_version is None


@pytest.mark.parametrize(
    "content",
    [
        EICAR,
        zipped(EICAR),
        tarred(EICAR),
        nested(3),
        zipped(b"harmless", tarred(zipped(EICAR))),
        bytes(200 * KIB) + EICAR,
    ],
    ids=["plain", "zip", "tar.gz", "nested", "mixed", "at the end"],
)
async def test_eicar_is_found_however_it_is_packed(scanner, tmp_path, content):
    for result in (
        await scanner.scan_file(file(tmp_path, content)),
        await scanner.scan_stream(pieces(content[:50], content[50:]), name="upload"),
    ):
        assert (result.verdict, result.signature) == (Verdict.INFECTED, EICAR_NAME)
        assert result.scanned_bytes == len(content)


@pytest.mark.parametrize("content", [b"", b"harmless", os.urandom(200 * KIB), zipped(b"x", b"y")])
async def test_what_is_harmless_is_clean(scanner, tmp_path, content):
    assert (await scanner.scan_file(file(tmp_path, content))).verdict is Verdict.CLEAN
    result = await scanner.scan_stream(pieces(content), name="upload")
    assert result.verdict is Verdict.CLEAN


@pytest.mark.parametrize("size_kib", [513, 2048])
async def test_what_is_beyond_the_limit_is_unscanned_and_never_clean(scanner, tmp_path, size_kib):
    content = bytes(size_kib * KIB) + EICAR
    assert (await scanner.scan_file(file(tmp_path, content))).verdict is Verdict.UNSCANNED
    result = await scanner.scan_stream(pieces(content), name="upload")
    assert result.verdict is Verdict.UNSCANNED


@pytest.mark.parametrize("repetition", range(10))
async def test_a_stream_beyond_a_limit_we_did_not_know_is_unscanned(daemon, repetition):
    content = [EICAR, *[os.urandom(64 * KIB)] * 100]
    for url in (daemon.unix_url, daemon.tcp_url):
        scanner = Clamd(url)
        result = await scanner.scan_stream(pieces(*content), name="upload")
        assert result.verdict is Verdict.UNSCANNED
        assert "StreamMaxLength" in (result.reason or "")


# The reason why the limits have to be known: without the alerts the daemon keeps silent.
async def test_a_file_beyond_a_limit_we_did_not_know_needs_the_alerts(daemon, tmp_path):
    result = await Clamd(daemon.unix_url).scan_file(file(tmp_path, bytes(600 * KIB) + EICAR))
    assert result.verdict is (Verdict.UNSCANNED if daemon.alerts else Verdict.CLEAN)
    if daemon.alerts:
        assert result.signature == "Heuristics.Limits.Exceeded.MaxFileSize"


@pytest.mark.parametrize(
    "content",
    [nested(20), zipped(*(os.urandom(100) + bytes(500 * KIB) for _ in range(3)), EICAR)],
    ids=["too deep", "too much inside"],
)
async def test_an_archive_not_unpacked_wholly_is_unscanned_with_the_alerts(
    scanner, daemon, tmp_path, content
):
    result = await scanner.scan_file(file(tmp_path, content))
    assert result.verdict is (Verdict.UNSCANNED if daemon.alerts else Verdict.CLEAN)


async def test_a_daemon_without_the_alerts_is_known(scanner, daemon):
    missing = [] if daemon.alerts else ["AlertExceedsMax", "AlertEncrypted"]
    assert await scanner.missing_alerts() == missing


async def test_what_is_found_beside_what_is_encrypted_is_told(scanner, tmp_path):
    content = bytearray(zipped(b"secret", EICAR))
    content[content.index(b"PK\3\4") + 6] |= 1
    content[content.index(b"PK\1\2") + 8] |= 1
    result = await scanner.scan_file(file(tmp_path, bytes(content)))
    assert result.verdict is Verdict.INFECTED


async def test_many_scans_at_once_each_get_their_own_verdict(scanner, tmp_path):
    contents = [os.urandom(50 * KIB) + (EICAR if number % 3 else b"") for number in range(30)]
    results = await asyncio.gather(
        *(scanner.scan_stream(pieces(content), name="upload") for content in contents)
    )
    found = [result.verdict is Verdict.INFECTED for result in results]
    assert found == [bool(number % 3) for number in range(30)]


async def test_a_daemon_can_be_restarted(tmp_path):
    daemon = ClamDaemon(tmp_path)
    with daemon:
        await Clamd(daemon.tcp_url).ping()
        daemon.stop()
        daemon.start()
        await Clamd(daemon.unix_url).ping()
        process = daemon._process
    assert process is not None
    assert process.returncode == 0


def test_a_missing_daemon_is_told(tmp_path):
    daemon = ClamDaemon(tmp_path, program="no-such-clamd")
    with pytest.raises(RuntimeError, match="apt-get install clamav-daemon"), daemon:
        pass
