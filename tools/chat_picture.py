"""Draws docs/images/chat.png: what people say to the bot of Discord, and what it answers.

Usage: python tools/chat_picture.py [FILE]

The real bot is signed in at the double of Discord and fetches from a site on loopback, by yt-dlp
and over HTTP; what is too large goes into a bucket of a SeaweedFS server. What was said is drawn as
it stood, a message that was edited with all that it said before; only hosts and dates are others.
Nothing is written by hand.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from aiohttp import web
from chat_page import BOT, Said, Shown, drawn, transcript

from haulier import Settings
from haulier.core.jobs import JobState
from haulier.jobs.chat_bot import run_discord_bot
from haulier.jobs.chat_desk import KIND
from haulier.journeys.archive.open import open_catalog
from haulier.store.s3 import S3Store
from haulier.store.s3_setup import ensure_bucket
from haulier.testing.discord_server import DiscordServer
from haulier.testing.discord_state import USER_ID, StoredMessage
from haulier.testing.seaweed import SeaweedServer
from haulier.transfer.status_line import EditedStatusLine

TARGET = Path(__file__).resolve().parent.parent / "docs" / "images" / "chat.png"
TODAY = datetime(2026, 5, 4, 20, 15, tzinfo=UTC)
BUCKET = "too-large"
PEOPLE = {USER_ID: "ada", 4003: "grace", 4005: "linus"}
ASKED = ("{site}/post", "{site}/talk.mp3", "http://192.168.0.1/camera.mp4")
# Grain on moving colours is what a film has that does not fit.
DUSK = (
    "gradients=s=640x360:r=30:d=4:n=4:c0=0x14213d:c1=0x7b2d43:c2=0xfca311:c3=0x2a6f97:speed=0.02"
    ":seed=4,format=yuv420p,noise=alls=18:allf=t"
)
DIVE = "mandelbrot=s=480x270:rate=4:end_scale=0.02:end_pts=80,fps=24"
MOSS = (
    "life=s=240x136:r=12:mold=12:ratio=0.12:seed=7:death_color=#2b4d2f:life_color=#d8e8a0"
    ":mold_color=#0f1f14,scale=480:272:flags=neighbor"
)
CLIPS = {
    "dusk.mp4": (DUSK, ("-preset", "ultrafast", "-qp", "18")),
    "dive.mp4": (DIVE, ("-t", "4")),
    "moss.mp4": (MOSS, ("-t", "4")),
}
TALK = ("-f", "lavfi", "-i", "sine=d=4000", "-c:a", "libmp3lame", "-b:a", "24k", "-ac", "1")
_WAIT_S = 300.0


def make_media(folder: Path) -> dict[str, bytes]:
    """Return what the site shows, by path."""
    folder.mkdir()
    for name, (source, options) in CLIPS.items():
        film = ("-f", "lavfi", "-i", source, *options, "-pix_fmt", "yuv420p", folder / name)
        subprocess.run(["ffmpeg", "-v", "error", *film], check=True)
    subprocess.run(["ffmpeg", "-v", "error", *TALK, folder / "talk.mp3"], check=True)
    videos = "".join(f'<video src="/{name}"></video>' for name in CLIPS)
    page = f"<html><title>Light studies</title>{videos}</html>".encode()
    return {"/post": page} | {f"/{path.name}": path.read_bytes() for path in folder.iterdir()}


async def serve(files: dict[str, bytes]) -> tuple[web.AppRunner, str]:
    """Serve these on a free port; return what stops it, and its address."""
    kinds = {".mp4": "video/mp4", ".mp3": "audio/mpeg"}

    async def answer(request: web.Request) -> web.Response:
        if request.path not in files:
            raise web.HTTPNotFound
        kind = kinds.get(Path(request.path).suffix, "text/html")
        return web.Response(body=files[request.path], content_type=kind)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05, handle_signals=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


@contextmanager
def each_step_shown() -> Iterator[None]:
    """Have status messages show each step, however fast the machine is."""
    defaults = EditedStatusLine.__init__.__kwdefaults__
    interval_s = defaults["interval_s"]
    defaults["interval_s"] = 0.0
    try:
        yield
    finally:
        defaults["interval_s"] = interval_s


async def conversation(directory: Path, bucket: SeaweedServer) -> list[Said]:
    """Have people speak with the bot; return what was said."""
    store = S3Store(BUCKET, access=bucket.access())
    await ensure_bucket(store)
    await store.aclose()
    runner, site = await serve(make_media(directory / "media"))
    async with DiscordServer() as server:
        settings = Settings.load(
            data=directory / "data", DISCORD_TOKEN=server.token, DOWNLOAD_ALLOW="127.0.0.1",
            DISCORD_LIMIT_MB=8, UPLOAD_LINK_TO=f"s3://{BUCKET}", AWS_REGION="us-east-1",
            AWS_ENDPOINT_URL=bucket.endpoint_url, AWS_ACCESS_KEY_ID=bucket.access_key_id,
            AWS_SECRET_ACCESS_KEY=bucket.secret_access_key,
        )  # fmt: skip
        with server.redirect(), each_step_shown():
            ready = asyncio.Event()
            bot = asyncio.create_task(run_discord_bot(settings, on_ready=lambda _: ready.set()))
            await asyncio.wait_for(ready.wait(), _WAIT_S)
            try:
                await speak(server, site, settings)
            finally:
                bot.cancel()
                with suppress(asyncio.CancelledError):
                    await bot
        names = {site: "https://media.example", bucket.endpoint_url: "https://s3.example"}
        said = [as_said(message, names) for message in server.state.messages.values()]
    await runner.cleanup()
    return said


async def speak(server: DiscordServer, site: str, settings: Settings) -> None:
    """Ask for one thing after another, each when what was asked before is done."""
    ended = (JobState.COMPLETED, JobState.FAILED)
    async with await open_catalog(settings) as catalog, asyncio.timeout(_WAIT_S):
        for count, (person, link) in enumerate(zip(PEOPLE, ASKED, strict=True), 1):
            await server.say(f"$download {link.format(site=site)}", user_id=person)
            done = 0
            while done < count:
                await asyncio.sleep(0.1)
                done = len(await catalog.read(lambda tx: tx.jobs.of_kind(KIND, ended, 9)))


def as_said(message: StoredMessage, names: dict[str, str]) -> Said:
    """Return a message as it stands in the picture: shares and hosts differ from run to run."""

    def told(text: str) -> str:
        for host, name in names.items():
            text = text.replace(host, name)
        return re.sub(r"… \d+%$", "…", text, flags=re.MULTILINE)

    # The link that was asked for stands below each step; it is enough to read it once.
    steps = [told(re.sub(r"\n<http\S+>$", "", each)) for each in message.edits]
    return Said(
        who=PEOPLE.get(int(message.author["id"]), BOT),
        text=told(message.content),
        before=tuple(each for each, after in pairwise(steps) if each != after),
        files=tuple(Shown(each.filename, frame_of(each.content)) for each in message.attachments),
    )


def frame_of(clip: bytes) -> bytes:
    """Return a picture of a clip, as PNG."""
    with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
        file.write(clip)
        file.flush()
        wanted = ("-frames:v", "1", "-vf", "scale=320:180:flags=area", "-f", "image2pipe")
        command = ("ffmpeg", "-v", "error", "-ss", "2.5", "-i", file.name, *wanted)
        return subprocess.run([*command, "-c:v", "png", "-"], check=True, stdout=-1).stdout


def date_of(moment: int) -> str:
    """Return a time as it would be shown had all of this happened at `TODAY`."""
    hours = round((moment - datetime.now(UTC).timestamp()) / 3600)
    then = TODAY + timedelta(hours=hours)
    return f"{then.day} {then:%B %Y %H:%M}"


def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    with (
        tempfile.TemporaryDirectory() as directory,
        tempfile.TemporaryDirectory() as data,
        SeaweedServer(Path(data)) as bucket,
    ):
        said = asyncio.run(conversation(Path(directory), bucket))
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(drawn(said, date_of))
    print(transcript(said))


if __name__ == "__main__":
    main()
