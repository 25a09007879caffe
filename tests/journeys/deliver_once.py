"""Delivers a directory by the real discord.py to the double at an address: URL TOKEN DIRECTORY."""

from __future__ import annotations

import asyncio
import sys

from discord.http import Route

import discord
from haulier import UploadManager
from haulier.testing.discord_state import CHANNEL_ID


async def main(url: str, token: str, directory: str) -> None:
    Route.BASE = f"{url}/api/v10"
    async with discord.Client(intents=discord.Intents.none()) as client, UploadManager() as manager:
        await client.login(token)
        channel = client.get_partial_messageable(CHANNEL_ID)
        result = await manager.process_downloaded_files(directory, channel, "discord")
        print(result.message, result.error or "")


asyncio.run(main(*sys.argv[1:]))
