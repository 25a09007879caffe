"""Links by which strangers bring files into a folder, as whoever makes them and they see them."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import timedelta

import httpx2
import pytest

from app_in_process import app_with
from catalogs import with_catalog
from haulier.core.accounts import Role
from haulier.core.records import format_time, utc_now
from haulier.server.services import open_services
from haulier.settings import Settings

pytestmark = pytest.mark.processes
PASSWORD = "open sesame"
V = {"Tus-Resumable": "1.0.0"}
OCTETS = {**V, "Content-Type": "application/offset+octet-stream"}


class World:
    """A server with a folder of Ann's, Ann, Bob, and somebody without an account."""

    def __init__(self, app, services, data):
        self.app, self.services, self.data = app, services, data
        self.anyone = self.client()

    def client(self):
        transport = httpx2.ASGITransport(app=self.app, client=("192.0.2.1", 5000))
        return httpx2.AsyncClient(transport=transport, base_url="http://x")

    async def person(self, name, **more):
        user = await self.services.accounts.add(name, Role.USER, **more)
        client = self.client()
        token = self.services.tokens.issue(user, timedelta(hours=1))
        client.headers["Authorization"] = f"Bearer {token}"
        return user, client

    async def begin(self):
        self.user, self.ann = await self.person("ann", quota_bytes=10_000)
        self.bob_user, self.bob = await self.person("bob")
        made = await self.ann.post("/api/folders", json={"path": "in/box"})
        self.folder = made.json()["id"]
        return self

    async def link(self, client=None, **given):
        where = f"/api/folders/{self.folder}/upload-links"
        answer = await (client or self.ann).post(where, json=given)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def state(self, link):
        listed = await self.ann.get(f"/api/folders/{self.folder}/upload-links")
        return next(one for one in listed.json()["items"] if one["id"] == link["id"])

    async def send(self, link, name="a.bin", content=b"abc", **headers):
        where = f"/u/{link['token']}/files/{name}"
        return await self.anyone.put(where, content=content, headers=headers)

    async def names(self):
        found = await self.ann.get("/api/files", params={"folder_id": self.folder})
        return sorted(one["name"] for one in found.json()["items"])

    async def account(self):
        ann = await self.services.accounts.get("ann")
        return ann.used_bytes, ann.reserved_bytes


