"""tus 1.0 against the real server: the protocol's checklist, and clients that others wrote."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import random
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import aiotus
import httpx2
import pytest
from tusclient import client as tuspy

from people import add_user
from running_server import start, stop

MIB = 1 << 20
V = {"Tus-Resumable": "1.0.0"}
OCTETS = {"Content-Type": "application/offset+octet-stream"}


@pytest.fixture
def http(server):
    with httpx2.Client(base_url=server.url, headers=server.headers()) as client:
        yield client


def metadata(**pairs):
    return ",".join(
        f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in pairs.items()
    )


def create(http, size, body=None, **headers):
    given = {**V, "Upload-Length": str(size), **(OCTETS if body is not None else {}), **headers}
    return http.post("/tus/", headers=given, content=body)


def patch(http, url, offset, body, **headers):
    return http.patch(
        url, headers={**V, **OCTETS, "Upload-Offset": str(offset), **headers}, content=body
    )


def place_of(answer):
    """The upload's URL: `Location` is relative to the request."""
    return str(answer.url.join(answer.headers["location"]))


def offset_of(http, url):
    return int(http.head(url, headers=V).headers["upload-offset"])


def until_nothing_is_under_way(server):
    """Wait for the end of a request whose client has gone; asking for its offset would end it."""
    for _ in range(2000):
        if "haulier_http_requests_under_way 1.0" in httpx2.get(f"{server.url}/metrics").text:
            return
    raise AssertionError("a request does not end")


# --- who may


def test_others_uploads_do_not_exist(server, http):
    url = place_of(create(http, 5))
    for name in ("bob", "root"):
        with httpx2.Client(base_url=server.url, headers=server.headers(name)) as other:
            assert other.head(url, headers=V).status_code == 404
            assert patch(other, url, 0, b"abc").status_code == 404
            assert other.delete(url, headers=V).status_code == 404
    assert offset_of(http, url) == 0


def test_a_token_is_needed_and_a_viewer_may_not(server):
    with httpx2.Client(base_url=server.url) as nobody:
        answer = create(nobody, 5)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["content-type"] == "application/problem+json"
        assert set(answer.json()) >= {"code", "detail", "request_id", "status"}
    with httpx2.Client(base_url=server.url, headers=server.headers("eve")) as viewer:
        assert create(viewer, 5).status_code == 403


def test_a_file_over_quota_is_refused(http):
    answer = create(http, 300 * MIB)
    assert (answer.status_code, answer.json()["code"]) == (413, "quota-exceeded")


# --- clients that others wrote


def content(size, seed=1):
    return random.Random(seed).randbytes(size)


def sha256_at(http, url):
    return hashlib.sha256(http.get(url).content).hexdigest()


def test_a_creation_cut_off_in_its_first_bytes_leaves_nothing(server, http):
    """Nobody was told where it is; what it set aside of the quota is free again."""
    before = http.get("/api/files/upload").json()["items"]
    place = urlsplit(server.url)
    lines = {**V, **OCTETS, **server.headers(), "Host": "x", "Upload-Length": "9",
             "Content-Length": "9", "Expect": "100-continue"}  # fmt: skip
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    with socket.create_connection((place.hostname, place.port), timeout=60) as raw:
        raw.sendall(f"POST /tus/ HTTP/1.1\r\n{head}\r\n".encode())
        assert raw.recv(100).startswith(b"HTTP/1.1 100 Continue")
        assert len(http.get("/api/files/upload").json()["items"]) == len(before) + 1
        raw.sendall(b"four")
    until_nothing_is_under_way(server)
    assert http.get("/api/files/upload").json()["items"] == before


@pytest.mark.parametrize("checked", [False, True])
def test_tuspy_uploads_and_resumes(server, http, checked):
    data = content(5 * MIB + 3)
    tus = tuspy.TusClient(f"{server.url}/tus/", headers=server.headers())
    first = tus.uploader(
        file_stream=io.BytesIO(data),
        chunk_size=MIB,
        upload_checksum=checked,
        metadata={"filename": "clip.mp4"},
    )
    first.upload(stop_at=2 * MIB)
    second = tus.uploader(
        file_stream=io.BytesIO(data), chunk_size=MIB, url=first.url, upload_checksum=checked
    )
    assert second.offset == 2 * MIB
    second.upload()
    assert sha256_at(http, first.url) == hashlib.sha256(data).hexdigest()


