"""Transactions that PostgreSQL gives up for the sake of others."""

import asyncio
import threading

import psycopg
import pytest
from samples_catalog import file
from sqlalchemy import text

from haulier.catalog.catalog import Catalog
from haulier.core.records import FileStatus
from haulier.errors import CatalogError

pytestmark = pytest.mark.servers


async def test_a_deadlock_is_undone_and_the_loser_begins_again(empty_postgres):
    met = threading.Barrier(2)
    attempts = {"one": 0, "two": 0}

    def crossing(name, first, second):
        def work(tx):
            attempts[name] += 1
            tx.put_file(file(first, error_message=name))
            if attempts[name] == 1:
                met.wait(90)  # each holds its first record before it asks for the other's
            tx.put_file(file(second, error_message=name))
            return name

        return work

    async with (
        await Catalog.open(empty_postgres) as left,
        await Catalog.open(empty_postgres) as right,
    ):
        await left.transaction(lambda tx: tx.put_files([file(1), file(2)]))
        done = await asyncio.gather(
            left.transaction(crossing("one", 1, 2)), right.transaction(crossing("two", 2, 1))
        )
        assert done == ["one", "two"]
        assert sorted(attempts.values()) == [1, 2]
        # The loser came second, as a whole.
        loser = max(attempts, key=attempts.__getitem__)
        assert [(await left.get_file(file(n).id)).error_message for n in (1, 2)] == [loser] * 2
    with psycopg.connect(empty_postgres) as connection:
        counted = connection.execute(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        )
        assert counted.fetchone() == (1,)


async def test_a_serialization_failure_is_repeated(empty_postgres):
    attempts = 0

    def work(tx):
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            tx._connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            assert tx.get_file(file().id).status is FileStatus.PENDING  # takes the snapshot
            with psycopg.connect(empty_postgres) as other:
                other.execute("UPDATE files SET status = 'failed'")
        tx.put_file(file(status=FileStatus.COMPLETED))

    async with await Catalog.open(empty_postgres) as catalog:
        await catalog.transaction(lambda tx: tx.put_file(file(status=FileStatus.PENDING)))
        await catalog.transaction(work)
        assert attempts == 2
        assert (await catalog.get_file(file().id)).status is FileStatus.COMPLETED


async def test_conflicts_without_end_are_told(empty_postgres, monkeypatch):
    monkeypatch.setattr("haulier.catalog.engines._CONFLICT_ATTEMPTS", 3)
    attempts = 0

    def work(tx):
        nonlocal attempts
        attempts += 1
        tx._connection.execute(
            text("DO $$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = '40001'; END $$")
        )

    async with await Catalog.open(empty_postgres) as catalog:
        with pytest.raises(CatalogError, match="lost") as told:
            await catalog.transaction(work)
    assert attempts == 3
    assert told.value.http_status == 503
    assert "run the command again" in told.value.hint


async def test_other_failures_are_not_repeated(empty_postgres):
    attempts = 0

    def work(tx):
        nonlocal attempts
        attempts += 1
        tx._connection.execute(text("SELECT 1 / 0"))

    async with await Catalog.open(empty_postgres) as catalog:
        with pytest.raises(CatalogError, match="zero") as told:
            await catalog.transaction(work)
    assert attempts == 1
    assert told.value.http_status == 500
