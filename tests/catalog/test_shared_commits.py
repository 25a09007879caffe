"""Transactions that wait together for one writer of an SQLite file are committed together."""

from __future__ import annotations

import asyncio
import sqlite3
import threading

import pytest
from sqlalchemy import event

from catalogs import new_sqlite
from haulier.catalog.catalog import Catalog
from haulier.catalog.engines import parse_url, sqlite_writer
from haulier.catalog.shared_commits import SharedCommits
from haulier.catalog.transaction import Tx
from haulier.core.jobs import new_job
from haulier.core.records import utc_now
from haulier.errors import CatalogError, QuotaExceeded


@pytest.fixture
async def place(tmp_path):
    path = new_sqlite(tmp_path / "catalog.db")
    async with await Catalog.open(path):
        return path


class Held:
    """What is submitted while it is held waits together."""

    def __init__(self, path):
        self.engine = sqlite_writer(parse_url(path))
        self.commits = 0
        self.shared = SharedCommits(self.engine, self.alone)
        self._go_on = threading.Event()
        event.listen(self.engine, "commit", self._count)

    def __enter__(self):
        begun = threading.Event()

        def hold(_tx):
            begun.set()
            assert self._go_on.wait(60)

        self._first = self.shared.submit(hold)
        assert begun.wait(60)
        return self

    def __exit__(self, *_):
        self.go_on()
        self.shared.close()
        self.engine.dispose()

    def alone(self, work):
        with self.engine.begin() as connection:
            return work(Tx(connection))

    def go_on(self):
        self._go_on.set()
        self._first.result(60)

    def _count(self, _connection):
        self.commits += 1


def counter(path, name):
    with sqlite3.connect(path) as connection:
        rows = dict(connection.execute("SELECT name, value FROM counters"))
    connection.close()
    return rows.get(name, 0)


def count(name):
    def work(tx):
        tx.watch.count({name: 1})
        return name

    return work


async def test_those_that_wait_share_a_commit(place):
    with Held(place) as held:
        futures = [held.shared.submit(count("seen")) for _ in range(20)]
        held.go_on()
        assert [one.result(60) for one in futures] == ["seen"] * 20
        assert held.commits == 2
    assert counter(place, "seen") == 20


async def test_one_that_is_refused_leaves_the_others_alone(place):
    def refused(tx):
        tx.watch.count({"refused": 1})
        raise QuotaExceeded("it does not fit")

    with Held(place) as held:
        before, wrong, after = map(held.shared.submit, (count("a"), refused, count("b")))
        held.go_on()
        assert (before.result(60), after.result(60)) == ("a", "b")
        with pytest.raises(QuotaExceeded):
            wrong.result(60)
        assert held.commits == 2
    assert [counter(place, name) for name in ("a", "refused", "b")] == [1, 0, 1]


async def test_after_a_refusal_of_the_database_each_is_done_by_itself(place):
    job = new_job("scan", utc_now())
    async with await Catalog.open(place) as catalog:
        await catalog.transaction(lambda tx: tx.jobs.enqueue(job))
        works = [count("a"), lambda tx: tx.jobs.enqueue(job), count("b")]
        # Several rounds: whichever of them wait together.
        for _ in range(5):
            ended = await asyncio.gather(*map(catalog.transaction, works), return_exceptions=True)
            assert (ended[0], ended[2]) == ("a", "b")
            assert isinstance(ended[1], CatalogError)
    assert [counter(place, name) for name in "ab"] == [5, 5]


async def test_nothing_is_told_before_it_is_committed(place):
    told = []

    def work(tx):
        tx.watch.count({"told": 1})
        tx.after_commit(lambda: told.append(counter(place, "told")))

    with Held(place) as held:
        futures = [held.shared.submit(work) for _ in range(3)]
        held.go_on()
        for one in futures:
            one.result(60)
    assert told == [3, 3, 3]


async def test_one_that_is_cancelled_before_it_begins_is_not_done(place):
    with Held(place) as held:
        futures = [held.shared.submit(count("seen")) for _ in range(3)]
        assert futures[1].cancel()
        held.go_on()
        assert futures[2].result(60) == "seen"
    assert counter(place, "seen") == 2


async def test_many_at_once_are_all_kept(place):
    async with await Catalog.open(place) as catalog:
        await asyncio.gather(*(catalog.transaction(count("seen")) for _ in range(200)))
    assert counter(place, "seen") == 200
