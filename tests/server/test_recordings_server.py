"""The recordings API: kept at once, listed, counted, sent into one's files."""

from __future__ import annotations

import asyncio
import base64
import json
import signal
from contextlib import AsyncExitStack
from datetime import timedelta

import httpx2
import pytest

from haulier.catalog.catalog import Catalog
from haulier.core.accounts import Role
from haulier.files.accounts import Accounts
from haulier.server.configured import tokens_of
from haulier.settings import Settings
from people import add_user
from recordings import new_id, wav
from running_server import start, stop

SHAPE = {"recording_id", "status", "upload_endpoint"}


def prepared(data):
    for name, role in (("ann", "user"), ("bob", "user"), ("eve", "viewer")):
        add_user(data, name, role)
    return data


@pytest.fixture(scope="module")
def recorder(tmp_path_factory):
    data = prepared(tmp_path_factory.mktemp("recorder"))
    server = start(data, AUDIO_USER_LIMIT_MB="2", MAX_UPLOAD_SIZE_MB="1")
    server.token("ann")
    yield server
    stop(server)


@pytest.fixture
async def people(recorder):
    """A client for a user of one's own."""
    async with AsyncExitStack() as stack:
        settings = Settings.load(data=recorder.data)
        catalog = await stack.enter_async_context(await Catalog.open(settings.catalog_url))

        async def make():
            user = await Accounts(catalog).add(f"user{new_id()[:8]}", Role.USER)
            token = tokens_of(settings).issue(user, timedelta(hours=1))
            headers = {"Authorization": f"Bearer {token}"}
            client = httpx2.AsyncClient(base_url=recorder.url, headers=headers)
            return await stack.enter_async_context(client)

        yield make


async def save(http, sound=None, **query):
    answer = await http.post("/upload/offline/save", params=query, content=sound or wav())
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_body_or_a_form_is_kept(people, recorder):
    http = await people()
    one = await save(http, mode="lecture")
    assert one == {
        "recording_id": one["recording_id"], "status": "recorded", "file_size": len(wav()),
    }  # fmt: skip
    answer = await http.post(
        "/upload/offline/save",
        files={"file": ("x.wav", wav(hz=300), "audio/wav")},
        data={"mode": "meeting", "recording_id": (form_id := new_id())},
    )
    assert answer.status_code == 201, answer.text
    assert answer.json()["recording_id"] == form_id
    listed = (await http.get("/upload/offline/recordings")).json()
    assert [(found["recording_id"], found["mode"]) for found in listed] == [
        (form_id, "meeting"), (one["recording_id"], "lecture"),
    ]  # fmt: skip
    assert listed[0]["format"] == "wav"
    owner = (await http.get("/auth/me")).json()["id"]
    home = recorder.data / "recordings" / owner / "recordings"
    assert (home / f"{form_id}.wav").read_bytes() == wav(hz=300)
    assert json.loads((home / f"{form_id}.json").read_text()) == listed[0]
    # Nothing left for the files: that is what sync is for.
    assert (await http.get("/api/files")).json()["items"] == []


async def test_saving_again_is_harmless(people):
    http = await people()
    query = {"recording_id": new_id()}
    for status in (201, 200, 200):
        answer = await http.post("/upload/offline/save", params=query, content=wav())
        assert answer.status_code == status
    answer = await http.post("/upload/offline/save", params=query, content=wav(hz=300))
    assert (answer.status_code, answer.json()["code"]) == (409, "recording-conflict")
    assert len((await http.get("/upload/offline/recordings")).json()) == 1


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        ({"content": b""}, 400, "validation"),
        ({"content": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(20)}, 415, "unsupported-content"),
        ({"content": wav(), "params": {"recording_id": "../../x"}}, 400, "validation"),
        ({"content": wav(), "params": {"mode": "m" * 65}}, 422, "schema"),
        ({"content": wav(), "params": {"mode": "a\nb"}}, 400, "validation"),
        ({"files": {"other": ("x", wav())}}, 400, "validation"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400, "validation"),
        (
            {"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=a"}},
            400, "validation",
        ),
        ({"content": bytes((1 << 20) + 1)}, 413, "file-size"),
        ({"content": bytes(2 << 20)}, 413, "file-size"),
        ({"files": {"file": ("x", bytes((1 << 20) + 1))}}, 413, "file-size"),
    ],
)  # fmt: skip
async def test_what_can_not_be_kept(people, request_, status, code):
    http = await people()
    answer = await http.post("/upload/offline/save", **request_)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await http.get("/upload/offline/recordings")).json() == []