async def test_aiotus_uploads(server, http):
    data = content(3 * MIB, 2)
    url = await aiotus.upload(
        f"{server.url}/tus/",
        io.BytesIO(data),
        {"filename": b"x"},
        headers=server.headers(),
        chunksize=MIB,
    )
    assert sha256_at(http, str(url)) == hashlib.sha256(data).hexdigest()


# --- faults


def test_what_arrived_before_the_connection_broke_is_kept(server, http):
    data = content(2 * MIB, 4)
    url = place_of(create(http, len(data)))
    place = urlsplit(server.url)
    with socket.create_connection((place.hostname, place.port)) as raw:
        head = (
            f"PATCH {urlsplit(url).path} HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
            f"Authorization: {server.headers()['Authorization']}\r\n"
            f"Content-Type: application/offset+octet-stream\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        raw.sendall(head.encode() + data[:MIB])
    until_nothing_is_under_way(server)
    offset = offset_of(http, url)
    # What the web server had not yet handed on when the connection broke is not waited for.
    assert MIB - (512 << 10) <= offset <= MIB
    patch(http, url, offset, data[offset:])
    assert sha256_at(http, url) == hashlib.sha256(data).hexdigest()


def test_a_dead_connection_does_not_keep_the_upload(server, http):
    data = content(MIB, 5)
    url = place_of(create(http, len(data)))
    place = urlsplit(server.url)
    with socket.create_connection((place.hostname, place.port)) as dead:
        head = (
            f"PATCH {urlsplit(url).path} HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
            f"Authorization: {server.headers()['Authorization']}\r\n"
            f"Content-Type: application/offset+octet-stream\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        dead.sendall(head.encode() + data[: 300 << 10])
        for _ in range(50):
            taken_over = patch(http, url, 0, data)
            if taken_over.status_code == 409:
                break
        offset = int(taken_over.headers["upload-offset"])
        assert patch(http, url, offset, data[offset:]).status_code == 204
    assert sha256_at(http, url) == hashlib.sha256(data).hexdigest()


def test_two_clients_that_send_one_upload_end_with_its_bytes(server, http):
    """Each asks where it stands and sends from there, which ends what the other one sends."""
    data = content(3 * MIB + 7, 6)
    url = place_of(create(http, len(data)))

    def client(piece):
        answers = []
        with httpx2.Client(base_url=server.url, headers=server.headers(), timeout=60) as mine:
            while (offset := offset_of(mine, url)) < len(data):
                sent = data[offset : offset + piece]
                answer = patch(mine, url, offset, sent)
                answers.append(answer.status_code)
                if answer.status_code == 204:
                    assert int(answer.headers["upload-offset"]) == offset + len(sent)
        return answers

    with ThreadPoolExecutor(2) as pool:
        answers = [one for many in pool.map(client, (100_003, 170_001)) for one in many]
    assert set(answers) <= {204, 409, 423}
    assert sha256_at(http, url) == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_an_upload_goes_on_after_the_server_was_ended(tmp_path, number):

    add_user(tmp_path, "ann")
    data = content(8 * MIB, 6)
    running = start(tmp_path)
    with httpx2.Client(headers=running.headers()) as client:
        answer = create_at(client, running.url, len(data))
        path = urlsplit(place_of(answer)).path
        patch(client, f"{running.url}{path}", 0, data[: 5 * MIB])
    stop(running, number)
    running = start(tmp_path)
    with httpx2.Client(headers=running.headers()) as client:
        offset = offset_of(client, f"{running.url}{path}")
        assert offset == 5 * MIB
        patch(client, f"{running.url}{path}", offset, data[offset:])
        assert sha256_at(client, f"{running.url}{path}") == hashlib.sha256(data).hexdigest()
    await asyncio.to_thread(stop, running)


def create_at(client, base, size):
    return client.post(f"{base}/tus/", headers={**V, "Upload-Length": str(size)})
