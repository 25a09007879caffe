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


def test_words_find_files(http, server):
    for name in ("Holiday 1.mp4", "holidayBeach2.mp4", "other.mp4", "100%_done.txt", "Лето.mp4"):
        assert put(http, f"trip/{name}").status_code == 201
    assert names(search(http, "HOLIDAY")) == ["holidayBeach2.mp4", "Holiday 1.mp4"]
    assert names(search(http, "holi* -beach")) == ["Holiday 1.mp4"]
    assert names(search(http, "%_d*")) == ["100%_done.txt"]
    assert names(search(http, "лето")) == ["Лето.mp4"]
    assert names(search(http, "trip 1")) == ["Holiday 1.mp4"]
    assert names(search(http, '"trip 1"')) == []
    assert names(search(http, "nothing like it")) == []
    assert names(search(http, "%%%")) == []
    found = search(http, "other")
    assert (found["total"], found["total_is_estimate"]) == (1, False)
    assert {"id", "name", "size", "mime_type", "created_at", "owner"} <= set(found["items"][0])
    with httpx2.Client(base_url=server.url, headers=server.headers("bob")) as bob:
        assert names(search(bob, "holiday")) == []
        assert names(search(bob, "", owner="ann")) == []


def test_filters_and_orders(http):
    for name, size in (("b.jpg", 5), ("a.png", 3000), ("c.pdf", 9)):
        assert put(http, f"filters/deep/{name}", b"x" * size).status_code == 201
    file_id = search(http, "", folder="filters", kind="document")["items"][0]["id"]
    tags = {"tags": {"year": "2026", "a=b": ""}}
    assert http.patch(f"/api/files/{file_id}", json=tags).status_code == 200

    def found(**more):
        return names(search(http, "", folder="filters", **more))

    assert found() == ["c.pdf", "a.png", "b.jpg"]
    assert found(subfolders=False) == []
    assert found(kind=["image", "video"]) == ["a.png", "b.jpg"]
    assert found(mime_type="image/png") == ["a.png"]
    assert found(min_size=6, max_size=100) == ["c.pdf"]
    assert found(tag="year") == found(tag="year=2026") == ["c.pdf"]
    assert found(tag="year=2025") == []
    assert found(owner=["ann", "nobody"]) == ["c.pdf", "a.png", "b.jpg"]
    assert found(created_before="2020-01-01") == []
    assert len(found(created_after="2020-01-01T00:00:00+02:00", scan_state="skipped")) == 3
    assert found(sort="name") == ["a.png", "b.jpg", "c.pdf"]
    assert found(sort="size") == ["a.png", "c.pdf", "b.jpg"]
    assert found(sort="modified", order="asc") == ["b.jpg", "a.png", "c.pdf"]
    assert names(search(http, "c", folder="filters", sort="relevance")) == ["c.pdf"]
    assert http.delete(f"/api/files/{file_id}").status_code == 204
    assert found() == ["a.png", "b.jpg"]
    assert found(in_trash=True) == ["c.pdf"]


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
    assert (first["total"], second["total"]) == (5, None)
    other_order = {"q": "page", "sort": "name", "cursor": first["next_cursor"]}
    refused = http.get("/api/files/search", params=other_order)
    assert (refused.status_code, refused.json()["code"]) == (400, "validation")


REFUSED = [
    (f"q={'a' * 1001}", 422), ("limit=0", 422), ("limit=1001", 422), ("sort=id", 422),
    ("kind=x", 422), ("min_size=-1", 422), ("max_size=9223372036854775808", 422),
    ("created_after=x", 422), ("created_after=0001-01-01T00:00:00%2B14:00", 422),
    ("created_before=9999-12-31T23:59:59-14:00", 422), ("unheard=1", 422), ("tag=", 422),
    ("folder=..", 400), ("q=" + "+".join(f"w{n}" for n in range(51)), 400),
    ("cursor=;drop", 400), ("cursor=", 400), ("cursor=W10", 400), ("cursor=%00", 400),
    ("cursor=WyJjcmVhdGVkIiwxLDFlOTk5LG51bGwsMF0", 400), ("cursor=" + "W" * 1999, 400),
]  # fmt: skip


@pytest.mark.parametrize(("query", "status"), REFUSED)
def test_what_can_not_be_searched_for_is_refused(http, query, status):
    assert http.get(f"/api/files/search?{query}").status_code == status


HOSTILE = [
    '"', "' OR 1=1 --", "a AND", "NEAR(", "*", "-", "\\", "\u202e\u0000", "a:*b <-> !c", "(((((",
    "\ufeff", "\U0010ffff", "words : x", "^", "x" * 1000, "-x " * 300,
]  # fmt: skip


@pytest.mark.parametrize("q", HOSTILE)
@pytest.mark.parametrize("sort", ["created", "relevance", "name"])
def test_no_text_breaks_the_search(http, q, sort):
    assert isinstance(search(http, q, sort=sort)["items"], list)


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
