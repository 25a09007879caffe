"""Webhooks and the hook before uploads: a real server, and receivers that misbehave."""

from __future__ import annotations

import asyncio
import signal
from base64 import b64encode
from contextlib import asynccontextmanager

import httpx2
import pytest

from haulier.core.alerts import ALERT_ABOVE, CLEAR_AT
from haulier.core.webhooks import write_secret
from haulier.journeys.recording.manager import OfflineAudioManager
from people import add_user
from recordings import new_id
from running_server import start, stop
from webhook_receiver import Receiver

pytestmark = pytest.mark.processes

LOOPBACK = {"WEBHOOK_ALLOWED_HOSTS": "127.0.0.0/8"}
SECRET = write_secret(b"s" * 32)
TUS = {"Tus-Resumable": "1.0.0"}


@pytest.fixture
def data(tmp_path):
    for name, role in (("ann", "user"), ("root", "admin")):
        add_user(tmp_path, name, role)
    return tmp_path


class World:
    def __init__(self, data, **settings):
        self.data, self.settings = data, {**LOOPBACK, **settings}

    async def __aenter__(self):
        await self._start()
        return self

    async def __aexit__(self, *_):
        await self._stop(signal.SIGTERM)

    async def _start(self):
        self.server = await asyncio.to_thread(lambda: start(self.data, **self.settings))
        make = self.server.headers
        headers = {name: await asyncio.to_thread(make, name) for name in ("ann", "root")}
        self.ann, self.root = (
            httpx2.AsyncClient(base_url=self.server.url, headers=headers[name], timeout=60)
            for name in ("ann", "root")
        )

    async def _stop(self, number):
        await self.ann.aclose()
        await self.root.aclose()
        await asyncio.to_thread(stop, self.server, number)

    async def kill_and_start(self):
        await self._stop(signal.SIGKILL)
        await self._start()

    async def add(self, receiver, **more):
        made = await self.root.post("/api/webhooks", json={"url": receiver.url, **more})
        assert made.status_code == 201, made.text
        receiver.secrets.append(made.json()["secret"])
        return made.json()["id"]

    async def put(self, name="a.txt"):
        answer = await self.ann.put(f"/api/content/{name}", content=b"keep the light")
        return answer

    async def deliveries(self, webhook_id, **wanted):
        found = await self.root.get(f"/api/webhooks/{webhook_id}/deliveries", params=wanted)
        return found.json()["items"]

    async def until_delivery(self, webhook_id, **wanted):
        """The newest message once its fields are these."""
        while True:
            found = await self.deliveries(webhook_id)
            if found and all(found[0][name] == value for name, value in wanted.items()):
                return found[0]
            await asyncio.sleep(0.02)


@asynccontextmanager
async def asked(data, **settings):
    async with Receiver() as receiver:
        receiver.secrets.append(SECRET)
        hook = {"PRE_CREATE_HOOK_URL": receiver.url, "PRE_CREATE_HOOK_SECRET": SECRET}
        async with World(data, **{**hook, **settings}) as world:
            yield world, receiver


async def test_what_happens_to_a_file_is_told_and_signed(data):
    async with Receiver() as receiver, World(data) as world:
        webhook_id = await world.add(receiver)
        stored = (await world.put()).json()
        await world.ann.patch(f"/api/files/{stored['id']}", json={"tags": {"a": "b"}})
        await world.ann.post(f"/api/files/{stored['id']}/shares", json={})
        await world.ann.delete(f"/api/files/{stored['id']}")
        await receiver.until(lambda: "file.shared" in receiver.kinds())
        await receiver.until(lambda: "file.deleted" in receiver.kinds())
        await receiver.until(lambda: len(receiver.messages) >= 5)
        kinds = receiver.kinds()
        assert {"upload.started", "upload.completed", "file.created", "file.updated"} <= {*kinds}
        assert not receiver.forged
        created = next(one for _, one in receiver.messages if one["type"] == "file.created")
        assert created["data"]["file_id"] == stored["id"]
        assert created["data"]["name"] == "a.txt"
        assert created["data"]["owner_id"]
        done = await world.until_delivery(webhook_id, state="completed")
        assert (done["attempts"], done["error"]) == (1, None)
        # Its secret is in the answer that made it, and nowhere else.
        told = await world.root.get(f"/api/webhooks/{webhook_id}")
        assert "secret" not in told.json()
        assert receiver.secrets[0] not in told.text


async def test_only_what_was_asked_for_is_told_and_only_admins_may_ask(data):
    async with Receiver() as receiver, World(data) as world:
        await world.add(receiver, events=["file.deleted"])
        stored = (await world.put()).json()
        await world.ann.delete(f"/api/files/{stored['id']}")
        await receiver.until(lambda: receiver.messages)
        assert receiver.kinds() == ["file.deleted"]
        assert (await world.ann.get("/api/webhooks")).status_code == 403


