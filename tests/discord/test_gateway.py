"""A whole bot: commands come by the gateway, files go to where they were used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from discord.ext import commands

import discord
from haulier import DiscordUploadProcessor, MediaFile, UploadResult
from haulier.discord.places import Place
from haulier.testing.discord_server import DiscordServer
from haulier.testing.discord_state import MIB, Fault

Photo = Callable[..., MediaFile]


class Bot(commands.Bot):
    """Delivers its files wherever `$deliver` or a slash command is used."""

    def __init__(self) -> None:
        intents = discord.Intents.default()
        intents.message_content = True
        super().__init__("$", intents=intents, help_command=None, guild_ready_timeout=0.05)
        self.files: list[MediaFile] = []
        self.results: asyncio.Queue[UploadResult] = asyncio.Queue()
        self.limits: list[int] = []

        @self.command(name="deliver")
        async def command(ctx: Any) -> None:
            await self.deliver(ctx)

        @self.tree.command(name="deliver", description="delivers")
        async def slash_command(interaction: discord.Interaction) -> None:
            await self.deliver(interaction)

    async def deliver(self, ctx: Any) -> None:
        processor = DiscordUploadProcessor(retry_delay=0.01)
        self.limits.append(processor.limit_bytes(ctx))
        await self.results.put(await processor.upload_files(self.files, ctx))

    async def result(self) -> UploadResult:
        return await asyncio.wait_for(self.results.get(), 20)


@pytest.fixture
async def bot(server: DiscordServer) -> AsyncIterator[Bot]:
    server.state.boost_tier = 2
    async with Bot() as bot:
        running = asyncio.create_task(bot.start(server.token))
        while not bot.is_ready():
            assert not running.done(), running
            await asyncio.sleep(0.01)
        yield bot
    await asyncio.wait_for(running, 5)


async def test_a_command_written_in_the_channel(
    server: DiscordServer, bot: Bot, photo: Photo
) -> None:
    bot.files = [photo("a.jpg"), photo("b.jpg")]
    await server.say("$deliver")
    assert (await bot.result()).success
    [sent] = server.state.deliveries
    assert [each.filename for each in sent.attachments] == ["a.jpg", "b.jpg"]
    assert sent.nonce is not None
    assert bot.limits == [50 * MIB - 1024]
    told = [each for each in server.state.messages.values() if each.edits]
    assert [each.content for each in told] == ["Uploaded 2 files (2.0 KiB)."]


async def test_a_slash_command_is_answered_and_its_limit_taken(
    server: DiscordServer, bot: Bot, photo: Photo
) -> None:
    bot.files = [photo("a.jpg")]
    await server.use_command("deliver", attachment_size_limit=100 * MIB)
    assert (await bot.result()).success
    assert bot.limits == [100 * MIB - 1024]
    assert len(server.state.deliveries) == 1
    paths = [path for _, path in server.state.calls]
    assert "/webhooks/1002/token-of-the-interaction" in paths
    assert any(path.endswith("/callback") for path in paths)


@pytest.mark.parametrize(
    "fault", [Fault("lose"), Fault("drop", after_bytes=10)], ids=["lost", "cut"]
)
async def test_a_lost_answer_to_a_slash_command_is_looked_for(
    server: DiscordServer, bot: Bot, photo: Photo, fault: Fault
) -> None:
    bot.files = [photo("a.jpg", 5000)]
    server.state.faults.append(fault)
    await server.use_command("deliver")
    assert (await bot.result()).success
    assert len(server.state.deliveries) == 1


async def test_the_place_of_a_command_is_its_channel(server: DiscordServer, bot: Bot) -> None:
    channel = bot.get_channel(server.channel_id)
    assert Place(channel).id == str(server.channel_id)
    assert Place(channel).limit_bytes(None) == 50 * MIB - 1024
    assert Place(channel).limit_bytes(8) == 8 * MIB
