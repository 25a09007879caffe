"""Malformed, oversized, lying and hostile requests: the right status, a problem, never a 500."""

from __future__ import annotations

import json
import socket
from urllib.parse import urlsplit

import httpx2
import pytest

pytestmark = pytest.mark.processes

V = {"Tus-Resumable": "1.0.0"}
START = "/api/files/upload/start"
HUGE = "9" * 40


@pytest.fixture(scope="module")
def http(server):
    with httpx2.Client(base_url=server.url, headers=server.headers()) as client:
        yield client


@pytest.fixture(scope="module")
def stored(http):
    return http.put("/api/content/clip.txt", content=b"0123456789").json()["id"]


@pytest.fixture
def chunks(http):
    made = http.post(START, json={"name": "a.bin", "size": 8, "chunk_size": 4})
    return f"/api/files/upload/{made.json()['session_id']}/chunk"


def is_problem(answer, status):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["status"] == status
    assert told["code"]
    assert told["request_id"] == answer.headers["x-request-id"]
    assert "Traceback" not in answer.text
    assert "/tmp" not in answer.text


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"[" * 100_000, 400),
        (b'{"name": "a", "size": NaN}', 422),
        (b'{"name": "a", "size": 1e400}', 422),
        (b'{"name": "a", "size": ' + HUGE.encode() + b"}", 413),
        (b'{"name": "a", "size": -1}', 422),
        (b'{"name": "a", "size": "many"}', 422),
        (b'{"name": "a", "size": 1.5}', 422),
        (b'{"size": 1}', 422),
        (b"[]", 422),
        (b"null", 422),
        (b'"text"', 422),
        (b'{"name": "", "size": 1}', 422),
        (b'{"name": "/", "size": 1}', 400),
        (b'{"name": "..", "size": 1}', 400),
        (b'{"name": "\\u0000", "size": 1}', 400),
        (b'{"name": "\\ud800", "size": 1}', 422),
        (b'{"name": "a", "size": 1, "tags": {"\\ud800": 1}}', 422),
        (b'{"name": "a", "size": 1, "tags": {"k": 1}}', 422),
        (b'{"name": "a", "size": 1, "chunk_size": 0}', 422),
        (b'{"name": "a", "size": 1, "checksum": "rot13:00"}', 400),
        (b'{"name": "a", "size": 1, "checksum": "sha256:xyz"}', 400),
        (b'{"name": "' + b"a" * 300 + b'", "size": 1}', 400),
        (b'{"name": "' + b"a" * 2000 + b'", "size": 1}', 422),
        (b'{"name": "a", "size": 1, "folder": "../.."}', 400),
        (b'{"name": "a", "size": 209715200}', 413),
        (b'{"name": "a", "x": "' + b"a" * (2 << 20) + b'"}', 413),
    ],
    ids=lambda part: str(part)[:40],
)
def test_json(http, body, status):
    answer = http.post(START, content=body, headers={"Content-Type": "application/json"})
    is_problem(answer, status)


def test_json_in_endless_pieces(http):
    pieces = (b" " * 65536 for _ in range(100))
    answer = http.post(START, content=pieces, headers={"Content-Type": "application/json"})
    is_problem(answer, 413)


