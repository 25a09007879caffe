"""A bot in a process of its own, at a double of Discord: `discord_bot.py URL`."""

import asyncio
import sys

import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route

from haulier.jobs.chat_bot import run_discord_bot
from haulier.settings import Settings

url = sys.argv[1]
Route.BASE = f"{url}/api/v10"
DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(url.replace("http", "ws", 1) + "/gateway")
asyncio.run(run_discord_bot(Settings.load(), on_ready=lambda _: print("ready", flush=True)))
