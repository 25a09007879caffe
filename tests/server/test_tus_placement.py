"""Where an upload by tus goes, under which conditions, and how it is found while under way."""

from __future__ import annotations

import base64
import json

import httpx2
import pytest

from haulier.core.checksums import crc64nvme

pytestmark = pytest.mark.processes

V = {"Tus-Resumable": "1.0.0"}
OCTETS = {**V, "Content-Type": "application/offset+octet-stream"}
NONE_YET = {"If-None-Match": "*"}


@pytest.fixture
def http(server):
    with httpx2.Client(base_url=server.url, headers=server.headers()) as client:
        yield client


def create(http, body=None, **pairs):
    conditions = pairs.pop("conditions", {})
    coded = {key: base64.b64encode(value.encode()).decode() for key, value in pairs.items()}
    named = {"Upload-Metadata": ",".join(f"{key} {value}" for key, value in coded.items())}
    length = {"Upload-Defer-Length": "1"} if body is None else {"Upload-Length": str(len(body))}
    kind = V if body is None else OCTETS
    return http.post("/tus/", headers={**kind, **named, **length, **conditions}, content=body)


def place_of(answer):
    return str(answer.url.join(answer.headers["location"]))


def patch(http, url, offset, body=b"", **headers):
    given = {**OCTETS, "Upload-Offset": str(offset), **headers}
    return http.patch(url, headers=given, content=body)


def files(http, **params):
    return http.get("/api/files", params=params).json()["items"]


def test_folder_and_tags_come_with_the_metadata(http):
    tags = {"mode": "recap", "öl": "ß"}
    made = create(http, b"abc", filename="a.bin", folder="/put/here/", tags=json.dumps(tags))
    assert made.status_code == 201, made.text
    (found,) = files(http, folder="put/here")
    assert (found["name"], found["tags"], found["size"]) == ("a.bin", tags, 3)


@pytest.mark.parametrize(
    "tags", ["[]", "{", '{"a": 1}', "null", json.dumps({"a": "x" * 256}), "[" * 5000]
)
def test_tags_that_are_none_are_refused(http, tags):
    made = create(http, b"abc", filename="a.bin", tags=tags)
    assert (made.status_code, made.json()["code"]) == (400, "validation")


def test_a_folder_that_can_not_be_is_refused(http):
    assert create(http, b"abc", filename="a.bin", folder="a/../b").status_code == 400


def test_files_are_found_by_folder_and_name(http):
    for name, folder in (("one", "n"), ("two", "n"), ("one", "n/deeper")):
        assert create(http, b"x", filename=name, folder=folder).status_code == 201
    assert [one["name"] for one in files(http, folder="n", name="one")] == ["one"]
    assert files(http, folder="n", name="on") == []
    assert {one["folder"] for one in files(http, name="one")} == {"n", "n/deeper"}


def test_only_where_there_is_none_yet_at_the_beginning(http):
    first = create(http, b"abc", filename="only", folder="c", conditions=NONE_YET)
    assert first.status_code == 201
    again = create(http, b"xyz", filename="only", folder="c", conditions=NONE_YET)
    assert (again.status_code, again.json()["code"]) == (412, "precondition-failed")
    assert files(http, folder="c")[0]["version"] == 1


def test_only_where_there_is_none_yet_at_the_end(http):
    url = place_of(create(http, filename="late", folder="c"))
    assert patch(http, url, 0, b"mine").status_code == 204
    assert create(http, b"theirs", filename="late", folder="c").status_code == 201
    refused = patch(http, url, 4, **{"Upload-Length": "4"}, **NONE_YET)
    assert (refused.status_code, refused.json()["code"]) == (412, "precondition-failed")
    (found,) = files(http, folder="c", name="late")
    assert (found["size"], found["version"]) == (6, 1)
    assert http.head(url, headers=V).status_code == 410


def test_a_deferred_length_is_told_by_an_empty_patch(http):
    url = place_of(create(http, filename="deferred", folder="d"))
    assert patch(http, url, 0, b"all of it").status_code == 204
    assert files(http, folder="d") == []
    done = patch(http, url, 9, **{"Upload-Length": "9"}, **NONE_YET)
    assert (done.status_code, done.headers["upload-offset"]) == (204, "9")
    (found,) = files(http, folder="d")
    assert found["checksum"] == f"crc64nvme:{crc64nvme(b'all of it'):016x}"
    # Its answer was lost: the state tells.
    assert patch(http, url, 9, **{"Upload-Length": "9"}, **NONE_YET).status_code == 409
    state = http.head(url, headers=V).headers
    assert (state["upload-offset"], state["upload-length"]) == ("9", "9")


def test_the_state_tells_the_checksum_of_what_arrived(http):
    url = place_of(create(http, filename="sum"))
    for offset, body in ((0, b"some bytes"), (10, b" and more")):
        patch(http, url, offset, body)
        arrived = b"some bytes and more"[: offset + len(body)]
        named, value = http.head(url, headers=V).headers["upload-checksum"].split(" ")
        assert named == "crc64nvme"
        assert int.from_bytes(base64.b64decode(value)) == crc64nvme(arrived)


def test_uploads_under_way_are_listed(server, http):
    for one in http.get("/api/files/upload").json()["items"]:
        http.delete(f"/tus/{one['session_id']}", headers=V)
    urls = [place_of(create(http, filename=f"open{n}", folder="o")) for n in range(3)]
    patch(http, urls[1], 0, b"12345")
    start = {"name": "chunky", "size": 3 << 20}
    chunky = http.post("/api/files/upload/start", json=start).json()["session_id"]
    http.post(
        f"/api/files/upload/{chunky}/chunk",
        headers={"X-Chunk-Number": "2"},
        content=b"x" * (1 << 20),
    )
    found, cursor = [], None
    while True:
        params = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = http.get("/api/files/upload", params=params).json()
        found, cursor = found + page["items"], page["next_cursor"]
        if cursor is None:
            break
    assert {(f"{one['folder']}/{one['name']}", one["size"], one["bytes"]) for one in found} == {
        ("o/open0", None, 0), ("o/open1", None, 5), ("o/open2", None, 0),
        ("/chunky", 3 << 20, 1 << 20),
    }  # fmt: skip
    with httpx2.Client(base_url=server.url, headers=server.headers("bob")) as other:
        assert other.get("/api/files/upload").json()["items"] == []
