"""What a catalog says while its database is away or busy, and that it goes on afterwards."""

from __future__ import annotations

import asyncio
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
