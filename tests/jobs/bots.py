"""Bots at a double of Discord, in this process or in one of their own, and what they say."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from aiohttp import web

from haulier import Settings
from haulier.jobs.chat_bot import run_discord_bot
from haulier.testing.discord_server import DiscordServer
from haulier.testing.discord_state import StoredMessage


class Site:
    """Serves what the tests put there."""

    def __init__(self) -> None:
        self.url = ""
        self.files: dict[str, bytes] = {}
        self.asked = 0
        self.held = asyncio.Event()
        self.held.set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        await self.held.wait()
        content = self.files.get(request.path)
        if content is None:
            raise web.HTTPNotFound
        kind = "video/mp4" if request.path.endswith(".mp4") else "text/html"
        return web.Response(body=content, content_type=kind)


@asynccontextmanager
async def bot(server: DiscordServer, data: Path, **more: Any) -> AsyncIterator[None]:
    settings = Settings.load(
        data=data, DISCORD_TOKEN=server.token, DOWNLOAD_ALLOW="127.0.0.1", **more
    )
    ready = asyncio.Event()
    running = asyncio.create_task(run_discord_bot(settings, on_ready=lambda _: ready.set()))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    assert ready.is_set(), running.exception()
    try:
        yield
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def until(what: Callable[[], Any], server: DiscordServer | None = None) -> Any:
    try:
        async with asyncio.timeout(120):
            while not (found := what()):
                await asyncio.sleep(0.02)
    except TimeoutError:
        said = [] if server is None else [each.content for each in answers(server)]
        raise AssertionError(f"it did not come; the bot said {said}") from None
    return found


def answers(server: DiscordServer) -> list[StoredMessage]:
    return [each for each in server.state.messages.values() if each.author.get("bot")]


def said(server: DiscordServer, pattern: str) -> StoredMessage | None:
    found = [each for each in answers(server) if re.search(pattern, each.content)]
    return found[-1] if found else None


async def start(server: DiscordServer, data: Path, **settings: str) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(Path(__file__).with_name("discord_bot.py")), server.url,
        env={**os.environ, "HAULIER_DATA": str(data), "DISCORD_TOKEN": server.token,
             "DOWNLOAD_ALLOW": "127.0.0.1", **settings},
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 60) == b"ready\n"
    return process
