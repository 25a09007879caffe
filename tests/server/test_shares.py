"""Links to files, as whoever makes them and whoever has them sees them."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import timedelta
from html.parser import HTMLParser

import httpx2
import pytest

from app_in_process import app_with
from catalogs import with_catalog
from haulier.core.accounts import Role
from haulier.core.records import format_time, utc_now
from haulier.server.services import open_services
from haulier.settings import Settings

pytestmark = pytest.mark.processes
DATA = bytes(range(256)) * 40
PASSWORD = "open sesame"


class World:
    """A server with a file of Ann's, Ann, and somebody without an account."""

    def __init__(self, app, services, data):
        self.services, self.data = services, data
        self.anyone = self.client(app)
        self.ann = self.client(app)

    @staticmethod
    def client(app):
        transport = httpx2.ASGITransport(app=app, client=("192.0.2.1", 5000))
        return httpx2.AsyncClient(transport=transport, base_url="http://x")

    async def begin(self):
        user = await self.services.accounts.add("ann", Role.USER)
        token = self.services.tokens.issue(user, timedelta(hours=1))
        self.user = user
        self.ann.headers["Authorization"] = f"Bearer {token}"
        self.file = (await self.ann.put("/api/content/a.bin", content=DATA)).json()
        return self

    async def share(self, **given):
        answer = await self.ann.post(f"/api/files/{self.file['id']}/shares", json=given)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def downloads(self, link):
        items = (await self.ann.get(f"/api/files/{self.file['id']}/shares")).json()["items"]
        return next(one["downloads"] for one in items if one["id"] == link["id"])

    async def fetch(self, link, client=None, **headers):
        where = f"/s/{link['token']}/download"
        return await (client or self.anyone).get(
            where, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )


