"""tus 1.0.0, row by row: core, creation, defer-length, with-upload, expiration, checksum,
termination, concatenation. The letter and number in a test's name are the row's."""

from __future__ import annotations

import base64
import hashlib
import socket
import sqlite3
import time
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx2
import pytest

from people import add_user
from running_server import start, stop

pytestmark = pytest.mark.processes

V = {"Tus-Resumable": "1.0.0"}
OCTETS = {"Content-Type": "application/offset+octet-stream"}
NOBODY = "/tus/" + "0" * 32


@pytest.fixture(scope="module")
def http(server):
    with httpx2.Client(base_url=server.url, headers=server.headers()) as client:
        yield client


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A server that takes files of at most 1,000 bytes."""
    data = tmp_path_factory.mktemp("small")
    add_user(data, "ann")
    running = start(data, HAULIER_MAX_FILE_SIZE="1000")
    with httpx2.Client(base_url=running.url, headers=running.headers()) as client:
        yield client
    stop(running)


def post(http, body=None, **headers):
    given = {**V, **(OCTETS if body is not None else {}), **headers}
    return http.post("/tus/", headers=given, content=body)


def create(http, size, body=None, **headers):
    return post(http, body, **{"Upload-Length": str(size)}, **headers)


def patch(http, url, offset, body, **headers):
    return http.patch(
        url, headers={**V, **OCTETS, "Upload-Offset": str(offset), **headers}, content=body
    )


def place_of(answer):
    assert answer.status_code == 201, answer.text
    return str(answer.url.join(answer.headers["location"]))


def head(http, url):
    return http.head(url, headers=V)


def offset_of(http, url):
    return int(head(http, url).headers["upload-offset"])


def metadata(**pairs):
    return ",".join(
        f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in pairs.items()
    )


def raw(http, text):
    """Send `text` and return the connection."""
    place = urlsplit(str(http.base_url))
    connection = socket.create_connection((place.hostname, place.port), timeout=60)
    connection.sendall(text.encode("latin-1"))
    return connection


def raw_head(http, method, path, **headers):
    lines = {**V, "Host": "x", "Authorization": http.headers["authorization"], **headers}
    return f"{method} {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items())


# --- core


def test_C1_every_answer_carries_the_version(server, http):
    url = place_of(create(http, 3))
    answers = [
        head(http, url),
        patch(http, url, 9, b"x"),
        patch(http, url, 0, b"abc"),
        http.get(url),
        head(http, NOBODY),
        post(http),
        http.put(url, headers=V),
        httpx2.head(url),
        create(http, 3, b"abcd"),
    ]
    assert {answer.status_code for answer in answers} >= {200, 204, 400, 401, 404, 405, 409, 413}
    for answer in answers:
        assert answer.headers.get_list("tus-resumable") == ["1.0.0"], answer.status_code


@pytest.mark.parametrize("version", [None, "0.2.2", "2.0.0", "1.0", ""])
def test_C2_another_version_is_refused_and_nothing_done(http, version):
    url = place_of(create(http, 3))
    headers = {} if version is None else {"Tus-Resumable": version}
    answers = [
        http.post("/tus/", headers={"Upload-Length": "3", **headers}),
        http.head(url, headers=headers),
        http.patch(url, headers={**OCTETS, "Upload-Offset": "0", **headers}, content=b"abc"),
        http.delete(url, headers=headers),
    ]
    for answer in answers:
        assert (answer.status_code, answer.headers["tus-version"]) == (412, "1.0.0")
        assert "location" not in answer.headers
    assert offset_of(http, url) == 0


@pytest.mark.parametrize("headers", [{}, {"Tus-Resumable": "9.9.9"}])
def test_C3_options_say_what_is_offered_without_a_token(server, small, headers):
    answer = httpx2.options(f"{server.url}/tus/", headers=headers)
    assert answer.status_code == 204
    assert answer.headers["tus-version"] == "1.0.0"
    assert set(answer.headers["tus-extension"].split(",")) == {
        "creation", "creation-with-upload", "creation-defer-length", "expiration", "checksum",
        "termination", "concatenation",
    }  # fmt: skip
    assert "tus-max-size" not in answer.headers
    assert small.options("/tus/").headers["tus-max-size"] == "1000"


@pytest.mark.parametrize("number", ["-1", "+1", "x", "", "1.5", "0x1", "1e3", "9" * 30, "1,2", "١"])
def test_C4_numbers_are_non_negative_integers(http, number):
    raw_number = number.encode()
    assert post(http, **{"Upload-Length": raw_number}).status_code == 400
    url = place_of(post(http, **{"Upload-Defer-Length": "1"}))
    for name in ("Upload-Offset", "Upload-Length"):
        headers = {**V, **OCTETS, "Upload-Offset": "0", name: raw_number}
        assert http.patch(url, headers=headers, content=b"a").status_code == 400
    assert offset_of(http, url) == 0


def test_C5_the_overriding_method_counts_whenever_it_is_there(http):
    url = place_of(create(http, 3))
    told = {**V, **OCTETS, "Upload-Offset": "0"}
    answer = http.post(url, headers={**told, "X-HTTP-Method-Override": "PATCH"}, content=b"abc")
    assert (answer.status_code, answer.headers["upload-offset"]) == (204, "3")
    answer = http.post(url, headers={**V, "X-HTTP-Method-Override": "DELETE"})
    assert answer.status_code == 204
    answer = http.post("/tus/", headers={**V, "X-HTTP-Method-Override": "BREW"})
    assert answer.status_code == 405


def test_C6_a_head_says_how_far_it_came(http):
    described = metadata(filename="a b.mp4", filetype="video/mp4") + ",is_private"
    url = place_of(create(http, 5, **{"Upload-Metadata": described}))
    for body, offset in ((b"", 0), (b"ab", 2), (b"cde", 5)):
        if body:
            patch(http, url, offset - len(body), body)
        state = head(http, url)
        assert state.status_code in {200, 204}
        assert state.headers["upload-offset"] == str(offset)
        assert state.headers["upload-length"] == "5"
        assert state.headers["cache-control"] == "no-store"
        assert state.headers["upload-metadata"] == described
    unknown = head(http, NOBODY)
    assert unknown.status_code == 404
    assert "upload-offset" not in unknown.headers


@pytest.mark.parametrize("given", [None, "", "application/octet-stream", "text/plain"])
def test_C7_the_body_has_its_type(http, given):
    url = place_of(create(http, 3))
    headers = {**V, "Upload-Offset": "0"} | ({} if given is None else {"Content-Type": given})
    assert http.patch(url, headers=headers, content=b"abc").status_code == 415
    assert offset_of(http, url) == 0


@pytest.mark.parametrize("offset", [0, 1, 3, 99])
def test_C8_a_wrong_offset_conflicts_and_changes_nothing(http, offset):
    url = place_of(create(http, 5))
    patch(http, url, 0, b"ab")
    answer = patch(http, url, offset, b"xy")
    assert (answer.status_code, answer.headers["upload-offset"]) == (409, "2")
    assert patch(http, url, 2, b"cde").status_code == 204
    assert http.get(url).content == b"abcde"


def test_C9_bytes_are_added_and_counted(http):
    url = place_of(create(http, 5))
    answer = patch(http, url, 0, b"ab")
    assert (answer.status_code, answer.headers["upload-offset"]) == (204, "2")
    answer = patch(http, url, 2, iter([b"c", b"de"]))
    assert (answer.status_code, answer.headers["upload-offset"]) == (204, "5")
    assert patch(http, NOBODY, 0, b"ab").status_code == 404
    # The answer to the last request may have been lost.
    again = patch(http, url, 5, b"")
    assert (again.status_code, again.headers["upload-offset"]) == (204, "5")


def test_C9_what_came_before_the_connection_broke_is_kept(http):
    url = place_of(create(http, 100))
    text = raw_head(http, "PATCH", urlsplit(url).path, **OCTETS,
                    **{"Upload-Offset": "0", "Content-Length": "100"})  # fmt: skip
    raw(http, f"{text}\r\n0123456789").close()
    until = time.monotonic() + 10
    while offset_of(http, url) != 10 and time.monotonic() < until:
        pass
    assert offset_of(http, url) == 10


# --- creation


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Upload-Defer-Length": "2"},
        {"Upload-Defer-Length": "0"},
        {"Upload-Defer-Length": "true"},
        {"Upload-Length": "3", "Upload-Defer-Length": "1"},
    ],
)
def test_K1_a_creation_tells_its_length_or_that_it_comes_later(http, headers):
    assert post(http, **headers).status_code == 400


def test_K2_too_long_is_refused(small, http):
    assert create(small, 1000).status_code == 201
    assert create(small, 1001).status_code == 413
    deferred = place_of(post(small, **{"Upload-Defer-Length": "1"}))
    assert patch(small, deferred, 0, b"x" * 1001).status_code == 413
    assert patch(small, deferred, 0, b"", **{"Upload-Length": "1001"}).status_code == 413
    answer = create(http, 1 << 40)
    assert (answer.status_code, answer.json()["code"]) == (413, "quota-exceeded")
    url = place_of(create(http, 5))
    assert patch(http, url, 0, b"abcdef").status_code == 413
    assert patch(http, url, 0, iter([b"abc", b"def"])).status_code == 413


@pytest.mark.parametrize("path", ["/tus", "/tus/"])
def test_K2_the_place_is_found_with_and_without_a_slash(http, path):
    answer = http.post(path, headers={**V, "Upload-Length": "3"})
    assert urlsplit(place_of(answer)).path.startswith("/tus/")
    assert offset_of(http, place_of(answer)) == 0


def test_K2_a_length_of_zero_is_complete_at_once(http):
    url = place_of(create(http, 0))
    assert offset_of(http, url) == 0
    assert http.get(url).content == b""


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("", 201),
        ("is_private", 201),
        ("a YQ==,b Yg==", 201),
        ("a YQ==, b Yg==", 201),
        ("a YQ==,a Yg==", 400),
        (",a YQ==", 400),
        ("a ***", 400),
        ("a YQ", 400),
        ("a YQ== YQ==", 400),
        ("a " + "QUFB" * 3000, 400),
    ],
)
def test_K3_metadata_are_read(http, value, status):
    answer = create(http, 3, **{"Upload-Metadata": value})
    assert answer.status_code == status
    if status == 201 and value:
        assert head(http, place_of(answer)).headers["upload-metadata"] == value.strip()


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("a\r\nSet-Cookie: x=y.mp4", "aSet-Cookie: x=y.mp4"),
        ("C:\\temp\\clip.mp4", "clip.mp4"),
        ("\u202egpj.exe", "gpj.exe"),
        ("ф 🎞.mp4", "ф 🎞.mp4"),
    ],
)
def test_K3_names_in_metadata_are_made_safe(http, name, kept):
    url = place_of(create(http, 3, b"abc", **{"Upload-Metadata": metadata(filename=name)}))
    answer = http.get(url)
    assert answer.content == b"abc"
    assert "set-cookie" not in answer.headers
    assert kept in {one["name"] for one in http.get("/api/files").json()["items"]}


# --- creation-defer-length, creation-with-upload


def test_D1_a_deferred_length_is_told_once(http):
    url = place_of(post(http, **{"Upload-Defer-Length": "1"}))
    state = head(http, url)
    assert state.headers["upload-defer-length"] == "1"
    assert "upload-length" not in state.headers
    patch(http, url, 0, b"abc")
    assert patch(http, url, 3, b"", **{"Upload-Length": "2"}).status_code == 413
    assert patch(http, url, 3, b"", **{"Upload-Length": "5"}).status_code == 204
    state = head(http, url)
    assert state.headers["upload-length"] == "5"
    assert "upload-defer-length" not in state.headers
    assert patch(http, url, 3, b"", **{"Upload-Length": "6"}).status_code == 409
    assert patch(http, url, 3, b"de").headers["upload-offset"] == "5"
    assert http.get(url).content == b"abcde"


def test_W1_creation_takes_the_first_bytes(http):
    answer = create(http, 5, body=b"abc")
    assert (answer.status_code, answer.headers["upload-offset"]) == (201, "3")
    assert patch(http, place_of(answer), 3, b"de").status_code == 204
    whole = create(http, 5, body=b"abcde")
    assert whole.headers["upload-offset"] == "5"
    assert http.get(place_of(whole)).content == b"abcde"


def test_W1_what_headers_forbid_is_refused_before_the_body(http):
    told = {**OCTETS, "Expect": "100-continue", "Content-Length": "1000000"}
    url = urlsplit(place_of(create(http, 5))).path
    for method, path, headers, status in (
        ("POST", "/tus/", {"Authorization": "Bearer x", "Upload-Length": "1000000"}, b"401"),
        ("POST", "/tus/", {"Upload-Length": str(1 << 40)}, b"413"),
        ("PATCH", url, {"Upload-Offset": "3"}, b"409"),
        ("PATCH", url, {"Upload-Offset": "0"}, b"413"),
        ("PATCH", NOBODY, {"Upload-Offset": "0"}, b"404"),
    ):
        text = raw_head(http, method, path, **{**told, **headers})
        with raw(http, f"{text}\r\n") as connection:
            assert connection.recv(65536).split(b" ")[1] == status
    text = raw_head(http, "PATCH", url, **{**told, "Content-Length": "5", "Upload-Offset": "0"})
    with raw(http, f"{text}\r\n") as connection:
        assert connection.recv(65536).startswith(b"HTTP/1.1 100 Continue\r\n")
        connection.sendall(b"abcde")
        assert connection.recv(65536).startswith(b"HTTP/1.1 204")


# --- expiration


def test_E1_what_will_expire_says_when(server, http):
    made = create(http, 5)
    url = place_of(made)
    answers = [made, patch(http, url, 0, b"ab"), head(http, url)]
    for answer in answers:
        left = parsedate_to_datetime(answer.headers["upload-expires"]).timestamp() - time.time()
        assert 23 * 3600 < left <= 24 * 3600
    done = patch(http, url, 2, b"cde")
    assert "upload-expires" not in done.headers, "a complete upload does not expire"
    expired = place_of(create(http, 5))
    with sqlite3.connect(server.data / "catalog.db") as catalog:
        catalog.execute(
            "UPDATE upload_sessions SET status = 'expired' WHERE session_id = ?",
            [expired.rsplit("/", 1)[-1]],
        )
    catalog.close()
    for answer in (head(http, expired), patch(http, expired, 0, b"x")):
        assert answer.status_code == 410
        assert "upload-offset" not in answer.headers


# --- checksum

ALGORITHMS = ["sha1", "md5", "sha256", "sha512"]


def test_S1_algorithms_are_listed(http):
    offered = http.options("/tus/").headers["tus-checksum-algorithm"].split(",")
    assert {*ALGORITHMS, "crc32", "crc32c"} <= set(offered)
    assert offered == [name.lower() for name in offered]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_S2_checksums_are_verified(http, algorithm):
    digest = base64.b64encode(hashlib.new(algorithm, b"abcde").digest()).decode()
    told = {"Upload-Checksum": f"{algorithm} {digest}"}
    url = place_of(create(http, 5))
    answer = patch(http, url, 0, b"abcdX", **told)
    assert (answer.status_code, offset_of(http, url)) == (460, 0)
    assert patch(http, url, 0, b"abcde", **told).status_code == 204
    refused = create(http, 5, body=b"abcdX", **told)
    assert refused.status_code == 460
    assert offset_of(http, str(refused.url.join(refused.headers["location"]))) == 0
    assert create(http, 5, body=b"abcde", **told).headers["upload-offset"] == "5"


@pytest.mark.parametrize(
    "value",
    ["rot13 YQ==", "SHA1 YQ==", "sha1 ***", "sha1", "", "sha1 YQ==", "sha256 " + "QUFB" * 9],
)
def test_S2_a_checksum_that_can_not_be_is_refused(http, value):
    url = place_of(create(http, 5))
    assert patch(http, url, 0, b"abcde", **{"Upload-Checksum": value}).status_code == 400
    assert offset_of(http, url) == 0


def test_S3_trailers_are_not_announced(http):
    assert "checksum-trailer" not in http.options("/tus/").headers["tus-extension"]


# --- termination


@pytest.mark.parametrize("body", [b"", b"abc"])
def test_T1_a_terminated_upload_is_gone(server, http, body):
    url = place_of(create(http, 5, body=body))
    assert http.delete(url, headers=V).status_code == 204
    assert not (server.data / "uploads" / url.rsplit("/", 1)[-1]).exists()
    for answer in (head(http, url), patch(http, url, 3, b"de"), http.delete(url, headers=V)):
        assert answer.status_code == 410


def test_T1_of_a_complete_upload_the_file_stays(http):
    url = place_of(create(http, 3, body=b"abc", **{"Upload-Metadata": metadata(filename="kept")}))
    assert http.delete(url, headers=V).status_code == 204
    assert head(http, url).status_code == 404
    assert "kept" in {one["name"] for one in http.get("/api/files").json()["items"]}


# --- concatenation


def partial(http, body, **headers):
    return place_of(create(http, len(body), body, **{"Upload-Concat": "partial"}, **headers))


def join(http, *urls, **headers):
    return post(http, **{"Upload-Concat": "final;" + " ".join(urls)}, **headers)


def joined(http, url):
    until = time.monotonic() + 10
    while "upload-offset" not in (state := head(http, url)).headers:
        assert time.monotonic() < until
    return state


def used_bytes(http):
    account = http.get("/auth/me").json()
    return account["used"], account["reserved"]


def test_N1_parts_are_no_files(http):
    used, reserved = used_bytes(http)
    url = partial(http, b"abc", **{"Upload-Metadata": metadata(filename="part-one")})
    assert http.get(url).status_code == 404
    assert "part-one" not in http.get("/api/files").text
    assert used_bytes(http) == (used, reserved + 3)


def test_N2_parts_become_one_file_in_their_order(http):
    used, reserved = used_bytes(http)
    a, b = (
        partial(http, b"abc", **{"Upload-Metadata": metadata(filename="x")}),
        partial(http, b"de"),
    )
    named = {"Upload-Metadata": metadata(filename="joined.bin")}
    final = place_of(join(http, urlsplit(b).path, a, **named))
    state = joined(http, final)
    assert (state.headers["upload-offset"], state.headers["upload-length"]) == ("5", "5")
    assert http.get(final).content == b"deabc"
    assert used_bytes(http) == (used + 5, reserved)
    again = place_of(join(http, a, a))
    joined(http, again)
    assert http.get(again).content == b"abcabc"
    assert head(http, again).headers.get("upload-metadata") is None
    names = [one["name"] for one in http.get("/api/files").json()["items"]]
    assert {"upload", "joined.bin"} <= set(names)


def test_N2_a_part_may_be_ended_when_it_was_joined(http):
    a, b = partial(http, b"abc"), partial(http, b"de")
    final = place_of(join(http, a, b))
    for one in (a, b):
        assert http.delete(one, headers=V).status_code == 204
    joined(http, final)
    assert http.get(final).content == b"abcde"


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("final", 400),
        ("final;", 400),
        ("Partial", 400),
        ("final;/tus/", 400),
        ("final;/tus/../../etc/passwd", 400),
        ("final;" + "/tus/a /tus/a", 400),
        ("final;" + " ".join([NOBODY] * 1001), 400),
        (f"final;{NOBODY}", 404),
    ],
)
def test_N2_what_can_not_be_joined_is_refused(http, value, status):
    assert post(http, **{"Upload-Concat": value}).status_code == status


def test_N2_a_final_upload_has_no_length_of_its_own(http):
    a = partial(http, b"abc")
    assert join(http, a, **{"Upload-Length": "3"}).status_code == 400
    assert join(http, a, **{"Upload-Defer-Length": "1"}).status_code == 400


def test_N2_only_own_whole_parts_are_joined(server, small, http):
    half = place_of(create(http, 5, b"ab", **{"Upload-Concat": "partial"}))
    plain = place_of(create(http, 5, b"ab"))
    assert join(http, half).status_code == 409, "concatenation-unfinished is not announced"
    assert join(http, plain).status_code == 409
    with httpx2.Client(base_url=server.url, headers=server.headers("bob")) as bob:
        assert join(bob, partial(http, b"abc")).status_code == 404
    big = partial(small, b"x" * 600)
    assert join(small, big, big).status_code == 413


def test_N3_a_final_upload_takes_no_bytes(http):
    final = place_of(join(http, partial(http, b"abc")))
    for offset in (0, 3):
        assert patch(http, final, offset, b"").status_code == 403
        assert patch(http, final, offset, b"x").status_code == 403
    joined(http, final)
    assert patch(http, final, 3, b"x").status_code == 403
    assert http.get(final).content == b"abc"


def test_N4_a_head_tells_what_it_is(server, http):
    a = partial(http, b"abc")
    state = head(http, a)
    assert (state.headers["upload-concat"], state.headers["upload-offset"]) == ("partial", "3")
    path = urlsplit(a).path
    final = place_of(join(http, path))
    assert joined(http, final).headers["upload-concat"] == f"final;{path}"
    with sqlite3.connect(server.data / "catalog.db") as catalog:
        catalog.execute(
            "UPDATE upload_sessions SET status = 'joining' WHERE session_id = ?",
            [final.rsplit("/", 1)[-1]],
        )
    catalog.close()
    state = head(http, final)
    assert "upload-offset" not in state.headers
    assert state.headers["upload-length"] == "3"
    assert http.get(final).status_code == 404
