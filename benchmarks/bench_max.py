"""Uploads to MAX: a file cut ten times beside one that is not, memory above that of an idle client.

The double of the API is this process, the clients are others. The peer, when it is there (PEER names
a Python that has `maxapi`), can't resume: it sends the file without a cut.

benchmarks/bench_max.py [--size 1G]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

from haulier.core.units import format_size, parse_size
from haulier.testing.max_server import MaxServer

MIB = 1 << 20
CUTS = 10
GOAL_MIB = 32

IDLE = """
import asyncio, sys
from haulier.max.client import MaxClient
from haulier.max.files import FileManager
async def main(url, token, *_):
    async with MaxClient(token, api_url=url) as client:
        FileManager(client)
        await client.subscriptions()
asyncio.run(main(*sys.argv[1:]))
"""
HAULIER = """
import asyncio, sys
from pathlib import Path
from haulier.max.client import MaxClient
from haulier.max.files import FileManager
from haulier.max.uploads import Uploader
async def main(url, token, path, states):
    async with MaxClient(token, api_url=url) as client:
        await FileManager(client, uploader=Uploader(client, state_folder=Path(states))).send_file(1, path)
asyncio.run(main(*sys.argv[1:]))
"""
PEER_IDLE = """
import asyncio, sys
from maxapi import Bot
async def main(url, token, *_):
    bot = Bot(token)
    await bot.close_session()
asyncio.run(main(*sys.argv[1:]))
"""
PEER = """
import asyncio, sys
from maxapi import Bot
from maxapi.types import InputMedia
async def main(url, token, path, *_):
    bot = Bot(token)
    bot.set_api_url(url)
    await bot.send_message(chat_id=1, attachments=[InputMedia(path)])
    await bot.close_session()
asyncio.run(main(*sys.argv[1:]))
"""


async def cost_of(python: str, script: str, *arguments: str) -> tuple[float, float, float]:
    """Return wall seconds, CPU seconds and peak MiB of a script in a process of its own."""

    def run() -> tuple[float, float, float]:
        began = time.perf_counter()
        pid = os.posix_spawn(python, [python, "-c", script, *arguments], os.environ)
        _, status, usage = os.wait4(pid, 0)
        assert status == 0, f"the client ended with {os.waitstatus_to_exitcode(status)}"
        wall_s = time.perf_counter() - began
        return wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024

    return await asyncio.to_thread(run)


def write_file(path: Path, size: int) -> None:
    with path.open("wb") as file:
        block = os.urandom(MIB)
        for _ in range(size // MIB):
            file.write(block)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="1G")
    size = parse_size(parser.parse_args().size)
    rows = []
    with tempfile.TemporaryDirectory(prefix="haulier-bench-max-") as folder:
        path = Path(folder) / "film.bin"
        write_file(path, size)
        peer = os.environ.get("PEER")
        for name, python, script, idle, cuts in (
            ("haulier, cut ten times", sys.executable, HAULIER, IDLE, CUTS),
            ("haulier", sys.executable, HAULIER, IDLE, 0),
            *([("maxapi", peer, PEER, PEER_IDLE, 0)] if peer else []),
        ):
            async with MaxServer() as server:
                given = (server.url, server.token, str(path), f"{folder}/states")
                _, _, idle_mib = await cost_of(python, idle, *given)
                server.state.faults.cut_uploads.extend([size // (CUTS + 2)] * cuts)
                wall_s, cpu_s, peak_mib = await cost_of(python, script, *given)
                [message] = server.state.messages.values()
                token = message["body"]["attachments"][0]["payload"]["token"]
                assert server.state.media[token].path.stat().st_size == size
                sent = sum(one.body_bytes for one in server.state.seen if one.host == "files")
                rows.append((name, wall_s, cpu_s, peak_mib - idle_mib, sent))
    print(f"\nupload of {format_size(size)} to the MAX double")
    print(f"{'':24}{'wall s':>8}{'CPU s':>8}{'MiB over idle':>15}{'sent':>12}")
    for name, wall_s, cpu_s, grown_mib, sent in rows:
        print(f"{name:24}{wall_s:8.1f}{cpu_s:8.1f}{grown_mib:15.1f}{format_size(sent):>12}")
    print(f"goal: it arrives, memory grows less than {GOAL_MIB} MiB")


if __name__ == "__main__":
    asyncio.run(main())