@pytest.fixture
async def world(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RATE_LIMIT_SIGN_IN", "5/hour")
    settings = Settings.load(data=with_catalog(tmp_path))
    async with open_services(settings) as services:
        world = await World(app_with(services), services, tmp_path).begin()
        yield world
        await world.ann.aclose()
        await world.anyone.aclose()


async def test_whoever_has_a_link_fetches_the_file(world):
    link = await world.share()
    assert link["url"] == f"http://x/s/{link['token']}"
    page = await world.anyone.get(f"/s/{link['token']}")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "a.bin" in page.text
    got = await world.fetch(link)
    assert (got.status_code, got.content) == (200, DATA)
    assert got.headers["content-disposition"].startswith("attachment")
    part = await world.fetch(link, Range="bytes=10-19")
    assert (part.status_code, part.content) == (206, DATA[10:20])


async def test_tokens_have_192_bits_and_are_not_kept(world):
    links = [await world.share() for _ in range(3)]
    assert len({link["token"] for link in links}) == 3
    assert all(len(link["token"]) == 32 for link in links)
    await world.share(password=PASSWORD)
    with closing(sqlite3.connect(world.data / "catalog.db")) as catalog:
        dump = "\n".join(catalog.iterdump())
    assert not any(link["token"] in dump for link in links)
    assert PASSWORD not in dump
    listed = (await world.ann.get(f"/api/files/{world.file['id']}/shares")).json()["items"]
    assert len(listed) == 4
    assert all("token" not in one and "url" not in one for one in listed)


async def test_a_link_is_used_up_by_parallel_downloads_and_never_one_too_many(world):
    link = await world.share(max_downloads=7)
    answers = await asyncio.gather(*(world.fetch(link) for _ in range(50)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200] * 7 + [404] * 43
    assert await world.downloads(link) == 7
    assert (await world.anyone.get(f"/s/{link['token']}")).status_code == 404


async def test_a_range_that_continues_is_not_counted_again(world):
    link = await world.share(max_downloads=1)
    assert (await world.fetch(link, Range="bytes=0-99")).content == DATA[:100]
    rest = await world.fetch(link, Range="bytes=100-")
    assert (rest.status_code, rest.content) == (206, DATA[100:])
    assert await world.downloads(link) == 1
    assert (await world.fetch(link)).status_code == 404, "from the beginning it is another"
    other = await world.fetch(link, Range="bytes=1-", User_Agent="another")
    assert other.status_code == 404, "what somebody else began can't be continued"


async def test_what_sends_nothing_is_not_counted(world):
    link = await world.share(max_downloads=1)
    where = f"/s/{link['token']}/download"
    assert (await world.anyone.head(where)).headers["content-length"] == str(len(DATA))
    assert (await world.fetch(link, Range="bytes=999999-")).status_code == 416
    etag = (await world.anyone.head(where)).headers["etag"]
    assert (await world.fetch(link, If_None_Match=etag)).status_code == 304
    await world.anyone.get(f"/s/{link['token']}")
    assert await world.downloads(link) == 0
    assert (await world.fetch(link, Range="bytes=5-9")).status_code == 206
    assert await world.downloads(link) == 1, "a range that continues nothing is a download"


async def test_every_dead_link_answers_alike(world, monkeypatch):
    soon = format_time(utc_now() + timedelta(hours=1))
    expired, used_up = await world.share(expires_at=soon), await world.share(max_downloads=1)
    revoked, locked = await world.share(), await world.share(password=PASSWORD)
    await world.fetch(used_up)
    for link in (revoked, locked):
        assert (await world.ann.delete(f"/api/shares/{link['id']}")).status_code == 204
    monkeypatch.setattr(world.services.shares, "_now", lambda: utc_now() + timedelta(hours=2))
    tokens = [link["token"] for link in (expired, used_up, revoked, locked)]
    tokens += ["x" * 32, "x", "x" * 5000, "%00", "é"]
    pages, downloads, posts = set(), set(), set()
    for token in tokens:
        page = await world.anyone.get(f"/s/{token}")
        pages.add((page.status_code, page.text))
        got = await world.anyone.get(f"/s/{token}/download", headers={"X-Request-ID": "1"})
        downloads.add((got.status_code, got.text))
        post = await world.anyone.post(f"/s/{token}", data={"password": PASSWORD})
        posts.add((post.status_code, post.text))
    assert len(pages) == len(downloads) == 1
    assert pages == posts
    assert {status for status, _ in pages | downloads} == {404}


async def test_the_links_of_a_disabled_user_are_dead(world):
    link = await world.share()
    await world.services.accounts.disable(world.user)
    assert (await world.fetch(link)).status_code == 404


async def test_the_links_of_a_file_in_the_trash_are_dead_until_it_is_back(world):
    link, where = await world.share(), f"/api/files/{world.file['id']}"
    assert (await world.ann.delete(where)).status_code == 204
    assert (await world.fetch(link)).status_code == 404
    await world.ann.post(f"/api/trash/{world.file['id']}/restore")
    assert (await world.fetch(link)).content == DATA


async def test_one_lists_the_links_that_one_made(world):
    links = [await world.share() for _ in range(3)]
    newest_first = [link["id"] for link in reversed(links)]
    first = (await world.ann.get("/api/shares", params={"limit": 2})).json()
    assert [one["id"] for one in first["items"]] == newest_first[:2]
    rest = await world.ann.get("/api/shares", params={"cursor": first["next_cursor"]})
    (last,) = rest.json()["items"]
    assert (last["id"], last["name"], rest.json()["next_cursor"]) == (links[0]["id"], "a.bin", None)
    assert not {"token", "url"} & set(last)
    bob = await world.services.accounts.add("bob", Role.USER)
    token = world.services.tokens.issue(bob, timedelta(hours=1))
    answer = await world.ann.get("/api/shares", headers={"Authorization": f"Bearer {token}"})
    assert answer.json()["items"] == []
    await world.ann.delete(f"/api/files/{world.file['id']}")
    listed = (await world.ann.get("/api/shares")).json()["items"]
    assert [one["name"] for one in listed] == [None] * 3


async def test_a_link_gives_the_newest_version(world):
    link = await world.share()
    await world.ann.put("/api/content/a.bin", content=b"newer")
    assert (await world.fetch(link)).content == b"newer"


async def test_a_password_by_form_opens_a_browser_for_a_while(world, monkeypatch):
    link = await world.share(password=PASSWORD)
    where = f"/s/{link['token']}"
    page = await world.anyone.get(where)
    assert 'type="password"' in page.text
    assert "a.bin" not in page.text
    assert (await world.fetch(link)).json()["code"] == "share-password"
    wrong = await world.anyone.post(where, data={"password": "guess"})
    assert (wrong.status_code, "set-cookie" in wrong.headers) == (403, False)

    right = await world.anyone.post(where, data={"password": PASSWORD})
    assert (right.status_code, right.headers["location"]) == (303, where)
    cookie = right.headers["set-cookie"]
    assert f"Path={where}" in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert (await world.fetch(link)).content == DATA
    assert "a.bin" in (await world.anyone.get(where)).text
    other = await world.share(password=PASSWORD)
    name, _, value = cookie.partition(";")[0].partition("=")
    stolen = {"Cookie": f"haulier_share_{other['id']}={value}"}
    assert (
        await world.anyone.get(f"/s/{other['token']}/download", headers=stolen)
    ).status_code == 403

    later = utc_now() + timedelta(minutes=16)
    monkeypatch.setattr(world.services.shares.passwords, "_now", lambda: later)
    forged = f"{name}={int(later.timestamp()) + 900}.{value.partition('.')[2]}"
    for given in (f"{name}={value}", forged, f"{name}=²⁰.x".encode(), f"{name}=."):
        world.anyone.cookies.clear()
        assert (await world.fetch(link, Cookie=given)).status_code == 403


async def test_a_password_by_header(world):
    link = await world.share(password=PASSWORD)
    assert (await world.fetch(link, X_Share_Password=PASSWORD)).content == DATA
    assert (await world.fetch(link, X_Share_Password="guess")).status_code == 403
    assert (await world.fetch(link, X_Share_Password="")).status_code == 403


async def test_guessing_is_slowed_down_for_each_link_and_address(world):
    link, other = await world.share(password=PASSWORD), await world.share(password=PASSWORD)
    for _ in range(5):
        assert (await world.fetch(link, X_Share_Password="guess")).status_code == 403
    answer = await world.fetch(link, X_Share_Password=PASSWORD)
    assert (answer.status_code, "retry-after" in answer.headers) == (429, True)
    form = await world.anyone.post(f"/s/{link['token']}", data={"password": PASSWORD})
    assert form.status_code == 429
    assert (await world.fetch(other, X_Share_Password=PASSWORD)).status_code == 200


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self.attributes = [], set()

    def handle_starttag(self, tag, attrs):
        self.found.append(tag)
        self.attributes |= {name for name, _ in attrs}


HOSTILE = [
    "<script>alert(1)</script>.bin",
    '"><img src=x onerror=alert(1)>.png',
    "</title><svg onload=alert(1)>.svg",
    "a&lt;b&amp;.txt",
    "{{7*7}}.txt",
]


@pytest.mark.parametrize("name", HOSTILE)
async def test_names_and_types_are_shown_and_never_run(world, name):
    started = await world.ann.post(
        "/api/files/upload/start",
        json={"name": name, "size": 0, "mime_type": "<b>text/html\r\nX-Evil: 1"},
    )
    if started.status_code == 201:
        world.file = started.json()["file"]
    else:
        plain = {"name": name, "size": 0, "mime_type": "text/html"}
        world.file = (await world.ann.post("/api/files/upload/start", json=plain)).json()["file"]
    link = await world.share()
    page = await world.anyone.get(f"/s/{link['token']}")
    tags = Tags()
    tags.feed(page.text)
    assert not {"script", "img", "svg", "b"} & set(tags.found)
    assert not {one for one in tags.attributes if one.startswith("on")}
    assert tags.found.count("title") == 1
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "x-evil" not in page.headers
    got = await world.fetch(link)
    assert got.status_code == 200
    assert got.headers["content-type"] == "application/octet-stream"
    assert "x-evil" not in got.headers


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"max_downloads": 0}, 422),
        ({"max_downloads": 1 << 40}, 422),
        ({"password": "short"}, 422),
        ({"expires_at": "soon"}, 422),
        ({"expires_at": "2020-01-01T00:00:00Z"}, 400),
        ({"expires_at": "2030-01-01T00:00:00"}, 422),
        ({"unknown": 1}, 422),
    ],
)
async def test_links_that_can_not_be_are_refused(world, given, status):
    answer = await world.ann.post(f"/api/files/{world.file['id']}/shares", json=given)
    assert answer.status_code == status


async def test_a_form_without_end_is_not_read(world):
    link = await world.share(password=PASSWORD)
    answer = await world.anyone.post(f"/s/{link['token']}", content=b"password=" + b"x" * 20_000)
    assert answer.status_code == 413
