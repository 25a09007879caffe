"""Resumable uploads for HTTP against the real server: the draft's checklist, interop 8, 6 and 5."""

from __future__ import annotations

import base64
import hashlib

import httpx2
import pytest

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


def test_limits_are_told(http):
    answer = http.options("/resumable/")
    assert answer.status_code == 204
    assert answer.headers["upload-limit"] == "min-size=0"
    assert "upload-complete" not in answer.headers


def test_a_whole_file_in_one_request(http):
    answer = create(
        http, b"abcde", complete=True,
        **{"Content-Disposition": "inline; filename*=UTF-8''%D1%84.mp4", "Content-Type": "video/mp4"},
    )  # fmt: skip
    assert (answer.status_code, answer.headers["upload-complete"]) == (201, "?1")
    stored = answer.json()
    assert (stored["name"], stored["size"], stored["mime_type"]) == ("ф.mp4", 5, "video/mp4")
    assert http.get(f"/api/files/{stored['id']}/download").content == b"abcde"


def test_careful_creation_then_pieces(http):
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


def test_an_empty_last_piece_ends_the_file(http):
    url = place_of(create(http, b"abc"))
    done = patch(http, url, 3, b"", complete=True)
    assert (done.status_code, done.json()["size"]) == (201, 3)


def test_the_last_answer_is_given_again(http):
    url = place_of(create(http))
    first = patch(http, url, 0, b"abc", complete=True)
    again = patch(http, url, 3, b"", complete=True)
    assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])


def test_a_wrong_offset_is_answered_with_the_right_one(http):
    url = place_of(create(http, b"abc"))
    answer = patch(http, url, 1, b"x", complete=False)
    assert answer.status_code == 409
    assert answer.headers["upload-offset"] == "3"
    assert answer.headers["upload-complete"] == "?0"
    problem = answer.json()
    assert problem["type"].endswith("#mismatching-upload-offset")
    assert (problem["expected-offset"], problem["provided-offset"]) == (3, 1)


def test_lengths_that_do_not_agree(http):
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
def test_a_field_that_can_not_be_read_is_not_there(http, headers):
    assert http.post("/resumable/", content=b"x", headers=headers).status_code == 400


@pytest.mark.parametrize("offset", ["x", "-1", "1.5", '"3"', "?1"])
def test_an_offset_that_can_not_be_read_is_not_there(http, offset):
    url = place_of(create(http, b"abc"))
    assert patch(http, url, offset, b"x", complete=False).status_code == 400


def test_the_media_type_is_wanted_since_draft_04(http):
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


def test_digests_of_a_request_are_checked(http):
    url = place_of(create(http))
    digest = base64.b64encode(hashlib.sha256(b"abc").digest()).decode()
    told = {"Content-Digest": f"sha-256=:{digest}:"}
    assert patch(http, url, 0, b"abX", complete=False, **told).status_code == 422
    assert http.head(url).headers["upload-offset"] == "0"
    assert patch(http, url, 0, b"abc", complete=True, **told).status_code == 201


def test_a_cancelled_upload_is_gone(http):
    url = place_of(create(http, b"abc"))
    assert http.delete(url).status_code == 204
    assert http.head(url).status_code == 410
    assert patch(http, url, 3, b"x", complete=True).status_code == 410


def test_others_uploads_do_not_exist(server, http):
    url = place_of(create(http, b"abc"))
    with httpx2.Client(base_url=server.url, headers=server.headers("bob")) as bob:
        assert bob.head(url).status_code == 404
        assert patch(bob, url, 3, b"x", complete=True).status_code == 404
    assert httpx2.head(url).status_code == 401
