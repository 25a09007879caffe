"""How much of what MAX allows is used: many small files, large ones over a link, and the cache.

The double keeps to the limits that are documented (30 requests a second, 2 messages a second in a
chat, 429 beyond), answers late, and passes uploads over a link of a set speed. What comes from the
cache of files is timed as a program sees it.

    python benchmarks/bench_max_rates.py [--files 1000] [--latency 0.1] [--link 20M] [--hits 1000]
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import statistics
import tempfile
import time
from pathlib import Path

import stamina
from PIL import Image

from haulier.core.units import format_size, parse_size
from haulier.max.client import MESSAGES_PER_S, REQUESTS_PER_S, MaxClient
from haulier.max.files import FileManager
from haulier.max.outgoing import MOST_ATTACHMENTS
from haulier.max.uploads import Uploader
from haulier.testing.max_server import MaxServer
from haulier.transfer.file_cache import FileCache

CHAT = -7
GOAL = 0.95
GOAL_MS = 1.0
MIB = 1 << 20


def picture(number: int) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (8, 8), (number % 256, number // 256 % 256, 7)).save(written, "PNG")
    return written.getvalue()


async def many(kind: str, sources: list[bytes], per_s: float, latency_s: float) -> None:
    async with MaxServer() as server:
        server.state.latency_s = latency_s
        async with MaxClient(server.token, api_url=server.url) as client:
            files = FileManager(client)
            began = time.perf_counter()
            if kind == "uploads alone":
                uploader, room = Uploader(client), asyncio.Semaphore(16)
                with tempfile.TemporaryDirectory(prefix="haulier-bench-max-") as folder:

                    async def upload(number: int, content: bytes) -> None:
                        async with room:
                            path = Path(folder) / f"{number}.txt"
                            path.write_bytes(content)
                            await uploader.upload(path, "file")

                    await asyncio.gather(*(upload(n, one) for n, one in enumerate(sources)))
            else:
                sent = await files.send_files(CHAT, sources)
                assert all(one.error is None for one in sent)
            took_s = time.perf_counter() - began
        refused = sum(one.status == 429 for one in server.state.seen)
    rate = len(sources) / took_s
    share = rate / per_s
    print(
        f"{kind:16}{len(sources):>8}{took_s:>9.1f}{rate:>9.2f}{per_s:>9.2f}{share:>8.1%}{refused:>6}"
    )


async def link(bytes_per_s: float, latency_s: float) -> None:
    async with MaxServer() as server:
        server.state.latency_s, server.state.link_bytes_per_s = latency_s, bytes_per_s
        async with MaxClient(server.token, api_url=server.url) as client:
            files = FileManager(client)
            with tempfile.TemporaryDirectory(prefix="haulier-bench-max-") as folder:
                paths = [Path(folder) / f"{number}.bin" for number in range(9)]
                for path in paths:
                    path.write_bytes(os.urandom(24 * MIB))
                began = time.perf_counter()
                await files.send_files(CHAT, paths)
                took_s = time.perf_counter() - began
    rate = 9 * 24 * MIB / took_s
    print(
        f"\n9 files of 24 MiB over a link of {format_size(int(bytes_per_s))}/s: {took_s:.1f} s, "
        f"{format_size(int(rate))}/s, {rate / bytes_per_s:.1%} of it; goal {GOAL:.0%}"
    )


async def hits(count: int) -> None:
    with tempfile.TemporaryDirectory(prefix="haulier-bench-max-") as folder:
        cache = FileCache(Path(folder) / "cache")
        for number in range(100):
            source = Path(folder) / "source"
            source.write_bytes(os.urandom(MIB))
            await cache.put(source, key=f"https://example.org/{number}")
        took_ms = []
        for number in range(count):
            began = time.perf_counter()
            found = await cache.open(f"https://example.org/{number % 100}")
            took_ms.append((time.perf_counter() - began) * 1000)
            assert found is not None
            found.file.close()
    worst = statistics.quantiles(took_ms, n=100)[98]
    print(
        f"\ncache, {count} hits: median {statistics.median(took_ms):.3f} ms, "
        f"99 of 100 within {worst:.3f} ms; goal {GOAL_MS} ms"
    )


async def main() -> None:
    stamina.instrumentation.set_on_retry_hooks(())  # they write to stdout
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--latency", type=float, default=0.1)
    parser.add_argument("--link", default="20M")
    parser.add_argument("--hits", type=int, default=1000)
    given = parser.parse_args()
    print(f"\nto the MAX double, every answer {given.latency} s late; goal {GOAL:.0%}")
    print(f"{'':16}{'files':>8}{'s':>9}{'a second':>9}{'allowed':>9}{'share':>8}{'429':>6}")
    in_messages = min(
        MOST_ATTACHMENTS * MESSAGES_PER_S,
        REQUESTS_PER_S * MOST_ATTACHMENTS / (MOST_ATTACHMENTS + 1),
    )
    pictures = [picture(number) for number in range(given.files)]
    await many("pictures", pictures, in_messages, given.latency)
    texts = [b"%d" % number for number in range(given.files)]
    await many("uploads alone", texts, REQUESTS_PER_S, given.latency)
    await many("files", texts[: given.files // 10], MESSAGES_PER_S, given.latency)
    await link(parse_size(given.link), given.latency)
    await hits(given.hits)


if __name__ == "__main__":
    asyncio.run(main())
