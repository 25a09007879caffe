"""Files found by their name, and PUT that must not meet a file of its name."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest


@pytest.fixture(scope="module")
def http(server):
    with httpx2.Client(base_url=server.url, headers=server.headers()) as client:
        yield client


def put(http, path, data=b"abc", **headers):
    return http.put(f"/api/content/{path}", content=data, headers=headers)


def search(http, q, **more):
    answer = http.get("/api/files/search", params={"q": q, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def names(found):
    return [item["name"] for item in found["items"]]


def test_a_part_of_the_name_finds_the_file(http, server):
    for name in ("Holiday 1.mp4", "holiday 2.mp4", "other.mp4", "100%_done.txt", "Лето.mp4"):
        assert put(http, f"trip/{name}").status_code == 201
    assert names(search(http, "HOLIDAY")) == ["holiday 2.mp4", "Holiday 1.mp4"]
    assert names(search(http, "%_d")) == ["100%_done.txt"]
    assert names(search(http, "лето")) == ["Лето.mp4"]
    assert names(search(http, "nothing like it")) == []
    row = search(http, "other")["items"][0]
    assert {"id", "name", "size", "mime_type", "created_at", "owner"} <= set(row)
    with httpx2.Client(base_url=server.url, headers=server.headers("bob")) as bob:
        assert names(search(bob, "holiday")) == []


def test_pages_stay_right_while_files_are_added(http):
    for number in range(5):
        put(http, f"page {number}.bin")
    first = search(http, "page", limit=2)
    put(http, "page 5.bin")
    second = search(http, "page", limit=2, cursor=first["next_cursor"])
    third = search(http, "page", limit=2, cursor=second["next_cursor"])
    found = names(first) + names(second) + names(third)
    assert found == [f"page {number}.bin" for number in (4, 3, 2, 1, 0)]
    assert third["next_cursor"] is None


@pytest.mark.parametrize("query", ["", "?q=", f"?q={'a' * 256}", "?q=a&cursor=;drop"])
def test_what_can_not_be_searched_for_is_refused(http, query):
    assert http.get(f"/api/files/search{query}").status_code == 422


def test_only_the_first_of_several_becomes_a_file(http):
    only_new = {"If-None-Match": "*"}
    with ThreadPoolExecutor(6) as pool:
        answers = list(
            pool.map(lambda n: put(http, "one/only.bin", b"%d" % n * 300_000, **only_new), range(6))
        )
    assert sorted(answer.status_code for answer in answers) == [201, 412, 412, 412, 412, 412]
    refused = next(answer for answer in answers if answer.status_code == 412)
    assert refused.json()["code"] == "precondition-failed"
    assert len(search(http, "only.bin")["items"]) == 1
    assert put(http, "elsewhere/only.bin", **only_new).status_code == 201
    assert put(http, "one/only.bin").status_code == 200