@pytest.fixture
async def world(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RATE_LIMIT_SIGN_IN", "5/hour")
    monkeypatch.setenv("DURABILITY", "none")
    settings = Settings.load(data=with_catalog(tmp_path))
    async with open_services(settings) as services:
        world = await World(app_with(services), services, tmp_path).begin()
        yield world
        for one in (world.ann, world.bob, world.anyone):
            await one.aclose()


async def test_whoever_has_a_link_brings_files_and_reads_nothing(world):
    link = await world.link(title="Photos")
    assert link["url"] == f"http://x/u/{link['token']}"
    await world.ann.put("/api/content/in/box/secret.txt", content=b"mine")
    page = await world.anyone.get(f"/u/{link['token']}")
    assert (page.status_code, "Photos" in page.text) == (200, True)
    sent = await world.send(link, content=b"abc")
    assert (sent.status_code, sent.json()) == (201, {"name": "a.bin", "size": 3})
    assert await world.names() == ["a.bin", "secret.txt"]
    shown = page.text + sent.text
    assert not any(word in shown for word in ("secret", "in/box", world.folder, "ann"))
    for method in ("GET", "HEAD"):
        for path in ("files/secret.txt", "files", "tus/", "files/a.bin", "download"):
            answer = await world.anyone.request(method, f"/u/{link['token']}/{path}")
            assert answer.status_code in {404, 405}


async def test_what_comes_changes_nothing_that_is_there(world):
    link = await world.link()
    await world.ann.put("/api/content/in/box/a.bin", content=b"mine")
    assert (await world.send(link, content=b"theirs")).status_code == 201
    assert await world.names() == ["a (2).bin", "a.bin"]
    kept = await world.ann.get("/api/files", params={"folder_id": world.folder, "name": "a.bin"})
    assert (kept.json()["items"][0]["size"], kept.json()["items"][0]["version"]) == (4, 1)
    assert (await world.send(link, "..%2f..%2fup.bin")).status_code in {201, 400, 404}
    found = (await world.ann.get("/api/files")).json()["items"]
    assert {one["folder"] for one in found} == {"in/box"}


async def test_tokens_and_passwords_are_not_kept(world):
    link = await world.link(password=PASSWORD)
    assert len(link["token"]) == 32
    with closing(sqlite3.connect(world.data / "catalog.db")) as catalog:
        dump = "\n".join(catalog.iterdump())
    assert link["token"] not in dump
    assert PASSWORD not in dump
    assert "token" not in await world.state(link)


async def test_parallel_uploads_are_never_one_too_many(world):
    link = await world.link(max_files=7)
    answers = await asyncio.gather(*(world.send(link, f"{n}.bin") for n in range(50)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [201] * 7 + [413] * 43
    assert len(await world.names()) == 7
    state = await world.state(link)
    assert (state["files"], state["bytes"]) == (7, 21)
    assert await world.account() == (21, 0)


async def test_bytes_are_never_too_many_whether_announced_or_not(world):
    link = await world.link(max_bytes=10)

    async def unannounced():
        yield b"abc"

    async def send(number):
        content = unannounced() if number % 2 else b"abc"
        return await world.send(link, f"{number}.bin", content)

    answers = await asyncio.gather(*(send(n) for n in range(20)))
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [413] * 17
    state = await world.state(link)
    assert (state["files"], state["bytes"]) == (3, 9)
    assert await world.account() == (9, 0)


async def test_the_quota_is_the_folder_owners_and_raced_by_fifty(world):
    link = await world.link()
    answers = await asyncio.gather(*(world.send(link, f"{n}.bin", b"x" * 1000) for n in range(50)))
    assert sorted(answer.status_code for answer in answers) == [201] * 10 + [413] * 40
    assert await world.account() == (10_000, 0)
    assert (await world.state(link))["files"] == 10


async def test_an_upload_that_is_given_up_leaves_room(world):
    link = await world.link(max_files=1, max_bytes=3)
    where = f"/u/{link['token']}/tus/"
    begun = await world.anyone.post(where, headers={**V, "Upload-Length": "3"})
    assert begun.status_code == 201
    assert (await world.send(link)).status_code == 413
    session = where + begun.headers["location"]
    assert (await world.anyone.delete(session, headers=V)).status_code == 204
    state = await world.state(link)
    assert (state["files"], state["bytes"]) == (0, 0)
    assert (await world.send(link)).status_code == 201


async def test_by_tus_in_pieces_and_by_that_link_alone(world):
    link, other = await world.link(), await world.link()
    where = f"/u/{link['token']}/tus/"
    offer = await world.anyone.options(where)
    assert "creation" in offer.headers["tus-extension"]
    assert "concatenation" not in offer.headers["tus-extension"]
    metadata = {"Upload-Metadata": "filename dHVzLmJpbg=="}
    begun = await world.anyone.post(where, headers={**V, "Upload-Length": "6", **metadata})
    session = where + begun.headers["location"]
    first = await world.anyone.patch(
        session, headers={**OCTETS, "Upload-Offset": "0"}, content=b"abc"
    )
    assert (first.status_code, first.headers["upload-offset"]) == (204, "3")
    assert (await world.anyone.head(session, headers=V)).headers["upload-offset"] == "3"
    stolen = session.replace(link["token"], other["token"])
    assert (await world.anyone.head(stolen, headers=V)).status_code == 404
    for client in (world.ann, world.bob):
        mine = f"/tus/{begun.headers['location']}"
        assert (await client.head(mine, headers=V)).status_code == 404
    await world.anyone.patch(session, headers={**OCTETS, "Upload-Offset": "3"}, content=b"def")
    assert await world.names() == ["tus.bin"]
    assert (await world.anyone.get(session, headers=V)).status_code in {404, 405}
    parts = await world.anyone.post(
        where, headers={**V, "Upload-Length": "3", "Upload-Concat": "partial"}
    )
    assert parts.status_code == 400


async def test_files_of_the_pages_form(world):
    link = await world.link(max_files=3)
    big = bytes(range(256)) * 20
    files = [
        ("files", ("one.txt", b"one", "text/plain")),
        ("files", ("zwei \u00e4.bin", big, "application/octet-stream")),
        ("files", ("", b"", "application/octet-stream")),
    ]
    sent = await world.anyone.post(
        f"/u/{link['token']}/files", files=files, data={"other": "field"}
    )
    assert (sent.status_code, "one.txt" in sent.text) == (200, True)
    assert await world.names() == ["one.txt", "zwei \u00e4.bin"]
    listed = await world.ann.get(
        "/api/files", params={"folder_id": world.folder, "name": "zwei ä.bin"}
    )
    file_id = listed.json()["items"][0]["id"]
    assert (await world.ann.get(f"/api/files/{file_id}/download")).content == big
    more = [("files", (f"{n}.bin", b"x")) for n in range(3)]
    sent = await world.anyone.post(f"/u/{link['token']}/files", files=more)
    assert (sent.status_code, "0.bin" in sent.text) == (413, True)
    assert len(await world.names()) == 3


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("text/plain", b"abc"),
        ("multipart/form-data", b"abc"),
        ("multipart/form-data; boundary=x", b"abc"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\nabc',
        ),
    ],
    ids=range(4),
)
async def test_a_form_that_is_none_leaves_nothing(world, kind, content):
    link = await world.link()
    where = f"/u/{link['token']}/files"
    answer = await world.anyone.post(where, content=content, headers={"Content-Type": kind})
    assert answer.status_code == 400
    assert await world.names() == []
    assert await world.account() == (0, 0)


async def test_every_dead_link_answers_alike(world, monkeypatch):
    soon = format_time(utc_now() + timedelta(hours=1))
    expired, revoked = await world.link(expires_at=soon), await world.link()
    locked = await world.link(password=PASSWORD)
    for link in (revoked, locked):
        assert (await world.ann.delete(f"/api/upload-links/{link['id']}")).status_code == 204
    later = utc_now() + timedelta(hours=2)
    monkeypatch.setattr(world.services.upload_links, "_now", lambda: later)
    tokens = [link["token"] for link in (expired, revoked, locked)]
    found = set()
    for token in [*tokens, "x" * 32, "x", "x" * 5000, "%00"]:
        page = await world.anyone.get(f"/u/{token}")
        posted = await world.anyone.post(f"/u/{token}", data={"password": PASSWORD})
        put = await world.anyone.put(
            f"/u/{token}/files/a", content=b"a", headers={"X-Request-ID": "1"}
        )
        begun = await world.anyone.post(
            f"/u/{token}/tus/", headers={**V, "Upload-Length": "1", "X-Request-ID": "1"}
        )
        assert page.text == posted.text
        found.add((page.status_code, page.text, put.status_code, put.text, begun.status_code))
    assert len(found) == 1
    assert next(iter(found))[0::2] == (404, 404, 404)


async def test_what_is_on_its_way_ends_with_the_link(world):
    link = await world.link()
    where = f"/u/{link['token']}/tus/"
    begun = await world.anyone.post(where, headers={**V, "Upload-Length": "3"})
    session_id = begun.headers["location"]
    await world.ann.delete(f"/api/upload-links/{link['id']}")
    answer = await world.anyone.patch(
        where + session_id, headers={**OCTETS, "Upload-Offset": "0"}, content=b"abc"
    )
    assert answer.status_code == 404
    # Bytes that were under way then.
    from haulier.errors import FilePermissionError

    async def body():
        yield memoryview(b"abc")

    with pytest.raises(FilePermissionError):
        await world.services.engine.append(session_id, 0, body())
    assert await world.names() == []
    assert await world.account() == (0, 0)


async def test_who_made_it_and_may_not_share_any_more_has_dead_links(world):
    where = f"/api/folders/{world.folder}/permissions"

    async def grant(level):
        answer = await world.ann.put(where, json={"user": "bob", "permission": level})
        assert answer.status_code == 200

    refused = await world.bob.post(f"/api/folders/{world.folder}/upload-links", json={})
    assert refused.status_code == 404
    await grant("write")
    refused = await world.bob.post(f"/api/folders/{world.folder}/upload-links", json={})
    assert refused.status_code == 403
    await grant("share")
    link = await world.link(world.bob)
    assert (await world.send(link, "1.bin")).status_code == 201
    await grant("write")
    assert (await world.send(link, "2.bin")).status_code == 404
    await grant("share")
    assert (await world.send(link, "3.bin")).status_code == 201
    await world.services.accounts.disable(world.bob_user)
    assert (await world.send(link, "4.bin")).status_code == 404
    assert await world.names() == ["1.bin", "3.bin"]


async def test_one_lists_the_links_that_one_made(world):
    where = f"/api/folders/{world.folder}/permissions"
    await world.ann.put(where, json={"user": "bob", "permission": "share"})
    links = [await world.link(title=f"{number}") for number in range(3)]
    link = await world.link(world.bob, title="by bob")
    first = (await world.ann.get("/api/upload-links", params={"limit": 2})).json()
    assert [one["title"] for one in first["items"]] == ["2", "1"]
    rest = await world.ann.get("/api/upload-links", params={"cursor": first["next_cursor"]})
    (last,) = rest.json()["items"]
    assert (last["id"], last["folder"]) == (links[0]["id"], "in/box")
    assert not {"token", "url"} & set(last)
    # What one may not see any more has no name; the link is listed, to be taken back.
    await world.ann.delete(where, params={"user": "bob"})
    (listed,) = (await world.bob.get("/api/upload-links")).json()["items"]
    assert (listed["id"], listed["folder"]) == (link["id"], None)


async def test_it_follows_its_folder_and_ends_with_it(world):
    link = await world.link()
    await world.ann.patch(f"/api/folders/{world.folder}", json={"name": "moved"})
    await world.send(link)
    found = (await world.ann.get("/api/files")).json()["items"]
    assert [(one["folder"], one["name"]) for one in found] == [("in/moved", "a.bin")]
    await world.ann.delete(f"/api/folders/{world.folder}")
    assert (await world.send(link)).status_code == 404


async def test_a_password_by_form_and_by_header(world):
    link = await world.link(password=PASSWORD, title="Hidden")
    where = f"/u/{link['token']}"
    page = await world.anyone.get(where)
    assert ('type="password"' in page.text, "Hidden" in page.text) == (True, False)
    assert (await world.send(link)).status_code == 403
    assert (await world.send(link, **{"X-Share-Password": "guess"})).status_code == 403
    assert (await world.send(link, **{"X-Share-Password": PASSWORD})).status_code == 201
    wrong = await world.anyone.post(where, data={"password": "guess"})
    assert (wrong.status_code, "set-cookie" in wrong.headers) == (403, False)
    right = await world.anyone.post(where, data={"password": PASSWORD})
    assert (right.status_code, right.headers["location"]) == (303, where)
    assert "Hidden" in (await world.anyone.get(where)).text
    assert (await world.send(link, "b.bin")).status_code == 201
    # A pass for one kind of link is none for another, and guesses are limited.
    name, _, value = right.headers["set-cookie"].partition(";")[0].partition("=")
    other = await world.link(password=PASSWORD)
    world.anyone.cookies.clear()
    stolen = {"Cookie": f"haulier_upload_{other['id']}={value}"}
    assert (await world.send(other, **stolen)).status_code == 403
    assert name == f"haulier_upload_{link['id']}"
    statuses = [
        (await world.send(link, **{"X-Share-Password": "guess"})).status_code for _ in range(6)
    ]
    assert statuses[-1] == 429


OUR_SCRIPT = '<script src="../send.js" defer></script>'
HOSTILE = ["<script>alert(1)</script>.bin", '"><img src=x onerror=alert(1)>.png', "a\r\nX-Evil: 1"]


@pytest.mark.parametrize("name", HOSTILE, ids=range(3))
async def test_names_and_titles_are_shown_and_never_run(world, name):
    link = await world.link(title=name)
    page = await world.anyone.get(f"/u/{link['token']}")
    files = [("files", ("plain.bin", b"x")), ("files", ("q" * 3, b"x"))]
    where = f"/u/{link['token']}/files"
    sent = await world.anyone.post(where, files=files)
    quoted = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    body = f'--b\r\nContent-Disposition: form-data; name="f"; filename="{quoted}"\r\n\r\nx\r\n--b--\r\n'
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    hostile = await world.anyone.post(where, content=body.encode(), headers=kind)
    for answer in (page, sent, hostile):
        assert "<script" not in answer.text.replace(OUR_SCRIPT, "", 1)
        assert "<img" not in answer.text
        assert "x-evil" not in answer.headers
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"max_files": 0}, 422),
        ({"max_bytes": 0}, 422),
        ({"max_files": 1 << 40}, 422),
        ({"password": "short"}, 422),
        ({"expires_at": "2020-01-01T00:00:00Z"}, 400),
        ({"unknown": 1}, 422),
    ],
    ids=range(6),
)
async def test_links_that_can_not_be_are_refused(world, given, status):
    answer = await world.ann.post(f"/api/folders/{world.folder}/upload-links", json=given)
    assert answer.status_code == status
