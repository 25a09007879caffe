"""The real discord.py, signed in at a double of Discord."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

import discord
from haulier import MediaFile, MediaType
from haulier.testing.discord_server import DiscordServer

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01"


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as server:
        with server.redirect():
            yield server


@pytest.fixture
async def channel(server: DiscordServer) -> AsyncIterator[discord.PartialMessageable]:
    async with discord.Client(intents=discord.Intents.none()) as client:
        await client.login(server.token)
        yield client.get_partial_messageable(server.channel_id)


@pytest.fixture
def photo(tmp_path: Path) -> Callable[..., MediaFile]:
    def make(name: str, size_bytes: int = 1000, mime_type: str = "image/jpeg") -> MediaFile:
        path = tmp_path / name
        filling = name.encode("utf-8", "surrogatepass") * (size_bytes // len(name) + 1)
        path.write_bytes((JPEG + filling)[:size_bytes])
        return MediaFile(
            path=path,
            filename=name,
            size_bytes=size_bytes,
            media_type=MediaType.IMAGE,
            mime_type=mime_type,
        )

    return make
