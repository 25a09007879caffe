"""Who may do what: every route of the application, asked by everybody."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import timedelta

import httpx2
import pytest
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.routing import Route

from app_in_process import app_with
from catalogs import with_catalog
from haulier.core.accounts import Role
from haulier.core.jobs import JobState, new_job
from haulier.core.records import utc_now
from haulier.files.tokens import TokenKind
from haulier.files.webhooks import DELIVERY
from haulier.server.app import create_app
from haulier.server.identity import get_current_user
from haulier.server.json_route import JsonRoute
from haulier.server.services import open_services
from haulier.server.shortcuts import Shortcut
from haulier.settings import Settings
from recordings import wav

pytestmark = pytest.mark.processes

# Who asks. `owner` made what is asked for; `device`, `reading`, `writing` and `bare` are tokens of
# the owner: of a device, and of programs with the scope files:read, files:write and none.
ASKING = ["anonymous", "viewer", "other", "admin", "owner", "device", "reading", "writing", "bare"]

V = {"Tus-Resumable": "1.0.0"}
OCTETS = {**V, "Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
PARTIAL = {
    "Content-Type": "application/partial-upload",
    "Upload-Offset": "0",
    "Upload-Complete": "?1",
}


def everybody(status):
    return [status] * len(ASKING)


#          anonymous viewer other admin owner device reading writing bare
OPEN = everybody
READ_OWN = [401, 404, 404, 200, 200, 200, 200, 403, 403]


def admin(status):
    return [401, 403, 403, status, 403, 403, 403, 403, 403]


ADMIN = admin(200)
LIST = [401, 200, 200, 200, 200, 200, 200, 403, 403]


def begin(status):
    return [401, 403, status, status, status, status, 403, status, 403]


def change(status):
    """What its owner and admins do with a file, or others who have not the scope for it."""
    return [401, 404, 404, status, status, status, 403, status, 403]


def upload(status):
    """An upload under way is its owner's alone, not even an admin's."""
    return [401, 404, 404, 404, status, status, 403, status, 403]


def share(status):
    return [401, 404, 404, status, status, status, 403, status, 403]


def own(status):
    """One's own, whoever one is; a program needs the scope."""
    return [401, status, status, status, status, status, 403, status, 403]


def person(status):
    return [401, status, status, status, status, status, 403, 403, 403]


@dataclass(frozen=True)
class Row:
    expected: list[int]
    request: dict = field(default_factory=dict)


START = {"json": {"name": "a.bin", "size": 3}}
INIT = {"json": {"file_name": "a.bin", "file_size": 3}}
GRANT = {"role": "viewer", "permission": "read"}
CHUNK = {"headers": {"X-Chunk-Number": "1"}, "content": b"abc"}

