"""A directory of downloads goes into a channel, whatever happens on the way."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import io
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import discord
from catalogs import new_sqlite
from haulier import BaseUploadProcessor, Catalog, MediaFile, Settings, UploadManager, UploadResult
from haulier.catalog.filters import OperationFilter
from haulier.core.records import OperationStatus
from haulier.errors import UnknownReference
from haulier.journeys.delivery.rooms import PRIVATE, mark_kept, remove_expired
from haulier.testing.discord_server import DiscordServer
from haulier.testing.discord_state import MIB, Fault

Manage = Callable[..., UploadManager]


def jpeg(seed: int, side: int = 16) -> bytes:
    image = Image.frombytes("RGB", (side, side), random.Random(seed).randbytes(3 * side * side))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=95)
    return out.getvalue()


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as server:
        with server.redirect():
            yield server


@pytest.fixture
async def channel(server: DiscordServer) -> AsyncIterator[Any]:
    async with discord.Client(intents=discord.Intents.none()) as client:
        await client.login(server.token)
        yield client.get_partial_messageable(server.channel_id)


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[Catalog]:
    async with await Catalog.open(new_sqlite(tmp_path / "catalog.db")) as catalog:
        yield catalog


@pytest.fixture
async def manage(tmp_path: Path, catalog: Catalog) -> AsyncIterator[Manage]:
    made: list[UploadManager] = []

    def make(**overrides: Any) -> UploadManager:
        settings = Settings.load(data=tmp_path / "data", **overrides)
        made.append(UploadManager(settings=settings, catalog=catalog))
        return made[-1]

    yield make
    for manager in made:
        await manager.aclose()


@pytest.fixture
def downloads(tmp_path: Path) -> Path:
    directory = tmp_path / "requests" / "42_1001"
    (directory / "album").mkdir(parents=True)
    for number in range(3):
        (directory / f"{number}.jpg").write_bytes(jpeg(number))
    (directory / "album" / "3.jpg").write_bytes(jpeg(3))
    return directory


def names(server: DiscordServer) -> list[str]:
    return [each.filename for sent in server.state.deliveries for each in sent.attachments]


def told(server: DiscordServer) -> list[str]:
    return [
        text
        for each in server.state.messages.values()
        if not each.attachments
        for text in each.edits or [each.content]
    ]


async def operations(catalog: Catalog) -> list[Any]:
    return (await catalog.list_operations(OperationFilter(operation_type="deliver"))).items


async def test_media_arrive_and_the_directory_goes(
    server: DiscordServer, channel: Any, manage: Manage, downloads: Path, catalog: Catalog
) -> None:
    result = await manage().process_downloaded_files(downloads, channel, "discord")
    assert names(server) == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]
    assert (result.success, result.files_processed, result.successful_uploads) == (True, 4, 4)
    assert not downloads.exists()
    assert downloads.parent.exists()
    operation = (await operations(catalog))[0]
    assert operation.status is OperationStatus.SUCCESS
    assert operation.metadata["successful_uploads"] == 4
    assert operation.metadata["place"] == str(server.channel_id)
    assert operation.metadata["consignments"][0]["message_id"] == str(server.state.deliveries[0].id)
    assert told(server)[-1] == "Uploaded 4 files (3.6 KiB)."


async def test_only_media_leave_and_the_rest_stays(
    server: DiscordServer, channel: Any, manage: Manage, downloads: Path, tmp_path: Path
) -> None:
    (downloads / "cookies.txt").write_text("secret")
    (downloads / "program.mp4").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(200))
    os.symlink("/etc/passwd", downloads / "passwd.jpg")
    result = await manage().process_downloaded_files(downloads, channel)
    assert result.success
    assert names(server) == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]
    assert {path.name for path in downloads.iterdir()} == {
        "cookies.txt", "program.mp4", "passwd.jpg", PRIVATE,
    }  # fmt: skip


async def test_nothing_is_removed_where_that_is_switched_off(
    server: DiscordServer, channel: Any, manage: Manage, downloads: Path
) -> None:
    manager = manage(UPLOAD_CLEANUP_AFTER_SUCCESS=False, UPLOAD_ENABLE_PROGRESS_UPDATES=False)
    assert (await manager.process_downloaded_files(downloads, channel)).success
    assert len(list(downloads.rglob("*.jpg"))) == 4
    assert told(server) == []


@pytest.mark.processes
async def test_what_is_too_large_is_made_to_fit(
    server: DiscordServer, channel: Any, manage: Manage, downloads: Path
) -> None:
    large = jpeg(9, side=1400)
    assert len(large) > 2 * MIB
    (downloads / "large.jpg").write_bytes(large)
    manager = manage(DISCORD_LIMIT_MB=1, UPLOAD_CLEANUP_AFTER_SUCCESS=False)
    result = await manager.process_downloaded_files(downloads, channel)
    assert result.success, result.error
    sent = {each.filename: each for m in server.state.deliveries for each in m.attachments}
    assert len(sent) == 5
    made = next(each for name, each in sent.items() if name.startswith("large_compressed"))
    assert len(made.content) <= MIB - (64 << 10)
    assert result.metadata["compression_attempts"] == 1
    assert result.metadata["successful_compressions"] == 1
    assert (downloads / "large.jpg").read_bytes() == large
    assert (downloads / PRIVATE).stat().st_mode & 0o777 == 0o700
    last = told(server)[-1].splitlines()
    assert last[1].startswith("`large.jpg` compressed: ")


async def test_one_that_can_not_be_made_to_fit_is_told_and_kept(
    server: DiscordServer, channel: Any, manage: Manage, downloads: Path, catalog: Catalog
) -> None:
    (downloads / "broken.jpg").write_bytes(jpeg(9, side=1400)[: 3 * MIB // 2])
    manager = manage(DISCORD_LIMIT_MB=1)
    result = await manager.process_downloaded_files(downloads, channel)
    assert not result.success
    assert result.message == "Partly uploaded: 4 of 5 files arrived."
    assert (result.files_processed, result.failed_uploads) == (5, 1)
    assert result.error is not None
    assert result.error.startswith("`broken.jpg`: ")
    assert str(downloads) not in str(result)
    assert (await operations(catalog))[0].status is OperationStatus.PARTIAL
    assert (downloads / "broken.jpg").exists()
    assert downloads.stat().st_mode & 0o777 == 0o700
    await manager.handle_upload_errors(result, channel)
    assert told(server)[-1] == f"{result.message}\n{result.error}"
    # What arrived does not go again when the rest is tried once more.
    (downloads / "broken.jpg").write_bytes(jpeg(10))
    again = await manager.process_downloaded_files(downloads, channel)
    assert again.success
    assert names(server).count("0.jpg") == 1
    assert names(server)[-1] == "broken.jpg"


async def test_what_the_chat_refused_is_tried_again_by_the_next_run(
    server: DiscordServer, channel: Any, manage: Manage, downloads: Path, catalog: Catalog
) -> None:
    server.state.may_send = False
    manager = manage()
    result = await manager.process_downloaded_files(downloads, channel)
    assert result.error == "the bot may not do this here: let it send messages and attach files."
    assert len(list(downloads.rglob("*.jpg"))) == 4
    server.state.may_send = True
    assert (await manager.process_downloaded_files(downloads, channel)).success
    assert names(server) == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]
    assert [each.status for each in await operations(catalog)] == [OperationStatus.SUCCESS]


async def test_nothing_to_send(
    server: DiscordServer, channel: Any, manage: Manage, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    result = await manage().process_downloaded_files(tmp_path / "empty", channel)
    assert (result.success, result.files_processed) == (False, 0)
    assert result.message == "Nothing to upload: no media was found."


async def test_a_directory_that_is_not_there(
    server: DiscordServer, channel: Any, manage: Manage, tmp_path: Path
) -> None:
    result = await manage().process_downloaded_files(tmp_path / "nowhere", channel)
    assert (result.success, result.message) == (False, "Upload failed.")
    assert str(tmp_path) not in str(result.error)


async def test_two_do_not_work_on_one_directory(
    server: DiscordServer, channel: Any, manage: Manage, downloads: Path
) -> None:
    held = os.open(downloads, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        result = await manage().process_downloaded_files(downloads, channel)
    finally:
        os.close(held)
    assert result.error == "this is being uploaded already."
    assert names(server) == []


async def test_names_that_are_no_text_arrive(
    server: DiscordServer, channel: Any, manage: Manage, downloads: Path
) -> None:
    for name in (b"\xff\xfe.jpg", b"a\nb.jpg", b"`@everyone`.jpg"):
        with open(os.path.join(os.fsencode(downloads), name), "wb") as file:
            file.write(jpeg(len(name)))
    result = await manage().process_downloaded_files(downloads, channel)
    assert result.success, result.error
    assert len(names(server)) == 7
    assert all("\n" not in name and "/" not in name for name in names(server))


# --- other platforms


class Noting(BaseUploadProcessor):
    seen: list[str]

    def __init__(self) -> None:
        self.seen = []

    async def upload_files(
        self, files: Sequence[MediaFile], ctx: Any = None, platform_name: str | None = None
    ) -> UploadResult:
        self.seen += [file.filename for file in files]
        return UploadResult(
            success=True, message="", files_processed=len(files), successful_uploads=len(files)
        )


async def test_another_platform(manage: Manage, downloads: Path) -> None:
    manager, noting = manage(UPLOAD_CLEANUP_AFTER_SUCCESS=False), Noting()
    manager.register_processor("elsewhere", noting)
    result = await manager.process_downloaded_files(downloads, None, "elsewhere")
    assert result.success
    assert result.metadata["platform"] == "elsewhere"
    assert noting.seen == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]


async def test_a_platform_of_another_package(
    manage: Manage, downloads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site" / "plug-1.dist-info").mkdir(parents=True)
    about = tmp_path / "site" / "plug-1.dist-info"
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: plug\nVersion: 1\n")
    entry = f"[haulier.upload_processors]\nplugged = {__name__}:Noting\n"
    (about / "entry_points.txt").write_text(entry)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    result = await manage().process_downloaded_files(downloads, None, "plugged")
    assert result.successful_uploads == 4


async def test_no_such_platform(manage: Manage, downloads: Path) -> None:
    with pytest.raises(UnknownReference, match="nowhere") as caught:
        await manage().process_downloaded_files(downloads, None, "nowhere")
    assert "discord" in caught.value.hint


# --- what is kept, and for how long


def test_kept_directories_go_in_time(tmp_path: Path) -> None:
    for name in ("old", "new", "foreign"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.jpg").touch()
    mark_kept(tmp_path / "old")
    mark_kept(tmp_path / "new")
    hour_ago = time.time() - 3600
    os.utime(tmp_path / "old" / PRIVATE / "kept", (hour_ago * 1.0, hour_ago * 1.0))
    assert remove_expired(tmp_path, 0.5) == [tmp_path / "old"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["foreign", "new"]


async def test_a_request_that_failed_long_ago_goes_with_the_next(
    server: DiscordServer, channel: Any, manage: Manage, downloads: Path
) -> None:
    manager = manage(UPLOAD_KEEP_FAILED_HOURS=2)
    other = downloads.with_name("42_1000")
    other.mkdir()
    (other / "a.jpg").write_bytes(jpeg(1))
    server.state.may_send = False
    await manager.process_downloaded_files(other, channel)
    await manager.process_downloaded_files(downloads, channel)
    assert other.exists()
    long_ago = time.time() - 3 * 3600
    os.utime(other / PRIVATE / "kept", (long_ago, long_ago))
    await manager.process_downloaded_files(downloads, channel)
    assert not other.exists()
    assert downloads.exists()


# --- killed


@pytest.mark.processes
@pytest.mark.parametrize("killed_after", [1, 2, 3])
async def test_killed_and_started_again_nothing_is_lost_and_nothing_twice(
    server: DiscordServer, downloads: Path, tmp_path: Path, killed_after: int
) -> None:
    contents = {}
    for number in range(4, 35):
        (downloads / f"{number:02}.jpg").write_bytes(jpeg(number))
    for path in downloads.rglob("*.jpg"):
        contents[hashlib.sha256(path.read_bytes()).hexdigest()] = path.name
    # The first run is to be slow enough for the kill to come in time.
    server.state.faults.extend([Fault("rate", retry_after_s=0.1)])
    child = await start(server, downloads, tmp_path)
    while len(server.state.deliveries) < killed_after:
        assert child.returncode is None
        await asyncio.sleep(0.001)
    child.kill()
    await child.wait()
    server.state.forget_nonces()
    server.state.faults.clear()
    second = await start(server, downloads, tmp_path)
    output = (await second.communicate())[0].decode()
    assert "Uploaded 35 files" in output
    hashes = [each.sha256 for sent in server.state.deliveries for each in sent.attachments]
    assert sorted(hashes) == sorted(contents)
    assert not downloads.exists()


async def start(
    server: DiscordServer, downloads: Path, tmp_path: Path
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("deliver_once.py")),
        server.url,
        server.token,
        str(downloads),
        env={**os.environ, "HAULIER_DATA": str(tmp_path / "data")},
        stdout=asyncio.subprocess.PIPE,
    )
