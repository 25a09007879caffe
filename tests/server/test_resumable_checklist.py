"""Resumable uploads for HTTP, row by row of the draft's checklist: interop 8, 6 and 5."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import time
from urllib.parse import urlsplit

import httpx2
import pytest

pytestmark = pytest.mark.processes

PARTIAL = {"Content-Type": "application/partial-upload"}


@pytest.fixture(scope="module")
def http(server):
    with httpx2.Client(base_url=server.url, headers=server.headers()) as client:
        yield client


def create(http, body=b"", complete=False, **headers):
    given = {"Upload-Complete": "?1" if complete else "?0", **headers}
    return http.post("/resumable/", content=body, headers=given)


def place_of(answer):
    return str(answer.url.join(answer.headers["location"]))


def patch(http, url, offset, body, complete, **headers):
    given = {
        **PARTIAL, "Upload-Offset": str(offset), "Upload-Complete": "?1" if complete else "?0", **headers,
    }  # fmt: skip
    return http.patch(url, content=body, headers=given)


def test_R1_limits_are_told(http):
    answer = http.options("/resumable/")
    assert answer.status_code == 204
    assert answer.headers["upload-limit"] == "min-size=0"
    assert "upload-complete" not in answer.headers


def test_R4_a_whole_file_in_one_request_is_described_by_its_headers(http):
    answer = create(
        http, b"abcde", complete=True,
        **{"Content-Disposition": "inline; filename*=UTF-8''%D1%84.mp4", "Content-Type": "video/mp4"},
    )  # fmt: skip
    assert (answer.status_code, answer.headers["upload-complete"]) == (201, "?1")
    stored = answer.json()
    assert (stored["name"], stored["size"], stored["mime_type"]) == ("ф.mp4", 5, "video/mp4")
    assert http.get(f"/api/files/{stored['id']}/download").content == b"abcde"


def test_R3_R7_careful_creation_then_pieces(http):
    made = create(http)
    assert made.status_code == 201
    assert "upload-limit" in made.headers
    url = place_of(made)
    first = patch(http, url, 0, b"abc", complete=False)
    assert (first.status_code, first.headers["upload-complete"]) == (204, "?0")
    state = http.head(url)
    assert state.status_code == 204
    assert state.headers["upload-offset"] == "3"
    assert state.headers["upload-complete"] == "?0"
    assert state.headers["cache-control"] == "no-store"
    assert "upload-length" not in state.headers
    last = patch(http, url, 3, b"de", complete=True)
    assert (last.status_code, last.headers["upload-complete"]) == (201, "?1")
    assert http.head(url).headers["upload-length"] == "5"
    assert http.get(f"/api/files/{last.json()['id']}/download").content == b"abcde"


def test_R9_an_empty_last_piece_ends_the_file(http):
    url = place_of(create(http, b"abc"))
    done = patch(http, url, 3, b"", complete=True)
    assert (done.status_code, done.json()["size"]) == (201, 3)


def test_R9_the_last_answer_is_given_again(http):
    url = place_of(create(http))
    first = patch(http, url, 0, b"abc", complete=True)
    again = patch(http, url, 3, b"", complete=True)
    assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])


def test_R8_a_wrong_offset_is_answered_with_the_right_one(http):
    url = place_of(create(http, b"abc"))
    answer = patch(http, url, 1, b"x", complete=False)
    assert answer.status_code == 409
    assert answer.headers["upload-offset"] == "3"
    assert answer.headers["upload-complete"] == "?0"
    problem = answer.json()
    assert problem["type"].endswith("#mismatching-upload-offset")
    assert (problem["expected-offset"], problem["provided-offset"]) == (3, 1)


def test_R5_lengths_that_do_not_agree(http):
    answer = create(http, b"abc", complete=True, **{"Upload-Length": "5"})
    assert answer.status_code == 400
    assert answer.json()["type"].endswith("#inconsistent-upload-length")
    url = place_of(create(http, b"abc", **{"Upload-Length": "5"}))
    assert patch(http, url, 3, b"defg", complete=False).status_code == 413
    assert patch(http, url, 3, b"d", complete=True).status_code == 400
    assert patch(http, url, 3, b"de", complete=True).status_code == 201


@pytest.mark.parametrize(
    "headers", [{}, {"Upload-Complete": "yes"}, {"Upload-Complete": "?2"}, {"Upload-Complete": "1"}]
)
def test_R2_a_field_that_can_not_be_read_is_not_there(http, headers):
    assert http.post("/resumable/", content=b"x", headers=headers).status_code == 400


@pytest.mark.parametrize("offset", ["x", "-1", "1.5", '"3"', "?1"])
def test_R8_an_offset_that_can_not_be_read_is_not_there(http, offset):
    url = place_of(create(http, b"abc"))
    assert patch(http, url, offset, b"x", complete=False).status_code == 400


def test_R8_the_media_type_is_wanted_since_draft_04(http):
    url = place_of(create(http))
    plain = {"Content-Type": "application/octet-stream"}
    assert patch(http, url, 0, b"a", complete=False, **plain).status_code == 415
    for version, offset in (("5", 0), ("3", 1)):
        answer = patch(
            http, url, offset, b"a", complete=False, **plain,
            **{"Upload-Draft-Interop-Version": version},
        )  # fmt: skip
        assert answer.status_code == 204


@pytest.mark.parametrize("version", ["6", "8"])
def test_clients_of_other_drafts_are_served(http, version):
    told = {"Upload-Draft-Interop-Version": version}
    url = place_of(create(http, **told, **{"Upload-Length": "3"}))
    done = patch(http, url, 0, b"abc", complete=True, **told)
    assert (done.status_code, done.json()["size"]) == (201, 3)


def test_R13_digests_of_a_request_are_checked(http):
    url = place_of(create(http))
    digest = base64.b64encode(hashlib.sha256(b"abc").digest()).decode()
    told = {"Content-Digest": f"sha-256=:{digest}:"}
    assert patch(http, url, 0, b"abX", complete=False, **told).status_code == 422
    assert http.head(url).headers["upload-offset"] == "0"
    assert patch(http, url, 0, b"abc", complete=True, **told).status_code == 201


def test_R11_a_cancelled_upload_is_gone(http):
    url = place_of(create(http, b"abc"))
    assert http.delete(url).status_code == 204
    assert http.head(url).status_code == 410
    assert patch(http, url, 3, b"x", complete=True).status_code == 410


def test_R14_others_uploads_do_not_exist(server, http):
    url = place_of(create(http, b"abc"))
    with httpx2.Client(base_url=server.url, headers=server.headers("bob")) as bob:
        assert bob.head(url).status_code == 404
        assert patch(bob, url, 3, b"x", complete=True).status_code == 404
    assert httpx2.head(url).status_code == 401


def raw(http, method, path, body=b"", **headers):
    """Send a request by hand and return the connection, which is not read yet."""
    place = urlsplit(str(http.base_url))
    lines = {"Host": "x", "Authorization": http.headers["authorization"], **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    connection = socket.create_connection((place.hostname, place.port), timeout=60)
    connection.sendall(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
    return connection


def answers_of(connection, end):
    received = b""
    while end not in received and (piece := connection.recv(65536)):
        received += piece
    return received.decode()


@pytest.mark.parametrize("version", ["5", "6", "8"])
def test_R2_R6_a_104_tells_the_place_before_the_body_is_read(http, version):
    told = {
        "Upload-Complete": "?1",
        "Content-Length": "5",
        "Upload-Draft-Interop-Version": version,
    }
    with raw(http, "POST", "/resumable/", b"ab", **told) as connection:
        interim = answers_of(connection, b"\r\n\r\n")
        assert interim.startswith("HTTP/1.1 104 ")
        assert f"Upload-Draft-Interop-Version: {version}" in interim
        assert "Upload-Limit: min-size=0" in interim
        place = re.search(r"Location: (\S+)", interim)[1]
        connection.sendall(b"cde")
        final = answers_of(connection, b"}")
        assert final.startswith("HTTP/1.1 201 ")
        # The same place in all messages of one request.
        assert f"location: {place}\r\n" in final
        assert "upload-complete: ?1" in final
        assert "upload-limit: " in final
    assert http.head(f"/resumable/{place}").headers["upload-offset"] == "5"


@pytest.mark.parametrize("version", [None, "3", "99", "x"])
def test_R6_no_104_to_a_client_of_another_draft(http, version):
    told = {"Upload-Complete": "?1", "Content-Length": "2"}
    if version is not None:
        told["Upload-Draft-Interop-Version"] = version
    with raw(http, "POST", "/resumable/", b"ab", **told) as connection:
        assert answers_of(connection, b"}").startswith("HTTP/1.1 201 ")


def test_R4_encoded_content_is_not_taken_for_the_file(http):
    answer = create(http, b"x", complete=True, **{"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported-content")


def test_R5_another_length_than_before(http):
    url = place_of(create(http, b"abc", **{"Upload-Length": "5"}))
    for headers, complete in (({"Upload-Length": "6"}, False), ({}, True)):
        answer = patch(http, url, 3, b"d", complete=complete, **headers)
        assert answer.status_code == 400
        assert answer.json()["type"].endswith("#inconsistent-upload-length")
    assert http.head(url).headers["upload-offset"] == "3"


def test_R7_a_get_tells_the_same_as_a_head(http):
    url = place_of(create(http, b"abc", **{"Upload-Length": "5"}))
    for answer in (http.head(url), http.get(url, follow_redirects=False)):
        assert answer.status_code == 204
        assert answer.headers["upload-offset"] == "3"
        assert answer.headers["upload-length"] == "5"
        assert answer.headers["upload-complete"] == "?0"
        assert answer.headers["upload-limit"] == "min-size=0"
        assert answer.headers["cache-control"] == "no-store"


def test_R8_a_complete_upload_takes_no_more(http):
    url = place_of(create(http, b"abc", complete=True))
    for offset, body in ((3, b"d"), (0, b"abc"), (1, b"")):
        answer = patch(http, url, offset, body, complete=True)
        assert answer.status_code == 400
        assert answer.json()["type"].endswith("#completed-upload")


def test_R10_offsets_never_go_back_and_never_pass_the_length(http):
    url = place_of(create(http, b"abc", **{"Upload-Length": "5"}))
    assert patch(http, url, 3, iter([b"d", b"ef"]), complete=False).status_code == 413
    seen = int(http.head(url).headers["upload-offset"])
    assert 3 <= seen <= 5
    assert patch(http, url, 0, b"abc", complete=False).status_code == 409
    assert int(http.head(url).headers["upload-offset"]) == seen


@pytest.mark.parametrize("asked", ["HEAD", "PATCH", "DELETE"])
def test_R12_a_newcomer_ends_the_running_request_and_its_offset_holds(http, asked):
    url = place_of(create(http))
    path = urlsplit(url).path
    told = {**PARTIAL, "Upload-Offset": "0", "Upload-Complete": "?1", "Content-Length": "1000"}
    with raw(http, "PATCH", path, b"0123456789", **told) as running:
        time.sleep(0.5)  # one that has not begun yet would begin after the newcomer
        state = http.head(url)
        if asked == "DELETE":
            assert http.delete(url).status_code == 204
        elif asked == "PATCH":
            state = patch(http, url, 0, b"", complete=False)
        if asked != "DELETE":
            offset = int(state.headers["upload-offset"])
            assert offset in {0, 10}
            done = patch(http, url, offset, b"x" * (1000 - offset), complete=True)
            assert (done.status_code, done.json()["size"]) == (201, 1000)
        received = answers_of(running, b"\r\n\r\n")
        assert received.split(" ")[1] in {"409", "410"}


def test_R13_the_digest_of_the_whole_is_verified(http):
    digest = base64.b64encode(hashlib.sha256(b"abcde").digest()).decode()
    told = {"Repr-Digest": f"sha-256=:{digest}:"}
    url = place_of(create(http, b"abc", **told))
    done = patch(http, url, 3, b"de", complete=True)
    assert (done.status_code, done.json()["sha256"]) == (
        201, f"sha256:{hashlib.sha256(b'abcde').hexdigest()}",
    )  # fmt: skip
    url = place_of(create(http, b"abc", **told))
    wrong = patch(http, url, 3, b"dX", complete=True)
    assert (wrong.status_code, wrong.json()["code"]) == (422, "checksum-mismatch")
    assert http.head(url).status_code == 410


def test_R14_each_request_is_authorised_and_the_quota_holds_over_appends(server, http):
    url = place_of(create(http, b"abc"))
    with httpx2.Client(base_url=server.url) as nobody:
        for answer in (nobody.head(url), nobody.delete(url), patch(nobody, url, 3, b"", True)):
            assert answer.status_code == 401
    assert len(url.rsplit("/", 1)[-1]) == 32
    refused = create(http, **{"Upload-Length": str(1 << 40)})
    assert (refused.status_code, refused.json()["code"]) == (413, "quota-exceeded")
