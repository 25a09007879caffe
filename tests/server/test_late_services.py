"""PostgreSQL and Redis that come up after haulier does, as they may when a machine starts."""

from __future__ import annotations

import asyncio
import signal
import socket
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import httpx2
import pytest

from haulier.catalog.catalog import Catalog
from haulier.core.accounts import Role
from haulier.core.records import new_file_id
from haulier.core.sessions.session import Order, SessionStatus
from haulier.errors import CatalogUnavailable, CoordinationError
from haulier.files.accounts import Accounts
from haulier.files.tokens import Tokens
from haulier.server.catalogs import open_catalog
from haulier.server.upload_services import swept
from haulier.settings import Settings
from hosts import SECRET, Program
from redis_server import redis_locks
from sessions_engine import build

pytestmark = [pytest.mark.processes, pytest.mark.servers]


@contextmanager
def nobody():
    """A port at which nobody answers while the block runs."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


async def until_said(program, words):
    log = program.data / "log"
    async with asyncio.timeout(60):
        while not log.exists() or words not in log.read_text():
            await asyncio.sleep(0.02)


async def begun_without(postgres, program):
    """Begin a program while PostgreSQL is away; return what it says once that is there."""
    await asyncio.to_thread(postgres.crash)
    starting = asyncio.create_task(asyncio.to_thread(program.start))
    await until_said(program, "waiting for the catalog")
    await asyncio.to_thread(postgres.start)
    return await starting


async def test_a_server_waits_for_postgresql_and_says_so(tmp_path, own_postgres):
    settings = {"DATABASE_URL": own_postgres.url, "JWT_SECRET_KEY": SECRET}
    server = Program(["serve", "--port", "0"], tmp_path / "server", settings)
    said = await begun_without(own_postgres, server)
    try:
        url = said.removeprefix("listening on ")
        async with httpx2.AsyncClient(base_url=url, timeout=60) as http:
            assert (await http.get("/health/ready")).status_code == 200
        told = (server.data / "log").read_text()
        assert "PostgreSQL at " in told
        assert own_postgres.url not in told
    finally:
        assert await asyncio.to_thread(server.stop) == 0


async def test_a_server_without_redis_begins_and_goes_on_when_it_is_there(
    tmp_path, own_postgres, own_redis
):
    settings = {
        "DATABASE_URL": own_postgres.url,
        "REDIS_URL": own_redis.url,
        "JWT_SECRET_KEY": SECRET,
    }
    await asyncio.to_thread(own_redis.stop)
    server = Program(["serve", "--port", "0"], tmp_path / "server", settings)
    url = (await asyncio.to_thread(server.start)).removeprefix("listening on ")
    try:
        async with await Catalog.open(own_postgres.url) as catalog:
            user = await Accounts(catalog).add("ann", Role.USER)
        token = Tokens(SECRET).issue(user, timedelta(hours=1))
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=60) as http:
            assert (await http.get("/health/ready")).status_code == 503
            await asyncio.to_thread(own_redis.start)
            async with asyncio.timeout(60):
                while (await http.get("/health/ready")).status_code != 200:
                    await asyncio.sleep(0.1)
            assert (await http.put("/api/content/a", content=b"light")).status_code == 201
    finally:
        await asyncio.to_thread(server.stop)


async def test_what_a_crash_left_is_mended_later_where_redis_is_away(tmp_path):
    async with await Catalog.open(tmp_path / "catalog.db") as catalog:
        one = build(tmp_path, catalog)
        session = await one.start(5, order=Order.SEQUENTIAL)
        crashed = replace(session, status=SessionStatus.FINISHING, file_id=new_file_id())
        await catalog.transaction(lambda tx: tx.sessions.move(crashed, {SessionStatus.RECEIVING}))
        with nobody() as port:
            async with redis_locks(f"redis://127.0.0.1:{port}/0", "ours") as locks:
                without = build(tmp_path, catalog, locks=locks)
                with pytest.raises(CoordinationError):
                    await without.sweeper.sweep()
                async with swept(without.sweeper):
                    pass
        await one.stage.aclose()


async def test_a_worker_waits_for_postgresql_and_its_broker(tmp_path, own_postgres, own_redis):
    settings = {
        "DATABASE_URL": own_postgres.url,
        "REDIS_URL": own_redis.url,
        "JWT_SECRET_KEY": SECRET,
    }
    await asyncio.to_thread(own_redis.stop)
    worker = Program(["worker"], tmp_path / "worker", settings)
    await asyncio.to_thread(own_postgres.crash)
    starting = asyncio.create_task(asyncio.to_thread(worker.start))
    await until_said(worker, "waiting for the catalog")
    await asyncio.to_thread(own_postgres.start)
    await until_said(worker, "Redis does not answer")
    await asyncio.to_thread(own_redis.start)
    assert await starting == "ready for jobs"
    await asyncio.to_thread(worker.stop)


async def test_who_waits_can_be_stopped(tmp_path):
    with nobody() as port:
        settings = {"DATABASE_URL": f"postgresql://nobody@127.0.0.1:{port}/none"}
        server = Program(["serve", "--port", "0"], tmp_path / "server", settings)
        starting = asyncio.create_task(asyncio.to_thread(server.start))
        await until_said(server, "waiting for the catalog")
        server.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(server.process.wait, 60) == 0
        with pytest.raises(AssertionError, match="waiting for the catalog"):
            await starting
        server.process.stdout.close()


async def test_it_is_waited_for_longer_and_longer_and_not_for_ever(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    slept = []

    async def sleep(duration_s):
        slept.append(duration_s)

    with nobody() as port:
        monkeypatch.setenv("DATABASE_URL", f"postgresql://nobody@127.0.0.1:{port}/none")
        with pytest.raises(CatalogUnavailable):
            await open_catalog(
                Settings.load(data=tmp_path),
                patience_s=20,
                clock=lambda: sum(slept),
                sleep=sleep,
            )
    assert slept[:4] == [0.5, 1, 2, 4]
    assert sum(slept) == 20
    assert max(slept) == 5