MATRIX = {
    ("GET", "/"): Row(OPEN(200)),
    ("HEAD", "/"): Row(OPEN(200)),
    ("GET", "/manifest.webmanifest"): Row(OPEN(200)),
    ("GET", "/sw.js"): Row(OPEN(200)),
    ("GET", "/send.js"): Row(OPEN(200)),
    ("GET", "/icons/{name}"): Row(OPEN(404)),
    ("GET", "/assets/{name}"): Row(OPEN(404)),
    ("GET", "/health/live"): Row(OPEN(200)),
    ("GET", "/health/ready"): Row(OPEN(200)),
    ("GET", "/metrics"): Row(OPEN(200)),
    ("GET", "/openapi.json"): Row(OPEN(200)),
    ("GET", "/docs"): Row(OPEN(200)),
    ("GET", "/docs/oauth2-redirect"): Row(OPEN(200)),
    ("GET", "/redoc"): Row(OPEN(200)),
    ("POST", "/auth/token"): Row(OPEN(401), {"json": {"username": "x", "password": "y"}}),
    ("POST", "/auth/refresh"): Row(OPEN(401), {"json": {"refresh_token": "x"}}),
    ("POST", "/auth/logout"): Row(person(204)),
    # The right person with the wrong password is a 401 as well.
    ("POST", "/auth/password"): Row(
        person(401), {"json": {"old_password": "x" * 12, "new_password": "y" * 12}}
    ),
    ("POST", "/auth/ticket"): Row(person(201)),
    ("GET", "/auth/me"): Row([401, *[200] * 8]),
    ("POST", "/api/webhooks"): Row(admin(201), {"json": {"url": "https://127.0.0.1:1/in"}}),
    ("GET", "/api/webhooks"): Row(ADMIN),
    ("GET", "/api/webhooks/{webhook_id}"): Row(ADMIN),
    ("PATCH", "/api/webhooks/{webhook_id}"): Row(ADMIN, {"json": {"disabled": True}}),
    ("DELETE", "/api/webhooks/{webhook_id}"): Row(admin(204)),
    ("POST", "/api/webhooks/{webhook_id}/secret"): Row(ADMIN),
    ("GET", "/api/webhooks/{webhook_id}/deliveries"): Row(ADMIN),
    ("POST", "/api/webhooks/{webhook_id}/deliveries/{message_id}/retry"): Row(admin(204)),
    ("GET", "/api/files/admin/audit"): Row(ADMIN),
    ("GET", "/api/files/admin/metrics"): Row(ADMIN),
    ("POST", "/api/files/{file_id}/link"): Row([401, 404, 404, *[201] * 4, 403, 403]),
    ("GET", "/l/{token}"): Row(OPEN(200)),
    ("HEAD", "/l/{token}"): Row(OPEN(200)),
    ("POST", "/api/files/{file_id}/shares"): Row(share(201), {"json": {}}),
    ("GET", "/api/files/{file_id}/shares"): Row(share(200)),
    ("GET", "/api/shares"): Row(own(200)),
    ("DELETE", "/api/shares/{share_id}"): Row(share(204)),
    # Who was granted something is asked for in test_permissions.py.
    ("GET", "/api/files/{file_id}/permissions"): Row(READ_OWN),
    ("PUT", "/api/files/{file_id}/permissions"): Row(change(200), {"json": GRANT}),
    ("DELETE", "/api/files/{file_id}/permissions"): Row(change(204)),
    ("GET", "/api/folders/{folder_id}/permissions"): Row(READ_OWN),
    ("PUT", "/api/folders/{folder_id}/permissions"): Row(change(200), {"json": GRANT}),
    ("DELETE", "/api/folders/{folder_id}/permissions"): Row(change(204)),
    # Whoever has a link needs nothing else.
    ("GET", "/s/{token}"): Row(OPEN(200)),
    ("POST", "/s/{token}"): Row(OPEN(303), {"data": {"password": "x"}}),
    ("GET", "/s/{token}/download"): Row(OPEN(200)),
    ("HEAD", "/s/{token}/download"): Row(OPEN(200)),
    ("POST", "/api/folders/{folder_id}/upload-links"): Row(share(201), {"json": {}}),
    ("GET", "/api/folders/{folder_id}/upload-links"): Row(share(200)),
    ("GET", "/api/upload-links"): Row(own(200)),
    ("DELETE", "/api/upload-links/{link_id}"): Row(share(204)),
    ("GET", "/u/{token}"): Row(OPEN(200)),
    ("POST", "/u/{token}"): Row(OPEN(303), {"data": {"password": "x"}}),
    ("POST", "/u/{token}/files"): Row(OPEN(200), {"files": {"files": ("a.bin", b"abc")}}),
    ("PUT", "/u/{token}/files/{name}"): Row(OPEN(201), {"content": b"abc"}),
    ("OPTIONS", "/u/{token}/tus"): Row(OPEN(204)),
    ("OPTIONS", "/u/{token}/tus/"): Row(OPEN(204)),
    ("POST", "/u/{token}/tus"): Row(OPEN(201), {"headers": {**V, "Upload-Length": "3"}}),
    ("POST", "/u/{token}/tus/"): Row(OPEN(201), {"headers": {**V, "Upload-Length": "3"}}),
    ("HEAD", "/u/{token}/tus/{session_id}"): Row(OPEN(200), {"headers": V}),
    ("PATCH", "/u/{token}/tus/{session_id}"): Row(
        OPEN(204), {"headers": OCTETS, "content": b"abc"}
    ),
    ("DELETE", "/u/{token}/tus/{session_id}"): Row(OPEN(204), {"headers": V}),
    ("POST", "/api/admin/users"): Row(admin(201), {"json": {"name": "new"}}),
    ("GET", "/api/admin/users"): Row(ADMIN),
    ("GET", "/api/admin/users/{user_id}"): Row(ADMIN),
    ("PATCH", "/api/admin/users/{user_id}"): Row(ADMIN, {"json": {"quota": 5}}),
    ("DELETE", "/api/admin/users/{user_id}"): Row(admin(204)),
    ("GET", "/api/files"): Row(LIST),
    ("GET", "/api/files/config"): Row(LIST),
    ("GET", "/api/files/search"): Row(LIST, {"params": {"q": "a"}}),
    ("GET", "/api/files/{file_id}"): Row(READ_OWN),
    ("GET", "/api/files/{file_id}/download"): Row(READ_OWN),
    ("HEAD", "/api/files/{file_id}/download"): Row(READ_OWN),
    # There is no picture of these bytes, also for those who may see them.
    ("GET", "/api/files/{file_id}/thumbnail"): Row([401, *[404] * 6, 403, 403]),
    ("GET", "/api/files/{file_id}/waveform"): Row([401, *[404] * 6, 403, 403]),
    ("PATCH", "/api/files/{file_id}"): Row(change(200), {"json": {"tags": {"a": "b"}}}),
    ("DELETE", "/api/files/{file_id}"): Row(change(204)),
    ("GET", "/api/files/{file_id}/versions"): Row(READ_OWN),
    ("GET", "/api/files/{file_id}/jobs"): Row(READ_OWN),
    ("POST", "/api/files/{file_id}/versions/{number}/restore"): Row(change(200)),
    ("GET", "/api/files/changes"): Row(LIST),
    # What is told of each file is asked for in test_selections.py.
    ("POST", "/api/files/bulk"): Row(begin(200), {"json": {"action": "delete", "ids": ["0" * 26]}}),
    ("POST", "/api/files/zip"): Row(
        [401, *[404] * 6, 403, 403], {"json": {"ids": ["0" * 26]}}
    ),
    ("GET", "/z/{ticket}"): Row(OPEN(404)),
    ("GET", "/api/files/zip"): Row([401, *[404] * 6, 403, 403], {"params": {"ids": "0" * 26}}),
    ("GET", "/api/trash"): Row(LIST),
    ("DELETE", "/api/trash"): Row(begin(204)),
    ("DELETE", "/api/trash/{file_id}"): Row(change(204)),
    ("POST", "/api/trash/{file_id}/restore"): Row(change(200)),
    ("GET", "/api/folders"): Row(LIST),
    # The owner's other tokens come when the owner has made it.
    ("POST", "/api/folders"): Row(
        [401, 403, 201, 201, 201, 409, 403, 409, 403], {"json": {"path": "new"}}
    ),
    ("GET", "/api/folders/{folder_id}"): Row(READ_OWN),
    ("PATCH", "/api/folders/{folder_id}"): Row(change(200), {"json": {"parent": ""}}),
    ("DELETE", "/api/folders/{folder_id}"): Row(change(204)),
    ("GET", "/api/jobs/{job_id}"): Row(READ_OWN),
    ("GET", "/api/events"): Row(LIST),
    ("WS", "/ws"): Row([101 if status == 200 else status for status in LIST]),
    # The owner's other tokens make versions of the owner's file.
    ("PUT", "/api/content/{path:path}"): Row(
        [401, 403, 201, 201, 201, 200, 403, 200, 403], {"content": b"abc"}
    ),
    ("POST", "/api/files/upload/start"): Row(begin(201), START),
    ("GET", "/api/files/upload"): Row(LIST),
    ("POST", "/api/files/upload/{session_id}/chunk"): Row(upload(201), CHUNK),
    ("POST", "/api/files/upload/{session_id}/complete"): Row(upload(409)),
    ("GET", "/api/files/upload/{session_id}"): Row(upload(200)),
    ("DELETE", "/api/files/upload/{session_id}"): Row(upload(204)),
    ("POST", "/upload/chunked/init"): Row(begin(201), INIT),
    ("POST", "/upload/chunked/{session_id}/chunk"): Row(upload(200), CHUNK),
    ("POST", "/upload/chunked/{session_id}/complete"): Row(upload(409)),
    ("GET", "/upload/chunked/{session_id}/status"): Row(upload(200)),
    ("POST", "/upload/offline/save"): Row(begin(201), {"content": wav()}),
    ("GET", "/upload/offline/recordings"): Row(LIST),
    ("GET", "/upload/offline/queue"): Row(LIST),
    ("GET", "/upload/offline/storage-stats"): Row(LIST),
    ("POST", "/upload/offline/sync"): Row(begin(202)),
    # A recording is its owner's alone, not even an admin's.
    ("POST", "/upload/sync/{recording_id}"): Row(upload(200)),
    ("POST", "/upload/analyze/{recording_id}"): Row([401, 404, 404, 404, 200, 200, 200, 403, 403]),
    ("OPTIONS", "/tus"): Row(OPEN(204)),
    ("OPTIONS", "/tus/"): Row(OPEN(204)),
    ("OPTIONS", "/tus/{session_id}"): Row(OPEN(204)),
    ("POST", "/tus"): Row(begin(201), {"headers": {**V, "Upload-Length": "3"}}),
    ("POST", "/tus/"): Row(begin(201), {"headers": {**V, "Upload-Length": "3"}}),
    ("HEAD", "/tus/{session_id}"): Row(upload(200), {"headers": V}),
    ("PATCH", "/tus/{session_id}"): Row(upload(204), {"headers": OCTETS, "content": b"abc"}),
    ("DELETE", "/tus/{session_id}"): Row(upload(204), {"headers": V}),
    ("GET", "/tus/{session_id}"): Row(upload(404)),
    ("OPTIONS", "/resumable"): Row(OPEN(204)),
    ("OPTIONS", "/resumable/"): Row(OPEN(204)),
    ("OPTIONS", "/resumable/{session_id}"): Row(OPEN(204)),
    ("POST", "/resumable"): Row(begin(201), {"headers": {"Upload-Complete": "?1"}, "content": b"a"}),
    ("POST", "/resumable/"): Row(begin(201), {"headers": {"Upload-Complete": "?1"}, "content": b"a"}),
    ("HEAD", "/resumable/{session_id}"): Row(upload(204)),
    ("GET", "/resumable/{session_id}"): Row(upload(204)),
    ("PATCH", "/resumable/{session_id}"): Row(upload(201), {"headers": PARTIAL, "content": b"abc"}),
    ("DELETE", "/resumable/{session_id}"): Row(upload(204)),
}  # fmt: skip


