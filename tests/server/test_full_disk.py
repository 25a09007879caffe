"""A server whose data directory is a disk of 24 MiB, in a mount namespace of its own."""

from __future__ import annotations

import httpx2
import pytest

from people import add_user, token_of
from recordings import wav
from running_server import start, stop

MIB = 1 << 20
TUS = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    # The account is made outside; the server finds it on its disk.
    prepared, data = tmp_path_factory.mktemp("prepared"), tmp_path_factory.mktemp("disk")
    add_user(prepared, "ann")
    token = token_of(prepared, "ann")
    script = f'mount -t tmpfs -o size=24m haulier-test "$0" && cp {prepared}/* "$0" && exec "$@"'
    inside = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, str(data)]
    server = start(data, inside=inside)
    server._tokens["ann"] = token
    yield server
    stop(server)


@pytest.fixture
def client(server):
    headers = {**server.headers(), "Tus-Resumable": "1.0.0"}
    with httpx2.Client(base_url=server.url, headers=headers) as client:
        yield client


def create(client, **headers):
    made = client.post("/tus/", headers=headers)
    assert made.status_code == 201, made.text
    return made.url.join(made.headers["location"])


def append(client, url, offset, size):
    headers = {**TUS, "Upload-Offset": str(offset)}
    return client.patch(url, content=bytes(size), headers=headers)


def offset_of(client, url):
    return int(client.head(url).headers["upload-offset"])


def test_what_has_no_room_is_refused_at_once(client):
    answer = client.post("/api/files/upload/start", json={"name": "big", "size": 30 * MIB})
    assert (answer.status_code, answer.json()["code"]) == (507, "storage-full")
    assert client.get("/api/files").status_code == 200


def test_a_recording_that_fills_the_disk_is_refused_whole(client):
    sound = wav(1) + bytes(30 * MIB)
    answer = client.post("/upload/offline/save", content=sound)
    assert (answer.status_code, answer.json()["code"]) == (507, "storage-full")
    assert client.get("/upload/offline/recordings").json() == []
    stats = client.get("/upload/offline/storage-stats").json()
    assert (stats["files"], stats["damaged"]) == (0, [])
    assert stats["free_bytes"] > 20 * MIB
    kept = client.post("/upload/offline/save", content=wav(1))
    assert kept.status_code == 201
    [listed] = client.get("/upload/offline/recordings").json()
    assert listed["recording_id"] == kept.json()["recording_id"]


def test_an_upload_that_fills_the_disk_goes_on_when_there_is_room(client):
    other = create(client, **{"Upload-Length": str(12 * MIB)})
    url = create(client, **{"Upload-Defer-Length": "1"})
    answer = append(client, url, 0, 16 * MIB)
    assert (answer.status_code, answer.json()["code"]) == (507, "storage-full")
    reached = offset_of(client, url)
    assert reached < 16 * MIB
    # What is below a piece may still fit.
    for size in (1 << n for n in range(18, 11, -1)):
        while append(client, url, reached, size).status_code == 204:
            reached += size

    unready = client.get("/health/ready")
    assert unready.status_code == 503
    assert unready.json()["checks"] == {"catalog": "ok", "storage": "full"}
    assert unready.headers["retry-after"] == "5"
    # The catalog has room left to record that somebody gives up.
    assert client.delete(other).status_code == 204
    assert client.get("/health/ready").status_code == 200
    reached = offset_of(client, url)  # of what was refused, too, some may have been kept
    assert append(client, url, reached, 16 * MIB - reached).status_code == 204
    ended = client.patch(
        url,
        headers={**TUS, "Upload-Offset": str(16 * MIB), "Upload-Length": str(16 * MIB)},
    )
    assert ended.status_code == 204
    [stored] = client.get("/api/files").json()["items"]
    assert stored["size"] == 16 * MIB
    assert client.get(f"/api/files/{stored['id']}/download").content == bytes(16 * MIB)
