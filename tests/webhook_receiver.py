"""A receiver of webhooks on loopback: verifies signatures, and answers as it is told."""

from __future__ import annotations

import asyncio
import json
import socket

from aiohttp import web

from haulier.core.records import utc_now
from haulier.core.webhooks import verify_webhook
from haulier.errors import ChecksumMismatch


class Receiver:
    """Use it as `async with`; `messages` are those whose signature was right."""

    def __init__(self, port: int = 0):
        self.port = port
        self.secrets: list[str] = []
        self.messages: list[tuple[str, dict]] = []
        self.tries: list[str] = []
        self.forged = 0
        self.statuses: list[int] = []
        self.status = 200
        self.body: object = {"allow": True}
        self.gate = asyncio.Event()
        self.gate.set()
        self._news = asyncio.Event()

    async def __aenter__(self):
        app = web.Application()
        app.router.add_post("/in", self._take)
        app.router.add_get("/elsewhere", self._elsewhere)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        listener = socket.create_server(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        await web.SockSite(self._runner, listener).start()
        return self

    async def __aexit__(self, *_):
        self.gate.set()
        await self._runner.cleanup()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/in"

    async def until(self, condition):
        while not condition():
            self._news.clear()
            await self._news.wait()

    def kinds(self):
        return [message["type"] for _, message in self.messages]

    async def _take(self, request):
        body = await request.read()
        self.tries.append(request.headers["webhook-id"])
        self._news.set()
        await self.gate.wait()
        status = self.statuses.pop(0) if self.statuses else self.status
        for secret in self.secrets:
            try:
                message_id = verify_webhook(secret, request.headers, body, now=utc_now())
            except ChecksumMismatch:
                continue
            if status < 300:
                self.messages.append((message_id, json.loads(body)))
            break
        else:
            self.forged += 1
        self._news.set()
        headers = {"Location": "/elsewhere"} if 300 <= status < 400 else {}
        return web.json_response(self.body, status=status, headers=headers)

    async def _elsewhere(self, _):
        raise AssertionError("a redirect was followed")
