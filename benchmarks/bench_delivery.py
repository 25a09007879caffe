"""A delivery of ten mixed files to Discord: its time beside ffmpeg and the upload, and its memory.

    python benchmarks/bench_delivery.py [--rounds 3]

Pictures, films and sound, three of them too large, go through `UploadManager` in a process of its
own to the double of Discord. The time in which some ffmpeg runs and the upload are taken in the same
run, and what the delivery costs beyond them is what haulier adds: looking into the files, making
pictures smaller, records, status messages. Then the whole bot fetches a post of ten films by yt-dlp.
The peak is of the process (VmHWM); beside it stands all that haulier starts, but ffmpeg and yt-dlp,
as proportional memory (PSS) looked at twenty times a second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from aiohttp import web

from haulier.testing.discord_server import DiscordServer

GOAL_RATIO, GOAL_MIB = 1.1, 300
GRAIN = "format=yuv420p,noise=alls=18:allf=t"
FILM = ("-f", "lavfi", "-i", f"gradients=s=640x360:r=30:d=8:n=4:seed=4:speed=0.02,{GRAIN}")
CLIP = ("-f", "lavfi", "-i", f"testsrc2=s=640x360:r=30:d=4,{GRAIN}", "-c:v", "libx264")
SONG = ("-f", "lavfi", "-i", "anoisesrc=d=170:c=pink:a=0.3", "-ac", "2")
PHOTO = ("-f", "lavfi", "-i", f"gradients=s=3000x2000:n=4:seed=7,{GRAIN}", "-frames:v", "1")
WALL = ("-f", "lavfi", "-i", f"gradients=s=4800x3200:n=4:seed=7,{GRAIN}", "-frames:v", "1")
NOT_OURS = ("ffmpeg", "yt_dlp", "gallery_dl")
_ASKED_S = 0.05


def make_files(folder: Path) -> None:
    """Write ten files, three of them above Discord's 20 MiB."""
    wanted = {
        "film.mp4": (*FILM, "-c:v", "libx264", "-preset", "ultrafast", "-qp", "18"),
        "song.wav": SONG,
        "wall.png": WALL,
        "talk.mp3": (*SONG, "-b:a", "96k"),
        **{f"clip{n}.mp4": (*CLIP, "-preset", "veryfast", "-crf", str(24 + n)) for n in range(3)},
        **{f"photo{n}.jpg": (*PHOTO, "-q:v", str(2 + n)) for n in range(3)},
    }
    folder.mkdir(parents=True)
    for name, arguments in wanted.items():
        subprocess.run(["ffmpeg", "-v", "error", *arguments, folder / name], check=True)


async def deliver(url: str, token: str, folder: str) -> None:
    """Deliver a folder in this process, and print what it cost as JSON."""
    from discord.http import Route

    import discord
    from haulier import Settings, UploadManager
    from haulier.testing.discord_state import CHANNEL_ID

    Route.BASE = f"{url}/api/v10"
    busy: list[tuple[float, float]] = []
    note_programs(busy)
    settings = Settings.load(data=Path(folder).parent.parent / "data")
    async with discord.Client(intents=discord.Intents.none()) as client:
        await client.login(token)
        channel = client.get_partial_messageable(CHANNEL_ID)
        async with UploadManager(settings=settings) as manager:
            began = time.perf_counter()
            result = await manager.process_downloaded_files(folder, channel)
            took_s = time.perf_counter() - began
    assert result.success, result.error
    told = {
        "took_s": took_s,
        "ffmpeg_s": covered(busy),
        "upload_s": result.metadata["upload_time_seconds"],
        "made_to_fit": result.metadata["successful_compressions"],
        "messages": result.metadata["batches_processed"],
        "peak_mib": peak_mib(os.getpid()),
    }
    print(json.dumps(told))


def note_programs(busy: list[tuple[float, float]]) -> None:
    """Note when some ffmpeg runs that this process starts."""
    start = asyncio.create_subprocess_exec

    async def noted(*command: str, **options: object) -> asyncio.subprocess.Process:
        began = time.perf_counter()
        process = await start(*command, **options)  # type: ignore[arg-type]
        if any("ffmpeg" in str(part) for part in command):
            ending = asyncio.ensure_future(process.wait())
            ending.add_done_callback(lambda _: busy.append((began, time.perf_counter())))
        return process

    asyncio.create_subprocess_exec = noted  # type: ignore[assignment]


def covered(spans: list[tuple[float, float]]) -> float:
    """Return the time that some of the spans cover."""
    total, until = 0.0, float("-inf")
    for begin, end in sorted(spans):
        total += max(0.0, end - max(begin, until))
        until = max(until, end)
    return total


