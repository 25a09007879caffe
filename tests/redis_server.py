"""A real Redis for the tests: a process on a free loopback port that keeps nothing."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import signal
import socket
import subprocess
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from haulier.coordination.redis_events import RedisEventBus
from haulier.coordination.redis_link import RedisLink
from haulier.coordination.redis_locks import RedisLocks

START_TIMEOUT_S = 60


@dataclass
class RedisServer:
    directory: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        program = shutil.which("redis-server")
        assert program, "`make test-programs` installs redis-server"
        if not self.port:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                self.port = listener.getsockname()[1]
        options = (
            "--bind",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--save",
            "",
            "--appendonly",
            "no",
        )
        self.process = subprocess.Popen(
            [program, *options, "--logfile", "redis.log"], cwd=self.directory
        )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            assert self.process.poll() is None, (self.directory / "redis.log").read_text()
            assert time.monotonic() < deadline, "Redis did not start"
            time.sleep(0.02)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(90)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory):
    """A running Redis; tests tell their keys apart by a prefix."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_redis(tmp_path):
    """A Redis that a test may stop and start."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def redis_link(redis_server):
    async with a_link(redis_server.url, new_prefix()) as link:
        yield link


def new_prefix() -> str:
    return f"test-{secrets.token_hex(4)}:"


@asynccontextmanager
async def a_link(url: str, prefix: str):
    link = RedisLink(url, prefix=prefix)
    try:
        yield link
    finally:
        await link.aclose()


@asynccontextmanager
async def redis_bus(url: str, prefix: str, **more):
    """A bus as one process has it."""
    async with a_link(url, prefix) as link:
        bus = RedisEventBus(link, **more)
        running = asyncio.create_task(bus.run())
        try:
            assert await bus.ready(60)
            yield bus
            await bus.leave()
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


@asynccontextmanager
async def redis_locks(url: str, prefix: str, **more):
    """Locks as one process has them."""
    async with a_link(url, prefix) as link:
        locks = RedisLocks(link, **more)
        running = asyncio.create_task(locks.run())
        try:
            yield locks
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