async def test_a_form_of_unknown_length_does_not_fill_the_disk(people):
    http = await people()

    async def endless():
        yield b'--a\r\ncontent-disposition: form-data; name="file"; filename="x"\r\n\r\n'
        for _ in range(100):
            yield bytes(64 << 10)

    answer = await http.post(
        "/upload/offline/save",
        content=endless(),
        headers={"content-type": "multipart/form-data; boundary=a"},
    )
    assert answer.status_code == 413


async def test_the_limit_of_a_user(people):
    http = await people()
    for _ in range(2):
        await save(http, wav(60))  # 938 KiB
    answer = await http.post("/upload/offline/save", content=wav(60))
    assert (answer.status_code, answer.json()["code"]) == (413, "quota-exceeded")
    stats = (await http.get("/upload/offline/storage-stats")).json()
    assert (stats["files"], stats["bytes"], stats["limit_bytes"]) == (2, 2 * len(wav(60)), 2 << 20)
    assert stats["by_status"]["recorded"] == 2
    assert stats["free_bytes"] > 0


async def test_pages(people):
    http = await people()
    ids = [(await save(http))["recording_id"] for _ in range(5)]
    seen, url = [], "/upload/offline/recordings?limit=2&status=recorded"
    pages = 0
    while url:
        answer = await http.get(url)
        seen += [one["recording_id"] for one in answer.json()]
        url = answer.links.get("next", {}).get("url")
        pages += 1
    assert (seen, pages) == (ids[::-1], 3)
    assert (await http.get("/upload/offline/recordings?status=lost")).status_code == 422
    assert (await http.get("/upload/offline/recordings?status=failed")).json() == []


async def test_sync_makes_files_of_them(people):
    http = await people()
    ids = [(await save(http, mode="lecture"))["recording_id"] for _ in range(6)]
    answer = await http.post("/upload/offline/sync", params={"wait": 20})
    assert answer.status_code == 202
    told = answer.json()
    assert (told["synced"], told["failed"], told["pending"]) == (6, 0, 0)
    assert {one["recording_id"] for one in told["recordings"]} == set(ids)
    for one in told["recordings"]:
        assert set(one) >= SHAPE
        assert one["upload_endpoint"] == f"/upload/sync/{one['recording_id']}"
    files = (await http.get("/api/files")).json()["items"]
    assert {(one["name"], one["folder"], one["tags"]["mode"]) for one in files} == {
        (f"{each}.wav", "recordings", "lecture") for each in ids
    }
    content = await http.get(f"/api/files/{files[0]['id']}/download")
    assert content.content == wav()
    # Everything is there: nothing is sent again.
    again = (await http.post("/upload/offline/sync", params={"wait": 20})).json()
    assert again == {"synced": 0, "failed": 0, "pending": 0, "recordings": []}
    assert (await http.get("/upload/offline/queue")).json() == []
    stats = (await http.get("/upload/offline/storage-stats")).json()
    assert stats["files"] == 6, "sound stays after the upload"


async def test_without_waiting_it_goes_on_by_itself(people):
    http = await people()
    await save(http)
    told = (await http.post("/upload/offline/sync")).json()
    assert (told["synced"], told["failed"], told["pending"]) == (0, 0, 1)
    async with asyncio.timeout(60):
        while not (await http.get("/api/files")).json()["items"]:
            await asyncio.sleep(0.05)


