"""Downloads over loopback: haulier fetch beside aria2c and curl.

    python benchmarks/bench_download.py [--size 1G] [--rounds 3]

First the plain file, then with the connection cut five times, then with it cut five times and the
file changed once on the server when half of it was sent (same size, another ETag). Everybody
ends with the file on the disk: what peers leave in the page cache is synced within their time.
The bytes that come out are compared with what the server has then.
"""

import argparse
import contextlib
import filecmp
import os
import re
import shutil
import socket
import sys
import tempfile
import threading
import urllib.request
from email.utils import formatdate
from pathlib import Path

from measure import Contender, Cost, compare, print_table, run_once, settle

CUTS = 5
OURS = "haulier fetch"
_SENT_AT_ONCE = 1 << 20


class Server:
    """Sends one of two versions of a file, in ranges, and cuts connections as told.

    `/plain/x`, `/cut/x` and `/change/x` are the three ways; `/reset` begins anew.
    """

    def __init__(self, versions: list[Path]) -> None:
        self.versions = versions
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self.reset()
        threading.Thread(target=self._accept, daemon=True).start()

    def reset(self) -> None:
        self.version, self.sent = 0, 0
        size = self.versions[0].stat().st_size
        self.cuts = [size * number // (CUTS + 1) for number in range(1, CUTS + 1)]

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        # A client that leaves is its own affair.
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as reader:
            while True:
                lines = []
                while (line := reader.readline()) not in {b"\r\n", b""}:
                    lines.append(line.decode("latin-1").strip())
                if not lines:
                    return
                if not self._answer(connection, lines):
                    return

    def _answer(self, connection: socket.socket, lines: list[str]) -> bool:
        method, path, _ = lines[0].split(" ")
        if path == "/reset":
            self.reset()
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            return True
        headers = {
            name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines[1:])
        }
        number = self.version
        etag = f'"v{number}"'
        with self.versions[number].open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            start, end, status = 0, size, "200 OK"
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", headers.get("range", ""))
            if asked and headers.get("if-range", etag) == etag:
                start, end = (
                    int(asked[1]),
                    min(int(asked[2] or size) + 1, size) if asked[2] else size,
                )
                status = "206 Partial Content"
            head = [
                f"HTTP/1.1 {status}", f"ETag: {etag}", "Accept-Ranges: bytes",
                f"Date: {formatdate(usegmt=True)}",
                f"Last-Modified: {formatdate(1_700_000_000 + 3600 * number, usegmt=True)}",
                f"Content-Length: {end - start}",
            ]  # fmt: skip
            if asked and status.startswith("206"):
                head.append(f"Content-Range: bytes {start}-{end - 1}/{size}")
            connection.sendall("\r\n".join([*head, "", ""]).encode())
            if method == "HEAD":
                return True
            return self._send(connection, file.fileno(), start, end, path.split("/")[1])

    def _send(self, connection: socket.socket, file: int, start: int, end: int, way: str) -> bool:
        while start < end:
            count = os.sendfile(connection.fileno(), file, start, min(_SENT_AT_ONCE, end - start))
            start += count
            if way == "plain":
                continue
            with self._lock:
                self.sent += count
                if way == "change" and self.sent >= self.versions[0].stat().st_size // 2:
                    self.version = 1
                if self.cuts and self.sent >= self.cuts[0]:
                    self.cuts.pop(0)
                    return False
        return True


def contenders(server: Server, way: str, out: Path) -> list[Contender]:
    url = f"http://127.0.0.1:{server.port}/{way}/out.bin"
    haulier = Path(sys.executable).with_name("haulier")

    def prepare() -> None:
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        urllib.request.urlopen(f"http://127.0.0.1:{server.port}/reset").close()

    commands = {
        OURS: f"{haulier} fetch {url} --to {out} --connections 4 --allow 127.0.0.1",
        "aria2c -x4": f"aria2c -q -x4 -s4 -k1M --max-tries=20 --retry-wait=0 --file-allocation=none "
        f"-d {out} -o out.bin {url} && sync {out}/out.bin",
        "curl": f"curl -sS -f -C - --retry 20 --retry-delay 1 --retry-all-errors -o {out}/out.bin {url} "
        f"&& sync {out}/out.bin",
    }
    return [Contender(name, command, prepare) for name, command in commands.items()]


def verdict(server: Server, out: Path) -> str:
    found = out / "out.bin"
    if not found.exists():
        return "no file"
    for number, version in enumerate(server.versions):
        if filecmp.cmp(found, version, shallow=False):
            return "right" if number == server.version else "whole, but the old version"
    return "WRONG BYTES, exit 0"


def survive(server: Server, way: str, rounds: int, env: dict[str, str], folder: Path) -> None:
    """Run each contender against a server that misbehaves, and look at what it made."""
    print("\n| | came out | wall s | CPU s |\n|---|---|---|---|")
    out = folder / "out"
    for contender in contenders(server, way, out):
        for _ in range(rounds):
            contender.prepare()
            settle()
            cost: Cost | None = None
            try:
                cost = run_once(contender.command, env=env, cwd=folder)
                outcome = verdict(server, out)
            except RuntimeError:
                outcome = "failed, said so"
            figures = "|" if cost is None else f"{cost.wall_s:.2f} | {cost.cpu_s:.2f}"
            print(f"| {contender.name} | {outcome} | {figures} |", flush=True)


def parse_size(text: str) -> int:
    return int(text[:-1]) << {"M": 20, "G": 30}[text[-1]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="1G")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--folder",
        type=Path,
        help="where the files are made; else the system's temporary directory",
    )
    arguments = parser.parse_args()
    size = parse_size(arguments.size)
    env = dict(os.environ)
    print(f"\nDownload of {arguments.size}, load average {os.getloadavg()[0]:.2f}")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        versions = [folder / "old", folder / "new"]
        for version in versions:
            with version.open("wb") as file:
                for _ in range(size >> 20):
                    file.write(os.urandom(1 << 20))
        server = Server(versions)
        out = folder / "out"
        costs = compare(
            contenders(server, "plain", out), rounds=arguments.rounds, env=env, cwd=folder
        )
        print_table("Nothing goes wrong (4 connections; curl has one)", costs, OURS)
        print(f"\nload average {os.getloadavg()[0]:.2f}")
        print(f"\nCut {CUTS} times:")
        survive(server, "cut", arguments.rounds, env, folder)
        print(f"\nCut {CUTS} times and changed once:")
        survive(server, "change", arguments.rounds, env, folder)


if __name__ == "__main__":
    main()