def peak_mib(pid: int) -> float:
    """Return the most memory that a process ever held."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def ours_mib(pid: int) -> float:
    """Return the memory of a process and of what it started, other people's programs left out."""
    total_kib = 0
    with suppress(OSError, IndexError):
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        if not any(name in command for name in NOT_OURS):
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total_kib = int(rollup.partition("\nPss:")[2].split()[0])
        return total_kib / 1024 + sum(ours_mib(child) for child in children_of(pid))
    return total_kib / 1024


def children_of(pid: int) -> Iterator[int]:
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            yield from map(int, (thread / "children").read_text().split())


async def watched(process: asyncio.subprocess.Process, done: asyncio.Event) -> float:
    """Return the most memory that a process and what it started held until `done`."""
    most = 0.0
    while process.returncode is None and not done.is_set():
        most = max(most, await asyncio.to_thread(ours_mib, process.pid))
        await asyncio.sleep(_ASKED_S)
    return most


async def time_delivery(root: Path) -> dict[str, float]:
    """Deliver the ten files once; return what it cost."""
    folder = root / "requests" / "42_1"
    folder.parent.mkdir(exist_ok=True)
    shutil.copytree(root / "files", folder)
    async with DiscordServer() as server:
        command = (sys.executable, __file__, "--deliver", server.url, server.token, str(folder))
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        watching = asyncio.create_task(watched(process, asyncio.Event()))
        told = json.loads(await process.stdout.read())
        await process.wait()
        return {**told, "ours_mib": await watching}


async def serve_bot(url: str, token: str, data: str) -> None:
    """Run the bot in this process."""
    import yarl
    from discord.gateway import DiscordWebSocket
    from discord.http import Route

    from haulier import Settings
    from haulier.jobs.chat_bot import run_discord_bot

    Route.BASE = f"{url}/api/v10"
    DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(url.replace("http", "ws", 1) + "/gateway")
    settings = Settings.load(data=Path(data), DISCORD_TOKEN=token, DOWNLOAD_ALLOW="127.0.0.1")
    await run_discord_bot(settings, on_ready=lambda _: print("ready", flush=True))


async def remember_bot(root: Path) -> tuple[float, float]:
    """Have the bot fetch and deliver a post of ten films; return its peak, and that of all."""
    clip, film = (root / "files" / name for name in ("clip0.mp4", "film.mp4"))
    names = [f"/{number}.mp4" for number in range(10)]
    page = "".join(f'<video src="{name}"></video>' for name in names)

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path in names:
            return web.FileResponse(film if request.path == names[0] else clip)
        return web.Response(text=f"<html><title>Ten</title>{page}</html>", content_type="text/html")

    app = web.Application()
    app.router.add_route("GET", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with DiscordServer() as server:
        command = (sys.executable, __file__, "--bot", server.url, server.token, str(root / "bot"))
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        await process.stdout.readline()
        done = asyncio.Event()
        watching = asyncio.create_task(watched(process, done))
        await server.say(f"$download http://127.0.0.1:{runner.addresses[0][1]}/post")
        while not any("Uploaded 10 files" in m.content for m in server.state.messages.values()):
            await asyncio.sleep(0.1)
        peak = peak_mib(process.pid)
        done.set()
        ours = await watching
        process.terminate()
        await process.wait()
    await runner.cleanup()
    return peak, ours


async def run(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        make_files(root / "files")
        size_mib = sum(path.stat().st_size for path in (root / "files").iterdir()) / 2**20
        print(f"\ndelivery of ten mixed files, {size_mib:.0f} MiB\n")
        print("| all s | ffmpeg s | upload s | beyond s | ratio | fitted | peak MiB | all MiB |")
        print("|---|---|---|---|---|---|---|---|")
        ratios, peaks = [], []
        for _ in range(rounds):
            cost = await time_delivery(root)
            beside_s = cost["ffmpeg_s"] + cost["upload_s"]
            ratios.append(cost["took_s"] / beside_s)
            peaks.append(cost["peak_mib"])
            print(
                f"| {cost['took_s']:.2f} | {cost['ffmpeg_s']:.2f} | {cost['upload_s']:.2f} "
                f"| {cost['took_s'] - beside_s:.2f} | {ratios[-1]:.3f} | {cost['made_to_fit']} "
                f"| {cost['peak_mib']:.0f} | {cost['ours_mib']:.0f} |"
            )
        bot_mib, with_workers_mib = await remember_bot(root)
    print(f"\nratio: median {statistics.median(ratios):.3f}, goal <= {GOAL_RATIO}")
    print(
        f"memory: peak of the delivery {max(peaks):.0f} MiB; of the bot that fetches a post of ten "
        f"films {bot_mib:.0f} MiB, with its workers {with_workers_mib:.0f}; goal < {GOAL_MIB}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--deliver", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--bot", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.deliver:
        asyncio.run(deliver(*arguments.deliver))
    elif arguments.bot:
        with suppress(KeyboardInterrupt):
            asyncio.run(serve_bot(*arguments.bot))
    else:
        asyncio.run(run(arguments.rounds))


if __name__ == "__main__":
    main()
