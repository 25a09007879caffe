"""Downloads from the real server: ranges, validators, safe headers, several clients."""

from __future__ import annotations

import hashlib
import random
import subprocess

import httpx2
import pytest

from people import add_user
from running_server import start, stop

DATA = random.Random(7).randbytes((1 << 20) + 11)


@pytest.fixture(scope="module")
def http(server):
    with httpx2.Client(base_url=server.url, headers=server.headers()) as client:
        yield client


def put(http, name, data=DATA, mime_type="video/mp4"):
    answer = http.put(f"/api/content/{name}", content=data, headers={"Content-Type": mime_type})
    assert answer.status_code == 201
    return answer.json()


@pytest.fixture(scope="module")
def url(http):
    return f"/api/files/{put(http, 'clip.mp4')['id']}/download"


def test_the_whole_file(http, url):
    answer = http.get(url)
    assert answer.content == DATA
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-length"] == str(len(DATA))
    head = http.head(url)
    assert head.content == b""
    assert head.headers["content-length"] == str(len(DATA))
    assert head.headers["etag"] == answer.headers["etag"]


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("0-0", 0, 1),
        ("100-199", 100, 200),
        (f"{len(DATA) - 1}-", len(DATA) - 1, len(DATA)),
        ("-5", len(DATA) - 5, len(DATA)),
        ("262143-262145", 262_143, 262_146),
        (f"1000-{10**12}", 1000, len(DATA)),
    ],
)
def test_one_range(http, url, asked, start, end):
    answer = http.get(url, headers={"Range": f"bytes={asked}"})
    assert answer.status_code == 206
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(DATA)}"
    assert answer.content == DATA[start:end]


def test_several_ranges(http, url):
    answer = http.get(url, headers={"Range": "bytes=5-9,100-109"})
    assert answer.status_code == 206
    kind, _, boundary = answer.headers["content-type"].partition("; boundary=")
    assert kind == "multipart/byteranges"
    parts = answer.content.split(f"--{boundary}".encode())
    assert [part.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n") for part in parts[1:-1]] == [
        DATA[5:10],
        DATA[100:110],
    ]
    assert parts[-1] == b"--\r\n"
    assert len(answer.content) == int(answer.headers["content-length"])


def test_a_range_behind_the_end(http, url):
    answer = http.get(url, headers={"Range": f"bytes={len(DATA)}-"})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(DATA)}"


def test_a_client_that_has_it_is_told_so(http, url):
    first = http.get(url)
    for headers in (
        {"If-None-Match": first.headers["etag"]},
        {"If-None-Match": f'"x", W/{first.headers["etag"]}'},
        {"If-Modified-Since": first.headers["last-modified"]},
    ):
        answer = http.get(url, headers=headers)
        assert (answer.status_code, answer.content) == (304, b"")
    assert http.get(url, headers={"If-None-Match": '"x"'}).status_code == 200


def test_a_range_of_another_version_gives_the_whole_file(http, url):
    etag = http.head(url).headers["etag"]
    for value, status in ((etag, 206), ('"other"', 200), (f"W/{etag}", 200)):
        answer = http.get(url, headers={"Range": "bytes=0-4", "If-Range": value})
        assert answer.status_code == status


@pytest.mark.parametrize(
    ("name", "mime_type"),
    [("page.html", "text/html"), ("image.svg", "image/svg+xml"), ("x.js", "text/javascript")],
)
def test_what_could_run_as_a_page_never_does(http, name, mime_type):
    stored = put(http, name, b"<script>alert(1)</script>", mime_type)
    answer = http.get(f"/api/files/{stored['id']}/download?inline=true")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"


def test_harmless_types_are_shown_in_place_when_asked(http, url):
    assert http.get(url).headers["content-disposition"] == 'attachment; filename="clip.mp4"'
    shown = http.get(f"{url}?inline=true")
    assert shown.headers["content-disposition"] == 'inline; filename="clip.mp4"'
    assert shown.headers["content-type"] == "video/mp4"


def test_names_of_any_script_come_back(http):
    stored = put(http, "%D1%84%D0%BE%D1%82%D0%BE%20%221%22.jpg", b"x", "image/jpeg")
    assert stored["name"] == 'фото "1".jpg'
    header = http.get(f"/api/files/{stored['id']}/download").headers["content-disposition"]
    assert "filename*=UTF-8''%D1%84%D0%BE%D1%82%D0%BE%20%221%22.jpg" in header


def test_others_files_do_not_exist_but_for_admins(server, url):
    for name, status in (("bob", 404), ("eve", 404), ("root", 200)):
        with httpx2.Client(base_url=server.url, headers=server.headers(name)) as other:
            assert other.get(url).status_code == status
            assert other.head(url).status_code == status
    assert httpx2.get(server.url + url).status_code == 401


def test_a_list_goes_on_where_it_ended(server):
    with httpx2.Client(base_url=server.url, headers=server.headers("bob")) as bob:
        names = [put(bob, f"{n}.txt", b"x")["name"] for n in range(5)]
        found, cursor = [], None
        while True:
            page = bob.get(
                "/api/files", params={"limit": 2} | ({"cursor": cursor} if cursor else {})
            )
            found += [one["name"] for one in page.json()["items"]]
            cursor = page.json()["next_cursor"]
            if cursor is None:
                break
        assert found == names[::-1]


def test_an_upload_that_breaks_off_leaves_nothing(server):
    import socket
    from urllib.parse import urlsplit

    place = urlsplit(server.url)
    with httpx2.Client(base_url=server.url, headers=server.headers("bob")) as bob:
        before = bob.get("/auth/me").json()
        with socket.create_connection((place.hostname, place.port)) as raw:
            raw.sendall(
                b"PUT /api/content/x.bin HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
                b"Authorization: "
                + server.headers("bob")["Authorization"].encode()
                + b"\r\n\r\n"
                + b"x" * 300_000
            )
        for _ in range(200):
            after = bob.get("/auth/me").json()
            if after == before:
                break
        assert after == before


def test_aria2_style_parallel_ranges_make_the_file(server, url, tmp_path):
    """Four curls, each a quarter, at once."""
    token = server.headers()["Authorization"]
    quarter = len(DATA) // 4 + 1
    running = [
        subprocess.Popen(
            [
                *("curl", "-sS", "--fail", "-H", f"Authorization: {token}"),
                *("-r", f"{n * quarter}-{(n + 1) * quarter - 1}"),
                *("-o", str(tmp_path / str(n)), server.url + url),
            ]
        )
        for n in range(4)
    ]
    assert [process.wait(90) for process in running] == [0] * 4
    joined = b"".join((tmp_path / str(n)).read_bytes() for n in range(4))
    assert hashlib.sha256(joined).digest() == hashlib.sha256(DATA).digest()


def test_nginx_is_told_where_the_file_lies(tmp_path):
    add_user(tmp_path, "ann")
    server = start(tmp_path, X_ACCEL_PREFIX="/inner/")
    try:
        with httpx2.Client(base_url=server.url, headers=server.headers()) as http:
            stored = put(http, "clip.mp4")
            url = f"/api/files/{stored['id']}/download"
            answer = http.get(url)
            inner = answer.headers["x-accel-redirect"]
            assert answer.content == b""
            assert answer.headers["content-type"] == "video/mp4"
            assert answer.headers["content-disposition"].startswith("attachment")
            assert (tmp_path / "files" / inner.removeprefix("/inner/")).read_bytes() == DATA
            assert http.head(url).headers["content-length"] == str(len(DATA))
    finally:
        stop(server)