async def shake_hands(app, path, headers):
    """Ask for a WebSocket; the answer's status is 101 where it is opened."""
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "websocket", "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": raw, "scheme": "ws", "client": ("x", 1), "server": ("x", 80),
        "subprotocols": [], "extensions": {"websocket.http.response": {}},
    }  # fmt: skip
    received = [{"type": "websocket.disconnect", "code": 1000}, {"type": "websocket.connect"}]
    sent = []

    async def receive():
        return received.pop()

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    status = 101 if sent[0]["type"] == "websocket.accept" else sent[0]["status"]
    return httpx2.Response(status, headers=sent[0]["headers"])


class World:
    """The application, everybody's token, and the owner's things, made anew when asked for."""

    def __init__(self, app):
        self.app = app
        self.services = app.state.services
        self.http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://x")

    async def people(self):
        add = self.services.accounts.add
        self.users = {
            "viewer": await add("eve", Role.VIEWER),
            "other": await add("bob", Role.USER),
            "admin": await add("root", Role.ADMIN),
            "owner": await add("ann", Role.USER),
        }
        return self

    async def headers(self, name):
        if name == "anonymous":
            return {}
        kinds = {
            "device": (TokenKind.DEVICE, frozenset()),
            "reading": (TokenKind.SERVICE, frozenset({"files:read"})),
            "writing": (TokenKind.SERVICE, frozenset({"files:write"})),
            "bare": (TokenKind.SERVICE, frozenset()),
        }
        kind, scopes = kinds.get(name, (TokenKind.ACCESS, frozenset()))
        # As it stands now: signing out makes tokens void.
        user = await self.services.accounts.get(self.users.get(name, self.users["owner"]).name)
        token = self.services.tokens.issue(user, timedelta(hours=1), kind=kind, scopes=scopes)
        return {"Authorization": f"Bearer {token}"}

    async def ask(self, method, path, name="owner", **request):
        headers = {**await self.headers(name), **request.pop("headers", {})}
        if method == "WS":
            return await shake_hands(self.app, path, headers)
        return await self.http.request(method, path, headers=headers, **request)

    async def path_of(self, template):
        """Put the owner's things into a route's path."""
        template = template.replace("{number}", "1")
        if "{file_id}" in template:
            made = await self.ask("PUT", "/api/content/a.bin", content=b"abc")
            if template.startswith("/api/trash"):
                await self.ask("DELETE", f"/api/files/{made.json()['id']}")
            return template.replace("{file_id}", made.json()["id"])
        if "{folder_id}" in template:
            unique = secrets.token_hex(8)
            made = await self.ask("POST", "/api/folders", json={"path": f"{unique}/in-{unique}"})
            return template.replace("{folder_id}", made.json()["id"])
        if template.startswith("/l/"):
            made = await self.ask("PUT", "/api/content/a.bin", content=b"abc")
            link = await self.ask("POST", f"/api/files/{made.json()['id']}/link")
            return httpx2.URL(link.json()["url"]).path
        if template.startswith("/u/") or "{link_id}" in template:
            return await self.path_of_upload_link(template)
        if "{token}" in template or "{share_id}" in template:
            made = await self.ask("PUT", "/api/content/a.bin", content=b"abc")
            where = f"/api/files/{made.json()['id']}/shares"
            link = (await self.ask("POST", where, json={})).json()
            return template.replace("{token}", link["token"]).replace("{share_id}", link["id"])
        if "{webhook_id}" in template:
            made = await self.services.webhooks.add("https://127.0.0.1:1/in")
            failed = new_job(
                DELIVERY, utc_now(), subject=made.webhook_id, state=JobState.FAILED,
                payload={"type": "file.created", "timestamp": "2026-01-01T00:00:00Z"},
            )  # fmt: skip
            await self.services.catalog.transaction(lambda tx: tx.jobs.enqueue(failed))
            template = template.replace("{message_id}", failed.job_id)
            return template.replace("{webhook_id}", made.webhook_id)
        if "{user_id}" in template:
            made = await self.services.accounts.add(f"u{len(self.users)}", Role.USER)
            self.users[made.name] = made
            return template.replace("{user_id}", made.user_id)
        if "{job_id}" in template:
            made = await self.ask("PUT", "/api/content/a.bin", content=b"abc")
            file_id = made.json()["id"]
            jobs = await self.services.catalog.read(lambda tx: tx.jobs.of_subject(file_id))
            return template.replace("{job_id}", jobs[0].job_id)
        if "{recording_id}" in template:
            made = await self.ask("POST", "/upload/offline/save", content=wav())
            return template.replace("{recording_id}", made.json()["recording_id"])
        if "{session_id}" not in template:
            return template.replace("{path:path}", "folder/a.bin")
        if template.startswith("/tus"):
            made = await self.ask("POST", "/tus/", headers={**V, "Upload-Length": "3"})
            session_id = made.headers["location"]
        elif template.startswith("/resumable"):
            made = await self.ask("POST", "/resumable/", headers={"Upload-Complete": "?0"})
            session_id = made.headers["location"]
        else:
            made = await self.ask("POST", "/api/files/upload/start", **START)
            session_id = made.json()["session_id"]
        return template.replace("{session_id}", session_id)

    async def path_of_upload_link(self, template):
        made = await self.ask("POST", "/api/folders", json={"path": secrets.token_hex(8)})
        where = f"/api/folders/{made.json()['id']}/upload-links"
        link = (await self.ask("POST", where, json={})).json()
        path = template.replace("{token}", link["token"]).replace("{link_id}", link["id"])
        if "{session_id}" in path:
            tus = path.partition("{")[0]
            made = await self.http.post(tus, headers={**V, "Upload-Length": "3"})
            path = path.replace("{session_id}", made.headers["location"])
        return path.replace("{name}", "a.bin")