def test_bodies_of_nobody_are_not_read(server):
    place = urlsplit(server.url)
    with socket.create_connection((place.hostname, place.port), timeout=60) as raw:
        raw.sendall(
            f"POST {START} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            "Content-Length: 1000000000\r\nExpect: 100-continue\r\n\r\n".encode()
        )
        assert raw.recv(65536).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\windows\\win.ini", "win.ini"),
        ("a\r\nX-Evil: 1", "aX-Evil: 1"),
        ('"; filename="evil.exe', '"; filename="evil.exe'),
        ("\u202ecod.exe", "cod.exe"),
        ("<script>alert(1)</script>.html", "script>.html"),
        ("e\u0301.txt", "\u00e9.txt"),
        ("CON", "CON"),
        ("%2e%2e%2f", "%2e%2e%2f"),
    ],
)
def test_names_are_made_safe(http, name, kept):
    answer = http.post(START, json={"name": name, "size": 0})
    assert answer.status_code == 201
    stored = answer.json()["file"]
    assert stored["name"] == kept
    got = http.get(f"/api/files/{stored['id']}/download", params={"inline": True})
    assert "x-evil" not in got.headers
    assert got.headers["content-disposition"].startswith("attachment; filename=")
    assert got.headers["content-disposition"].count('"') == 2
    assert got.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({}, b"abcd", 400),
        ({"X-Chunk-Number": "0"}, b"abcd", 400),
        ({"X-Chunk-Number": "3"}, b"abcd", 400),
        ({"X-Chunk-Number": "-1"}, b"abcd", 400),
        ({"X-Chunk-Number": "1.0"}, b"abcd", 400),
        ({"X-Chunk-Number": "1e0"}, b"abcd", 400),
        ({"X-Chunk-Number": HUGE}, b"abcd", 400),
        ({"X-Chunk-Number": ""}, b"abcd", 400),
        ({"X-Chunk-Number": "1"}, b"abc", 400),
        ({"X-Chunk-Number": "1"}, b"", 400),
        ({"X-Chunk-Number": "1"}, b"abcde", 413),
        ({"Content-Range": "bytes 0-3/8"}, b"abcd", 200),
        ({"Content-Range": "bytes 1-4/8"}, b"abcd", 400),
        ({"Content-Range": "bytes 3-0/8"}, b"abcd", 400),
        ({"Content-Range": "bytes 0-3"}, b"abcd", 400),
        ({"Content-Range": "lines 0-3/8"}, b"abcd", 400),
        ({"Content-Range": f"bytes 0-{HUGE}/8"}, b"abcd", 400),
        ({"X-Chunk-Number": "1", "Content-Digest": "sha-256=abc"}, b"abcd", 400),
        ({"X-Chunk-Number": "1", "Content-Digest": "sha-256=:***:"}, b"abcd", 400),
        ({"X-Chunk-Number": "1", "Content-Digest": "sha-256=:YQ==:"}, b"abcd", 400),
        ({"X-Chunk-Number": "1", "Content-Digest": "sha-256=:" + "A" * 43 + "=:"}, b"abcd", 422),
        ({"X-Chunk-Number": "1", "Content-Digest": "rot13=:YQ==:"}, b"abcd", 200),
        ({"X-Chunk-Number": "1", "X-Chunk-Checksum": "md5"}, b"abcd", 400),
        ({"X-Chunk-Number": "1", "X-Chunk-Checksum": "md5=xyz"}, b"abcd", 400),
        ({"X-Chunk-Number": "1", "X-Chunk-Checksum": "md5=" + "0" * 32}, b"abcd", 422),
        ({"X-Chunk-Number": "1", "X-Chunk-Checksum": "none=00"}, b"abcd", 400),
        ({"X-Chunk-Number": "1", "Content-Type": "multipart/form-data"}, b"abcd", 400),
        ({"X-Chunk-Number": "1", "Content-Type": "multipart/form-data; boundary=x"}, b"abcd", 400),
        ({"Content-Type": "multipart/form-data; boundary=" + "x" * 5000}, b"--x", 400),
    ],
    ids=lambda part: str(part)[:60],
)
def test_chunks(http, chunks, headers, body, status):
    answer = http.post(chunks, content=body, headers=headers)
    if status == 200:
        assert answer.status_code == 200, answer.text
    else:
        is_problem(answer, status)


@pytest.mark.parametrize(
    ("fields", "files", "status"),
    [
        ({}, {"file": b"abcd"}, 400),
        ({"chunk_number": "x"}, {"file": b"abcd"}, 400),
        ({"chunk_number": "1"}, {"other": b"abcd"}, 400),
        ({"chunk_number": "1", "file": "text"}, None, 400),
        ({"chunk_number": "1", "md5": "nonsense"}, {"file": b"abcd"}, 400),
        ({"chunk_number": "1", "checksum": "md5:" + "0" * 32}, {"file": b"abcd"}, 422),
        ({"chunk_number": "1", **{f"f{n}": "x" for n in range(50)}}, {"file": b"abcd"}, 400),
        ({"chunk_number": "1"}, {"file": b"abcde"}, 413),
        ({"chunk_number": "1"}, {"file": b"a" * (1 << 20)}, 413),
        ({"chunk_number": "1", "md5": "0" * (2 << 20)}, {"file": b"abcd"}, 400),
    ],
    ids=lambda part: str(part)[:60],
)
def test_forms(http, chunks, fields, files, status):
    sent = files or {"unused": b""}
    is_problem(http.post(chunks, data=fields, files=sent), status)


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("bytes=0-3", 206),
        ("bytes=-3", 206),
        ("bytes=99-", 416),
        ("bytes=-0", 416),
        (f"bytes={HUGE}-", 200),
        ("bytes=5-2", 200),
        ("bytes=a-b", 200),
        ("bytes=", 200),
        ("bytes", 200),
        ("lines=1-2", 200),
        ("bytes=" + "0-0," * 500 + "0-0", 200),
    ],
)
def test_ranges(http, stored, value, status):
    answer = http.get(f"/api/files/{stored}/download", headers={"Range": value})
    assert answer.status_code == status
    if status == 416:
        is_problem(answer, 416)
        assert answer.headers["content-range"] == "bytes */10"


