"""Live events from a running server: by WebSocket and as a stream, resumed and kept apart."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import httpx2
import pytest
import websockets

from catalogs import with_catalog
from haulier.core.accounts import Role
from haulier.core.records import utc_now
from haulier.files.access import topics_of
from haulier.server import event_routes
from haulier.server.services import open_services
from haulier.settings import Settings
from people import add_user
from running_server import start, stop

pytestmark = pytest.mark.processes

MIB = 1 << 20


@asynccontextmanager
async def listening(server, name="ann", last=None, **more):
    url = server.url.replace("http", "ws") + "/ws" + (f"?last_event_id={last}" if last else "")
    more.setdefault("additional_headers", server.headers(name))
    async with websockets.connect(url, **more) as socket:
        yield socket


async def until(socket, wanted, /, **data):
    """Return the messages up to the first of that type and data."""
    found = []
    async with asyncio.timeout(60):
        while True:
            found.append(json.loads(await socket.recv()))
            is_kind = found[-1]["type"] == wanted
            if is_kind and data.items() <= found[-1]["data"].items():
                return found


async def put(server, path, content=b"abc", name="ann"):
    async with httpx2.AsyncClient(headers=server.headers(name)) as http:
        made = await http.put(f"{server.url}/api/content/{path}", content=content)
        assert made.status_code == 201, made.text
        return made.json()["id"]


async def test_an_upload_is_told_from_its_start_to_its_jobs(server):
    async with listening(server) as socket, httpx2.AsyncClient(headers=server.headers()) as http:
        api = f"{server.url}/api/files/upload"
        begun = (await http.post(f"{api}/start", json={"name": "a.bin", "size": 2 * MIB})).json()
        session_id = begun["session_id"]
        for number in (1, 2):
            chunk = {"X-Chunk-Number": str(number)}
            await http.post(f"{api}/{session_id}/chunk", content=bytes(MIB), headers=chunk)
        found = await until(socket, "job.completed", kind="digest")
    kinds = [one["type"] for one in found]
    assert kinds[:2] == ["upload.started", "upload.progress"]
    assert kinds.index("upload.completed") < kinds.index("file.created") < len(kinds) - 1
    progress = found[1]
    assert set(progress) == {"id", "type", "time", "data"}
    assert progress["data"]["session_id"] == session_id
    assert (progress["data"]["received_bytes"], progress["data"]["size"]) == (MIB, 2 * MIB)
    assert progress["data"]["rate_bps"] >= 0
    ids = [one["id"] for one in found]
    assert len(set(ids)) == len(ids)


async def test_all_devices_of_a_user_are_told_and_nobody_else(server):
    async with (
        listening(server) as phone,
        listening(server) as laptop,
        listening(server, "bob") as bob,
        listening(server, "root") as root,
    ):
        of_ann = await put(server, "of-ann.bin")
        of_bob = await put(server, "of-bob.bin", name="bob")
        on_phone = await until(phone, "file.created", file_id=of_ann)
        on_laptop = await until(laptop, "file.created", file_id=of_ann)
        assert [one["id"] for one in on_phone] == [one["id"] for one in on_laptop]
        assert of_ann not in json.dumps(await until(bob, "file.created", file_id=of_bob))
        seen = await until(root, "file.created", file_id=of_bob)
        # An admin may see files, but no upload under way.
        assert {"file.created", "job.pending"} <= {one["type"] for one in seen}
        assert not [one for one in seen if one["type"].startswith("upload.")]


async def test_who_comes_back_misses_nothing(server):
    async with listening(server) as socket:
        first = await put(server, "first.bin")
        last = (await until(socket, "file.created", file_id=first))[-1]["id"]
    wanted = [await put(server, f"meanwhile-{n}.bin") for n in range(5)]
    async with listening(server, last=last) as socket:
        wanted.append(await put(server, "again.bin"))
        found = await until(socket, "file.created", file_id=wanted[-1])
    created = [one["data"]["file_id"] for one in found if one["type"] == "file.created"]
    assert created == wanted


async def test_a_download_is_told_once_and_its_later_ranges_are_not(server):
    file_id = await put(server, "played.bin", bytes(1000))
    url = f"{server.url}/api/files/{file_id}/download"
    async with listening(server) as socket, httpx2.AsyncClient(headers=server.headers()) as http:
        for wanted in ("bytes=0-99", "bytes=100-199", "bytes=200-"):
            assert (await http.get(url, headers={"Range": wanted})).status_code == 206
        await http.head(url)
        marker = await put(server, "marker.bin")
        found = await until(socket, "file.created", file_id=marker)
    downloaded = [one["data"] for one in found if one["type"] == "file.downloaded"]
    assert [(one["file_id"], one["by"]) for one in downloaded] == [(file_id, "ann")]


async def test_a_stream_tells_the_same_and_is_resumed_by_its_header(server):
    async with listening(server) as socket:
        before = await put(server, "before.bin")
        last = (await until(socket, "file.created", file_id=before))[-1]["id"]
        wanted = await put(server, "streamed.bin")
        told = await until(socket, "file.created", file_id=wanted)
    headers = {**server.headers(), "Last-Event-ID": last}
    found, lines = [], []
    async with (
        asyncio.timeout(60),
        httpx2.AsyncClient(headers=headers) as http,
        http.stream("GET", f"{server.url}/api/events") as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        async for line in answer.aiter_lines():
            lines.append(line)
            if line.startswith("data: "):
                found.append(json.loads(line.removeprefix("data: ")))
                assert lines[-2] == f"id: {found[-1]['id']}"
                if found[-1]["id"] == told[-1]["id"]:
                    break
    assert lines[0] == "retry: 2000"
    assert [one["id"] for one in found if one["type"] != "upload.progress"] == [
        one["id"] for one in told if one["type"] != "upload.progress"
    ]


async def test_a_ticket_opens_one_socket(server):
    async with httpx2.AsyncClient(headers=server.headers()) as http:
        ticket = (await http.post(f"{server.url}/auth/ticket")).json()["ticket"]
    url = f"{server.url.replace('http', 'ws')}/ws?ticket={ticket}"
    async with websockets.connect(url) as socket:
        file_id = await put(server, "ticket.bin")
        await until(socket, "file.created", file_id=file_id)
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(url)
    answer = refused.value.response
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    told = json.loads(answer.body)
    assert told["code"] == "not-signed-in"
    assert told["request_id"] == answer.headers["x-request-id"] != ""


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
async def test_pages_of_other_sites_may_not_listen(server, origin):
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with listening(server, origin=origin):
            pass
    assert refused.value.response.status_code == 403
    assert b"CORS_ORIGINS" in refused.value.response.body


async def test_pages_of_our_own_may(server):
    async with listening(server, origin=server.url) as socket:
        await until_pong(socket)


async def until_pong(socket):
    async with asyncio.timeout(60):
        await (await socket.ping())


async def test_what_a_client_says_is_not_looked_at_and_not_long(server):
    async with listening(server) as socket:
        for number in range(100):
            await socket.send(str(number))
        await until_pong(socket)
        await socket.send("x" * 100_000)
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await until(socket, "never")
    assert closed.value.rcvd.code == 1009


def recv_until(raw, mark):
    found = b""
    while mark not in found:
        piece = raw.recv(65536)
        assert piece, found
        found += piece
    return found


async def test_a_connection_can_carry_a_body_and_then_a_websocket(server):
    """The way around the parser for bodies must not stand in the way of an upgrade."""
    where = urlsplit(server.url)
    opened = f"Host: {where.netloc}\r\nAuthorization: {server.headers()['Authorization']}\r\n"

    def talk():
        with socket.create_connection((where.hostname, where.port), timeout=60) as raw:
            head = f"PUT /api/content/b.bin HTTP/1.1\r\n{opened}Content-Length: {MIB}\r\n\r\n"
            raw.sendall(head.encode() + bytes(MIB))
            assert recv_until(raw, b'"id":').startswith(b"HTTP/1.1 201")
            key = base64.b64encode(os.urandom(16)).decode()
            raw.sendall(
                f"GET /ws HTTP/1.1\r\n{opened}Connection: Upgrade\r\nUpgrade: websocket\r\n"
                f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
            )
            found = recv_until(raw, b"\r\n\r\n")
            assert b"HTTP/1.1 101" in found
            yield
            yield recv_until(raw, b"file.created")

    talking = talk()
    await asyncio.to_thread(next, talking)
    await put(server, "after.bin")
    assert b"upload.started" in await asyncio.to_thread(next, talking)


async def test_who_does_not_read_slows_nobody(server):
    where = urlsplit(server.url)
    stuck = socket.create_connection((where.hostname, where.port))
    stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stuck.sendall(
        f"GET /api/events HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: {server.headers()['Authorization']}\r\n\r\n".encode()
    )
    with stuck:
        async with listening(server) as quick:
            # Far more than the buffers of its socket hold.
            for number in range(60):
                last = await put(server, f"{'n' * 200}-{number}.bin")
            found = await until(quick, "file.created", file_id=last)
    assert sum(one["type"] == "file.created" for one in found) == 60


async def test_after_a_restart_the_client_is_told_to_look_and_goes_on(tmp_path):
    add_user(tmp_path, "ann")
    server = start(tmp_path, CORS_ORIGINS="https://app.example")
    try:
        async with listening(server, origin="https://app.example") as socket:
            file_id = await put(server, "before.bin")
            last = (await until(socket, "file.created", file_id=file_id))[-1]["id"]
            async with (
                httpx2.AsyncClient(headers=server.headers()) as http,
                http.stream("GET", f"{server.url}/api/events") as stream,
            ):
                lines = stream.aiter_lines()
                assert await anext(lines) == "retry: 2000"
                # Streams without an end do not keep it from stopping: this takes no 30 s.
                assert await asyncio.to_thread(stop, server) == 0
                assert [line async for line in lines if line] == []
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await until(socket, "never")
            assert closed.value.rcvd.code == 1012
        port = urlsplit(server.url).port
        server = start(tmp_path, port=port)
        async with listening(server, last=last) as socket:
            (reset,) = await until(socket, "reset")
            file_id = await put(server, "after.bin")
            assert "file.created" in {one["type"] for one in await until(socket, "file.created")}
        async with listening(server, last=reset["id"]) as socket:
            assert (await until(socket, "file.created", file_id=file_id))[0]["type"] != "reset"
    finally:
        if server.process.returncode is None:
            stop(server)


# --- as long as one may


@pytest.fixture
async def services(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(event_routes, "_HEARTBEAT_S", 0.05)
    async with open_services(Settings.load(data=with_catalog(tmp_path))) as services:
        yield services


async def test_a_listener_is_asked_now_and_then_whether_it_still_may(services):
    async def goes_on(user, until=None):
        """Whether two heartbeats reach a listener."""
        async with services.events.subscribe(topics_of(user)) as news:
            following = event_routes._following(services, event_routes._Listener(user, until), news)
            async with asyncio.timeout(60), aclosing(following):
                beats = 0
                async for _ in following:
                    beats += 1
                    if beats == 2:
                        return True
                return False

    accounts = services.accounts
    ann = await accounts.add("ann", Role.USER)
    assert await goes_on(ann)
    assert await goes_on(ann, utc_now() + timedelta(hours=1))
    assert not await goes_on(ann, utc_now())
    assert not await goes_on(replace(ann, role=Role.ADMIN)), "it sees less than it did"
    await accounts.sign_out_everywhere(ann)
    assert not await goes_on(ann)
    bob = await accounts.add("bob", Role.USER)
    await accounts.disable(bob)
    assert not await goes_on(bob)
