"""A MAX double, a bot that talks to it without waiting between attempts, and files to send."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from haulier.max.api import Retries
from haulier.max.client import MaxClient
from haulier.testing.max_server import MaxServer
from haulier.testing.max_state import MaxState

AT_ONCE = Retries(attempts=4, wait_max_s=0)


@pytest.fixture
async def server() -> AsyncIterator[MaxServer]:
    async with MaxServer() as server:
        server.state.requests_per_s = server.state.messages_per_s = 10_000
        yield server
        assert server.state.leaks == [], "the token is the API's alone"


@pytest.fixture
def state(server: MaxServer) -> MaxState:
    return server.state


@pytest.fixture
async def client(server: MaxServer) -> AsyncIterator[MaxClient]:
    async with MaxClient(
        server.token,
        api_url=server.url,
        retries=AT_ONCE,
        requests_per_s=10_000,
        messages_per_s=10_000,
        stall_timeout_s=5,
    ) as client:
        yield client


@pytest.fixture
def make_file(tmp_path: Path) -> Callable[..., Path]:
    def make(name: str, size: int, head: bytes = b"") -> Path:
        path = tmp_path / name
        path.write_bytes(head + random.Random(name).randbytes(size - len(head)))
        return path

    return make