async def test_failures_are_tried_again_under_the_same_id(data):
    async with Receiver() as receiver, World(data) as world:
        receiver.statuses = [500, 301]
        webhook_id = await world.add(receiver, events=["file.created"])
        await world.put()
        await receiver.until(lambda: receiver.messages)
        done = await world.until_delivery(webhook_id, state="completed")
        assert done["attempts"] == 3
        assert receiver.tries == [done["id"]] * 3
        assert not receiver.forged


async def test_killed_between_commit_and_delivery_nothing_is_lost(data):
    async with Receiver() as receiver, World(data) as world:
        receiver.gate.clear()
        await world.add(receiver, events=["file.created"])
        stored = (await world.put()).json()
        await receiver.until(lambda: receiver.tries)
        await world.kill_and_start()
        receiver.gate.set()
        # Once the lease of the dead has run out.
        await receiver.until(lambda: len(receiver.tries) > 1)
        await receiver.until(lambda: receiver.messages)
        assert len(set(receiver.tries)) == 1
        assert {message["data"]["file_id"] for _, message in receiver.messages} == {stored["id"]}


async def test_a_receiver_that_is_gone_is_left_alone(data):
    async with Receiver() as receiver, World(data) as world:
        receiver.status = 410
        webhook_id = await world.add(receiver, events=["file.created"])
        await world.put()
        failed = await world.until_delivery(webhook_id, state="failed")
        assert "410" in failed["error"]
        told = (await world.root.get(f"/api/webhooks/{webhook_id}")).json()
        assert told["disabled_at"] is not None
        await world.put("b.txt")
        assert len(await world.deliveries(webhook_id)) == 1

        receiver.status = 200
        place = f"/api/webhooks/{webhook_id}"
        assert (await world.root.patch(place, json={"disabled": False})).status_code == 200
        retry = f"{place}/deliveries/{failed['id']}/retry"
        assert (await world.root.post(retry)).status_code == 204
        await receiver.until(lambda: receiver.messages)
        assert receiver.messages[0][0] == failed["id"]
        await world.until_delivery(webhook_id, state="completed")
        assert (await world.root.post(retry)).status_code == 409


async def test_a_slow_receiver_keeps_no_other_waiting(data):
    async with (
        Receiver() as slow,
        Receiver() as quick,
        World(data, WEBHOOK_TIMEOUT_S="1") as world,
    ):
        slow.gate.clear()
        slow_id = await world.add(slow, events=["file.created"])
        await world.add(quick, events=["file.created"])
        for number in range(8):
            await world.put(f"{number}.txt")
        await quick.until(lambda: len(quick.messages) == 8)
        assert not slow.messages
        while not any(
            "within 1 s" in (one["error"] or "") for one in await world.deliveries(slow_id)
        ):
            await asyncio.sleep(0.05)


async def test_a_new_secret_and_the_one_before_both_verify(data):
    async with Receiver() as receiver, World(data) as world:
        webhook_id = await world.add(receiver, events=["file.created"])
        new = (await world.root.post(f"/api/webhooks/{webhook_id}/secret")).json()["secret"]
        assert new != receiver.secrets[0]
        await world.put()
        await receiver.until(lambda: receiver.messages)
        receiver.secrets = [new]
        await world.put("b.txt")
        await receiver.until(lambda: len(receiver.messages) == 2)
        assert not receiver.forged


async def test_private_addresses_and_nonsense_are_refused(data):
    async with World(data, WEBHOOK_ALLOWED_HOSTS="") as world:
        for url, status in (
            ("http://127.0.0.1/in", 403),
            ("http://169.254.169.254/latest", 403),
            ("http://[::1]/in", 403),
            ("http://0x7f000001/in", 403),
            ("ftp://93.184.215.14/in", 403),
            ("https://me:secret@93.184.215.14/in", 400),
            ("https://93.184.215.14/" + "a" * 3000, 422),
        ):
            answer = await world.root.post("/api/webhooks", json={"url": url})
            assert answer.status_code == status, (url, answer.text)
        wrong = {"url": "https://93.184.215.14/in", "events": ["job.completed"]}
        assert (await world.root.post("/api/webhooks", json=wrong)).status_code == 400
        # A name that leads inside is found out when it is resolved.
        made = await world.root.post("/api/webhooks", json={"url": "http://localhost:1/in"})
        await world.put()
        failed = await world.until_delivery(made.json()["id"], state="failed")
        assert "private" in failed["error"]
        assert failed["attempts"] == 1


