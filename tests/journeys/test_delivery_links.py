"""What no message can hold becomes a link, into a bucket or to a haulier server, for a time."""

from __future__ import annotations

import dataclasses
import re
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from PIL import Image

import discord
from haulier import Catalog, OperationRecord, Settings, UploadManager, UploadResult
from haulier.catalog.filters import OperationFilter
from haulier.core.records import OperationStatus, utc_now
from haulier.errors import NoSuchObject
from haulier.journeys.archive.open import open_destination
from haulier.journeys.delivery.link_book import LinkBook, key_of, place_of
from haulier.journeys.delivery.link_shelf import LinkShelf
from haulier.media.finding import MediaFile, MediaFileDetector
from haulier.store.base import ObjectOptions
from haulier.testing.discord_server import DiscordServer
from haulier.testing.seaweed import SeaweedServer
from running_server import Server
from server_stores import new_account

pytestmark = [pytest.mark.servers, pytest.mark.processes]

Settle = Callable[..., Settings]


def to_bucket(s3_server: SeaweedServer) -> dict[str, Any]:
    return {
        "AWS_S3_BUCKET": s3_server.make_bucket(),
        "AWS_S3_PREFIX": "media",
        "AWS_ENDPOINT_URL": s3_server.endpoint_url,
        "AWS_ACCESS_KEY_ID": s3_server.access_key_id,
        "AWS_SECRET_ACCESS_KEY": s3_server.secret_access_key,
        "AWS_REGION": "us-east-1",
    }


def to_server(files_server: Server) -> dict[str, Any]:
    return {
        "UPLOAD_LINK_TO": f"{files_server.url}/for/chats",
        "HAULIER_TOKEN": new_account(files_server)[1],
    }


