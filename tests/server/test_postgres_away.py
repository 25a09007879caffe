"""PostgreSQL is away for a while: who asks is told to come again, and nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import httpx2
import pytest
from test_authorisation import ASKING, MATRIX, V, World

from haulier.catalog.catalog import Catalog
from haulier.core.accounts import Role
from haulier.files import accounts
from haulier.files.tokens import Tokens
from haulier.server import event_routes
from haulier.server.app import create_app
from haulier.server.services import open_services
from haulier.settings import Settings
from hosts import SECRET, Program

pytestmark = [pytest.mark.processes, pytest.mark.servers]

MIB = 1 << 20
ENDLESS = ("GET", "/api/events")
# What needs no row at all.
STILL_ANSWERED = {
    *(("GET", path) for path in ("/health/live", "/openapi.json", "/docs", "/redoc")),
    ("GET", "/docs/oauth2-redirect"),
    ("POST", "/auth/refresh"),  # of a token that is none
    ("GET", "/z/{ticket}"),  # likewise
    ("HEAD", "/"),
    *(("GET", path) for path in ("/", "/manifest.webmanifest", "/sw.js", "/send.js")),
    *(("GET", path) for path in ("/icons/{name}", "/assets/{name}")),
    *(key for key in MATRIX if key[0] == "OPTIONS"),
}


@asynccontextmanager
async def away(postgres):
    await asyncio.to_thread(postgres.crash)
    try:
        yield
    finally:
        await asyncio.to_thread(postgres.start)


def is_told_to_come_again(answer):
    told = answer.json() if answer.content else {"code": "catalog-unavailable"}
    return (
        answer.status_code == 503
        and int(answer.headers["retry-after"]) > 0
        and answer.headers["content-type"] == "application/problem+json"
        and told["code"] in {"catalog-unavailable", "not-ready"}
    )


@pytest.fixture
async def world(tmp_path, monkeypatch, own_postgres):
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "DATABASE_URL": own_postgres.url,
        "DURABILITY": "none",
        "RATE_LIMIT_API": "1000000/second",
        "RATE_LIMIT_SIGN_IN": "1000000/second",
        "WEBHOOK_ALLOWED_HOSTS": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(event_routes, "_HEARTBEAT_S", 0.05)
    monkeypatch.setattr(accounts, "REMEMBERED_S", 0)
    settings = Settings.load(data=tmp_path)
    async with open_services(settings) as services:
        made = World(create_app(settings, services))
        yield await made.people()
        await made.http.aclose()


async def test_every_route_says_so_and_goes_on_afterwards(world, own_postgres):
    asked = []
    for (method, template), row in MATRIX.items():
        welcome = [name for name, status in zip(ASKING, row.expected, strict=True) if status < 300]
        headers = await world.headers("owner" if "owner" in welcome or not welcome else welcome[0])
        asked.append(((method, template), await world.path_of(template), headers, row))

    async def ask(key, path, headers, row):
        request = {**row.request, "headers": {**headers, **row.request.get("headers", {})}}
        if key[0] == "WS":
            return await shake_hands(world.app, path, request["headers"])
        return await world.http.request(key[0], path, **request)

    async def look():
        reading = [one for one in asked if one[0][0] in {"GET", "HEAD"} and one[0] != ENDLESS]
        return {one[0]: (await ask(*one)).status_code for one in reading}

    before = await look()
    async with away(own_postgres):
        for key, path, headers, row in asked:
            answer = await ask(key, path, headers, row)
            if key in STILL_ANSWERED:
                assert answer.status_code < 500, key
            else:
                assert is_told_to_come_again(answer), (key, answer.status_code, answer.text)
    assert await look() == before
    assert set(before.values()) < {200, 204, 303, 404, 416}, before


async def shake_hands(app, path, headers):
    sent = await talk(app, path, headers, [{"type": "websocket.connect"}])
    start, *bodies = sent
    assert start["type"] == "websocket.http.response.start"
    content = b"".join(one["body"] for one in bodies)
    return httpx2.Response(start["status"], headers=start["headers"], content=content)


async def talk(app, path, headers, messages, *, kind="websocket", meanwhile=None):
    """Say `messages`, then nothing; return what the application said when it is through."""
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": kind, "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": raw, "scheme": "x", "client": ("x", 1), "server": ("x", 80),
        "method": "GET", "subprotocols": [], "extensions": {"websocket.http.response": {}},
    }  # fmt: skip
    sent, begun, waiting = [], asyncio.Event(), list(messages)

    async def receive():
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)

    async def send(message):
        sent.append(message)
        begun.set()

    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        tasks.create_task(app(scope, receive, send))
        if meanwhile is not None:
            await begun.wait()
            await meanwhile()
    return sent


async def test_who_listens_is_told_to_come_again(world, own_postgres):
    headers = await world.headers("owner")
    async with AsyncExitStack() as stack:

        async def crash():
            await stack.enter_async_context(away(own_postgres))

        opened = [{"type": "websocket.connect"}]
        accepted, *_, closed = await talk(world.app, "/ws", headers, opened, meanwhile=crash)
    assert accepted["type"] == "websocket.accept"
    assert (closed["type"], closed["code"]) == ("websocket.close", 1013)


async def test_a_stream_of_events_ends(world, own_postgres):
    headers = await world.headers("owner")
    async with AsyncExitStack() as stack:

        async def crash():
            await stack.enter_async_context(away(own_postgres))

        asked = [{"type": "http.request", "body": b"", "more_body": False}]
        started, *_, last = await talk(
            world.app, "/api/events", headers, asked, kind="http", meanwhile=crash
        )
    assert started["status"] == 200
    assert last == {"type": "http.response.body", "body": b"", "more_body": False}


# --- uploads under way


class Flight:
    """The bytes of one upload, of which the second half waits until it is let go."""

    def __init__(self) -> None:
        self.data = os.urandom(2 * MIB)
        self.let_go = asyncio.Event()

    async def body(self, first=0):
        yield self.data[first : first + (len(self.data) - first) // 2]
        await self.let_go.wait()
        yield self.data[first + (len(self.data) - first) // 2 :]

    def has_begun(self, folder, first=0):
        """Whether the server has put its first bytes somewhere."""
        mark = self.data[first : first + 4096]
        return any(mark in path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.fixture
async def site(tmp_path, own_postgres):
    """A server of its own process; yields its address and a client of a user."""
    settings = {"DATABASE_URL": own_postgres.url, "JWT_SECRET_KEY": SECRET}
    settings["RATE_LIMIT_API"] = "1000000/second"
    server = Program(["serve", "--port", "0"], tmp_path / "server", settings)
    url = (await asyncio.to_thread(server.start)).removeprefix("listening on ")
    try:
        async with await Catalog.open(own_postgres.url) as catalog:
            user = await accounts.Accounts(catalog).add("ann", Role.USER)
        token = Tokens(SECRET).issue(user, timedelta(hours=1))
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=60) as http:
            yield server.data, http
    finally:
        await asyncio.to_thread(server.stop)


async def cut_off(site, postgres, flight, method, path, *, first=0, **headers):
    """Send a body in the midst of which PostgreSQL goes away; return once it is there again."""
    data, http = site
    length = {"Content-Length": str(len(flight.data) - first)}
    sending = asyncio.create_task(
        http.request(method, path, content=flight.body(first), headers={**headers, **length})
    )
    async with asyncio.timeout(60):
        while not await asyncio.to_thread(flight.has_begun, data, first):
            await asyncio.sleep(0.02)
    async with away(postgres):
        flight.let_go.set()
        answer = await sending
        assert is_told_to_come_again(answer), (answer.status_code, answer.text)


async def is_stored(http, name, data):
    items = (await http.get("/api/files")).json()["items"]
    [found] = [one for one in items if one["name"] == name]
    assert (await http.get(f"/api/files/{found['id']}/download")).content == data
    assert len((await http.get(f"/api/files/{found['id']}/versions")).json()["items"]) == 1


async def test_tus_goes_on_from_what_is_safe(site, own_postgres):
    http, flight = site[1], Flight()
    named = {**V, "Upload-Length": str(2 * MIB), "Upload-Metadata": "filename YS5iaW4="}
    made = await http.post("/tus/", headers=named)
    where = f"/tus/{made.headers['location']}"
    octets = {**V, "Content-Type": "application/offset+octet-stream"}
    first = await http.patch(
        where, content=flight.data[:MIB], headers={**octets, "Upload-Offset": "0"}
    )
    assert first.status_code == 204
    begun = {**octets, "Upload-Offset": str(MIB)}
    await cut_off(site, own_postgres, flight, "PATCH", where, first=MIB, **begun)
    safe = int((await http.head(where, headers=V)).headers["upload-offset"])
    assert safe >= MIB
    rest = await http.patch(
        where, content=flight.data[safe:], headers={**octets, "Upload-Offset": str(safe)}
    )
    assert rest.status_code == 204
    await is_stored(http, "a.bin", flight.data)


async def test_chunks_that_are_safe_are_not_asked_for_again(site, own_postgres):
    http, flight = site[1], Flight()
    asked = {"name": "a.bin", "size": 2 * MIB, "chunk_size": MIB}
    where = f"/api/files/upload/{(await http.post('/api/files/upload/start', json=asked)).json()['session_id']}"
    first = await http.post(
        f"{where}/chunk", content=flight.data[:MIB], headers={"X-Chunk-Number": "1"}
    )
    assert first.status_code == 200
    second = {"X-Chunk-Number": "2"}
    await cut_off(site, own_postgres, flight, "POST", f"{where}/chunk", first=MIB, **second)
    assert (await http.get(where)).json()["missing"] == [[2, 2]]
    last = await http.post(f"{where}/chunk", content=flight.data[MIB:], headers=second)
    assert last.status_code == 201
    await is_stored(http, "a.bin", flight.data)


async def test_a_resumable_upload_goes_on_from_what_is_safe(site, own_postgres):
    http, flight = site[1], Flight()
    made = await http.post("/resumable/", content=flight.data[:MIB], headers={
        "Upload-Complete": "?0", "Content-Disposition": 'attachment; filename="a.bin"',
    })  # fmt: skip
    assert made.status_code == 201, made.text
    where = f"/resumable/{made.headers['location'].rpartition('/')[2]}"
    more = {"Content-Type": "application/partial-upload", "Upload-Complete": "?1"}
    begun = {**more, "Upload-Offset": str(MIB)}
    await cut_off(site, own_postgres, flight, "PATCH", where, first=MIB, **begun)
    safe = int((await http.head(where)).headers["upload-offset"])
    assert safe >= MIB
    rest = await http.patch(
        where, content=flight.data[safe:], headers={**more, "Upload-Offset": str(safe)}
    )
    assert rest.status_code == 201, rest.text
    await is_stored(http, "a.bin", flight.data)


async def test_a_whole_file_is_sent_again(site, own_postgres):
    http, flight = site[1], Flight()
    await cut_off(site, own_postgres, flight, "PUT", "/api/content/a.bin")
    again = await http.put("/api/content/a.bin", content=flight.data)
    assert again.status_code == 201
    await is_stored(http, "a.bin", flight.data)
