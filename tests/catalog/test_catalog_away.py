"""What a catalog says while its database is away or busy, and that it goes on afterwards."""

from __future__ import annotations

import asyncio
import functools
import os
import socket
import sqlite3
import threading

import pytest
from sqlalchemy import text

from haulier.catalog import engines
from haulier.catalog.catalog import Catalog
from haulier.core.accounts import Role
from haulier.errors import CatalogUnavailable
from haulier.files.accounts import Accounts


async def test_postgres_that_went_away_is_told_and_found_again(own_postgres):
    async with await Catalog.open(own_postgres.url) as catalog:
        accounts, inside = Accounts(catalog), threading.Event()
        await accounts.add("ann", Role.USER)

        def dawdle(tx):
            tx.users.count()
            inside.set()
            tx._connection.execute(text("SELECT pg_sleep(600)"))

        under_way = asyncio.create_task(catalog.transaction(dawdle))
        await asyncio.to_thread(inside.wait)
        await asyncio.to_thread(own_postgres.crash)
        for asked in (under_way, accounts.count(), accounts.add("bob", Role.USER)):
            with pytest.raises(CatalogUnavailable) as told:
                await asked
            assert told.value.http_status == 503
            assert told.value.retry_after_s
        await asyncio.to_thread(own_postgres.start)
        assert [user.name for user in await accounts.list(None, 9)] == ["ann"]


@pytest.mark.servers
async def test_a_database_whose_host_vanished_is_given_up_soon(empty_postgres):
    def look(tx):
        # What a host that is switched off does can't be had here: that the system was told.
        descriptor = tx._connection.connection.driver_connection.fileno()
        with socket.socket(fileno=os.dup(descriptor)) as link:
            tcp = functools.partial(link.getsockopt, socket.IPPROTO_TCP)
            asked_s = tcp(socket.TCP_KEEPIDLE) + tcp(socket.TCP_KEEPINTVL) * tcp(socket.TCP_KEEPCNT)
            return asked_s, tcp(socket.TCP_USER_TIMEOUT) / 1000

    async with await Catalog.open(empty_postgres) as catalog:
        idle_s, sending_s = await catalog.read(look)
    assert 0 < idle_s <= 30
    assert 0 < sending_s <= 30


async def test_a_file_that_others_keep_busy_will_be_free_again(tmp_path, monkeypatch):
    monkeypatch.setattr(engines, "BUSY_TIMEOUT_S", 0.05)
    async with await Catalog.open(tmp_path / "catalog.db") as catalog:
        other = sqlite3.connect(tmp_path / "catalog.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(CatalogUnavailable, match="locked"):
            await Accounts(catalog).add("ann", Role.USER)
        other.rollback()
        other.close()
        await Accounts(catalog).add("ann", Role.USER)
