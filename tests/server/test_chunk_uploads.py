"""The JSON files API and the chunked API, against the real server."""

from __future__ import annotations

import base64
import hashlib
import random
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

MIB = 1 << 20
DATA = random.Random(8).randbytes(3 * MIB + 5)
START = "/api/files/upload/start"


@pytest.fixture(scope="module")
def http(server):
    with httpx2.Client(base_url=server.url, headers=server.headers()) as client:
        yield client


SIZE = len(DATA)


def start(http, size=SIZE, **more):
    answer = http.post(START, json={"name": "clip.mp4", "size": size, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


def piece(session, number):
    size = session["chunk_size"]
    return DATA[(number - 1) * size : number * size]


def put(http, session, number, data=None, **headers):
    return http.post(
        f"/api/files/upload/{session['session_id']}/chunk",
        content=piece(session, number) if data is None else data,
        headers={"X-Chunk-Number": str(number), **headers},
    )


def test_chunks_in_any_order_and_at_once(http):
    session = start(http)
    assert (session["chunk_size"], session["total_chunks"]) == (MIB, 4)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda n: put(http, session, n), (4, 2, 3, 1)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200, 200, 200, 201]
    done = next(answer.json() for answer in answers if answer.status_code == 201)
    assert done["status"] == "completed"
    assert done["file"]["size"] == len(DATA)
    assert done["file"]["crc32"] == f"crc32:{zlib.crc32(DATA):08x}"
    assert http.get(f"/api/files/{done['file']['id']}/download").content == DATA


def test_a_session_says_what_is_missing(http):
    session = start(http)
    first = put(http, session, 3).json()
    assert first == {
        "session_id": session["session_id"],
        "chunk_number": 3,
        "status": "received",
        "received_bytes": MIB,
        "received_chunks": 1,
        "missing_count": 3,
    }
    told = http.get(f"/api/files/upload/{session['session_id']}").json()
    assert told["received"] == [[3, 3]]
    assert told["missing"] == [[1, 2], [4, 4]]
    assert (told["bytes"], told["size"], told["status"]) == (MIB, len(DATA), "receiving")
    assert told["percent"] == round(100 * MIB / len(DATA), 2)
    assert told["rate_bps"] > 0


def test_the_same_chunk_again_is_fine_and_another_is_not(http):
    session = start(http)
    put(http, session, 1)
    assert put(http, session, 1).status_code == 200
    other = put(http, session, 1, b"\0" + piece(session, 1)[1:])
    assert (other.status_code, other.json()["code"]) == (409, "chunk-conflict")


@pytest.mark.parametrize(
    "named",
    [
        lambda data: {
            "Content-Digest": f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"
        },
        lambda data: {"X-Chunk-Checksum": f"md5={hashlib.md5(data).hexdigest()}"},
        lambda data: {"X-Chunk-Checksum": f"crc32={zlib.crc32(data):08x}"},
    ],
    ids=["content-digest", "md5", "crc32"],
)
def test_checksums_of_chunks(http, named):
    session = start(http)
    right = piece(session, 1)
    wrong = put(http, session, 1, b"\0" + right[1:], **named(right))
    assert (wrong.status_code, wrong.json()["code"]) == (422, "checksum-mismatch")
    assert put(http, session, 1, **named(right)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Chunk-Checksum": "rot13=00"},
        {"X-Chunk-Checksum": "md5=zz"},
        {"Content-Digest": "sha-256=abc"},
        {"X-Chunk-Number": "x"},
        {"X-Chunk-Number": "0"},
        {"X-Chunk-Number": "5"},
        {"X-Chunk-Number": "9" * 30},
    ],
)
def test_headers_that_can_not_be_are_refused(http, headers):
    session = start(http)
    assert put(http, session, 1, **headers).status_code == 400