@pytest.fixture(params=["bucket", "server"])
def settle(request: pytest.FixtureRequest, tmp_path: Path) -> Settle:
    """Return what makes settings whose links lead to one place."""
    if request.param == "bucket":
        place = to_bucket(request.getfixturevalue("s3_server"))
    else:
        place = to_server(request.getfixturevalue("files_server"))
    return lambda **more: Settings.load(data=tmp_path / "data", DISCORD_LIMIT_MB=1, **place, **more)


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[Catalog]:
    async with await Catalog.open(tmp_path / "catalog.db") as catalog:
        yield catalog


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Sound for so long that no compression lets it fit into 1 MiB."""
    path = tmp_path_factory.mktemp("talk") / "talk.mp3"
    source = ["-f", "lavfi", "-i", "sine=d=1300", "-c:a", "libmp3lame", "-b:a", "8k", "-ar", "8000"]
    subprocess.run(["ffmpeg", "-v", "error", *source, path], check=True)
    return path.read_bytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "requests" / "42_1"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
async def file(folder: Path) -> MediaFile:
    path = folder / "big.png"
    Image.effect_noise((900, 900), 90).convert("RGB").save(path)
    return await MediaFileDetector().detect_file(path)


async def links(catalog: Catalog) -> list[OperationRecord]:
    return (await catalog.list_operations(OperationFilter(operation_type="link"))).items


async def keys(settings: Settings, catalog: Catalog, link: OperationRecord) -> list[str]:
    """Return what lies where a link led to."""
    found: list[str] = []
    async with AsyncExitStack() as stack:
        opened = await open_destination(settings, catalog, stack, place_of(link))
        with suppress(NoSuchObject):  # a server without that folder
            below = opened.store.list_objects(opened.destination.prefix)
            found.extend([info.key async for info in below])
    return found


async def fetch(url: str) -> httpx2.Response:
    async with httpx2.AsyncClient() as client:
        page = await client.get(url)
        if "/s/" not in url:
            return page
        return await client.get(f"{url}/download")


def later(hours: float) -> Callable[[], Any]:
    return lambda: utc_now() + timedelta(hours=hours)


async def test_a_file_that_can_not_be_made_to_fit_is_linked_to(
    settle: Settle, folder: Path, talk: bytes, catalog: Catalog
) -> None:
    (folder / "a long talk.mp3").write_bytes(talk)
    manager = UploadManager(settings=settle(), catalog=catalog)
    async with DiscordServer() as server, manager:
        result, status = await deliver(server, manager, folder)
    assert result.success, result.error
    assert (result.files_processed, result.successful_uploads) == (1, 1)
    assert status.startswith("Stored 1 file, too large for this chat:\n[")
    found = re.search(r"\[a_?.?long.talk\.mp3\]\(<(http[^>]+)>\) until <t:\d+:f>", status)
    assert found is not None, status
    answer = await fetch(found[1])
    assert answer.content == talk
    assert "talk.mp3" in answer.headers["content-disposition"]
    if "/s/" not in found[1]:
        assert (await fetch(found[1].partition("?")[0])).status_code == 403
    [link] = await links(catalog)
    assert result.metadata["links"] == [link.operation_id]
    assert link.status is OperationStatus.RUNNING


async def test_the_original_of_what_was_made_smaller_is_linked_to_where_wanted(
    settle: Settle, folder: Path, file: MediaFile, catalog: Catalog
) -> None:
    content = file.path.read_bytes()
    assert len(content) > 1 << 20
    manager = UploadManager(settings=settle(), catalog=catalog, keep_originals=True)
    async with DiscordServer() as server, manager:
        result, status = await deliver(server, manager, folder)
        [delivery] = server.state.deliveries
    assert result.success, result.error
    assert len(delivery.attachments[0].content) < 1 << 20
    found = re.search(r"Original: \[big\.png\]\(<(http[^>]+)>\)", status)
    assert found is not None, status
    assert (await fetch(found[1])).content == content


async def test_what_a_link_led_to_is_removed_when_it_has_ended(
    settle: Settle, file: MediaFile, catalog: Catalog
) -> None:
    settings = settle(UPLOAD_LINK_HOURS=2)
    async with LinkShelf(settings, catalog) as shelf:
        made = await shelf.link(file)
    [link] = await links(catalog)
    async with LinkShelf(settings, catalog, now=later(1.9)) as shelf:
        assert await shelf.remove_ended() == 0
    assert await keys(settings, catalog, link) == [key_of(link)]
    async with LinkShelf(settings, catalog, now=later(2.1)) as shelf:
        assert await shelf.remove_ended() == 1
        assert await shelf.remove_ended() == 0
    assert await keys(settings, catalog, link) == []
    [link] = await links(catalog)
    assert link.status is OperationStatus.SUCCESS
    assert link.completed_at is not None
    url = re.search(r"<(http[^>]+)>", made.text)
    assert url is not None
    assert (await fetch(url[1])).status_code == 404


async def test_each_delivery_removes_what_has_ended(
    settle: Settle, folder: Path, file: MediaFile, catalog: Catalog
) -> None:
    settings = settle()
    async with LinkShelf(settings, catalog) as shelf:
        made = await shelf.link(file)
    await LinkBook(catalog).withdraw([made.operation_id])
    async with DiscordServer() as server, UploadManager(settings=settings, catalog=catalog) as one:
        await deliver(server, one, folder)
    [link] = await links(catalog)
    assert link.status is OperationStatus.SUCCESS


async def test_a_run_that_begins_again_stores_it_once(
    settle: Settle, file: MediaFile, catalog: Catalog
) -> None:
    async with LinkShelf(settle(), catalog) as shelf:
        first = await shelf.link(file)
    async with LinkShelf(settle(), catalog, now=later(1)) as shelf:
        second = await shelf.link(file)
    assert first.operation_id == second.operation_id
    [link] = await links(catalog)
    assert await keys(settle(), catalog, link) == [key_of(link)]
    # It is good for as long as it would be were it made now.
    async with LinkShelf(settle(), catalog, now=later(72.5)) as shelf:
        assert await shelf.remove_ended() == 0


async def test_another_file_of_that_name_has_a_link_of_its_own(
    settle: Settle, file: MediaFile, catalog: Catalog
) -> None:
    async with LinkShelf(settle(), catalog) as shelf:
        await shelf.link(file)
        file.path.write_bytes(file.path.read_bytes() + b"\0")
        await shelf.link(dataclasses.replace(file, size_bytes=file.size_bytes + 1))
    assert len(await links(catalog)) == 2


async def test_what_a_crash_left_is_removed_when_its_time_is_over(
    settle: Settle, file: MediaFile, catalog: Catalog
) -> None:
    settings = settle()
    async with LinkShelf(settings, catalog) as shelf, AsyncExitStack() as stack:
        first = await shelf.link(file)
        [link] = await links(catalog)
        opened = await open_destination(settings, catalog, stack, place_of(link))
        # As a killed process leaves it: an upload that was begun, and nothing else.
        await opened.store.delete(key_of(link))
        await opened.store.start_upload(key_of(link), ObjectOptions())
        await LinkBook(catalog).withdraw([first.operation_id])
        assert await shelf.remove_ended() == 1
        assert [upload async for upload in opened.store.list_uploads(key_of(link))] == []


async def test_a_link_that_can_not_be_made_leaves_a_failure(
    folder: Path, talk: bytes, tmp_path: Path, catalog: Catalog, files_server: Server
) -> None:
    (folder / "talk.mp3").write_bytes(talk)
    place = {"UPLOAD_LINK_TO": files_server.url, "HAULIER_TOKEN": "nobody's"}
    settings = Settings.load(data=tmp_path / "data", DISCORD_LIMIT_MB=1, **place)
    async with DiscordServer() as server, UploadManager(settings=settings, catalog=catalog) as one:
        result, status = await deliver(server, one, folder)
    assert not result.success
    assert "too large" in (result.error or "")
    assert "http" not in status
    # It is tried again by the next run, and its own record waits for the place to answer.
    [link] = await links(catalog)
    assert link.error_message


async def deliver(
    server: DiscordServer, manager: UploadManager, folder: Path
) -> tuple[UploadResult, str]:
    """Deliver a directory; return how it ended, and what the status message says."""
    with server.redirect():
        async with discord.Client(intents=discord.Intents.none()) as client:
            await client.login(server.token)
            channel = client.get_partial_messageable(server.channel_id)
            result = await manager.process_downloaded_files(folder, channel)
    [status] = [each for each in server.state.messages.values() if not each.attachments]
    return result, status.content
