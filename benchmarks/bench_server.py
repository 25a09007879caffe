"""The file server beside nginx and @tus/server: uploads, downloads, finishing, locks, memory.

benchmarks/bench_server.py [--rounds 3] [--size 512] [--finish-gib 10] [--folder DIR]

Both sides run in the same minute on the same data. CPU is the server's own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import servers
from servers import Load, Server

MIB = 1 << 20
GB = 1e9
SMALL = 4 * MIB
TUS = "Tus-Resumable: 1.0.0"
OCTETS = "Content-Type: application/octet-stream"
PATCH = [TUS, "Content-Type: application/offset+octet-stream"]

Row = tuple[str, Callable[[int], Load]]


def ask(server: Server, method: str, path: str, body: object = None, **headers: str) -> tuple:
    """Return status, headers and the JSON of an answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.url + path, data, method=method)
    for name, value in {**server.headers, **headers}.items():
        request.add_header(name.replace("_", "-"), value)
    if data is not None:
        request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request) as answer:
        content = answer.read()
        return answer.status, answer.headers, json.loads(content) if content[:1] == b"{" else {}


def print_rows(title: str, rows: Sequence[Row], rounds: int) -> None:
    """Run each row in turn, `rounds` times; print medians and ratios to the first row."""
    found: dict[str, list[Load]] = {name: [] for name, _ in rows}
    for number in range(rounds):
        for name, run in rows:
            found[name].append(run(number))
    print(f"\n{title}\n\n| | MB/s | CPU-s/GB | wall ratio | CPU ratio |\n|---|---|---|---|---|")
    peer: tuple[float, float] | None = None
    for name, loads in found.items():
        speed = statistics.median(load.transferred_bytes / load.seconds / 1e6 for load in loads)
        cpu = statistics.median(load.server_cpu_s / (load.transferred_bytes / GB) for load in loads)
        ratios = " | " if peer is None else f"{speed / peer[0]:.2f}x | {peer[1] / cpu:.2f}x"
        peer = peer or (speed, cpu)
        print(f"| {name} | {speed:.0f} | {cpu:.2f} | {ratios} |", flush=True)


