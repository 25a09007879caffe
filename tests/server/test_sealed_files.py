"""A server whose files are sealed: every way in and out, keys that change, and keys that are lost."""

from __future__ import annotations

import asyncio
import io
import os
import random
import signal
from base64 import b64encode

import pytest
from PIL import Image

from people import add_user
from running_server import haulier, served

pytestmark = pytest.mark.processes

OLD, NEW = "0123456789abcdef" * 4, "fedcba9876543210" * 4
MARKER = b"keep the light on the water "
DATA = MARKER * 12_000
TUS = {"Tus-Resumable": "1.0.0"}
OCTETS = {**TUS, "Content-Type": "application/offset+octet-stream"}


@pytest.fixture
def data(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    add_user(data, "ann", "user")
    return data


def sealed(data, number=signal.SIGTERM, **settings):
    return served(data, number, **{"ENCRYPTION_KEY": OLD, **settings})


def plain_ones(data, marker=MARKER):
    """Files of the data directory in which the bytes lie as they are."""
    files = [path for path in data.rglob("*") if path.is_file()]
    return [path for path in files if marker in path.read_bytes()]


async def content_of(http, file_id, **headers):
    answer = await http.get(f"/api/files/{file_id}/download", headers=headers)
    assert answer.status_code in {200, 206}, answer.text
    return answer.content


async def by_put(http):
    return (await http.put("/api/content/put.bin", content=DATA)).json()["id"]


async def by_chunks(http):
    given = {"name": "chunks.bin", "size": len(DATA), "chunk_size": 100_000}
    session = (await http.post("/api/files/upload/start", json=given)).json()
    size, place = session["chunk_size"], f"/api/files/upload/{session['session_id']}/chunk"
    assert size % 65_536 == 0
    for number in random.Random(1).sample(range(session["total_chunks"]), session["total_chunks"]):
        headers = {"X-Chunk-Number": str(number + 1), "Content-Type": "application/octet-stream"}
        piece = DATA[number * size : (number + 1) * size]
        answer = await http.post(place, content=piece, headers=headers)
        assert answer.status_code in {200, 201}, answer.text
        if answer.status_code == 201:
            file_id = answer.json()["file"]["id"]
    return file_id


async def by_tus(http):
    made = await http.post("/tus/", headers={**TUS, "Upload-Length": str(len(DATA))})
    place = "/tus/" + made.headers["location"].rpartition("/")[2]
    for start_at in range(0, len(DATA), 77_777):
        headers = {**OCTETS, "Upload-Offset": str(start_at)}
        piece = DATA[start_at : start_at + 77_777]
        answer = await http.patch(place, content=piece, headers=headers)
        assert answer.status_code == 204, answer.text
    return await newest(http)


async def by_joined_tus(http):
    places = []
    for piece in (DATA[:70_001], DATA[70_001:]):
        headers = {**OCTETS, "Upload-Length": str(len(piece)), "Upload-Concat": "partial"}
        made = await http.post("/tus/", content=piece, headers=headers)
        places.append("/tus/" + made.headers["location"].rpartition("/")[2])
    whole = {
        **TUS,
        "Upload-Concat": "final;" + " ".join(places),
        "Upload-Metadata": "filename " + b64encode(b"joined.bin").decode(),
    }
    assert (await http.post("/tus/", headers=whole)).status_code == 201
    while not (
        found := (await http.get("/api/files/search", params={"q": "joined"})).json()["items"]
    ):
        await asyncio.sleep(0.05)
    return found[0]["id"]


async def newest(http):
    return (await http.get("/api/files")).json()["items"][0]["id"]


@pytest.mark.parametrize("send", [by_put, by_chunks, by_tus, by_joined_tus])
async def test_each_way_in_seals_and_each_way_out_opens(data, send):
    async with sealed(data, X_ACCEL_PREFIX="/inner", DOWNLOAD_MODE="redirect") as http:
        file_id = await send(http)
        assert await content_of(http, file_id) == DATA
        for span in ((0, 0), (65_535, 65_536), (70_000, 200_000), (len(DATA) - 1, len(DATA) - 1)):
            wanted = f"bytes={span[0]}-{span[1]}"
            assert await content_of(http, file_id, Range=wanted) == DATA[span[0] : span[1] + 1]
        answer = await http.get(f"/api/files/{file_id}/download")
        assert "x-accel-redirect" not in answer.headers
        told = (await http.get(f"/api/files/{file_id}")).json()
        assert told["size"] == len(DATA)
        zipped = await http.get("/api/files/zip", params={"ids": file_id})
        assert len(zipped.content) > len(DATA)
        # What is hashed is what was sent.
        while not (told := (await http.get(f"/api/files/{file_id}")).json())["sha256"]:
            await asyncio.sleep(0.05)
        import hashlib

        assert told["sha256"] == "sha256:" + hashlib.sha256(DATA).hexdigest()
    assert plain_ones(data) == []


async def test_an_upload_under_way_is_sealed_and_goes_on_after_a_kill(data):
    async with sealed(data, signal.SIGKILL) as http:
        made = await http.post("/tus/", headers={**TUS, "Upload-Length": str(len(DATA))})
        place = "/tus/" + made.headers["location"].rpartition("/")[2]
        headers = {**OCTETS, "Upload-Offset": "0"}
        await http.patch(place, content=DATA[:99_999], headers=headers)
    assert plain_ones(data) == []
    async with sealed(data) as http:
        assert (await http.head(place, headers=TUS)).headers["upload-offset"] == "99999"
        headers = {**OCTETS, "Upload-Offset": "99999"}
        assert (await http.patch(place, content=DATA[99_999:], headers=headers)).status_code == 204
        assert await content_of(http, await newest(http)) == DATA


async def test_pictures_are_made_of_sealed_files_and_no_copy_stays(data):
    out = io.BytesIO()
    Image.new("RGB", (800, 400), "teal").save(out, "JPEG", comment=MARKER)
    leftover = data / "cache" / "thumbnails" / ".source-of-a-killed-one"
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(out.getvalue())
    async with sealed(data) as http:
        file_id = (await http.put("/api/content/a.jpg", content=out.getvalue())).json()["id"]
        while (answer := await http.get(f"/api/files/{file_id}/thumbnail")).status_code != 200:
            await asyncio.sleep(0.05)
        assert Image.open(io.BytesIO(answer.content)).size == (320, 160)
    assert plain_ones(data) == []


async def test_a_new_key_takes_the_place_of_the_old_one(data):
    async with sealed(data) as http:
        first = await by_put(http)
    both = {"ENCRYPTION_KEY": NEW, "ENCRYPTION_OLD_KEYS": OLD}
    async with sealed(data, **both) as http:
        assert await content_of(http, first) == DATA
        second = (await http.put("/api/content/b.bin", content=DATA[1:])).json()["id"]
        rotated = await asyncio.to_thread(haulier, data, "rotate-keys", **both)
        assert rotated.returncode == 0, rotated.stderr
        assert rotated.stderr.startswith("1 keys")
        assert await content_of(http, first) == DATA
    async with sealed(data, ENCRYPTION_KEY=NEW) as http:
        assert await content_of(http, first) == DATA
        assert await content_of(http, second) == DATA[1:]


async def test_without_its_key_no_server_starts_and_the_key_is_not_told(data, tmp_path):
    async with sealed(data) as http:
        await by_put(http)
    (tmp_path / "key").write_bytes(os.urandom(32))
    for settings, words in (
        ({}, "not here"),
        ({"ENCRYPTION_KEY": NEW}, "not here"),
        ({"ENCRYPTION_KEY": str(tmp_path / "key")}, "not here"),
        ({"ENCRYPTION_KEY": NEW[:-1]}, "no key"),
        ({"ENCRYPTION_KEY": str(tmp_path / "none")}, "no key"),
        ({"ENCRYPTION_OLD_KEYS": OLD}, "ENCRYPTION_KEY none"),
        ({"ENCRYPTION_KEY": OLD, "AWS_S3_BUCKET": "b"}, "AWS_S3_SSE"),
    ):
        refused = haulier(data, "serve", "--port", "0", **settings)
        assert refused.returncode == 2, refused.stderr
        assert words in refused.stderr
        assert NEW[:-1] not in refused.stderr
        assert OLD not in refused.stderr


async def test_a_backup_of_sealed_files_is_sealed(data, tmp_path):
    target, again = tmp_path / "backup", tmp_path / "again"
    async with sealed(data) as http:
        file_id = await by_put(http)
        made = await asyncio.to_thread(haulier, data, "backup", target)
        assert made.returncode == 0, made.stderr
    assert plain_ones(target) == []
    assert haulier(data, "backup", target, "--verify").returncode == 0
    assert haulier(again, "restore-server", target).returncode == 0
    async with sealed(again) as http:
        assert await content_of(http, file_id) == DATA
