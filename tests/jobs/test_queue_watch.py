"""Queues that are too long are told once, by one of all processes, and told again when they are not."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta

import pytest

from haulier.catalog.catalog import Catalog
from haulier.coordination.events import MemoryEventBus
from haulier.core.accounts import Role
from haulier.core.alerts import ALERT_ABOVE, CLEAR_AT, is_too_long
from haulier.core.jobs import new_job
from haulier.core.records import utc_now
from haulier.files.access import topics_of
from haulier.files.accounts import Accounts
from haulier.files.events import FileEvents
from haulier.files.webhooks import DELIVERY, Webhooks
from haulier.jobs.queue_watch import QueueWatch
from haulier.net.guard import AddressGuard


class World:
    """A catalog, somebody who listens, and a queue of recordings as long as it is set."""

    def __init__(self, catalog, bus, heard, others):
        self.catalog, self.bus, self.heard, self.others = catalog, bus, heard, others
        self.webhooks = Webhooks(catalog, guard=AddressGuard())
        self.waiting = 0

    def watch(self, now=utc_now):
        """What a process that begins watches with."""

        async def recordings():
            return self.waiting

        tell = FileEvents(self.bus, write_down=self.webhooks.tell).queue_watched
        return QueueWatch(catalog=self.catalog, recordings=recordings, tell=tell, now=now)

    async def told(self):
        event = await self.heard.take(10)
        return event and (event.news.type, json.loads(event.text)["data"])

    async def jobs(self, count):
        def enqueue(tx):
            for _ in range(count):
                tx.jobs.enqueue(new_job("digest", utc_now()))

        await self.catalog.transaction(enqueue)


@pytest.fixture
async def world(tmp_path):
    bus = MemoryEventBus()
    async with await Catalog.open(tmp_path / "catalog.db") as catalog, AsyncExitStack() as stack:
        accounts = Accounts(catalog)
        admin, ann = await accounts.add("root", Role.ADMIN), await accounts.add("ann", Role.USER)
        heard = await stack.enter_async_context(bus.subscribe(topics_of(admin), None))
        others = await stack.enter_async_context(bus.subscribe(topics_of(ann), None))
        yield World(catalog, bus, heard, others)


def test_it_takes_more_to_begin_an_alert_than_to_go_on_with_it():
    assert not is_too_long(ALERT_ABOVE, was_too_long=False)
    assert is_too_long(ALERT_ABOVE + 1, was_too_long=False)
    assert is_too_long(CLEAR_AT + 1, was_too_long=True)
    assert not is_too_long(CLEAR_AT, was_too_long=True)


async def test_what_goes_up_and_down_around_the_limit_is_told_once(world):
    watch = world.watch()
    for world.waiting in (ALERT_ABOVE, ALERT_ABOVE + 1, ALERT_ABOVE, 81, ALERT_ABOVE + 1):
        await watch.look()
    assert await world.told() == ("queue.alert", {"queue": "recordings", "pending": 101})
    assert (await world.catalog.read(lambda tx: tx.totals())).alerts == {"recordings"}
    for world.waiting in (CLEAR_AT, CLEAR_AT + 1, ALERT_ABOVE):
        await watch.look()
    assert await world.told() == ("queue.cleared", {"queue": "recordings", "pending": 80})
    assert world.heard.is_over is False
    assert await world.heard.take(0) is None
    # It is the server's own affair.
    assert await world.others.take(0) is None


async def test_of_several_processes_one_tells_and_none_again_after_a_restart(world):
    world.waiting = ALERT_ABOVE + 1
    await asyncio.gather(*(world.watch().look() for _ in range(5)))
    await world.watch().look()
    assert await world.told() == ("queue.alert", {"queue": "recordings", "pending": 101})
    assert await world.heard.take(0) is None


async def test_jobs_that_wait_are_told_of_and_webhooks_too(world):
    await world.webhooks.add("https://example.org/in", ["queue.alert", "queue.cleared"])
    await world.jobs(ALERT_ABOVE + 1)
    await world.watch().look()
    assert await world.told() == ("queue.alert", {"queue": "jobs", "pending": 101})
    messages = await world.catalog.read(lambda tx: tx.jobs.of_kind(DELIVERY, ["pending"], 10))
    [payload] = [one.payload for one in messages]
    assert payload["type"] == "queue.alert"
    assert payload["data"] == {"queue": "jobs", "pending": 101}


async def test_what_is_counted_adds_up_whoever_counts(world):
    await asyncio.gather(
        *(world.catalog.transaction(lambda tx: tx.watch.count({"a": 2, "b": 1})) for _ in range(5))
    )
    assert (await world.catalog.read(lambda tx: tx.watch.counted())) == {"a": 10, "b": 5}


async def test_what_is_for_later_waits_for_nobody(world):
    def enqueue(tx):
        now = utc_now()
        for _ in range(ALERT_ABOVE + 1):
            tx.jobs.enqueue(replace(new_job("pack", now), not_before=now + timedelta(minutes=1)))

    await world.catalog.transaction(enqueue)
    await world.watch().look()
    assert (await world.catalog.read(lambda tx: tx.totals())).alerts == set()
    await world.watch(lambda: utc_now() + timedelta(minutes=2)).look()
    assert (await world.catalog.read(lambda tx: tx.totals())).alerts == {"jobs"}
