"""Files too large for the chat: stored elsewhere, linked to, and removed again."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from haulier.discord.bot import BIN
from haulier.jobs import chat_bot
from haulier.store.s3 import S3Store
from haulier.testing.discord_server import DiscordServer
from haulier.testing.seaweed import SeaweedServer
from jobs.bots import Site, answers, bot, said, start, until

pytestmark = [pytest.mark.servers, pytest.mark.processes, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Sound for so long that no compression lets it fit into 1 MiB."""
    path = tmp_path_factory.mktemp("talk") / "talk.mp3"
    source = ["-f", "lavfi", "-i", "sine=d=1300", "-c:a", "libmp3lame", "-b:a", "8k", "-ar", "8000"]
    subprocess.run(["ffmpeg", "-v", "error", *source, path], check=True)
    return path.read_bytes()


@pytest.fixture
async def bucket(s3_server: SeaweedServer) -> AsyncIterator[S3Store]:
    store = S3Store(s3_server.make_bucket(), access=s3_server.access())
    yield store
    await store.aclose()


@pytest.fixture
def place(s3_server: SeaweedServer, bucket: S3Store) -> dict[str, Any]:
    return {
        "UPLOAD_LINK_TO": f"s3://{bucket.bucket}",
        "AWS_ENDPOINT_URL": s3_server.endpoint_url,
        "AWS_ACCESS_KEY_ID": s3_server.access_key_id,
        "AWS_SECRET_ACCESS_KEY": s3_server.secret_access_key,
        "AWS_REGION": "us-east-1",
        "DISCORD_LIMIT_MB": "1",
    }


async def objects(bucket: S3Store) -> list[str]:
    return [info.key async for info in bucket.list_objects("shared/")]


async def until_nothing_waits(server: DiscordServer) -> None:
    """Ask the bot, again when it has answered: what is asked sooner keeps it from its heartbeat."""
    while said(server, "Nothing waits") is None:
        known = len(answers(server))
        await server.say("$queue")
        await until(lambda known=known: len(answers(server)) > known, server)


async def test_a_bin_below_a_delivery_ends_its_links_and_removes_the_files(
    server: DiscordServer,
    site: Site,
    bucket: S3Store,
    place: dict[str, Any],
    talk: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chat_bot, "_LINKS_INTERVAL_S", 0.1)
    site.files["/talk.mp3"] = talk
    async with bot(server, tmp_path, **place):
        await server.say(f"$download {site.url}/talk.mp3")
        status = await until(lambda: said(server, r"\(<http.*shared"), server)
        [link] = re.findall(r"\(<(http[^>]+)>\)", status.content)
        async with httpx2.AsyncClient() as client:
            assert (await client.get(link)).content == talk
            await until_nothing_waits(server)  # the request ends just after its last words
            await server.react(status.id, BIN)
            await until(lambda: status.id not in server.state.messages, server)
            while await objects(bucket):
                await asyncio.sleep(0.05)
            assert (await client.get(link)).status_code == 404


async def test_killed_while_a_file_is_stored_it_goes_on_and_stores_it_once(
    server: DiscordServer,
    site: Site,
    bucket: S3Store,
    place: dict[str, Any],
    talk: bytes,
    tmp_path: Path,
) -> None:
    site.files["/talk.mp3"] = talk
    first = await start(server, tmp_path, **place)
    await server.say(f"$download {site.url}/talk.mp3")
    await until(lambda: said(server, "storing"), server)
    first.kill()
    await first.wait()
    second = await start(server, tmp_path, **place)
    try:
        status = await until(lambda: said(server, r"\(<http.*shared"), server)
    finally:
        second.terminate()
        await second.wait()
    [link] = re.findall(r"\(<(http[^>]+)>\)", status.content)
    async with httpx2.AsyncClient() as client:
        assert (await client.get(link)).content == talk
    assert len(await objects(bucket)) == 1
