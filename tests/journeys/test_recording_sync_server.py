"""Recordings on their way to another haulier server, from one device and from two."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import AsyncExitStack, asynccontextmanager

import httpx2
import pytest

from catalogs import new_sqlite
from haulier.catalog.catalog import Catalog
from haulier.errors import ConfigurationError, UsageError
from haulier.journeys.recording.manager import OfflineAudioManager
from haulier.journeys.recording.opening import sender_of
from haulier.journeys.recording.syncing import Syncing
from haulier.settings import Settings, settings_table
from haulier.testing.faults import Fault, FaultProxy
from recordings import new_id, wav
from server_stores import new_account

pytestmark = pytest.mark.processes

SOUND = wav(seconds=20, rate=48_000)
ONE = "^/tus/[0-9a-z]+"


@pytest.fixture(autouse=True)
def _nothing_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for row in settings_table():
        monkeypatch.delenv(row.name, raising=False)


@pytest.fixture
def account(files_server):
    return new_account(files_server)


@pytest.fixture
def proxy(files_server):
    with FaultProxy(files_server.url) as made:
        yield made


@asynccontextmanager
async def device(root, to, token):
    """A machine with recordings of its own that sends them to `to`."""
    settings = Settings.load(data=root, SYNC_TO=to, SYNC_TOKEN=token)
    async with AsyncExitStack() as stack:
        catalog = await stack.enter_async_context(
            await Catalog.open(new_sqlite(root / "catalog.db"))
        )
        sender = sender_of(settings, catalog, stack, own_files=None)
        manager = OfflineAudioManager(root / "recordings")
        yield manager, await stack.enter_async_context(Syncing(manager, sender))


async def send_all(syncing):
    begun = syncing.begin("ann", await syncing.queue_everything("ann"))
    return [await task for task in begun.values()]


def files(server, token):
    headers = {"Authorization": f"Bearer {token}"}
    with httpx2.Client(base_url=server.url, headers=headers) as http:
        items = http.get("/api/files").json()["items"]
        got = [http.get(f"/api/files/{one['id']}/download").content for one in items]
        assert http.get("/api/files/upload").json()["items"] == []
    return [(one, hashlib.sha256(sound).hexdigest()) for one, sound in zip(items, got, strict=True)]


async def test_a_recording_becomes_a_file_there(tmp_path, files_server, account):
    async with device(tmp_path / "one", files_server.url, account[1]) as (manager, syncing):
        saved = await manager.save_recording("ann", new_id(), SOUND, "lecture")
        (outcome,) = await send_all(syncing)
        assert outcome.error is None
        assert outcome.recording.status == "uploaded"
    ((file, digest),) = files(files_server, account[1])
    assert (file["folder"], file["name"]) == ("recordings", saved.file_name)
    assert file["tags"] == {"mode": "lecture"}
    assert file["checksum"] == saved.checksum
    assert digest == hashlib.sha256(SOUND).hexdigest()


async def test_a_folder_may_be_named(tmp_path, files_server, account):
    to = f"{files_server.url}/memos/of%20ann/"
    async with device(tmp_path / "one", to, account[1]) as (manager, syncing):
        await manager.save_recording("ann", new_id(), SOUND, "recap")
        await send_all(syncing)
    ((file, _),) = files(files_server, account[1])
    assert file["folder"] == "memos/of ann"


async def test_two_devices_with_the_same_recording_send_it_once(
    tmp_path, files_server, proxy, account
):
    one = new_id()
    async with AsyncExitStack() as stack:
        both = [
            await stack.enter_async_context(device(tmp_path / name, proxy.url, account[1]))
            for name in ("phone", "laptop")
        ]
        for manager, _ in both:
            await manager.save_recording("ann", one, SOUND, "recap")
        outcomes = await asyncio.gather(*(send_all(syncing) for _, syncing in both))
    assert all(outcome.error is None for found in outcomes for outcome in found)
    ((file, digest),) = files(files_server, account[1])
    assert file["version"] == 1
    assert digest == hashlib.sha256(SOUND).hexdigest()


async def test_what_another_device_brought_is_not_sent(tmp_path, files_server, proxy, account):
    one = new_id()
    for name in ("phone", "laptop"):
        async with device(tmp_path / name, proxy.url, account[1]) as (manager, syncing):
            await manager.save_recording("ann", one, SOUND, "recap")
            (outcome,) = await send_all(syncing)
            assert outcome.error is None
    assert proxy.count("POST", "^/tus/") == 1
    assert sum(seen.body_bytes for seen in proxy.seen) == len(SOUND)


async def test_a_small_one_is_one_request(tmp_path, files_server, proxy, account):
    async with device(tmp_path / "one", proxy.url, account[1]) as (manager, syncing):
        await manager.save_recording("ann", new_id(), SOUND, "lecture")
        (outcome,) = await send_all(syncing)
        assert outcome.error is None
    assert [(one.method, one.body_bytes, one.status) for one in proxy.seen] == [
        ("POST", len(SOUND), 201)
    ]
    ((file, digest),) = files(files_server, account[1])
    assert file["tags"] == {"mode": "lecture"}
    assert digest == hashlib.sha256(SOUND).hexdigest()


@pytest.mark.parametrize(
    ("fault", "times_sent"),
    [
        (Fault(method="POST", pattern="^/tus/", lose_answer=True), 1),
        (Fault(method="POST", pattern="^/tus/", cut_after=100_000), 2),
        (Fault(method="POST", pattern="^/tus/", status=503), 1),
        (Fault(method="POST", pattern="^/tus/", corrupt_at=100_000), 2),
    ],
    ids=["answer lost", "cut", "refused for now", "altered on the way"],
)
async def test_one_request_that_failed(tmp_path, files_server, proxy, account, fault, times_sent):
    """It is asked what is there before anything is sent again."""
    proxy.faults.append(fault)
    async with device(tmp_path / "one", proxy.url, account[1]) as (manager, syncing):
        await manager.save_recording("ann", new_id(), SOUND, "lecture")
        (outcome,) = await send_all(syncing)
        assert outcome.error is None, outcome.error
    assert sum(one.body_bytes for one in proxy.seen) == times_sent * len(SOUND)
    headers = {"Authorization": f"Bearer {account[1]}"}
    async with httpx2.AsyncClient(base_url=files_server.url, headers=headers) as http:
        (file,) = (await http.get("/api/files")).json()["items"]
        got = (await http.get(f"/api/files/{file['id']}/download")).content
    assert file["version"] == 1
    assert got == SOUND


async def test_another_recording_of_that_id_is_left_alone(tmp_path, files_server, account):
    one = new_id()
    for name, sound in (("phone", SOUND), ("laptop", SOUND[:-2])):
        async with device(tmp_path / name, files_server.url, account[1]) as (manager, syncing):
            await manager.save_recording("ann", one, sound, "recap")
            (outcome,) = await send_all(syncing)
    assert outcome.error.code == "recording-conflict"
    ((_, digest),) = files(files_server, account[1])
    assert digest == hashlib.sha256(SOUND).hexdigest()


async def test_an_attempt_that_failed_is_gone_on_with(tmp_path, files_server, proxy, account):
    sound = wav(seconds=110, rate=48_000)
    assert len(sound) > 9 << 20, "more than one chunk"
    proxy.faults.append(Fault(method="PATCH", pattern=ONE, status=400, skip=1))
    root = tmp_path / "phone"
    async with device(root, proxy.url, account[1]) as (manager, syncing):
        await manager.save_recording("ann", new_id(), sound, "recap")
        (outcome,) = await send_all(syncing)
        assert outcome.error is not None
    async with device(root, proxy.url, account[1]) as (manager, syncing):
        (outcome,) = await send_all(syncing)
        assert outcome.error is None, outcome.error
    ((_, digest),) = files(files_server, account[1])
    assert digest == hashlib.sha256(sound).hexdigest()
    assert proxy.count("POST", "^/tus/") == 1
    taken = [one for one in proxy.seen if (one.method, one.status) == ("PATCH", 204)]
    assert sum(one.body_bytes for one in taken) == len(sound)


async def test_an_upload_that_expired_there_meanwhile_is_begun_anew(
    tmp_path, files_server, proxy, account
):
    """The server was gone for longer than it keeps what is unfinished."""
    sound = wav(seconds=110, rate=48_000)
    proxy.faults.append(Fault(method="PATCH", pattern=ONE, status=400, skip=1))
    root, bearer = tmp_path / "phone", {"Authorization": f"Bearer {account[1]}"}
    async with device(root, proxy.url, account[1]) as (manager, syncing):
        await manager.save_recording("ann", new_id(), sound, "recap")
        (outcome,) = await send_all(syncing)
        assert outcome.error is not None
    async with httpx2.AsyncClient(base_url=files_server.url, headers=bearer) as http:
        (begun,) = (await http.get("/api/files/upload")).json()["items"]
        gone = await http.delete(f"/tus/{begun['session_id']}", headers={"Tus-Resumable": "1.0.0"})
        assert gone.status_code == 204
    async with device(root, proxy.url, account[1]) as (manager, syncing):
        (outcome,) = await send_all(syncing)
        assert outcome.error is None, outcome.error
    ((_, digest),) = files(files_server, account[1])
    assert digest == hashlib.sha256(sound).hexdigest()


async def test_a_wrong_token_is_told_and_tried_again_later(tmp_path, files_server):
    async with device(tmp_path, files_server.url, "s3cret-t0ken") as (manager, syncing):
        await manager.save_recording("ann", new_id(), SOUND, "recap")
        (outcome,) = await send_all(syncing)
        assert outcome.error.code == "access-denied"
        (entry,) = await manager.get_upload_queue("ann")
        assert "s3cret" not in f"{entry.last_error}{outcome.error.hint}"


async def test_what_can_not_be_a_place_is_told_at_once(tmp_path):
    with pytest.raises(ConfigurationError, match="token") as caught:
        async with device(tmp_path, "https://files.example", None):
            pass
    assert "SYNC_TOKEN" in caught.value.hint
    with pytest.raises(UsageError):
        async with device(tmp_path, "https://ann:s3cret@files.example", "x"):
            pass
