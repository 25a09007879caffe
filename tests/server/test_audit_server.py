"""What is done on a server is in its audit log, and nobody can take it out unseen."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from contextlib import closing

import httpx2
import pytest

from people import add_user
from running_server import HAULIER, environment, run, start, stop

PASSWORD = "correct horse battery"
TUS = {"Tus-Resumable": "1.0.0"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    data = tmp_path_factory.mktemp("audited")
    add_user(data, "ann")
    add_user(data, "boss", "admin")
    server = start(data, TRUSTED_PROXIES="127.0.0.1")
    yield server
    stop(server)


def log_of(server, **wanted):
    answer = httpx2.get(
        f"{server.url}/api/files/admin/audit", params=wanted, headers=server.headers("boss")
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def verify(data, *arguments):
    done = subprocess.run(
        [*HAULIER, "audit", "verify", "--json", "--data", data, *arguments],
        capture_output=True, text=True, env=environment(), cwd=data,
    )  # fmt: skip
    return done.returncode, json.loads(done.stdout)[0]


def test_who_did_what_from_where(server):
    headers = {**server.headers(), "X-Forwarded-For": "192.0.2.7", "X-Request-ID": "put-1"}
    put = httpx2.put(f"{server.url}/api/content/a.bin", content=b"abc", headers=headers).json()
    where = f"{server.url}/api/files/{put['id']}/download"
    httpx2.get(where, headers=server.headers())
    httpx2.get(where, headers={**server.headers(), "Range": "bytes=1-"})

    request, stored, *_ = log_of(server, actor="ann", limit=10)[1:]
    assert (stored["action"], stored["object"]) == ("file stored", put["id"])
    assert stored["details"] == {"name": "a.bin", "folder": "", "size": 3}
    assert request["action"] == "PUT /api/content/{path:path}"
    assert (request["status"], request["address"]) == (201, "192.0.2.7")
    assert request["request_id"] == "put-1"
    fetched = log_of(server, action="GET /api/files/{file_id}/download")
    assert [entry["object"] for entry in fetched] == [put["id"]], "a range goes on, it is no other"


def test_a_chunk_is_no_entry_but_its_file_is(server):
    with httpx2.Client(base_url=server.url, headers={**server.headers(), **TUS}) as client:
        made = client.post("/tus/", headers={"Upload-Length": "6"})
        url = made.url.join(made.headers["location"])
        for offset in ("0", "3"):
            octets = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": offset}
            assert client.patch(url, content=b"abc", headers=octets).status_code == 204
    stored, begun = log_of(server, actor="ann", limit=2)
    assert (stored["action"], begun["action"]) == ("file stored", "POST /tus/")


def test_what_links_open_is_told_and_what_they_do_not_open_is_not(server):
    with httpx2.Client(base_url=server.url) as client:
        mine = server.headers()
        put = client.put("/api/content/shared.bin", content=b"abc", headers=mine).json()
        link = client.post(f"/api/files/{put['id']}/link", json={}, headers=mine).json()["url"]
        share = client.post(f"/api/files/{put['id']}/shares", json={}, headers=mine).json()
        assert client.get(link).status_code == 200
        assert client.get(f"/s/{share['token']}/download").status_code == 200
        zipped = client.get("/api/files/zip", params={"ids": put["id"]}, headers=mine)
        assert zipped.status_code == 200
        for where in ("/s/nothing/download", "/l/nothing"):
            assert client.get(where).status_code == 404
    told = log_of(server, limit=20)
    by_action = {entry["action"]: entry for entry in told}
    for action in ("GET /l/{token}", "GET /s/{token}/download"):
        assert (by_action[action]["object"], by_action[action]["actor"]) == (put["id"], None)
    assert by_action["GET /api/files/zip"]["actor"] == "ann"
    assert [entry for entry in told if entry["status"] == 404] == []


def test_failed_signing_in_is_told_with_the_name(server):
    asked = {"username": "mallory", "password": PASSWORD}
    assert httpx2.post(f"{server.url}/auth/token", json=asked).status_code == 401
    [entry] = log_of(server, action="POST /auth/token")
    assert (entry["actor"], entry["status"]) == (None, 401)
    assert entry["details"] == {"name": "mallory"}


def test_pages_follow_each_other_without_gaps(server):
    seen, cursor = [], None
    while True:
        more = {} if cursor is None else {"cursor": cursor}
        answer = httpx2.get(
            f"{server.url}/api/files/admin/audit",
            params={"limit": 2, **more},
            headers=server.headers("boss"),
        ).json()
        seen += [entry["number"] for entry in answer["items"]]
        cursor = answer["next_cursor"]
        if cursor is None:
            break
    assert seen == list(range(max(seen), 0, -1))


def test_admins_see_what_there_is(server):
    where = f"{server.url}/api/files/admin/metrics"
    told = httpx2.get(where, headers=server.headers("boss")).json()
    assert told["users"] == 2
    assert httpx2.get(where, headers=server.headers()).status_code == 403


def test_tampering_shows(server):
    data = server.data
    anchors = data / "anchors.jsonl"
    anchors.write_text(run(data, "audit", "head"))
    code, told = verify(data, "--anchor", anchors)
    assert (code, told["status"]) == (0, "success")
    assert told["entries"] >= 5

    def meddle(*statements):
        with closing(sqlite3.connect(data / "catalog.db")) as catalog, catalog:
            for statement in statements:
                catalog.execute(statement)

    meddle("UPDATE audit_entries SET actor = 'bob' WHERE number = 4")
    assert verify(data) == (
        1, {**told, "status": "failed", "anchors": 0,
            "error_message": "entry 4 is not what was written"},
    )  # fmt: skip
    meddle(
        "DELETE FROM audit_entries WHERE number >= 4",
        "UPDATE audit_heads SET number = 3,"
        " code = (SELECT code FROM audit_entries WHERE number = 3)",
    )
    assert verify(data)[0] == 0, "without an anchor a cut end can't be seen"
    code, told = verify(data, "--anchor", anchors)
    assert code == 1
    assert told["error_message"].startswith("the chain ends at 3; an anchor was taken of entry")
