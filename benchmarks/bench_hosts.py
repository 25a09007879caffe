"""One, two and three server processes on one PostgreSQL and one Redis: what they take in.

benchmarks/bench_hosts.py [--size 512] [--small 2000] [--rounds 3] [--processes 1,2,3]
                          [--users 100] [--seconds 10] [--folder DIR]

A file in chunks, then small files, then 1,000 WebSockets while 100 users upload. A server on SQLite,
without Redis, stands beside them; it does its jobs (a digest of each file) itself, the others leave
them to a worker. CPU is told apart: the servers', and that of PostgreSQL with Redis.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

import bench_events
import servers
from bench_server import OCTETS, ask
from servers import Server

MIB, GIB = 1 << 20, 1 << 30
SMALL_BYTES = 4096
CONNECTIONS = 16
PATIENCE_S = 120

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))


@dataclass(frozen=True)
class Beside:
    """PostgreSQL and Redis, and what they cost."""

    postgres_url: str
    redis_url: str
    pids: tuple[int, int]

    def cpu_s(self) -> float:
        return sum(servers.cpu_s(pid) for pid in self.pids)

    def settings(self, name: str) -> dict[str, str]:
        """Return what a server is told to use a database of its own."""
        with psycopg.connect(self.postgres_url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]  # ours
        url = self.postgres_url.rpartition("/")[0] + f"/{name}"
        return {"DATABASE_URL": url, "REDIS_URL": self.redis_url}


@contextmanager
def beside(folder: Path) -> Iterator[Beside]:
    """Run PostgreSQL, which makes commits durable, and Redis."""
    from postgres import start_postgres, stop_postgres
    from redis_server import RedisServer

    safe = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
    # PostgreSQL runs as a user of its own, who may not go below the folder.
    cluster = Path(tempfile.mkdtemp(prefix="haulier-postgres-"))
    redis = RedisServer(folder)
    try:
        url, process = start_postgres(cluster, **safe)
        redis.start()
        assert redis.process is not None
        try:
            yield Beside(url, redis.url, (process.pid, redis.process.pid))
        finally:
            redis.stop()
            stop_postgres(process)
    finally:
        shutil.rmtree(cluster)


@dataclass
class Bench:
    load: Path
    source: Path
    small: int
    beside: Beside

    def chunks(self, server: Server) -> tuple[float, float, float]:
        """Send a file in chunks; return MB/s, and CPU-s/GiB of the servers and of what is beside."""
        size = self.source.stat().st_size
        begin = {"file_name": f"{time.time_ns()}.bin", "file_size": size}
        _, _, begun = ask(server, "POST", "/upload/chunked/init", begin)
        piece, path = begun["chunk_size"], f"/api/files/upload/{begun['file_id']}/chunk"
        requests = [
            (
                n % 8, "POST", path, n * piece, min(piece, size - n * piece),
                [OCTETS, f"X-Chunk-Number: {n + 1}"],
            )
            for n in range(begun["total_chunks"])
        ]  # fmt: skip
        before = self.beside.cpu_s()
        took = servers.send(self.load, server, self.source, requests)
        gib = size / GIB
        theirs = (self.beside.cpu_s() - before) / gib
        self._settle(server)
        return size / took.seconds / 1e6, took.server_cpu_s / gib, theirs

    def files(self, server: Server) -> tuple[float, float, float]:
        """Send small files; return files/s, and CPU ms a file of the servers and of what is beside."""
        stamp = time.time_ns()
        requests = [
            (n % CONNECTIONS, "PUT", f"/api/content/{stamp}/{n}.bin", n * SMALL_BYTES, SMALL_BYTES, [OCTETS])
            for n in range(self.small)
        ]  # fmt: skip
        ours, theirs = server.cpu_s(), self.beside.cpu_s()
        took = servers.send(self.load, server, self.source, requests)
        self._settle(server)
        ours, theirs = server.cpu_s() - ours, self.beside.cpu_s() - theirs
        return self.small / took.seconds, ours / self.small * 1e3, theirs / self.small * 1e3

    def _settle(self, server: Server) -> None:
        until = time.monotonic() + PATIENCE_S
        while server.jobs_left():
            assert time.monotonic() < until, "jobs are not done"
            time.sleep(0.1)
        for path in (server.root / "files").rglob("*"):
            if path.is_file():
                os.truncate(path, 0)
        os.sync()


def medians(rounds: Sequence[tuple[float, float, float]]) -> str:
    speed, ours, theirs = (statistics.median(column) for column in zip(*rounds, strict=True))
    return f"{speed:.0f} | {ours:.2f} | {theirs:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=512, help="MiB of the file sent in chunks")
    parser.add_argument("--small", type=int, default=2000, help="small files")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", default="1,2,3")
    parser.add_argument("--users", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    counts = [int(one) for one in given.processes.split(",")]
    with tempfile.TemporaryDirectory(dir=given.folder) as name, ExitStack() as stack:
        folder = Path(name)
        source = folder / "source"
        source.write_bytes(os.urandom(given.size * MIB))
        bench = Bench(
            servers.build_load(folder), source, given.small, stack.enter_context(beside(folder))
        )
        kinds: list[tuple[str, int, dict[str, str]]] = [("1, SQLite", 1, {})]
        kinds += [(str(count), count, bench.beside.settings(f"of{count}")) for count in counts]
        print(
            f"\nTaken in (load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores)\n\n"
            "| server processes | chunks, 8 at once, MB/s | CPU-s/GiB | PostgreSQL and Redis | 4 KiB files/s |"
            " CPU ms each | PostgreSQL and Redis |\n|---|---|---|---|---|---|---|"
        )
        for label, count, settings in kinds:
            with servers.haulier(folder / f"put{label}", processes=count, **settings) as server:
                whole = [bench.chunks(server) for _ in range(given.rounds)]
                small = [bench.files(server) for _ in range(given.rounds)]
                print(f"| {label} | {medians(whole)} | {medians(small)} |", flush=True)
        if given.seconds:
            bench_events.print_head()
            for label, count, settings in kinds:
                anew = bench.beside.settings(f"events{count}") if settings else {}
                listen(folder / f"ws{label}", label, count, anew, given.users, given.seconds)


def listen(
    root: Path, label: str, count: int, settings: dict[str, str], users: int, seconds: int
) -> None:
    """Print how late progress comes to ten sockets of each user."""
    with servers.haulier(root, processes=count, DURABILITY="chunk", **settings) as server:
        before = dict(os.environ)
        os.environ.update(settings)
        try:
            tokens = asyncio.run(bench_events.make_users(root, users))
        finally:
            os.environ.clear()
            os.environ.update(before)
        bench_events.measure(server, tokens, seconds, 10, named=label)


if __name__ == "__main__":
    main()