@pytest.fixture
async def world(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RATE_LIMIT_SIGN_IN", "1000/second")
    monkeypatch.setenv("DURABILITY", "none")
    monkeypatch.setenv("WEBHOOK_ALLOWED_HOSTS", "127.0.0.1")  # where nobody listens
    settings = Settings.load(data=with_catalog(tmp_path))
    async with open_services(settings) as services:
        made = World(app_with(services))
        yield await made.people()
        await made.http.aclose()


def each_route(routes):
    for route in routes:
        included = getattr(route, "original_router", None)
        if included is not None:
            assert not route.include_context.prefix, "prefixes are the routers' own"
            yield from each_route(included.routes)
        elif not isinstance(route, Shortcut):
            kinds = Route | APIRoute | APIWebSocketRoute
            assert isinstance(route, kinds), f"{route} is of a new kind: ask for it here"
            yield route


def routes_of(app):
    """Return every method and path that the application answers."""
    found = set()
    for route in each_route(app.routes):
        if isinstance(route, APIWebSocketRoute):
            found.add(("WS", route.path))
            continue
        # Starlette's own routes answer HEAD wherever they answer GET.
        implied = set() if isinstance(route, APIRoute) else {"HEAD"}
        found |= {(method, route.path) for method in set(route.methods) - implied}
    return found


def test_every_route_is_in_the_matrix():
    assert routes_of(create_app(Settings.load())) == set(MATRIX)


def test_every_route_that_reads_json_knows_first_who_is_asking():
    routes = each_route(create_app(Settings.load()).routes)
    taking = [one for one in routes if getattr(one, "body_field", None) is not None]
    assert taking
    assert [one.path for one in taking if not isinstance(one, JsonRoute)] == []


@pytest.mark.parametrize(("method", "template"), MATRIX, ids=lambda part: part)
async def test_who_may_do_it(world, method, template):
    row = MATRIX[method, template]
    if template == "/api/events":
        world.services.events.close()  # its answer has no end otherwise
    found = {}
    for name in ASKING:
        path = await world.path_of(template)
        answer = await world.ask(method, path, name, **row.request)
        found[name] = answer.status_code
        if answer.status_code == 401:
            assert answer.headers["www-authenticate"] == "Bearer"
    assert found == dict(zip(ASKING, row.expected, strict=True))


SHORT = [
    ("GET", "/api/files/{file_id}/download"),
    ("HEAD", "/api/files/{file_id}/download"),
    ("POST", "/api/files/upload/{session_id}/chunk"),
    ("HEAD", "/tus/{session_id}"),
    ("PATCH", "/tus/{session_id}"),
]


def test_shortcuts_lead_to_routes_in_the_matrix():
    shortcuts = [one for one in create_app(Settings.load()).routes if isinstance(one, Shortcut)]
    found = {(method, one.path) for one in shortcuts for method in one.methods}
    assert found == set(SHORT)


@pytest.mark.parametrize(("method", "template"), SHORT, ids=lambda part: part)
async def test_a_shortcut_and_the_ordinary_way_answer_alike(world, method, template):
    row = MATRIX[method, template]
    for name, expected in zip(ASKING, row.expected, strict=True):
        found = []
        for query in ({}, {"ordinary": "way"}):
            path = await world.path_of(template)
            answer = await world.ask(method, path, name, params=query, **row.request)
            is_json = answer.content and answer.headers["content-type"].endswith("json")
            told = answer.json() if is_json else {}
            headers = set(answer.headers) - {"repr-digest"}  # which a job finds out meanwhile
            found.append((answer.status_code, headers, told.get("code"), list(told)))
        assert found[0] == found[1]
        assert found[0][0] == expected


@pytest.mark.parametrize(("method", "template"), SHORT, ids=lambda part: part)
async def test_a_shortcut_asks_whom_the_application_names(world, method, template):
    def somebody():
        return world.users["other"]

    path = await world.path_of(template)
    world.app.dependency_overrides[get_current_user] = somebody
    answer = await world.ask(method, path, "owner", **MATRIX[method, template].request)
    assert answer.status_code == 404, "it is another's"


GUARDED = [key for key, row in MATRIX.items() if row.expected[0] == 401 and key[1] != "/auth/token"]


@pytest.mark.parametrize(("method", "template"), GUARDED, ids=lambda part: part)
async def test_who_is_asking_comes_before_all_else(world, method, template):
    """401 before 404 and before anything that is wrong with the request."""
    path = template.replace("{path:path}", "%00").replace("{", "").replace("}", "")
    broken = {
        "Tus-Resumable": "9", "Upload-Length": "x", "Upload-Offset": "x", "Upload-Complete": "x",
        "Content-Type": "application/json", "Content-Range": "x", "Upload-Metadata": "***",
    }  # fmt: skip
    for token in (None, "Bearer", "Bearer x", "Bearer a.b.c", "Basic YTpi", "Bearer " + "x" * 9000):
        headers = {**broken, **({} if token is None else {"Authorization": token})}
        if method == "WS":
            answer = await shake_hands(world.app, path, headers)
        else:
            content = b"{" if method != "GET" else None
            answer = await world.http.request(method, path, headers=headers, content=content)
        if template == "/auth/refresh":
            assert answer.status_code == 400, "whose proof is in the body"
            continue
        assert answer.status_code == 401, token


NOT_MINE = [
    (m, t) for m, t in MATRIX if "{session_id}" in t and m != "OPTIONS" and "{token}" not in t
]


@pytest.mark.parametrize(("method", "template"), NOT_MINE, ids=lambda part: part)
async def test_what_is_not_yours_comes_before_what_is_wrong_with_the_request(
    world, method, template
):
    path = await world.path_of(template)
    broken = {"Tus-Resumable": "9", "Upload-Offset": "x", "Content-Type": "text/plain"}
    for name in ("viewer", "other", "admin"):
        answer = await world.ask(method, path, name, headers=broken)
        assert answer.status_code == 404


async def test_a_service_token_may_what_its_scopes_say(world):
    answer = await world.ask("GET", "/api/files", "writing")
    assert (answer.status_code, answer.json()["code"]) == (403, "scope-missing")
    assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_scope"'
    assert "files:read" in answer.json()["detail"]


async def test_a_disabled_user_is_nobody(world):
    headers = await world.headers("owner")
    await world.services.accounts.disable(world.users["owner"])
    assert (await world.http.get("/auth/me", headers=headers)).status_code == 401
