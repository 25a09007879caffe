"""What is told of uploads and files, when, and to whom."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from catalogs import new_sqlite
from haulier.catalog.catalog import Catalog
from haulier.coordination.events import MemoryEventBus
from haulier.core.accounts import Role
from haulier.core.jobs import new_job
from haulier.core.records import utc_now
from haulier.core.sessions.session import Order
from haulier.errors import ChecksumMismatch
from haulier.files.access import topics_of, topics_of_job
from haulier.files.accounts import Accounts
from haulier.files.events import FileEvents
from haulier.files.reception import Reception
from haulier.files.upload_progress import UploadProgress
from haulier.transfer.sessions.engine import NewUpload
from redis_server import new_prefix, redis_bus
from sessions_engine import body_of, build


class World:
    """People who listen, and an engine whose uploads they are told of."""

    def __init__(self, catalog, engine, users, heard):
        self.catalog, self.engine, self.users, self.heard = catalog, engine, users, heard

    async def start(self, size, order=Order.CHUNKED, **more):
        return await self.engine.start(
            NewUpload(
                owner_id=self.users["ann"].user_id,
                name="clip.bin",
                size_bytes=size,
                order=order,
                **more,
            )
        )

    async def told(self, name):
        """What one of them was told since asked last."""
        await asyncio.sleep(0.01)  # what was committed in a thread comes into the loop
        found = []
        while (event := await self.heard[name].take(0)) is not None:
            found.append(json.loads(event.text))
        return [(one["type"], one["data"]) for one in found]


@pytest.fixture
async def world(tmp_path):
    bus = MemoryEventBus()
    async with (
        await Catalog.open(new_sqlite(tmp_path / "catalog.db")) as catalog,
        AsyncExitStack() as stack,
    ):
        parts = build(tmp_path, catalog, ledger=Reception(FileEvents(bus)))
        accounts = Accounts(catalog)
        users = {
            "ann": await accounts.add("ann", Role.USER),
            "bob": await accounts.add("bob", Role.USER),
            "root": await accounts.add("root", Role.ADMIN),
        }
        heard = {
            name: await stack.enter_async_context(bus.subscribe(topics_of(user)))
            for name, user in users.items()
        }
        yield World(catalog, parts.engine, users, heard)
        await parts.stage.aclose()


def kinds(told):
    return [kind for kind, _ in told if not kind.startswith("job.")]


async def test_an_upload_in_chunks_is_told_from_its_start_to_its_file(world):
    session = await world.start(3, chunk_size=2)
    session_id = session.session_id
    assert await world.told("ann") == [
        (
            "upload.started",
            {"session_id": session_id, "name": "clip.bin", "folder": "", "size": 3},
        )
    ]
    await world.engine.put_chunk(session_id, 2, body_of(b"c"))
    ((kind, data),) = await world.told("ann")
    assert kind == "upload.progress"
    assert data.pop("rate_bps") > 0
    assert data == {"session_id": session_id, "received_bytes": 1, "size": 3}
    made = await world.engine.put_chunk(session_id, 1, body_of(b"ab"))
    told = await world.told("ann")
    assert kinds(told)[-2:] == ["upload.completed", "file.created"]
    completed, created = [
        data for kind, data in told if kind in {"upload.completed", "file.created"}
    ]
    assert completed["session_id"] == session_id
    assert completed["file_id"] == created["file_id"] == made.session.file_id
    assert (created["name"], created["size"], created["version"]) == ("clip.bin", 3, 1)


async def test_progress_is_told_through_redis_as_well(tmp_path, redis_server):
    async with (
        redis_bus(redis_server.url, new_prefix()) as bus,
        await Catalog.open(new_sqlite(tmp_path / "catalog.db")) as catalog,
    ):
        parts = build(tmp_path, catalog, ledger=Reception(FileEvents(bus)))
        ann = await Accounts(catalog).add("ann", Role.USER)
        world = World(catalog, parts.engine, {"ann": ann}, {})
        told = []
        async with bus.subscribe(topics_of(ann)) as heard:
            session = await world.start(8, chunk_size=4)

            async def until(kind):
                while not told or told[-1]["type"] != kind:
                    event = await heard.take(60)
                    assert event is not None, told
                    told.append(json.loads(event.text))

            await until("upload.started")
            await parts.engine.put_chunk(session.session_id, 1, body_of(b"abcd"))
            await until("upload.progress")
            assert told[-1]["data"]["received_bytes"] == 4
            await parts.engine.put_chunk(session.session_id, 2, body_of(b"efgh"))
            await until("upload.completed")
        await parts.stage.aclose()


async def test_a_run_of_bytes_is_told_as_it_becomes_safe(world):
    session = await world.start(6, Order.SEQUENTIAL)
    await world.engine.append(session.session_id, 0, body_of(b"abcd"))
    told = await world.told("ann")
    assert kinds(told) == ["upload.started", "upload.progress"]
    assert told[-1][1]["received_bytes"] == 4


async def test_each_is_told_what_it_may_see(world):
    session = await world.start(1)
    await world.engine.put_chunk(session.session_id, 1, body_of(b"a"))
    assert await world.told("bob") == []
    # An upload under way is its owner's alone; of the file an admin knows.
    assert kinds(await world.told("root")) == ["file.created"]
    assert "upload.completed" in kinds(await world.told("ann"))


async def test_an_upload_that_ends_without_a_file_is_told(world):
    session = await world.start(2)
    await world.engine.cancel(session.session_id)
    told = await world.told("ann")
    assert kinds(told) == ["upload.started", "upload.failed"]
    assert told[-1][1]["status"] == "cancelled"
    session = await world.start(1, wanted_checksum="crc32:00000000")
    with pytest.raises(ChecksumMismatch):
        await world.engine.put_chunk(session.session_id, 1, body_of(b"a"))
    kind, data = (await world.told("ann"))[-1]
    assert (kind, data["status"]) == ("upload.failed", "failed")
    assert "crc32" in data["error"]


async def test_what_is_not_committed_is_not_told(world):
    bus = MemoryEventBus()
    events, job = FileEvents(bus), new_job("scan", utc_now())

    def refused(tx):
        events.job_changed(tx, job)
        raise ChecksumMismatch("no")

    async with bus.subscribe(topics_of_job(job)) as heard:
        with pytest.raises(ChecksumMismatch):
            await world.catalog.transaction(refused)
        await world.catalog.transaction(lambda tx: events.job_changed(tx, job))
        await asyncio.sleep(0.01)
        assert json.loads((await heard.take(0)).text)["type"] == "job.pending"
        assert await heard.take(0) is None


async def test_parts_to_be_joined_are_not_told_of(world):
    session = await world.start(1, Order.SEQUENTIAL, details={"partial": ""})
    await world.engine.append(session.session_id, 0, body_of(b"a"))
    await world.engine.cancel(session.session_id)
    assert await world.told("ann") == []


async def test_jobs_of_nobody_are_for_admins(world):
    job = new_job("tidy", utc_now())
    assert topics_of_job(job) & topics_of(world.users["root"])
    assert not topics_of_job(job) & topics_of(world.users["ann"])


# --- how often


async def paced(world, interval_s):
    told = []
    progress = UploadProgress(
        lambda _, received_bytes, rate_bps, since: told.append((received_bytes, rate_bps, since)),
        interval_s=interval_s,
    )
    return progress, told, await world.start(None)


async def test_the_first_state_is_told_at_once_and_the_newest_of_the_next_in_time(world):
    progress, told, session = await paced(world, 0.05)
    for received_bytes in (1, 2, 3, 4):
        progress.advanced(session, received_bytes, utc_now())
    assert [one[0] for one in told] == [1]
    while len(told) < 2:
        await asyncio.sleep(0.01)
    assert [one[0] for one in told] == [1, 4]


async def test_nothing_is_told_after_the_end(world):
    progress, told, session = await paced(world, 0.02)
    progress.advanced(session, 1, utc_now())
    progress.advanced(session, 2, utc_now())
    progress.ended(session.session_id)
    progress.advanced(session, 3, utc_now())
    await asyncio.sleep(0.05)
    assert [one[0] for one in told] == [1]
    assert not progress._paces


async def test_progress_never_goes_back(world):
    progress, told, session = await paced(world, 0)
    progress.advanced(session, 2, utc_now())
    progress.advanced(session, 1, utc_now())
    assert [one[0] for one in told] == [2]


async def test_what_came_before_this_process_is_not_counted_as_speed(world):
    progress, told, session = await paced(world, 0)
    progress.advanced(session, 1 << 40, utc_now())
    await asyncio.sleep(0.01)
    progress.advanced(session, (1 << 40) + 1, utc_now())
    assert [rate_bps < 1000 for _, rate_bps, _ in told] == [True, True]


async def test_ended_uploads_are_forgotten_after_a_while(world):
    progress, _, _ = await paced(world, 0)
    for number in range(3000):
        progress.ended(str(number))
    assert len(progress._ended) == 1000


async def test_uploads_that_end_elsewhere_are_not_remembered_for_ever(world):
    session, told = await world.start(None), []
    progress = UploadProgress(
        lambda session, *_: told.append(session.session_id), interval_s=0.02, most_under_way=10
    )
    for number in range(25):
        other = replace(session, session_id=f"{number}")
        progress.started(other)
        for received_bytes in (1, 2):
            progress.advanced(other, received_bytes, utc_now())
    assert len(progress._paces) == 10
    while len(told) < 50:  # also of those forgotten meanwhile the newest state is told
        await asyncio.sleep(0.01)
    progress.advanced(replace(session, session_id="0"), 3, utc_now())
    assert told[50:] == ["0"]
