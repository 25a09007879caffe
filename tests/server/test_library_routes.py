"""Rename, tag, move, trash, folders and versions over HTTP, with a real server."""

from __future__ import annotations

import time

import httpx2
import pytest


@pytest.fixture(scope="module")
def http(server):
    with httpx2.Client(base_url=server.url, headers=server.headers()) as client:
        yield client


def put(http, path, data=b"abc", **headers):
    answer = http.put(f"/api/content/{path}", content=data, headers=headers)
    assert answer.status_code in {200, 201}, answer.text
    return answer


def patch(http, file_id, **body):
    headers = body.pop("headers", {})
    return http.patch(f"/api/files/{file_id}", json=body, headers=headers)


def used(http):
    return http.get("/auth/me").json()["used"]


def until(check):
    deadline = time.monotonic() + 20
    while not check():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.05)


def test_a_file_is_renamed_by_whoever_knows_how_it_is(http):
    made = put(http, "change/a.txt")
    file_id, etag = made.json()["id"], made.headers["etag"]
    assert http.get(f"/api/files/{file_id}").headers["etag"] == etag
    stale = patch(http, file_id, name="c.txt", headers={"If-Match": '"other"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "precondition-failed")
    changed = patch(http, file_id, name="b.txt", tags={"trip": "ö"}, headers={"If-Match": etag})
    assert changed.status_code == 200
    assert changed.json() | {"name": "b.txt", "tags": {"trip": "ö"}} == changed.json()
    assert patch(http, file_id, name="c.txt", headers={"If-Match": etag}).status_code == 412
    assert http.delete(f"/api/files/{file_id}", headers={"If-Match": etag}).status_code == 412
    now = changed.headers["etag"]
    assert http.get(f"/api/files/{file_id}").headers["etag"] == now
    assert patch(http, file_id, folder="", headers={"If-Match": now}).json()["folder"] == ""
    answer = http.get(f"/api/files/{file_id}/download")
    assert (answer.content, answer.headers["etag"]) == (b"abc", etag)
    assert 'filename="b.txt"' in answer.headers["content-disposition"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"name": ".."}, 400, "validation"),
        ({"name": "x" * 300}, 400, "validation"),
        ({"folder": "a/../b"}, 400, "validation"),
        ({"name": ""}, 422, "schema"),
        ({"tags": {"a": 1}}, 422, "schema"),
        ({"tags": {"a": "x" * 256}}, 422, "schema"),
        ({"size": 1}, 422, "schema"),
        ([], 422, "schema"),
        ({"name": "taken.txt"}, 409, "name-taken"),
    ],
)
def test_what_can_not_be_changed_is_refused(http, body, status, code):
    put(http, "refused/taken.txt")
    file_id = put(http, "refused/a.txt").json()["id"]
    answer = http.patch(f"/api/files/{file_id}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert http.get(f"/api/files/{file_id}").json()["name"] == "a.txt"


def test_to_the_trash_back_and_away(http, server):
    before = used(http)
    file_id = put(http, "bin/a.txt", b"x" * 1000).json()["id"]
    put(http, "bin/a.txt", b"y" * 500)
    stored = server.data / "files"
    lying = sum(1 for one in stored.rglob("*") if one.is_file())
    assert http.delete(f"/api/files/{file_id}").status_code == 204
    assert http.delete(f"/api/files/{file_id}").status_code == 404
    for path in ("", "/download", "/thumbnail", "/versions"):
        assert http.get(f"/api/files/{file_id}{path}").status_code == 404
    assert http.get("/api/files", params={"folder": "bin"}).json()["items"] == []
    row = next(one for one in http.get("/api/trash").json()["items"] if one["id"] == file_id)
    assert row["deleted_at"].endswith("Z")
    back = http.post(f"/api/trash/{file_id}/restore")
    assert (back.status_code, back.json()["deleted_at"]) == (200, None)
    assert http.get(f"/api/files/{file_id}/download").content == b"y" * 500
    assert http.delete(f"/api/trash/{file_id}").status_code == 404
    assert used(http) == before + 1500
    http.delete(f"/api/files/{file_id}")
    assert http.delete(f"/api/trash/{file_id}").status_code == 204
    assert used(http) == before
    until(lambda: sum(1 for one in stored.rglob("*") if one.is_file()) == lying - 2)
    put(http, "bin/b.txt")
    http.delete("/api/files/" + put(http, "bin/b.txt").json()["id"])
    assert http.delete("/api/trash").status_code == 204
    assert http.get("/api/trash").json() == {"items": [], "next_cursor": None}
    assert used(http) == before


def test_versions_one_behind_the_other(http):
    first = put(http, "versions/a.txt", b"one")
    second = put(http, "versions/a.txt", b"second")
    assert (first.status_code, second.status_code) == (201, 200)
    file_id = first.json()["id"]
    assert second.json()["id"] == file_id
    assert second.headers["etag"].startswith(f'"{file_id}-2-')
    refused = http.put(
        "/api/content/versions/a.txt", content=b"x", headers={"If-Match": first.headers["etag"]}
    )
    assert refused.status_code == 412
    put(http, "versions/a.txt", b"third", **{"If-Match": second.headers["etag"]})
    listed = http.get(f"/api/files/{file_id}/versions").json()["items"]
    assert [(one["version"], one["size"]) for one in listed] == [(3, 5), (2, 6), (1, 3)]
    old = http.get(f"/api/files/{file_id}/download", params={"version": 1})
    assert (old.content, old.headers["etag"]) == (b"one", first.headers["etag"])
    part = http.get(
        f"/api/files/{file_id}/download", params={"version": 2}, headers={"Range": "bytes=1-3"}
    )
    assert (part.status_code, part.content) == (206, b"eco")
    for version, status in ((9, 404), (0, 422), (2**31, 422), ("x", 422)):
        answer = http.get(f"/api/files/{file_id}/download", params={"version": version})
        assert answer.status_code == status
    back = http.post(f"/api/files/{file_id}/versions/1/restore")
    assert (back.status_code, back.json()["version"]) == (200, 4)
    assert http.get(f"/api/files/{file_id}/download").content == b"one"
    assert http.post(f"/api/files/{file_id}/versions/9/restore").status_code == 404


def test_every_way_in_makes_versions(http):
    first = put(http, "by-all.bin", b"put").json()
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "3",
               "Upload-Metadata": "filename YnktYWxsLmJpbg=="}  # fmt: skip
    octets = {"Content-Type": "application/offset+octet-stream"}
    made = http.post("/tus/", headers=headers | octets, content=b"tus")
    assert made.status_code == 201
    assert http.get(f"/tus/{made.headers['location']}").content == b"tus"
    session = http.post("/api/files/upload/start", json={"name": "by-all.bin", "size": 6}).json()
    done = http.post(
        f"/api/files/upload/{session['session_id']}/chunk",
        content=b"chunks",
        headers={"X-Chunk-Number": "1"},
    )
    assert (done.status_code, done.json()["file"]["id"]) == (201, first["id"])
    begun = http.post("/upload/chunked/init", json={"file_name": "by-all.bin", "file_size": 7})
    chunked = f"/upload/chunked/{begun.json()['file_id']}"
    http.post(f"{chunked}/chunk", content=b"chunked", headers={"X-Chunk-Number": "1"})
    assert http.post(f"{chunked}/complete").json()["file_id"] == first["id"]
    resumed = http.post(
        "/resumable/",
        content=b"resumable",
        headers={
            "Upload-Complete": "?1",
            "Content-Disposition": 'attachment; filename="by-all.bin"',
        },
    )
    assert resumed.status_code == 201, resumed.text
    listed = http.get(f"/api/files/{first['id']}/versions").json()["items"]
    sizes = [one["size"] for one in listed]
    assert sizes == [9, 7, 6, 3, 3]
    for one in listed:
        answer = http.get(f"/api/files/{first['id']}/download", params={"version": one["version"]})
        assert len(answer.content) == one["size"]


