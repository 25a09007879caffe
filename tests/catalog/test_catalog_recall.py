"""What is remembered of the catalog, on both databases: never what has changed since."""

from __future__ import annotations

import asyncio
import sys

import pytest

from haulier.catalog.catalog import Catalog
from haulier.catalog.engines import parse_url
from haulier.catalog.recall import LONGEST_S, Recall
from haulier.core.accounts import Role, User
from haulier.core.records import utc_now


def user(role):
    return User(user_id="u" * 26, name="ann", role=role, created_at=utc_now())


class Reading:
    """Reads the role of ann, and counts how often."""

    def __init__(self, catalog):
        self.catalog = catalog
        self.count = 0

    async def role(self):
        def work(tx):
            self.count += 1
            return tx.users.by_name("ann").role

        return await self.catalog.recall("ann", work)


async def put(catalog, role):
    await catalog.transaction(lambda tx: tx.users.put(user(role)))


async def test_what_was_committed_is_seen_at_once(catalog, catalog_url):
    reading = Reading(catalog)
    async with await Catalog.open(catalog_url) as another:
        for writer in (catalog, another):
            for role in (Role.USER, Role.ADMIN, Role.VIEWER):
                await put(writer, role)
                assert await reading.role() is role
                assert await reading.role() is role


@pytest.mark.processes
async def test_what_another_process_commits_is_seen_at_once(tmp_path):
    path = tmp_path / "catalog.db"
    async with await Catalog.open(path) as catalog:
        await put(catalog, Role.USER)
        reading = Reading(catalog)
        assert await reading.role() is Role.USER
        code = (
            "import sqlite3, sys\n"
            "with sqlite3.connect(sys.argv[1]) as connection:\n"
            "    connection.execute('UPDATE users SET role = ?', ('admin',))"
        )
        program = await asyncio.create_subprocess_exec(sys.executable, "-c", code, path)
        assert await program.wait() == 0
        assert await reading.role() is Role.ADMIN


async def test_what_has_not_changed_is_read_once_from_sqlite(tmp_path):
    async with await Catalog.open(tmp_path / "catalog.db") as catalog:
        await put(catalog, Role.USER)
        reading = Reading(catalog)
        for _ in range(3):
            assert await reading.role() is Role.USER
        assert reading.count == 1


async def test_what_is_read_while_another_commits_is_not_remembered(tmp_path):
    async with await Catalog.open(tmp_path / "catalog.db") as catalog:
        await put(catalog, Role.USER)
        reading = Reading(catalog)
        # The commit falls between the look at the version and the read, or behind both.
        await asyncio.gather(reading.role(), put(catalog, Role.ADMIN))
        assert await reading.role() is Role.ADMIN


async def test_nothing_is_remembered_for_longer_than_a_second(tmp_path):
    now = 0.0
    path = tmp_path / "catalog.db"
    async with await Catalog.open(path):
        recall = Recall(parse_url(path), clock=lambda: now)
        recall.keep("a", recall.version(), "b")
        now += LONGEST_S / 2
        recall.version()
        assert recall.get("a") == "b"
        now += LONGEST_S / 2
        recall.version()
        assert recall.get("a") is None
        recall.close()


async def test_a_catalog_that_cannot_be_asked_is_not_remembered(tmp_path):
    assert Recall(parse_url(tmp_path / "missing" / "catalog.db")).version() is None