async def test_one_is_sent_and_sending_again_is_harmless(people):
    http = await people()
    one = (await save(http))["recording_id"]
    other = (await save(http))["recording_id"]
    for _ in range(2):
        answer = await http.post(f"/upload/sync/{one}")
        assert answer.status_code == 200
        assert answer.json()["status"] == "uploaded"
        assert set(answer.json()) == {"recording_id", "status", "job_id"}
    assert len((await http.get("/api/files")).json()["items"]) == 1
    for missing in (new_id(), "x"):
        assert (await http.post(f"/upload/sync/{missing}")).status_code == 404
    listed = (await http.get("/upload/offline/recordings?status=recorded")).json()
    assert [found["recording_id"] for found in listed] == [other]


async def test_two_devices_sync_at_once(people):
    """Each recording becomes one file, whoever comes first."""
    http = await people()
    for _ in range(5):
        await save(http)
    both = await asyncio.gather(
        *(http.post("/upload/offline/sync", params={"wait": 20}) for _ in range(2))
    )
    assert all(one.json()["failed"] == 0 for one in both)
    async with asyncio.timeout(60):
        while (await http.get("/upload/offline/queue")).json():
            await asyncio.sleep(0.05)
    assert len((await http.get("/api/files")).json()["items"]) == 5


async def test_another_file_of_its_name_is_told(people):
    http = await people()
    one = (await save(http))["recording_id"]
    await http.put(f"/api/content/recordings/{one}.wav", content=b"something else")
    told = (await http.post("/upload/offline/sync", params={"wait": 20})).json()
    assert told["failed"] == 1
    [failed] = told["recordings"]
    assert (failed["status"], "another file" in failed["error"]) == ("failed", True)
    # Hopeless: it waits no longer, and the sound is kept.
    assert (await http.get("/upload/offline/queue")).json() == []
    assert (await http.post(f"/upload/sync/{one}")).status_code == 409


async def test_killed_while_it_syncs(tmp_path):
    data = prepared(tmp_path)
    server = await asyncio.to_thread(start, data)
    headers = server.headers("ann")
    async with httpx2.AsyncClient(base_url=server.url, headers=headers) as http:
        ids = {(await save(http, wav(60)))["recording_id"] for _ in range(20)}
        await http.post("/upload/offline/sync")
    await asyncio.to_thread(stop, server, signal.SIGKILL)
    server = await asyncio.to_thread(start, data)
    try:
        async with httpx2.AsyncClient(base_url=server.url, headers=headers) as http:
            async with asyncio.timeout(60):
                while (await http.get("/upload/offline/queue")).json():
                    await asyncio.sleep(0.1)
            files = (await http.get("/api/files")).json()["items"]
            assert {one["name"] for one in files} == {f"{each}.wav" for each in ids}
            assert len(files) == 20
    finally:
        await asyncio.to_thread(stop, server)


async def test_analysis(people):
    http = await people()
    one = (await save(http, wav(2)))["recording_id"]
    answer = await http.post(f"/upload/analyze/{one}")
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "current_format": "wav", "current_size": len(wav(2)), "recommended_format": "wav",
        "estimated_size": len(wav(2)), "compression_ratio": 1.0, "estimated_time_minutes": 0.0,
        "bandwidth_saved": 0,
    }  # fmt: skip
    other = (await save(http, b"no sound" * 99))["recording_id"]
    assert (await http.post(f"/upload/analyze/{other}")).status_code in {415, 422}
    assert (await http.post("/upload/analyze/x")).status_code == 404


async def test_after_the_upload_it_is_worked_on(people):
    http = await people()
    one = (await save(http, wav(1)))["recording_id"]
    job_id = (await http.post(f"/upload/sync/{one}")).json()["job_id"]
    async with asyncio.timeout(60):
        while True:
            [found] = (await http.get("/upload/offline/recordings")).json()
            if found["status"] == "completed":
                break
            await asyncio.sleep(0.1)
    job = (await http.get(f"/api/jobs/{job_id}")).json()
    assert job["status"] == "completed"
    assert job["result"]["steps"]["probe"]["result"]["duration_s"] == 1.0
    assert (await http.post(f"/upload/sync/{one}")).json()["job_id"] == job_id