async def test_the_hook_may_refuse_and_its_words_are_told(data):
    async with asked(data) as (world, receiver):
        assert (await world.put()).status_code == 201
        ((_, question),) = receiver.messages
        assert question["type"] == "upload.requested"
        told = question["data"]
        assert (told["name"], told["size"], told["owner"]) == ("a.txt", 14, "ann")

        receiver.body = {"allow": False, "message": "no\n light\x00 today"}
        refused = await world.put("b.txt")
        assert (refused.status_code, refused.json()["code"]) == (403, "upload-refused")
        assert refused.json()["detail"] == "no light today"
        start = {"json": {"name": "c", "size": 9}}
        for method, path, request in (
            ("POST", "/api/files/upload/start", start),
            ("POST", "/upload/chunked/init", {"json": {"file_name": "c", "file_size": 9}}),
            ("POST", "/tus/", {"headers": {**TUS, "Upload-Length": "9"}}),
            ("POST", "/resumable/", {"headers": {"Upload-Complete": "?0"}}),
        ):
            answer = await world.ann.request(method, path, **request)
            assert answer.status_code == 403, (path, answer.text)
        assert not receiver.forged
        names = {one["name"] for one in (await world.ann.get("/api/files")).json()["items"]}
        assert names == {"a.txt"}


async def test_of_joined_uploads_the_whole_is_asked_about(data):
    async with asked(data) as (world, receiver):
        receiver.body = {"allow": False, "message": "no"}
        parts = []
        for content in (b"keep ", b"light"):
            made = await world.ann.post(
                "/tus/",
                content=content,
                headers={
                    **TUS,
                    "Upload-Length": "5",
                    "Upload-Concat": "partial",
                    "Content-Type": "application/offset+octet-stream",
                },
            )
            assert made.status_code == 201
            parts.append("/tus/" + made.headers["location"].rpartition("/")[2])
        assert receiver.messages == []
        whole = {
            **TUS,
            "Upload-Concat": "final;" + " ".join(parts),
            "Upload-Metadata": "filename " + b64encode(b"joined").decode(),
        }
        assert (await world.ann.post("/tus/", headers=whole)).status_code == 403
        ((_, question),) = receiver.messages
        assert (question["data"]["name"], question["data"]["size"]) == ("joined", 10)
        receiver.body = {"allow": True}
        assert (await world.ann.post("/tus/", headers=whole)).status_code == 201


@pytest.mark.parametrize(("on_error", "status"), [("block", 503), ("allow", 201)])
@pytest.mark.parametrize("how", ["error", "slow", "nonsense"])
async def test_when_the_hook_does_not_answer_the_setting_decides(data, how, on_error, status):
    settings = {"PRE_CREATE_HOOK_TIMEOUT_S": "1", "PRE_CREATE_HOOK_ON_ERROR": on_error}
    async with asked(data, **settings) as (world, receiver):
        if how == "error":
            receiver.status = 500
        elif how == "slow":
            receiver.gate.clear()
        else:
            receiver.body = {"allow": "yes"}
        answer = await world.put()
        assert answer.status_code == status
        if status == 503:
            assert answer.json()["code"] == "hook-unavailable"
            assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("secret", ["", "hush"])
def test_a_hook_without_a_sound_secret_is_refused_at_the_start(data, secret):
    import subprocess

    from running_server import HAULIER, environment

    done = subprocess.run(
        [*HAULIER, "serve", "--port", "0", "--data", data],
        capture_output=True,
        text=True,
        timeout=60,
        env={
            **environment(),
            "PRE_CREATE_HOOK_URL": "http://127.0.0.1:1/",
            "PRE_CREATE_HOOK_SECRET": secret,
        },
        cwd=data,
    )
    assert done.returncode == 2
    assert "PRE_CREATE_HOOK_SECRET" in done.stderr
    assert "hush" not in done.stderr


async def test_a_queue_that_is_too_long_is_told(data):
    """Recordings wait for a server that is not there; those who watch over this one learn of it."""
    nobody = {"SYNC_TO": "http://127.0.0.1:9/", "SYNC_TOKEN": "t"}
    async with Receiver() as receiver, World(data, **nobody) as world:
        await world.add(receiver, events=["queue.alert", "queue.cleared"])
        user_id = (await world.ann.get("/auth/me")).json()["id"]
        ids = [new_id() for _ in range(ALERT_ABOVE + 1)]
        async with OfflineAudioManager(data / "recordings") as manager:
            for one in ids:
                await manager.save_recording(user_id, one, b"\1\2\3\4", "recap")
                await manager.queue_for_upload(user_id, one)
            await receiver.until(lambda: receiver.messages)
            assert receiver.messages[0][1]["type"] == "queue.alert"
            assert receiver.messages[0][1]["data"] == {"queue": "recordings", "pending": len(ids)}
            told = (await world.root.get("/metrics")).text
            assert 'haulier_queue_alert{queue="recordings"} 1.0' in told
            # An attempt that begins at that moment queues its recording again.
            while "queue.cleared" not in receiver.kinds():
                for one in ids[CLEAR_AT:]:
                    await manager.remove_from_queue(user_id, one)
                await asyncio.sleep(0.1)
        assert (
            'haulier_queue_alert{queue="recordings"} 0.0' in (await world.root.get("/metrics")).text
        )
