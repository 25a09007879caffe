"""Changes, many files at once, and archives of a selection, over HTTP."""

from __future__ import annotations

import io
import zipfile

import httpx2
import pytest


@pytest.fixture(scope="module")
def http(server):
    with httpx2.Client(base_url=server.url, headers=server.headers()) as client:
        yield client


@pytest.fixture(scope="module")
def bob(server):
    with httpx2.Client(base_url=server.url, headers=server.headers("bob")) as client:
        yield client


def put(http, path, data=b"abc"):
    answer = http.put(f"/api/content/{path}", content=data)
    assert answer.status_code in {200, 201}, answer.text
    return answer.json()["id"]


def changes(http, since="0", **more):
    answer = http.get("/api/files/changes", params={"since": since, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_device_that_asks_again_learns_what_changed(http):
    kept, gone = put(http, "feed/kept"), put(http, "feed/gone")
    begun = changes(http)
    assert {kept, gone} <= {one["id"] for one in begun["items"]}
    http.delete(f"/api/files/{gone}")
    http.patch(f"/api/files/{kept}", json={"name": "renamed"})
    # What jobs found may come between.
    since = {one["id"]: one for one in changes(http, begun["next_cursor"])["items"]}
    assert (since[gone]["change"], since[gone]["file"]) == ("deleted", None)
    assert (since[kept]["change"], since[kept]["file"]["name"]) == ("updated", "renamed")
    page = changes(http, limit=1)
    assert (len(page["items"]), page["more"]) == (1, True)
    answer = http.get("/api/files/changes", params={"since": 10**12})
    assert (answer.status_code, answer.json()["code"]) == (410, "changes-gone")
    assert http.get("/api/files/changes", params={"since": "x"}).status_code == 422


def test_many_at_once_and_what_became_of_each(http, bob):
    mine = [put(http, f"bulk/{number}") for number in range(3)]
    theirs = put(bob, "bulk/theirs")
    put(http, "bulk/into/0")
    asked = {"action": "move", "ids": [*mine, theirs, mine[1]], "folder": "bulk/into"}
    answer = http.post("/api/files/bulk", json=asked).json()["items"]
    assert [(one["id"], one["status"]) for one in answer] == [
        (mine[0], 409), (mine[1], 200), (mine[2], 200), (theirs, 404),
    ]  # fmt: skip
    assert answer[0]["code"] == "name-taken"
    assert answer[1]["file"]["folder"] == "bulk/into"
    http.patch(f"/api/files/{mine[1]}", json={"tags": {"a": "b"}})
    tagged = http.post(
        "/api/files/bulk", json={"action": "tag", "ids": mine[:2], "tags": {"trip": "north"}}
    ).json()["items"]
    assert [one["file"]["tags"] for one in tagged] == [
        {"trip": "north"}, {"a": "b", "trip": "north"},
    ]  # fmt: skip
    deleted = http.post("/api/files/bulk", json={"action": "delete", "ids": mine}).json()
    assert [one["status"] for one in deleted["items"]] == [204, 204, 204]
    assert http.get(f"/api/files/{mine[0]}").status_code == 404
    assert bob.get(f"/api/files/{theirs}").status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"action": "move", "ids": ["0" * 26]}, 400),
        ({"action": "tag", "ids": ["0" * 26]}, 400),
        ({"action": "burn", "ids": ["0" * 26]}, 422),
        ({"action": "delete", "ids": []}, 422),
        ({"action": "delete", "ids": ["../x"]}, 422),
        ({"action": "delete", "ids": ["0" * 26] * 1001}, 422),
    ],
)
def test_what_can_not_be_done_to_many_is_refused(http, body, status):
    assert http.post("/api/files/bulk", json=body).status_code == status


def test_a_selection_as_one_archive(http):
    contents = {"pack/a.txt": b"one", "pack/ö/b.bin": bytes(range(256)) * 9000, "pack/e": b""}
    ids = [put(http, path, content) for path, content in contents.items()]
    answer = http.get("/api/files/zip", params={"ids": [f"{ids[0]},{ids[1]}", ids[2], ids[0]]})
    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) == len(answer.content)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as read:
        assert read.testzip() is None
        assert {name: read.read(name) for name in read.namelist()} == contents


def test_an_archive_holds_what_one_may_see_and_nothing_else(http, bob):
    mine, theirs = put(http, "pack/mine"), put(bob, "theirs")
    assert http.get("/api/files/zip", params={"ids": f"{mine},{theirs}"}).status_code == 404
    http.delete(f"/api/files/{mine}")
    assert http.get("/api/files/zip", params={"ids": mine}).status_code == 404
    assert http.get("/api/files/zip", params={"ids": ","}).status_code == 400
    assert http.get("/api/files/zip").status_code == 422


def test_an_archive_has_an_address_that_needs_no_header_once(http, bob):
    mine, theirs = put(http, "pack/once"), put(bob, "not-mine")
    assert http.post("/api/files/zip", json={"ids": [mine, theirs]}).status_code == 404
    link = http.post("/api/files/zip", json={"ids": [mine, mine]}).json()
    answer = httpx2.get(link["url"])
    with zipfile.ZipFile(io.BytesIO(answer.content)) as read:
        assert read.namelist() == ["pack/once"]
    assert httpx2.get(link["url"]).status_code == 404


def test_an_address_of_an_archive_opens_no_socket_and_a_ticket_no_archive(http):
    mine = put(http, "pack/kinds")
    ticket = http.post("/auth/ticket").json()["ticket"]
    assert httpx2.get(f"{http.base_url}/z/{ticket}").status_code == 404
    link = http.post("/api/files/zip", json={"ids": [mine]}).json()["url"]
    answer = httpx2.get(f"{http.base_url}/api/events", params={"ticket": link.rpartition("/")[2]})
    assert answer.status_code == 401
