"""Accounts of a running server as stores, each with nothing in it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import asynccontextmanager

import httpx2
import pytest

from haulier.store.haulier import HaulierStore
from people import add_user
from running_server import Server, start, stop


@pytest.fixture(scope="module")
def files_server(tmp_path_factory) -> Iterator[Server]:
    """A server of its own process, whose accounts come and go."""
    data = tmp_path_factory.mktemp("files")
    add_user(data, "root", "admin")
    running = start(data, RATE_LIMIT_SIGN_IN="1000000/minute")
    yield running
    stop(running)


def new_account(server, name=None, **account) -> tuple[str, str]:
    """Add an account; return its name and a token."""
    name, password = name or f"u{secrets.token_hex(6)}", secrets.token_urlsafe(16)
    with httpx2.Client(base_url=server.url, timeout=60) as http:
        made = http.post(
            "/api/admin/users",
            json={"name": name, "password": password, "role": "user", **account},
            headers=server.headers("root"),
        )
        assert made.status_code == 201, made.text
        pair = http.post("/auth/token", json={"username": name, "password": password})
        assert pair.status_code == 200, pair.text
        return name, pair.json()["access_token"]


def store_at(url: str, token: str) -> HaulierStore:
    """Return the files of whoever has `token`."""
    return HaulierStore.at(url, token)


@asynccontextmanager
async def opened(server, **account):
    """Open the files of a new account."""
    store = store_at(server.url, new_account(server, **account)[1])
    try:
        yield store
    finally:
        await store.aclose()