class Bench:
    """The servers that are compared, and a file to send."""

    def __init__(self, stack: ExitStack, folder: Path, size: int) -> None:
        self.folder = folder
        self.size = size
        self.load = servers.build_load(folder)
        self.source = folder / "source"
        self.source.write_bytes(os.urandom(size))
        modules = servers.node_packages(folder)
        self.fast = stack.enter_context(servers.haulier(folder / "none", DURABILITY="none"))
        self.safe = stack.enter_context(servers.haulier(folder / "chunk", DURABILITY="chunk"))
        self.nginx = stack.enter_context(servers.nginx(folder / "nginx"))
        self.node = stack.enter_context(servers.tus_server(folder / "tus", modules))

    def put(self, server: Server, path: str, piece: int, connections: int) -> Load:
        """PUT the source cut into files of `piece` bytes, over some connections."""
        requests = [
            (n % connections, "PUT", f"{path}/{n}", n * piece, piece, [OCTETS])
            for n in range(self.size // piece)
        ]
        return servers.send(self.load, server, self.source, requests)

    def chunks(self, server: Server, piece: int, connections: int) -> Load:
        """Send one file as chunks, the session begun beforehand."""
        _, _, begun = ask(
            server, "POST", "/upload/chunked/init", {"file_name": "a.bin", "file_size": self.size}
        )
        size, session = begun["chunk_size"], begun["file_id"]
        assert begun["total_chunks"] == -(-self.size // size), begun
        del piece
        requests = [
            (
                n % connections, "POST", f"/api/files/upload/{session}/chunk", n * size,
                min(size, self.size - n * size), [OCTETS, f"X-Chunk-Number: {n + 1}"],
            )
            for n in range(begun["total_chunks"])
        ]  # fmt: skip
        return servers.send(self.load, server, self.source, requests)

    def tus(self, server: Server, piece: int) -> Load:
        """Send the source by tus in pieces, one behind the other."""
        url = self.create_tus(server)
        requests = [
            (0, "PATCH", url, offset, min(piece, self.size - offset),
             [*PATCH, f"Upload-Offset: {offset}"])
            for offset in range(0, self.size, piece)
        ]  # fmt: skip
        return servers.send(self.load, server, self.source, requests)

    def create_tus(self, server: Server, size: int | None = None) -> str:
        """Begin a tus upload, of the source's size unless told; returns its path."""
        path = "/tus" if server is self.node else "/tus/"
        _, headers, _ = ask(
            server, "POST", path, Tus_Resumable="1.0.0", Upload_Length=str(size or self.size)
        )
        where = headers["Location"]
        return where.removeprefix(server.url) if "://" in where or where[0] == "/" else path + where

    def tuspy(self, server: Server) -> Load:
        """Send the source by the tuspy client, a process of its own, in 16 MB chunks."""
        path = "/tus" if server is self.node else "/tus/"
        code = (
            "import json,sys; from tusclient.client import TusClient;"
            "url, headers, source = sys.argv[1:];"
            "TusClient(url, headers=json.loads(headers)).uploader(source, chunk_size=16_000_000,"
            " metadata={'filename': 'a.bin'}).upload()"
        )
        before, began = server.cpu_s(), time.perf_counter()
        command = [sys.executable, "-c", code, server.url + path, json.dumps(server.headers)]
        subprocess.run([*command, self.source], check=True)
        return Load(time.perf_counter() - began, server.cpu_s() - before, self.size, 0)

    def get(self, server: Server, path: str, piece: int, connections: int) -> Load:
        """Fetch the file at `path` as ranges, twice."""
        ranges = [n * piece for n in range(self.size // piece)] * 2
        requests = [
            (n % connections, "GET", path, 0, 0, [f"Range: bytes={at}-{at + piece - 1}"])
            for n, at in enumerate(ranges)
        ]
        return servers.send(self.load, server, self.source, requests)

    def stored(self, server: Server) -> str:
        """Keep the source on the server; returns where it is downloaded."""
        name = "/download.bin" if server is self.nginx else "/api/content/download.bin"
        requests = [(0, "PUT", name, 0, self.size, [OCTETS])]
        servers.send(self.load, server, self.source, requests)
        if server is self.nginx:
            return name
        _, _, listed = ask(server, "GET", "/api/files?limit=1")
        return f"/api/files/{listed['items'][0]['id']}/download"

    def clear(self) -> None:
        """Remove what the rounds stored, so that the disk holds them all.

        Before that haulier's jobs may end: SHA-256 is theirs, and no part of an upload. What one
        server left to the disk is written then: a sync of the next one would wait for it.
        """
        for server in (self.fast, self.safe):
            while server.jobs_left():
                time.sleep(0.05)
        for server in (self.fast, self.safe):
            for path in (server.root / "files").rglob("*"):
                if path.is_file():
                    os.truncate(path, 0)
        for server in (self.nginx, self.node):
            for path in server.root.rglob("*"):
                if path.is_file():
                    os.truncate(path, 0)
        os.sync()


def upload_tables(bench: Bench, rounds: int) -> None:
    def cleared(run: Callable[[], Load]) -> Callable[[int], Load]:
        def once(_: int) -> Load:
            bench.clear()
            return run()

        return once

    pieces = 8 * MIB
    print_rows(
        f"{bench.size // MIB} MiB as 8 MiB bodies, 8 at once (goal: 0.7x of nginx's CPU, `none`)",
        [
            ("nginx PUT, no checksum", cleared(lambda: bench.put(bench.nginx, "/up", pieces, 8))),
            ("haulier chunks, `none`", cleared(lambda: bench.chunks(bench.fast, pieces, 8))),
            ("haulier chunks, `chunk`", cleared(lambda: bench.chunks(bench.safe, pieces, 8))),
            (
                "haulier PUT of files, `none`",
                cleared(lambda: bench.put(bench.fast, "/api/content/up", pieces, 8)),
            ),
        ],
        rounds,
    )
    for title, run in (
        ("tus in one PATCH", lambda server: bench.tus(server, bench.size)),
        ("tus in 16 MiB pieces", lambda server: bench.tus(server, 16 * MIB)),
        ("tus by tuspy, 16 MB chunks", bench.tuspy),
    ):
        print_rows(
            f"{bench.size // MIB} MiB by {title} (goal: 1.5x wall, 2x throughput per CPU second)",
            [
                ("@tus/server, never synced", cleared(lambda run=run: run(bench.node))),
                ("haulier, `chunk`", cleared(lambda run=run: run(bench.safe))),
                ("haulier, `none`", cleared(lambda run=run: run(bench.fast))),
            ],
            rounds,
        )
    bench.clear()


def download_tables(bench: Bench, rounds: int) -> None:
    theirs, ours = bench.stored(bench.nginx), bench.stored(bench.fast)
    for piece, connections in ((8 * MIB, 1), (8 * MIB, 8), (MIB, 8)):
        print_rows(
            f"Ranges of {piece // MIB} MiB, {connections} at once (goal: 0.8x wall)",
            [
                ("nginx, sendfile", lambda _, p=piece, c=connections: bench.get(bench.nginx, theirs, p, c)),
                ("haulier", lambda _, p=piece, c=connections: bench.get(bench.fast, ours, p, c)),
            ],
            rounds,
        )  # fmt: skip


def finish_table(bench: Bench, largest_gib: int, rounds: int) -> None:
    """How long the last chunk takes, which is one byte and finishes the session."""
    print("\nFinishing a session (goal: < 50 ms at 10 GiB)\n")
    print("| size | `none` ms | least | `chunk` ms | least |\n|---|---|---|---|---|")
    for size, times in ((60 * MIB, 5 * rounds), (largest_gib << 30, 1)):
        cells = []
        for server in (bench.fast, bench.safe):
            took = [_finish_ms(bench, server, size + 1) for _ in range(times)]
            cells += [f"{statistics.median(took):.0f}", f"{min(took):.0f}"]
        print(f"| {size / (1 << 30):.2g} GiB | {' | '.join(cells)} |", flush=True)


def _finish_ms(bench: Bench, server: Server, size: int) -> float:
    begin = {"file_name": "big.bin", "file_size": size}
    _, _, begun = ask(server, "POST", "/upload/chunked/init", begin)
    chunk, session = begun["chunk_size"], begun["file_id"]
    requests = []
    for n in range(begun["total_chunks"]):
        length = min(chunk, size - n * chunk)
        number = f"X-Chunk-Number: {n + 1}"
        path = f"/api/files/upload/{session}/chunk"
        offset = n * chunk % (bench.size - chunk)
        requests.append((n % 4, "POST", path, offset, length, [OCTETS, number]))
    servers.send(bench.load, server, bench.source, requests[:-1])
    os.sync()
    ended = servers.send(bench.load, server, bench.source, [requests[-1]])
    bench.clear()
    return ended.seconds * 1000


def lock_table(bench: Bench) -> None:
    """How long a second connection waits for an upload whose first one has died silently."""
    print("\nAn upload taken over from a dead connection (goal: < 500 ms)\n\n| | ms |\n|---|---|")
    for server in (bench.node, bench.safe):
        path = bench.create_tus(server)
        head = [f"PATCH {path} HTTP/1.1", "Host: localhost", *PATCH, "Upload-Offset: 0"]
        head += [f"{name}: {value}" for name, value in server.headers.items()]
        with socket.create_connection(("127.0.0.1", server.port)) as dead:
            dead.sendall("\r\n".join([*head, f"Content-Length: {bench.size}", "", ""]).encode())
            dead.sendall(bytes(4 * MIB))
            time.sleep(1)
            began = time.perf_counter()
            _, headers, _ = ask(server, "HEAD", path, Tus_Resumable="1.0.0")
            offset = int(headers["Upload-Offset"])
            rest = (0, "PATCH", path, offset, MIB, [*PATCH, f"Upload-Offset: {offset}"])
            servers.send(bench.load, server, bench.source, [rest])
            print(f"| {server.name} | {(time.perf_counter() - began) * 1000:.0f} |", flush=True)


def memory_table(bench: Bench) -> None:
    """What uploads that are under way, each after 2 MiB, add to the server's memory."""
    print("\nMemory of uploads under way (goal: < 4 MiB each)\n")
    print("| | uploads | idle MiB | each MiB |\n|---|---|---|---|")
    for server, count in ((bench.node, 100), (bench.safe, 100), (bench.safe, 1000)):
        idle, open_ones = server.memory_mib(), []
        for _ in range(count):
            path = bench.create_tus(server, SMALL)
            head = [f"PATCH {path} HTTP/1.1", "Host: localhost", *PATCH, "Upload-Offset: 0"]
            head += [f"{name}: {value}" for name, value in server.headers.items()]
            one = socket.create_connection(("127.0.0.1", server.port))
            one.sendall("\r\n".join([*head, f"Content-Length: {SMALL}", "", ""]).encode())
            open_ones.append(one)
        for _ in range(8):
            for one in open_ones:
                one.sendall(bytes(MIB // 4))
        time.sleep(1)
        each = (server.memory_mib() - idle) / len(open_ones)
        print(f"| {server.name} | {count} | {idle:.0f} | {each:.2f} |", flush=True)
        for one in open_ones:
            one.close()
    bench.clear()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=512, help="MiB of the file that is sent")
    parser.add_argument("--finish-gib", type=int, default=10, help="the largest session")
    parser.add_argument("--folder", type=Path, help="where the servers keep their files")
    arguments = parser.parse_args()
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    )
    print(f"load average at the start: {os.getloadavg()[0]:.2f}")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name, ExitStack() as stack:
        bench = Bench(stack, Path(name), arguments.size * MIB)
        upload_tables(bench, arguments.rounds)
        download_tables(bench, arguments.rounds)
        lock_table(bench)
        memory_table(bench)
        finish_table(bench, arguments.finish_gib, arguments.rounds)


if __name__ == "__main__":
    main()