@pytest.mark.parametrize("name", ["If-Range", "If-None-Match", "If-Modified-Since"])
@pytest.mark.parametrize(
    "value", ['"', "W/", ",,,", "Mon, 99 Foo 2026", "Thu, 01 Jan 0001 00:00:00 -9999"]
)
def test_conditions(http, stored, name, value):
    answer = http.get(f"/api/files/{stored}/download", headers={name: value, "Range": "bytes=0-1"})
    assert answer.status_code in {200, 206}


@pytest.mark.parametrize(
    "path",
    [
        "/api/files/%00",
        "/api/files/..%2f..%2fetc%2fpasswd",
        "/api/files/" + "a" * 5000,
        "/api/files/%ff%fe/download",
        "/api/files/upload/' OR 1=1",
        "/upload/chunked/%F0%9F%98%80/status",
        "/tus/%00",
        "/resumable/..%2f..",
        "/api/jobs/%ED%A0%80",
        "/nowhere",
    ],
)
def test_paths_lead_nowhere(http, path):
    is_problem(http.get(path), 404)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/content/", 400),
        ("/api/content/%00", 400),
        ("/api/content/../a", 404),
        ("/api/content/..%2fa", 400),
        ("/api/content/a%2f%2e%2e%2fb", 400),
        ("/api/content/" + "a" * 300, 400),
        ("/api/content/" + "a/" * 600 + "b", 400),
    ],
)
def test_places_of_content(http, path, status):
    answer = http.put(path, content=b"x")
    assert answer.status_code == status


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=-1", "limit=x", f"limit={HUGE}", "cursor=x", "cursor=%00"]
)
def test_queries(http, query):
    is_problem(http.get(f"/api/files?{query}"), 422)


def test_a_size_that_was_never_told_has_its_limit_too(http):
    made = http.post(START, json={"name": "a.bin"}).json()
    url = f"/api/files/upload/{made['session_id']}/chunk"
    for number in ("11", "999999999"):
        is_problem(http.post(url, content=b"x", headers={"X-Chunk-Number": number}), 413)


def test_what_was_cancelled_is_gone(http):
    made = http.post(START, json={"name": "a.bin", "size": 3}).json()
    url = f"/api/files/upload/{made['session_id']}"
    assert http.delete(url).status_code == 204
    is_problem(http.post(f"{url}/complete"), 410)
    is_problem(http.post(f"{url}/chunk", content=b"abc", headers={"X-Chunk-Number": "1"}), 410)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("GET /api/files HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", 400),
        (
            "GET /api/files HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            400,
        ),
        ("GET /api/files HTTP/9.9\r\nHost: x\r\n\r\n", 400),
        ("GARBAGE\r\n\r\n", 400),
        (
            "POST /tus/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
            400,
        ),
        ("GET /api/files HTTP/1.1\r\nHost: x\r\nX: " + "a" * 200_000 + "\r\n\r\n", 431),
    ],
    ids=range(6),
)
def test_what_is_no_http(server, text, status):
    place = urlsplit(server.url)
    with socket.create_connection((place.hostname, place.port), timeout=60) as raw:
        raw.sendall(text.encode("latin-1"))
        received = raw.recv(65536)
    assert received.split(b" ")[1] == str(status).encode()


@pytest.mark.parametrize("given", ["x" * 65, "a b", "a\tb", "é", ""])
def test_request_ids_are_taken_only_when_sound(http, given):
    sound = http.get("/auth/me", headers={"X-Request-ID": "abc-1.2_3"})
    assert sound.headers["x-request-id"] == "abc-1.2_3"
    answer = http.get("/auth/me", headers={"X-Request-ID": given.encode()})
    assert answer.headers["x-request-id"] != given


def test_methods_that_a_path_does_not_know(http, stored):
    answer = http.request("PROPFIND", f"/api/files/{stored}")
    is_problem(answer, 405)
    assert answer.headers["allow"] == "DELETE, GET, PATCH"
    made = http.post(START, json={"name": "a.bin", "size": 3}).json()
    answer = http.put(f"/api/files/upload/{made['session_id']}")
    assert answer.headers["allow"] == "DELETE, GET"


def test_the_server_is_as_well_as_before(server, http):
    assert http.get("/health/ready").status_code == 200
    assert json.loads(http.get("/auth/me").text)["name"] == "ann"
