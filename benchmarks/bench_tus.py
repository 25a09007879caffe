"""Uploads to a haulier server on loopback: a file by tus and an archive, whole and cut ten times.

What is cut goes through a proxy in this process, the others go straight. The peer is curl, which
sends the file in one request and can't go on with it.

benchmarks/bench_tus.py [--size 1G]
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from haulier.core.units import format_size, parse_size
from haulier.testing.faults import Fault, FaultProxy

MIB = 1 << 20
CUTS = 10
GOAL_MIB = 32
SERVE = [sys.executable, "-m", "haulier.cli.main"]

IDLE = """
import asyncio, sys
from haulier.store.haulier import HaulierStore
from haulier.transfer import source_file, tus_upload, upload_journal
async def main(url, token, *_):
    store = HaulierStore.at(url, token)
    await store.tus.offer()
    await store.aclose()
asyncio.run(main(*sys.argv[1:]))
"""
FILE = """
import asyncio, sys
from pathlib import Path
from haulier.store.haulier import HaulierStore
from haulier.transfer.source_file import SourceFile
from haulier.transfer.tus_upload import TusUpload
from haulier.transfer.upload_journal import UploadJournal
async def main(url, token, path, journals):
    store = HaulierStore.at(url, token)
    with SourceFile(Path(path)) as source:
        journal = UploadJournal(Path(journals), path, source.size_bytes)
        await TusUpload(store.tus, source, name="film.bin", journal=journal).run()
    await store.aclose()
asyncio.run(main(*sys.argv[1:]))
"""


def cost_of(command: Sequence[str], **settings: str) -> tuple[float, float, float]:
    """Return wall seconds, CPU seconds and peak MiB of a command."""
    began = time.perf_counter()
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    pid = os.posix_spawnp(command[0], command, {**os.environ, **settings}, file_actions=quiet)
    _, status, usage = os.wait4(pid, 0)
    assert status == 0, f"{command[:3]} ended with {os.waitstatus_to_exitcode(status)}"
    wall_s = time.perf_counter() - began
    return wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


@contextmanager
def serving(data: Path) -> Iterator[tuple[str, str]]:
    """Run a server; yields its URL and a token."""
    own = ["--data", str(data)]
    subprocess.run([*SERVE, "user", "add", "ann", "--role", "user", *own], check=True)
    made = subprocess.run([*SERVE, "token", "create", "ann", *own], check=True, stdout=-1)
    process = subprocess.Popen(
        [*SERVE, "serve", "--port", "0", *own],
        stdout=subprocess.PIPE,
        env={**os.environ, "RATE_LIMIT_API": "1000000/minute"},
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().split()[-1].decode(), made.stdout.decode().strip()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        process.stdout.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="1G")
    size = parse_size(parser.parse_args().size)
    print(f"load average at the start: {os.getloadavg()[0]:.2f}")
    rows = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="haulier-bench-tus-")))
        media = folder / "media" / "film"
        media.mkdir(parents=True)
        path = media / "film.mp4"
        with path.open("wb") as file:
            for _ in range(size // MIB):
                file.write(os.urandom(MIB))
        for number, (name, kind, cuts) in enumerate(
            [
                ("file, cut ten times", "file", CUTS),
                ("file", "file", 0),
                ("curl PUT", "curl", 0),
                ("archive, cut ten times", "archive", CUTS),
                ("archive", "archive", 0),
            ]
        ):
            data = folder / f"server-{number}"
            data.mkdir()
            with serving(data) as (url, token), FaultProxy(url) as proxy:
                way = proxy.url if cuts else url
                # Spread over the whole, each in the middle of a part.
                chunks = size // (8 * MIB)
                proxy.faults += [
                    Fault(
                        method="PATCH",
                        pattern="^/tus/",
                        cut_after=4 * MIB,
                        skip=cut * chunks // CUTS,
                    )
                    for cut in range(cuts)
                ]
                idle_mib = cost_of([sys.executable, "-c", IDLE, url, token])[2]
                command = {
                    "file": [sys.executable, "-c", FILE, way, token, str(path), str(folder / "j")],
                    "curl": ["curl", "-sSf", "-T", str(path), "-H", f"Authorization: Bearer {token}",
                             f"{way}/api/content/film.mp4"],
                    "archive": [*SERVE, "upload", "film", "--no-complete", "--to", way],
                }[kind]  # fmt: skip
                cost = cost_of(
                    command,
                    HAULIER_TOKEN=token,
                    HAULIER_DATA=str(folder / f"client-{number}"),
                    MGMT_LOCAL_DIR=str(media.parent),
                )
                taken = sum(one.body_bytes for one in proxy.seen if one.status == 204)
                again = taken - size if kind == "file" else 0  # an archive has a size of its own
                cut = sum(fault.times == 0 for fault in proxy.faults)
                rows.append((name, *cost, cost[2] - idle_mib, cut, again if cuts else 0))
            shutil.rmtree(data)
            shutil.rmtree(folder / "j", ignore_errors=True)
    print(f"\nupload of {format_size(size)} to a haulier server on loopback")
    print(
        f"{'':24}{'wall s':>8}{'CPU s':>8}{'peak MiB':>10}{'over idle':>11}{'cuts':>6}{'twice':>10}"
    )
    for name, wall_s, cpu_s, peak_mib, grown_mib, cut, again in rows:
        print(
            f"{name:24}{wall_s:8.1f}{cpu_s:8.1f}{peak_mib:10.1f}{grown_mib:11.1f}{cut:6}"
            f"{format_size(max(0, again)):>10}"
        )
    print(f"goal: they arrive, a file in less than {GOAL_MIB} MiB over idle, an archive in 200 MiB")


if __name__ == "__main__":
    main()