def test_a_range_names_the_chunk_as_well(http):
    session = start(http)
    url = f"/api/files/upload/{session['session_id']}/chunk"
    given = {"Content-Range": f"bytes {MIB}-{2 * MIB - 1}/{len(DATA)}"}
    answer = http.post(url, content=piece(session, 2), headers=given)
    assert answer.json()["chunk_number"] == 2
    for odd in (f"bytes 1-{MIB}/{len(DATA)}", "bytes */5", ""):
        answer = http.post(url, content=b"x", headers={"Content-Range": odd})
        assert answer.status_code == 400


def test_a_form_carries_a_chunk(http):
    session = start(http)
    url = f"/api/files/upload/{session['session_id']}/chunk"
    data = piece(session, 1)
    md5 = hashlib.md5(data).hexdigest()
    files = {"file": ("blob", data)}
    wrong = http.post(url, data={"chunk_number": "1", "md5": "0" * 32}, files=files)
    assert wrong.status_code == 422
    right = http.post(url, data={"chunk_number": "1", "md5": md5}, files=files)
    assert right.json()["status"] == "received"
    assert http.post(url, data={"chunk_number": "1"}).status_code == 400


def test_a_wrong_size_leaves_the_chunk_missing(http):
    session = start(http)
    assert put(http, session, 1, b"short").status_code == 400
    assert put(http, session, 1, b"x" * (MIB + 1)).status_code == 413
    told = http.get(f"/api/files/upload/{session['session_id']}").json()
    assert told["received"] == []


def test_a_wanted_checksum_is_checked(http):
    right = "sha256:" + hashlib.sha256(DATA).hexdigest()
    session = start(http, checksum=right)
    for number in (1, 2, 3, 4):
        answer = put(http, session, number)
    assert (answer.status_code, answer.json()["file"]["sha256"]) == (201, right)
    late = start(http, checksum=right)
    for number in (2, 1, 3, 4):
        answer = put(http, late, number)
    assert (answer.status_code, answer.json()["status"]) == (202, "verifying")
    assert until_ended(http, answer.json()["job_id"])["status"] == "completed"
    assert http.get(f"/api/files/upload/{late['session_id']}").json()["status"] == "completed"
    wrong = start(http, checksum="sha256:" + "0" * 64)
    for number in (1, 2, 3, 4):
        answer = put(http, wrong, number)
    assert answer.status_code == 422
    assert http.get(f"/api/files/upload/{wrong['session_id']}").json()["status"] == "failed"
    assert put(http, wrong, 1, b"\0" * MIB).status_code == 409


def test_a_size_that_is_not_known_ends_with_complete(http):
    session = start(http, size=None, chunk_size=MIB)
    assert session["total_chunks"] is None
    for number in (1, 2, 3, 4):
        assert put(http, session, number).status_code == 200
    url = f"/api/files/upload/{session['session_id']}/complete"
    done = http.post(url)
    assert (done.status_code, done.json()["file"]["size"]) == (201, len(DATA))


def test_an_empty_file_is_complete_at_once(http):
    answer = start(http, size=0)
    assert answer["status"] == "completed"
    assert answer["file"]["size"] == 0


def test_a_cancelled_upload_is_gone(http):
    session = start(http)
    url = f"/api/files/upload/{session['session_id']}"
    assert http.delete(url).status_code == 204
    assert put(http, session, 1).status_code == 410
    assert http.delete(url).status_code == 204


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "x", "size": 101 * MIB}, 413),
        ({"name": "x", "size": -1}, 422),
        ({"name": "", "size": 1}, 422),
        ({"name": "..", "size": 1}, 400),
        ({"name": "x", "size": 1, "chunk_size": 0}, 422),
        ({"name": "x", "size": 1, "checksum": "rot13:00"}, 400),
        ({"name": "x", "size": "many"}, 422),
        ({"size": 1}, 422),
    ],
)
def test_what_can_not_be_is_refused_before_a_byte(http, body, status):
    answer = http.post(START, json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    )