async def put_by_tus(http, sound, name, *, folder="recordings", **tags):
    """Send a file as the web app sends recordings; return it."""
    told = {"filename": name, "folder": folder, "tags": json.dumps(tags)}
    pairs = [f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in told.items()]
    headers = {
        "Tus-Resumable": "1.0.0", "Upload-Length": str(len(sound)),
        "Upload-Metadata": ",".join(pairs), "Content-Type": "application/offset+octet-stream",
    }  # fmt: skip
    assert (await http.post("/tus/", headers=headers, content=sound)).status_code == 201
    found = await http.get("/api/files", params={"folder": folder, "name": name})
    return found.json()["items"][0]


async def work_on(http, file):
    """The jobs that work on a file as on a recording."""
    jobs = (await http.get(f"/api/files/{file['id']}/jobs")).json()["items"]
    return [one for one in jobs if one["kind"] == "recording-file"]


async def test_one_that_comes_as_a_file_is_worked_on_as_well(people, recorder):
    http = await people()
    file = await put_by_tus(http, wav(1), "Monday.wav", mode="lecture")
    async with asyncio.timeout(60):
        while (job := (await work_on(http, file))[0])["status"] != "completed":
            assert job["status"] in {"pending", "running"}, job
            await asyncio.sleep(0.1)
    assert (await http.get(f"/api/jobs/{job['id']}")).json() == job
    steps = job["result"]["steps"]
    assert steps["probe"]["result"]["duration_s"] == 1.0
    assert {name for name, one in steps.items() if one["state"] == "done"} >= {
        "probe", "loudness", "waveform", "opus",
    }  # fmt: skip
    made = recorder.data / "recordings" / ".files" / file["id"]
    assert (made / "recording.opus").stat().st_size == steps["opus"]["result"]["bytes_after"]
    # It was never kept here to be sent: the list of those does not name it.
    assert (await http.get("/upload/offline/recordings")).json() == []
    # What was made of it goes with it.
    assert (await http.delete(f"/api/files/{file['id']}")).status_code == 204
    assert made.exists()
    assert (await http.delete(f"/api/trash/{file['id']}")).status_code == 204
    async with asyncio.timeout(60):
        while made.exists():
            await asyncio.sleep(0.1)


async def test_others_are_not_worked_on_nor_is_one_twice(people):
    http = await people()
    for folder, tags in (("talks", {"mode": "lecture"}), ("recordings", {"of": "Monday"})):
        file = await put_by_tus(http, wav(), "x.wav", folder=folder, **tags)
        assert await work_on(http, file) == []
    one = (await save(http))["recording_id"]
    assert (await http.post(f"/upload/sync/{one}")).status_code == 200
    asked = {"folder": "recordings", "name": f"{one}.wav"}
    [file] = (await http.get("/api/files", params=asked)).json()["items"]
    assert (file["tags"], await work_on(http, file)) == ({"mode": "recap"}, [])


async def test_metrics(people, recorder):
    http = await people()
    await save(http)
    await http.post("/upload/offline/sync", params={"wait": 20})
    text = (await http.get("/metrics")).text
    told = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    statuses = ("recorded", "uploading", "uploaded", "processing", "completed", "failed")
    counts = [float(told[f'haulier_recordings{{status="{one}"}}']) for one in statuses]
    assert sum(counts) >= 1
    assert float(told['haulier_recording_uploads_total{outcome="success"}']) >= 1
    assert float(told["haulier_recording_sent_bytes_total"]) >= len(wav())
    users = float(told["haulier_recording_user_bytes_gcount"])
    assert float(told['haulier_recording_user_bytes_bucket{le="+Inf"}']) == users >= 1
    assert "haulier_recordings_queued" in told
    assert float(told["haulier_recordings_queue_oldest_seconds"]) >= 0
    assert told['haulier_queue_alert{queue="recordings"}'] == "0.0"
    assert told['haulier_queue_alert{queue="jobs"}'] == "0.0"
