"""A double of the MAX bot API on loopback, which takes and refuses what the real one does.

    async with MaxServer() as server:
        client = MaxClient(server.token, api_url=server.url)
        ...
        assert server.state.messages

The API and the host of files are two ports. `server.state.faults` makes things go wrong. It can be
run as a program too: `python -m haulier.testing.max_server` prints its address and token.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp import web

from haulier.testing.max_api import MaxApi
from haulier.testing.max_cdn import MaxFilesHost
from haulier.testing.max_state import MaxState, Media, user

TOKEN = "f9LHodD0cOL5-double"


class MaxServer:
    """Serves on free ports of 127.0.0.1 while its block runs.

    Args:
        token: the bot's.
    """

    def __init__(self, token: str = TOKEN) -> None:
        self.token = token
        self.url = self.files_url = ""
        self._folder = tempfile.TemporaryDirectory(prefix="max-double-")
        self.state = MaxState(token=token, folder=Path(self._folder.name))
        self._runners: list[web.AppRunner] = []

    async def __aenter__(self) -> Self:
        self.files_url = await self._serve(MaxFilesHost(self.state).app())
        self.url = await self._serve(MaxApi(self.state, self.files_url).app())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for runner in self._runners:
            await runner.cleanup()
        self._folder.cleanup()

    async def _serve(self, app: web.Application) -> str:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05, handle_signals=False)
        self._runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    def put_media(self, type_: str, content: bytes, name: str = "") -> Media:
        """Have a file that somebody else sent, and return it."""
        media = self.state.new_media(type_, is_whole=True)
        media.path.write_bytes(content)
        media.name = name
        return media

    def attachment(self, media: Media, **more: Any) -> dict[str, Any]:
        """Return how `media` is told of in a received message; `more` are further fields."""
        payload: dict[str, Any] = {
            "url": f"{self.files_url}/get/{media.token}?sig=d",
            "token": media.token,
        }
        told: dict[str, Any] = {"type": media.type, "payload": payload, **more}
        if media.type == "image":
            payload["photo_id"] = media.id
        elif media.type == "file":
            told |= {"filename": media.name, "size": media.path.stat().st_size, **more}
        return told

    def receive(
        self,
        chat_id: int,
        text: str | None = None,
        attachments: list[dict[str, Any]] | None = None,
        *,
        user_id: int = 5,
    ) -> dict[str, Any]:
        """Have somebody write to the bot; return the update about it."""
        now_ms = int(time.time() * 1000)
        number = next(self.state.numbers)
        message = {
            "sender": user(user_id, "Ann", is_bot=False),
            "recipient": {
                "chat_id": chat_id, "chat_type": self.state.chats[chat_id], "user_id": 9,
            },
            "timestamp": now_ms,
            "body": {
                "mid": f"mid.{number:016x}", "seq": (1 << 56) + number, "text": text,
                "attachments": attachments or [],
            },
        }  # fmt: skip
        self.state.messages[f"mid.{number:016x}"] = message
        update = {
            "update_type": "message_created", "timestamp": now_ms, "user_locale": "ru",
            "message": message,
        }  # fmt: skip
        self.push(update)
        return update

    def push(self, update: Mapping[str, Any]) -> None:
        """Have an update wait for the bot."""
        self.state.updates.append(dict(update))
        self.state.news.set()

    async def deliver(self, url: str, update: Mapping[str, Any], secret: str | None = None) -> int:
        """Send an update to a webhook, as MAX would; return the answer's status."""
        headers = {} if secret is None else {"X-Max-Bot-Api-Secret": secret}
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, json=update, headers=headers) as answer,
        ):
            return answer.status


async def _run() -> None:
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with MaxServer() as server:
        sys.stdout.write(f"MAX_API_URL={server.url} MAX_TOKEN={server.token}\n")
        sys.stdout.flush()
        await stopped.wait()


if __name__ == "__main__":
    asyncio.run(_run())
