"""Recordings on their way out: each on its own, tried again, gone on with, never sent twice."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from catalogs import new_sqlite
from haulier.catalog.catalog import Catalog
from haulier.coordination.events import MemoryEventBus
from haulier.core.accounts import Role
from haulier.core.alerts import ALERT_ABOVE
from haulier.errors import ConnectionLost, QuotaExceeded, RecordingConflict
from haulier.files.accounts import Accounts
from haulier.files.events import FileEvents
from haulier.files.reception import Reception
from haulier.journeys.recording.manager import OfflineAudioManager
from haulier.journeys.recording.opening import OpenedLater
from haulier.journeys.recording.sending import Bucket, OwnFiles
from haulier.journeys.recording.syncing import SENT_BYTES, UPLOADS, Syncing
from haulier.store.local import LocalStore
from haulier.store.s3 import S3Store
from haulier.testing.faults import Fault, FaultProxy
from recordings import SetClock, new_id, wav
from sessions_engine import build


class Network:
    """A sender in front of another; `down` is what it raises."""

    def __init__(self, behind):
        self.behind = behind
        self.down = None
        self.sent = []
        self.at_once = self.most_at_once = 0

    async def send(self, recording, path, progress, save):
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            await asyncio.sleep(0.01)
            if self.down is not None:
                raise self.down
            self.sent.append(recording.recording_id)
            return await self.behind.send(recording, path, progress, save)
        finally:
            self.at_once -= 1


@pytest.fixture
def clock():
    return SetClock()


@pytest.fixture
def manager(tmp_path, clock):
    return OfflineAudioManager(tmp_path / "recordings", now=clock)


@pytest.fixture
def network(tmp_path):
    return Network(Bucket(LocalStore(str(tmp_path / "there")), "memos/"))


@pytest.fixture
def counted():
    return Counter()


@pytest.fixture
async def syncing(manager, network, clock, counted):
    async def count(more):
        counted.update(more)

    async with Syncing(manager, network, count=count, at_once=3, now=clock) as syncing:
        yield syncing


async def saved(manager, count=1, sound=None):
    found = [
        await manager.save_recording("ann", new_id(), sound or wav(), "recap") for _ in range(count)
    ]
    return [one.recording_id for one in found]


async def send_all(syncing):
    begun = syncing.begin("ann", await syncing.queue_everything("ann"))
    return [await task for task in begun.values()]


async def test_several_at_a_time(manager, syncing, network, counted, tmp_path):
    ids = await saved(manager, 9)
    outcomes = await send_all(syncing)
    assert all(one.error is None and one.recording.status == "uploaded" for one in outcomes)
    assert network.most_at_once == 3
    for one in ids:
        assert (tmp_path / f"there/memos/ann/{one}.wav").read_bytes() == wav()
    assert await send_all(syncing) == []
    assert counted[UPLOADS["success"]] == 9
    assert counted[SENT_BYTES] == 9 * len(wav())


async def test_one_that_fails_spares_the_others(manager, syncing, network, tmp_path):
    good, bad, gone = await saved(manager, 3)
    path = await manager.audio_path("ann", bad)
    path.write_bytes(bytes(len(wav())))
    (await manager.audio_path("ann", gone)).unlink()
    outcomes = {one.recording.recording_id: one for one in await send_all(syncing)}
    assert outcomes[good].error is None
    assert "changed on the disk" in outcomes[bad].recording.error
    assert "is gone" in outcomes[gone].recording.error
    # Hopeless: they wait no longer, and their sound is as it was.
    assert await manager.get_upload_queue("ann") == []
    assert network.sent == [good]


async def test_what_failed_waits_longer_and_longer_and_that_outlives_a_restart(
    manager, syncing, network, clock
):
    [one] = await saved(manager)
    network.down = ConnectionLost("no network")
    [outcome] = await send_all(syncing)
    assert outcome.recording.status == "failed"
    assert outcome.recording.error == "no network"
    waits = [5, 10, 20, 40]
    for attempt, wait_s in enumerate(waits, 1):
        restarted = OfflineAudioManager(manager.directory, now=clock)
        [entry] = await restarted.get_upload_queue("ann")
        assert (entry.attempts, entry.last_error) == (attempt, "no network")
        assert entry.not_before == clock() + timedelta(seconds=wait_s)
        async with Syncing(restarted, network, now=clock) as again:
            assert await again.send_due() == []
            clock.time += timedelta(seconds=wait_s)
            if attempt == len(waits):
                network.down = None
            [outcome] = await again.send_due()
    assert outcome.recording.status == "uploaded"
    assert network.sent == [one]


async def test_an_hour_without_network(manager, syncing, network, counted, clock):
    await saved(manager, 2)
    await syncing.queue_everything("ann")
    network.down = ConnectionLost("no network")
    for _ in range(360):
        await syncing.send_due()
        clock.time += timedelta(seconds=10)
    assert 2 * 8 <= counted[UPLOADS["failure"]] <= 2 * 14
    network.down = None
    clock.time += timedelta(minutes=15)
    assert [one.error for one in await syncing.send_due()] == [None, None]


async def test_a_day_without_the_server_through_restarts(manager, network, clock):
    """It is asked ever less often, nothing is given up, and all is there soon after it is back."""
    ids = await saved(manager)
    network.down = ConnectionLost("no server")
    asked = 0
    for hour in range(24):
        restarted = OfflineAudioManager(manager.directory, now=clock)
        async with Syncing(restarted, network, now=clock) as syncing:
            if not hour:
                await syncing.queue_everything("ann")
            for _ in range(12):
                asked += len(await syncing.send_due())
                clock.time += timedelta(minutes=5)
    # Every 15 minutes in the end.
    assert 90 <= asked <= 105
    assert network.sent == []
    network.down = None
    clock.time += timedelta(minutes=15)
    async with Syncing(manager, network, now=clock) as syncing:
        assert [one.error for one in await syncing.send_due()] == [None]
    assert network.sent == ids
    assert await manager.get_upload_queue("ann") == []


async def test_a_clock_that_was_set_back_keeps_nobody_waiting(manager, syncing, network, clock):
    await saved(manager)
    network.down = ConnectionLost("no network")
    await send_all(syncing)
    network.down = None
    clock.pass_days(-400)
    [outcome] = await syncing.send_due()
    assert outcome.error is None


async def test_a_full_quota_is_tried_again(manager, syncing, network):
    await saved(manager)
    network.down = QuotaExceeded("full")
    await send_all(syncing)
    assert len(await manager.get_upload_queue("ann")) == 1


async def test_two_devices_at_once_send_each_once(manager, syncing, network, clock):
    ids = await saved(manager, 6)
    other = Syncing(OfflineAudioManager(manager.directory, now=clock), network, now=clock)
    both = await asyncio.gather(send_all(syncing), send_all(other))
    assert sorted(network.sent) == sorted(ids)
    for outcomes in both:
        for one in outcomes:
            assert one.error is None or one.error.code == "operation-busy"
    assert {one.status for one in await manager.list_recordings("ann")} == {"uploaded"}


async def test_what_is_there_already_is_taken_as_sent(manager, syncing, network, tmp_path):
    one, other = await saved(manager, 2)
    there = tmp_path / "there/memos/ann"
    there.mkdir(parents=True)
    (there / f"{one}.wav").write_bytes(wav(hz=300))
    outcomes = {o.recording.recording_id: o for o in await send_all(syncing)}
    assert isinstance(outcomes[one].error, RecordingConflict)
    assert (there / f"{one}.wav").read_bytes() == wav(hz=300)
    assert outcomes[other].error is None
    # Its metadata was lost: it is sent again, and found to be there.
    (manager.directory / f"ann/recordings/{other}.json").unlink()
    restarted = OfflineAudioManager(manager.directory)
    async with Syncing(restarted, network) as again:
        found = await again.send("ann", other)
    assert found.status == "uploaded"


async def test_what_became_a_file_here_before_that_was_noted_is_taken_as_sent(
    manager, clock, tmp_path
):
    """The process died between the two: the session that it had kept is complete."""
    async with await Catalog.open(new_sqlite(tmp_path / "data" / "catalog.db")) as catalog:
        ann = await Accounts(catalog).add("ann", Role.USER)
        events = FileEvents(MemoryEventBus())
        engine = build(tmp_path, catalog, ledger=Reception(events)).engine
        files = OwnFiles(engine, catalog)
        one = await manager.save_recording(ann.user_id, new_id(), wav(), "recap")
        path, kept = await manager.audio_path(ann.user_id, one.recording_id), {}

        async def save(progress):
            kept.update(progress)

        location = await files.send(one, path, {}, save)
        assert await files.send(one, path, dict(kept), save) == location
        stored = await catalog.read(lambda tx: tx.stored.by_owner(ann.user_id, None, 10))
        assert [one.name for one in stored] == [path.name]


async def test_something_unexpected_is_told_without_inner_paths(manager, syncing, network):
    await saved(manager)
    network.down = RuntimeError("/secret/path")
    [outcome] = await send_all(syncing)
    assert outcome.recording.error == "something went wrong inside haulier (RuntimeError)"
    assert len(await manager.get_upload_queue("ann")) == 1


async def test_a_place_that_is_away_is_opened_later(manager, clock, tmp_path):
    await saved(manager)
    tries = []

    async def open_sender():
        tries.append(1)
        if len(tries) == 1:
            raise ConnectionLost("away")
        return Bucket(LocalStore(str(tmp_path / "there")), "")

    async with Syncing(manager, OpenedLater(open_sender), now=clock) as syncing:
        [failed] = await send_all(syncing)
        assert failed.error.message == "away"
        [done] = await send_all(syncing)
        assert done.error is None


async def test_a_long_queue_is_told_once(manager, syncing, network, caplog):
    await saved(manager, ALERT_ABOVE + 1, b"\1\2\3\4" * 10)
    network.down = ConnectionLost("no network")
    caplog.set_level("WARNING", "haulier.recordings")
    await syncing.queue_everything("ann")
    for _ in range(2):
        await syncing.send_due()
    told = [one for one in caplog.messages if "wait to be sent" in one]
    assert told == [f"{ALERT_ABOVE + 1} recordings wait to be sent"]


@pytest.mark.servers
async def test_cut_in_the_middle_of_a_part_it_goes_on_behind_the_last(tmp_path, s3_server):
    """Parts that were stored before the network went are not sent again."""
    sound = wav(1)[:44] + bytes(range(256)) * (20 << 12)  # 20 MiB: three parts
    bucket = s3_server.make_bucket()
    manager = OfflineAudioManager(tmp_path / "recordings")
    one = (await manager.save_recording("ann", new_id(), sound, "recap")).recording_id
    faults = [Fault(method="PUT", pattern="partNumber=2", times=1, cut_after=1 << 20)]
    with FaultProxy(s3_server.endpoint_url, faults) as proxy:
        store = S3Store(bucket, access=replace(s3_server.access(), endpoint_url=proxy.url))
        async with Syncing(manager, Bucket(store, "")) as syncing:
            [cut] = await send_all(syncing)
            assert cut.recording.status == "failed"
            [entry] = await manager.get_upload_queue("ann")
            assert [part["number"] for part in entry.progress["parts"]] == [1]
            json.dumps(entry.progress)
            [done] = await send_all(syncing)
        assert done.error is None
        assert proxy.count("PUT", "partNumber=1") == 1
        async with store.get(f"ann/{one}.wav") as pieces:
            assert b"".join([piece async for piece in pieces]) == sound
        await store.aclose()


@pytest.mark.servers
async def test_a_network_that_comes_and_goes_gets_it_there_part_by_part(tmp_path, s3_server):
    """Each attempt is cut in the middle of another part, and sends none of those before it again."""
    sound = wav(1)[:44] + bytes(range(256)) * (30 << 12)  # 30 MiB: four parts
    manager = OfflineAudioManager(tmp_path / "recordings")
    one = (await manager.save_recording("ann", new_id(), sound, "recap")).recording_id
    cuts = [(1, 100), (1, 7 << 20), (2, 1 << 20), (3, 0), (3, 4 << 20), (4, 1 << 10)]
    faults = [
        Fault(method="PUT", pattern=f"partNumber={part}", times=1, cut_after=after)
        for part, after in cuts
    ]
    with FaultProxy(s3_server.endpoint_url, faults) as proxy:
        bucket = s3_server.make_bucket()
        store = S3Store(bucket, access=replace(s3_server.access(), endpoint_url=proxy.url))
        outcomes = []
        for _ in range(len(cuts) + 1):
            # As on a device that is switched off in between.
            restarted = OfflineAudioManager(manager.directory)
            async with Syncing(restarted, Bucket(store, "")) as syncing:
                outcomes += await send_all(syncing)
        assert [one.error is None for one in outcomes] == [False] * len(cuts) + [True]
        taken = [seen for seen in proxy.seen if seen.method == "PUT" and seen.status == 200]
        assert sum(seen.body_bytes for seen in taken) == len(sound)
        assert proxy.count("POST", "uploads") == 1
        async with store.get(f"ann/{one}.wav") as pieces:
            assert b"".join([piece async for piece in pieces]) == sound
        await store.aclose()
