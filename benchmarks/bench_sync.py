"""1,000 recordings through a link of a set rate: `python benchmarks/bench_sync.py [--mib-s RATE]`.

Into a bucket and to another haulier server, each behind a proxy that lets so many bytes a second
through and answers 20 ms later. Goal: at least 95 % of the rate is sound, from the first byte to the
last mark on the disk.

The device, the line and the server share this machine. A server stores each recording as a file and
then works on it, so the line to it is slower: what is measured is the line, not the machine. What
both ends took of the processor is told.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
import uuid
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from haulier.catalog.catalog import Catalog
from haulier.journeys.recording.manager import OfflineAudioManager
from haulier.journeys.recording.opening import sender_of
from haulier.journeys.recording.syncing import Syncing
from haulier.settings import Settings
from haulier.testing.seaweed import SeaweedServer
from link import Link
from recordings import wav
from running_server import run, start, stop
from servers import cpu_s

SECONDS = 5.0
RATE_HZ = 16_000
DELAY_S = 0.01
MIB_S = {"bucket": 4.0, "server": 1.0}


async def fill(directory: Path, count: int) -> int:
    head = wav(SECONDS, rate=RATE_HZ)
    manager = OfflineAudioManager(directory)
    for _ in range(count):
        sound = head[:44] + random.randbytes(len(head) - 44)
        await manager.save_recording("ann", str(uuid.uuid4()), sound, "recap")
    return count * len(head)


async def sync(data: Path, **settings: str) -> float:
    """Return how many seconds it takes."""
    loaded = Settings.load(data=data, **settings)
    async with AsyncExitStack() as stack:
        catalog = await stack.enter_async_context(await Catalog.open(loaded.catalog_url))
        manager = OfflineAudioManager.of_settings(loaded)
        sender = sender_of(loaded, catalog, stack, own_files=None)
        syncing = await stack.enter_async_context(Syncing(manager, sender))
        began = time.perf_counter()
        begun = syncing.begin("ann", await syncing.queue_everything("ann"))
        outcomes = [await task for task in begun.values()]
        took_s = time.perf_counter() - began
        assert not any(one.error for one in outcomes)
    return took_s


@contextmanager
def bucket(scratch: Path):
    with SeaweedServer(scratch / "seaweed") as server:
        name = server.make_bucket()
        yield (
            server.endpoint_url,
            None,
            lambda url: {
                "SYNC_TO": f"s3://{name}/memos",
                "AWS_ENDPOINT_URL": url,
                "AWS_ACCESS_KEY_ID": server.access_key_id,
                "AWS_SECRET_ACCESS_KEY": server.secret_access_key,
            },
        )


@contextmanager
def server(scratch: Path):
    (scratch / "server").mkdir()
    run(scratch / "server", "user", "add", "ann")
    running = start(scratch / "server")
    try:
        token = running.token("ann")
        yield running.url, running.process.pid, lambda url: {"SYNC_TO": url, "SYNC_TOKEN": token}
    finally:
        stop(running)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib-s", type=float, help="of both; 4 to a bucket, 1 to a server")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--to", choices=MIB_S, action="append", help="one of them alone")
    given = parser.parse_args()
    count = given.count
    print(f"load average at the start: {os.getloadavg()[0]:.2f}")
    with tempfile.TemporaryDirectory(prefix="haulier-bench-") as name:
        scratch = Path(name)
        for place in (bucket, server):
            kind = place.__name__
            if kind not in (given.to or MIB_S):
                continue
            rate = (given.mib_s or MIB_S[kind]) * (1 << 20)
            data = scratch / f"device-{kind}"
            size_bytes = asyncio.run(fill(data / "recordings", count))
            with (
                place(scratch) as (upstream, pid, settings_of),
                Link(upstream, bytes_per_s=rate, delay_s=DELAY_S) as link,
            ):
                here_s, there_s = time.process_time(), cpu_s(pid) if pid else 0
                took_s = asyncio.run(sync(data, **settings_of(link.url)))
                here_s = time.process_time() - here_s
                there_s = cpu_s(pid) - there_s if pid else 0
            print(
                f"{count} recordings, {size_bytes / (1 << 20):.0f} MiB, to a {kind}:"
                f" {took_s:.1f} s, {size_bytes / took_s / (1 << 20):.2f} MiB/s,"
                f" {100 * size_bytes / took_s / rate:.1f} % of the link (goal 95);"
                f" {here_s:.1f} s of CPU" + (f", {there_s:.1f} s at the server" if pid else "")
            )
    print(f"load average at the end: {os.getloadavg()[0]:.2f}")


if __name__ == "__main__":
    main()