def test_others_sessions_do_not_exist(server, http):
    session = start(http)
    url = f"/api/files/upload/{session['session_id']}"
    with httpx2.Client(base_url=server.url, headers=server.headers("bob")) as bob:
        assert bob.get(url).status_code == 404
        assert put(bob, session, 1).status_code == 404
        assert bob.delete(url).status_code == 404
    assert httpx2.get(server.url + url).status_code == 401
    with httpx2.Client(base_url=server.url, headers=server.headers("eve")) as viewer:
        assert viewer.post(START, json={"name": "x", "size": 1}).status_code == 403


# --- the chunked API


def test_the_chunked_api_says_the_same_in_other_words(http):
    answer = http.post(
        "/upload/chunked/init", json={"file_name": "talk.wav", "file_size": len(DATA)}
    )
    assert answer.status_code == 201
    session = answer.json()
    assert session["total_chunks"] == 4
    base = f"/upload/chunked/{session['file_id']}"

    def send(number):
        data = piece(session, number)
        form = {"chunk_number": str(number), "md5": hashlib.md5(data).hexdigest()}
        return http.post(f"{base}/chunk", data=form, files={"file": ("blob", data)}).json()

    assert send(2) == {
        "chunk_number": 2,
        "status": "received",
        "progress": round(MIB / len(DATA), 4),
    }
    send(4)
    early = http.post(f"{base}/complete")
    assert (early.status_code, early.json()["code"]) == (409, "chunks-missing")
    assert early.json()["missing"] == [1, 3]
    status = http.get(f"{base}/status").json()
    assert (status["uploaded_chunks"], status["missing"]) == ([2, 4], [1, 3])
    send(3)
    assert send(1)["progress"] == 1.0
    done = http.post(f"{base}/complete")
    assert done.status_code == 200
    assert done.json()["checksum"] == f"crc32:{zlib.crc32(DATA):08x}"
    stored = http.get(f"/api/files/{done.json()['file_id']}").json()
    assert (stored["name"], stored["tags"]) == ("talk.wav", {"mode": "recap"})
    assert http.post(f"{base}/complete").json() == done.json()


def test_the_chunked_api_verifies_before_it_says_completed(http):
    wanted = "sha256:" + hashlib.sha256(DATA).hexdigest()
    given = {"file_name": "talk.wav", "file_size": len(DATA), "checksum": wanted}
    session = http.post("/upload/chunked/init", json=given).json()
    base = f"/upload/chunked/{session['file_id']}"
    for number in (4, 3, 2, 1):
        http.post(
            f"{base}/chunk",
            content=piece(session, number),
            headers={"X-Chunk-Number": str(number)},
        )
    done = http.post(f"{base}/complete")
    if done.status_code == 202:
        assert done.json()["status"] == "verifying"
        until_ended(http, done.json()["job_id"])
        done = http.post(f"{base}/complete")
    assert (done.status_code, done.json()["checksum"]) == (200, wanted)
    assert http.post(f"{base}/complete").json() == done.json()


def until_ended(http, job_id):
    while (job := http.get(f"/api/jobs/{job_id}").json())["status"] in {"pending", "running"}:
        time.sleep(0.02)
    return job


def test_another_file_than_was_named_is_refused_after_it_was_hashed(http):
    given = {"file_name": "a.wav", "file_size": len(DATA), "checksum": "sha256:" + "0" * 64}
    session = http.post("/upload/chunked/init", json=given).json()
    base = f"/upload/chunked/{session['file_id']}"
    for number in (4, 3, 2, 1):
        http.post(
            f"{base}/chunk",
            content=piece(session, number),
            headers={"X-Chunk-Number": str(number)},
        )
    first = http.post(f"{base}/complete")
    if first.status_code == 202:
        job = until_ended(http, first.json()["job_id"])
        assert (job["kind"], job["status"]) == ("verify", "failed")
        assert "not sha256:000" in job["error"]
    for _ in range(2):
        again = http.post(f"{base}/complete")
        assert (again.status_code, again.json()["code"]) == (422, "checksum-mismatch")