def test_folders_over_http(http):
    made = http.post("/api/folders", json={"path": "fold/in"})
    assert (made.status_code, made.json()["name"]) == (201, "in")
    assert http.post("/api/folders", json={"path": "fold/in"}).status_code == 409
    file_id = put(http, "fold/in/a.txt").json()["id"]
    folder_id = made.json()["id"]
    moved = http.patch(f"/api/folders/{folder_id}", json={"name": "out", "parent": "elsewhere"})
    assert moved.json()["path"] == "elsewhere/out"
    assert http.get(f"/api/files/{file_id}").json()["folder"] == "elsewhere/out"
    listed = http.get("/api/folders", params={"parent": "elsewhere"}).json()
    assert [one["id"] for one in listed["items"]] == [folder_id]
    inside = http.patch(f"/api/folders/{folder_id}", json={"parent": "elsewhere/out/deep"})
    assert (inside.status_code, inside.json()["code"]) == (400, "validation")
    assert http.get(f"/api/folders/{folder_id}").json() == moved.json()
    assert http.delete(f"/api/folders/{folder_id}").status_code == 204
    assert http.get(f"/api/folders/{folder_id}").status_code == 404
    assert http.get(f"/api/files/{file_id}").status_code == 404
    assert http.post(f"/api/trash/{file_id}/restore").json()["folder"] == "elsewhere/out"


def test_pages_of_folders(http):
    for name in "cab":
        http.post("/api/folders", json={"path": f"paged/{name}"})
    first = http.get("/api/folders", params={"parent": "paged", "limit": 2}).json()
    rest = http.get(
        "/api/folders", params={"parent": "paged", "limit": 2, "cursor": first["next_cursor"]}
    ).json()
    assert [one["name"] for one in first["items"] + rest["items"]] == ["a", "b", "c"]
    assert rest["next_cursor"] is None


def test_an_admin_sees_to_the_files_of_others(http, server):
    file_id = put(http, "admin.txt").json()["id"]
    with httpx2.Client(base_url=server.url, headers=server.headers("root")) as root:
        assert patch(root, file_id, tags={"checked": "yes"}).status_code == 200
        assert root.delete(f"/api/files/{file_id}").status_code == 204
        assert root.get("/api/trash").json()["items"] == []
    assert http.post(f"/api/trash/{file_id}/restore").json()["tags"] == {"checked": "yes"}
