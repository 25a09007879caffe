"""A site on loopback, and a double of Discord that bots sign in at."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from haulier.testing.discord_server import DiscordServer
from jobs.bots import Site


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    source = ["-f", "lavfi", "-i", "testsrc2=s=160x90:r=10:d=1"]
    subprocess.run(["ffmpeg", "-v", "error", *source, path], check=True)
    return path.read_bytes()


@pytest.fixture
async def site(clip: bytes) -> AsyncIterator[Site]:
    site = Site()
    site.files["/clip.mp4"] = clip
    site.files["/post"] = b'<html><title>A day</title><video src="/clip.mp4"></video></html>'
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", site.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    site.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield site
    site.held.set()
    await runner.cleanup()


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as server:
        with server.redirect():
            yield server
