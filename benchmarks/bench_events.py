"""How soon live events arrive: from the bytes' safety to the frame at the client.

benchmarks/bench_events.py [--users 100] [--seconds 15] [--folder DIR]

Each user uploads 1 MB/s in chunks of 1 MB, whose bytes trickle in, and listens with one WebSocket;
then once more with ten each. An event says when its bytes were safe, and client and server share a
clock. Uploads and listeners are processes of their own; how late a timer of the listeners' loop is
tells what the machine adds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

import servers
from servers import Server

MB = 1_000_000
PIECES = 4
GOAL_MS, GATE_MS = 20, 50


async def make_users(root: Path, count: int) -> list[str]:
    """Make users of the server at `root`; returns a token of each."""
    from haulier.catalog.catalog import Catalog
    from haulier.core.accounts import Role
    from haulier.files.accounts import Accounts
    from haulier.server.services import tokens_of
    from haulier.settings import Settings

    settings = Settings.load(data=root)
    tokens = tokens_of(settings)
    async with await Catalog.open(settings.catalog_url) as catalog:
        accounts = Accounts(catalog)
        users = [await accounts.add(f"user{number}", Role.USER) for number in range(count)]
    return [tokens.issue(user, timedelta(hours=1)) for user in users]


async def upload(url: str, tokens: list[str], seconds: int) -> None:
    """Let everybody upload 1 MB/s for so long, not all in step."""
    import aiohttp

    piece = os.urandom(MB // PIECES)
    # Of a name that is there already it would be a version, and no file be created.
    begun_ns = time.time_ns()

    async def trickle():
        for _ in range(PIECES):
            yield piece
            await asyncio.sleep(1 / PIECES)

    async def one(session: aiohttp.ClientSession, token: str, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        bearer = {"Authorization": f"Bearer {token}"}
        api = f"{url}/api/files/upload"
        asked = {"name": f"clip-{begun_ns}.bin", "size": seconds * MB, "chunk_size": MB}
        async with session.post(f"{api}/start", json=asked, headers=bearer) as begun:
            session_id = (await begun.json())["session_id"]
        for number in range(1, seconds + 1):
            headers = {**bearer, "X-Chunk-Number": str(number), "Content-Length": str(MB)}
            chunk = session.post(f"{api}/{session_id}/chunk", data=trickle(), headers=headers)
            async with chunk as answer:
                assert answer.status in {200, 201}, await answer.text()

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as tasks:
        for number, token in enumerate(tokens):
            tasks.create_task(one(session, token, number / len(tokens)))


async def listen(url: str, tokens: list[str], each: int) -> dict[str, object]:
    """Listen with `each` sockets a user until each heard of a file; returns what was late how."""
    import websockets

    late_ms: list[float] = []
    timer_ms: list[float] = []
    opened = 0

    async def watch_the_machine() -> None:
        # How late a timer of an idle loop is: what no server on this machine could better.
        while True:
            due = time.perf_counter() + 0.01
            await asyncio.sleep(0.01)
            timer_ms.append((time.perf_counter() - due) * 1000)

    async def one(token: str) -> None:
        nonlocal opened
        headers = {"Authorization": f"Bearer {token}"}
        address = f"{url.replace('http', 'ws')}/ws"
        async with websockets.connect(
            address, additional_headers=headers, compression=None, open_timeout=120
        ) as socket:
            opened += 1
            if opened == len(tokens) * each:
                print("ready", flush=True)
            while True:
                text = await socket.recv()
                now = time.time()
                event = json.loads(text)
                if event["type"] == "upload.progress":
                    safe = datetime.fromisoformat(event["time"]).timestamp()
                    late_ms.append((now - safe) * 1000)
                if event["type"] == "file.created":
                    return

    watching = asyncio.create_task(watch_the_machine())
    async with asyncio.TaskGroup() as tasks:
        for token in tokens:
            for _ in range(each):
                tasks.create_task(one(token))
    watching.cancel()
    return {"late_ms": late_ms, "timer_ms": timer_ms}


def percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def print_head() -> None:
    print(
        f"\nProgress, from safe bytes to the frame (goal p99 < {GOAL_MS} ms, gate {GATE_MS} ms; "
        f"load average {os.getloadavg()[0]:.1f})\n\n"
        "| server | uploads at 1 MB/s | WebSockets | events | p50 ms | p99 ms | p99 of an idle timer |"
        " MB/s in all | server's cores | MiB |\n|---|---|---|---|---|---|---|---|---|---|"
    )


def measure(
    server: Server, tokens: list[str], seconds: int, each: int, *, named: str = "1 process"
) -> None:
    """Print one row: how late progress came to `each` sockets a user."""
    given = json.dumps({"url": server.url, "tokens": tokens, "each": each})
    listener = subprocess.Popen(
        [sys.executable, __file__, "--listen"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert listener.stdin is not None
    assert listener.stdout is not None
    listener.stdin.write(given + "\n")
    listener.stdin.flush()
    assert listener.stdout.readline() == "ready\n"
    before, began = server.cpu_s(), time.perf_counter()
    asyncio.run(upload(server.url, tokens, seconds))
    took_s, cpu_s = time.perf_counter() - began, server.cpu_s() - before
    told = json.loads(listener.stdout.readline())
    late_ms = sorted(told["late_ms"])
    listener.wait(60)
    expected = len(tokens) * each * seconds
    p50, p99 = percentile(late_ms, 50), percentile(late_ms, 99)
    print(
        f"| {named} | {len(tokens)} | {len(tokens) * each} | {len(late_ms)} of {expected} | {p50:.1f} | "
        f"{p99:.1f} | {percentile(told['timer_ms'], 99):.1f} | {len(tokens) * seconds * MB / took_s / 1e6:.0f} | "
        f"{cpu_s / took_s:.2f} | {server.memory_mib():.0f} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--listen", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.listen:
        print(json.dumps(asyncio.run(listen(**json.loads(input())))), flush=True)
        return
    print_head()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        root = Path(folder) / "server"
        with servers.haulier(root, DURABILITY="chunk") as server:
            tokens = asyncio.run(make_users(root, arguments.users))
            for each in (1, 10):
                measure(server, tokens, arguments.seconds, each)


if __name__ == "__main__":
    main()
