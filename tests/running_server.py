"""A real server in a process of its own, with users."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from people import add_people, token_of

HAULIER = [sys.executable, "-m", "haulier.cli.main"]


@dataclass
class Server:
    data: Path
    url: str
    process: subprocess.Popen[str]
    _tokens: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str) -> str:
        return run(self.data, *arguments)

    def token(self, name: str) -> str:
        if name not in self._tokens:
            self._tokens[name] = token_of(self.data, name)
        return self._tokens[name]

    def headers(self, name: str = "ann") -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(name)}"}


def environment() -> dict[str, str]:
    kept = {"PATH", "LANG", "HOME", "TMPDIR", "PYTHONPATH"}
    return {name: value for name, value in os.environ.items() if name in kept}


def run(data: Path, *arguments: str) -> str:
    done = subprocess.run(
        [*HAULIER, *arguments, "--data", data],
        capture_output=True,
        text=True,
        env=environment(),
        cwd=data,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def start(data: Path, *, inside: Sequence[str] = (), port: int = 0, **settings: str) -> Server:
    """Start a server; `inside` is a command that runs it."""
    process = subprocess.Popen(
        [*inside, *HAULIER, "serve", "--port", str(port), "--data", data],
        stdout=subprocess.PIPE,
        text=True,
        env={**environment(), "RATE_LIMIT_API": "1000000/minute", **settings},
        cwd=data,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("listening on http://127.0.0.1:"), line
    return Server(data, line.split()[-1], process)


def stop(server: Server, number: signal.Signals = signal.SIGTERM) -> int:
    server.process.send_signal(number)
    code = server.process.wait(90)
    assert server.process.stdout is not None
    server.process.stdout.close()
    return code


@asynccontextmanager
async def served(
    data: Path, number: signal.Signals = signal.SIGTERM, **settings: str
) -> AsyncIterator[httpx2.AsyncClient]:
    """Serve `data` while the block runs, to a client of ann's; `number` ends the server."""
    server = await asyncio.to_thread(lambda: start(data, **settings))
    headers = await asyncio.to_thread(server.headers)
    try:
        async with httpx2.AsyncClient(base_url=server.url, headers=headers, timeout=60) as http:
            yield http
    finally:
        await asyncio.to_thread(stop, server, number)


def haulier(
    data: Path, *arguments: str | Path, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run a command on a data directory, from the directory above it, whatever it comes to."""
    return subprocess.run(
        [*HAULIER, *arguments, "--data", data],
        capture_output=True,
        text=True,
        env={**environment(), **settings},
        cwd=data.parent,
        timeout=100,
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("server")
    add_people(data)
    running = start(data)
    yield running
    stop(running)
