"""What no message can hold becomes a link into the bucket."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import httpx2
import pytest
from PIL import Image

import discord
from haulier import Settings, UploadManager, UploadResult
from haulier.testing.discord_server import DiscordServer
from haulier.testing.seaweed import SeaweedServer

pytestmark = pytest.mark.servers


async def test_a_file_that_can_not_be_made_to_fit_is_linked_to(
    s3_server: SeaweedServer,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "requests" / "42_1"
    folder.mkdir(parents=True)
    sound = folder / "a long talk.mp3"
    source = ["-f", "lavfi", "-i", "sine=d=5400", "-c:a", "libmp3lame", "-b:a", "8k", "-ar", "8000"]
    subprocess.run(["ffmpeg", "-v", "error", *source, sound], check=True)
    content = sound.read_bytes()
    settings = settings_with(s3_server, tmp_path)
    async with DiscordServer() as server, UploadManager(settings=settings) as manager:
        result, status = await deliver(server, manager, folder)
    assert result.success, result.error
    assert (result.files_processed, result.successful_uploads) == (1, 1)
    found = re.search(r"\[a_?.?long.talk\.mp3\]\(<(http[^>]+)>\) until <t:\d+:f>", status)
    assert found is not None, status
    async with httpx2.AsyncClient() as client:
        fetched = await client.get(found[1])
        assert fetched.content == content
        assert "talk.mp3" in fetched.headers["content-disposition"]
        assert (await client.get(found[1].partition("?")[0])).status_code == 403


async def test_the_original_of_what_was_made_smaller_is_linked_to_where_wanted(
    s3_server: SeaweedServer, tmp_path: Path
) -> None:
    folder = tmp_path / "requests" / "42_1"
    folder.mkdir(parents=True)
    picture = folder / "big.png"
    Image.effect_noise((900, 900), 90).convert("RGB").save(picture)
    content = picture.read_bytes()
    assert len(content) > 1 << 20
    settings = settings_with(s3_server, tmp_path)
    async with (
        DiscordServer() as server,
        UploadManager(settings=settings, keep_originals=True) as manager,
    ):
        result, status = await deliver(server, manager, folder)
        [delivery] = server.state.deliveries
    assert result.success, result.error
    assert len(delivery.attachments[0].content) < 1 << 20
    found = re.search(r"Original: \[big\.png\]\(<(http[^>]+)>\)", status)
    assert found is not None, status
    async with httpx2.AsyncClient() as client:
        assert (await client.get(found[1])).content == content


def settings_with(s3_server: SeaweedServer, tmp_path: Path) -> Settings:
    return Settings.load(
        data=tmp_path / "data",
        DISCORD_LIMIT_MB=1,
        AWS_S3_BUCKET=s3_server.make_bucket(),
        AWS_ENDPOINT_URL=s3_server.endpoint_url,
        AWS_ACCESS_KEY_ID=s3_server.access_key_id,
        AWS_SECRET_ACCESS_KEY=s3_server.secret_access_key,
        AWS_REGION="us-east-1",
    )


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
