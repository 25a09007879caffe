"""Hundreds of users at once: every byte of each arrives, nobody is sent away, memory is bounded."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import resource
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import pytest

from haulier.catalog.catalog import Catalog
from haulier.core.accounts import Role
from haulier.files.accounts import Accounts
from haulier.server.configured import tokens_of
from haulier.settings import Settings
from running_server import start, stop

KIB = 1 << 10
BLOCK = random.Random(21).randbytes(2 << 20)
SIZE = 320 * KIB
BEFORE_ALL_ARE_THERE = 256 * KIB
LEAST_FILES = 4096
SHELL = 'ulimit -Sn 256; exec "$@"'  # far too few, as some systems have it


@pytest.fixture
def many_files():
    """Let this process hold a connection to the server for each user."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard == resource.RLIM_INFINITY or hard >= LEAST_FILES, (
        f"this test needs {LEAST_FILES} open files; `ulimit -Hn` allows {hard}"
    )
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, LEAST_FILES), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def tokens_of_users(data: Path, count: int) -> list[str]:
    settings = Settings.load(data=data)
    tokens = tokens_of(settings)
    async with await Catalog.open(settings.catalog_url) as catalog:
        accounts = Accounts(catalog)
        users = [await accounts.add(f"user-{n}", Role.USER) for n in range(count)]
    return [tokens.issue(user, timedelta(hours=1)) for user in users]


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class Exchange:
    """One request on a connection of its own, and its answer."""

    def __init__(self, user: User, method: str, path: str, **headers: str) -> None:
        self._place = urlsplit(user.url)
        lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {user.token}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self._head = "\r\n".join([*lines, "Connection: close", "", ""]).encode()

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(
            self._place.hostname, self._place.port
        )
        await self.send(self._head)
        return self

    async def __aexit__(self, *_) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def send(self, piece: bytes) -> None:
        self._writer.write(piece)
        await self._writer.drain()

    async def answer(self) -> Answer:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])
        }
        body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        return Answer(int(head[0].split()[1]), headers, body)


@dataclass
class User:
    url: str
    token: str
    content: bytes

    async def upload(self, arrived: asyncio.Barrier) -> str:
        """Send the content by tus; all wait for all in the midst of it."""
        tus = {"Tus_Resumable": "1.0.0"}
        async with Exchange(
            self, "POST", "/tus/", Upload_Length=str(SIZE), Content_Length="0", **tus
        ) as creation:
            made = await creation.answer()
        assert made.status == 201, made
        path = f"/tus/{made.headers['location']}"
        async with Exchange(
            self,
            "PATCH",
            path,
            Upload_Offset="0",
            Content_Type="application/offset+octet-stream",
            Content_Length=str(SIZE),
            **tus,
        ) as sending:
            await sending.send(self.content[:BEFORE_ALL_ARE_THERE])
            sent = await self._wait_for_all(arrived, sending)
            await sending.send(self.content[sent:])
            done = await sending.answer()
        assert (done.status, done.headers["upload-offset"]) == (204, str(SIZE)), done
        return path

    async def _wait_for_all(self, arrived: asyncio.Barrier, sending: Exchange) -> int:
        """Wait, and let the server see from time to time that somebody is there."""
        waiting, sent = asyncio.ensure_future(arrived.wait()), BEFORE_ALL_ARE_THERE
        while not (await asyncio.wait({waiting}, timeout=10))[0]:
            await sending.send(self.content[sent : sent + 1])
            sent += 1
        return sent

    async def check(self, path: str) -> None:
        async with Exchange(self, "GET", path) as fetching:
            got = await fetching.answer()
        assert got.status == 200, got.status
        assert hashlib.sha256(got.body).digest() == hashlib.sha256(self.content).digest()


def memory_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def everybody(server, tokens):
    """Let all upload at once; returns what each connection took of memory while all were there."""
    pid = server.process.pid
    users = [
        User(server.url, token, BLOCK[n * 997 : n * 997 + SIZE]) for n, token in enumerate(tokens)
    ]
    idle = memory_bytes(pid)
    arrived = asyncio.Barrier(len(users) + 1)
    peak = 0

    async def measure():
        nonlocal peak
        await arrived.wait()
        peak = memory_bytes(pid)

    async def one(user):
        await user.check(await user.upload(arrived))

    await asyncio.gather(measure(), *map(one, users))
    return (peak - idle) / len(users)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.soak)])
async def test_all_of_them_send_at_once_and_get_what_they_sent(tmp_path, many_files, count):
    tokens = await tokens_of_users(tmp_path, count)
    server = start(tmp_path, inside=["sh", "-c", SHELL, "sh"], RATE_LIMIT_API="600/minute")
    try:
        began = time.monotonic()
        each_bytes = await everybody(server, tokens)
        print(
            f"{count} users: {time.monotonic() - began:.1f} s, server's CPU "
            f"{cpu_s(server.process.pid):.1f} s, {each_bytes / KIB:.0f} KiB for each connection"
        )
    finally:
        stop(server)
    assert each_bytes < 4 << 20
