"""Clients that say nothing, say it too slowly, or never come to the point."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest
import uvicorn
import uvloop

from haulier.server.direct import Connection, DirectProtocol
from haulier.server.guarded import MOST_HEAD_BYTES, GuardedWebSocket

STREAM_BYTES = 64 << 20


async def app(scope, receive, send):
    """Read the body and say how long it was; /stream answers with 64 MiB, /slow is slow to ask.

    A WebSocket is sent messages without end.
    """
    if scope["type"] == "websocket":
        await talk(scope, receive, send)
        return
    if scope["type"] != "http":
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(1)
    length, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            scope["state"]["left"].set()
            return
        length, more = length + len(message.get("body", b"")), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/stream":
        try:
            for _ in range(STREAM_BYTES >> 20):
                body = {"type": "http.response.body", "body": bytes(1 << 20), "more_body": True}
                await send(body)
        finally:
            scope["state"]["left"].set()
    await send({"type": "http.response.body", "body": str(length).encode()})


async def talk(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    try:
        while True:
            await send({"type": "websocket.send", "text": "x" * 60_000})
            await asyncio.sleep(0)
    finally:
        scope["state"]["left"].set()


class HastyWebSocket(GuardedWebSocket):
    drain_s = 0.5


class Hasty(Connection):
    head_s = 0.5
    stall_s = 0.5
    drain_s = 0.5


class HastyProtocol(DirectProtocol):
    connection = Hasty


@pytest.fixture(scope="module")
def left():
    return threading.Event()


@pytest.fixture(scope="module")
def port(left):
    async def with_state(scope, receive, send):
        if scope["type"] != "lifespan":
            scope["state"]["left"] = left
        await app(scope, receive, send)

    config = uvicorn.Config(
        with_state, http=HastyProtocol, ws=HastyWebSocket, log_level="error", lifespan="off"
    )
    server = uvicorn.Server(config)
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        thread = threading.Thread(target=runner.run, args=[server.serve(sockets=[listener])])
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
async def client(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    yield reader, writer
    writer.close()


async def ended(reader):
    """Return what the server said until it closed the connection."""
    async with asyncio.timeout(60):
        return await reader.read()


async def test_a_silent_connection_is_closed(client):
    assert await ended(client[0]) == b""


async def test_a_head_that_dribbles_is_cut_off(client):
    reader, writer = client
    writer.write(b"GET / HTTP/1.1\r\n")

    async def dribble():
        while not writer.is_closing():
            writer.write(b"X-A: b\r\n")
            await asyncio.sleep(0.05)

    dribbling = asyncio.create_task(dribble())
    assert (await ended(reader)).startswith(b"HTTP/1.1 408 ")
    dribbling.cancel()


@pytest.mark.parametrize(
    "line", [b"GET /" + b"a" * 70_000, b"GET / HTTP/1.1\r\nX-A: " + b"a" * 70_000]
)
async def test_a_head_without_end_is_refused(client, line):
    reader, writer = client
    assert len(line) > MOST_HEAD_BYTES
    writer.write(line)
    assert (await ended(reader)).startswith(b"HTTP/1.1 431 ")


async def test_a_body_that_stops_is_given_up(client, left):
    reader, writer = client
    left.clear()
    writer.write(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nhello")
    assert await ended(reader) == b""
    assert await asyncio.to_thread(left.wait, 20)


UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


async def test_a_websocket_whose_messages_nobody_takes_is_closed(client, left):
    reader, writer = client
    left.clear()
    writer.write(UPGRADE)
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    assert await asyncio.to_thread(left.wait, 20)


async def test_a_websocket_whose_messages_are_taken_stays(client, left):
    reader, writer = client
    left.clear()
    writer.write(UPGRADE)
    async with asyncio.timeout(60):
        for _ in range(60):
            await reader.readexactly(1 << 20)
            await asyncio.sleep(0.02)
    assert not left.is_set()


async def test_a_body_that_goes_on_is_awaited(client):
    reader, writer = client
    writer.write(b"POST / HTTP/1.1\r\nContent-Length: 10\r\nConnection: close\r\n\r\n")
    for _ in range(10):
        await asyncio.sleep(0.1)
        writer.write(b"x")
    assert (await ended(reader)).endswith(b"10\r\n0\r\n\r\n")


async def test_an_application_that_is_slow_to_ask_is_awaited(client):
    reader, writer = client
    head = b"POST /slow HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n"
    writer.write(head + b"Connection: close\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"hi")
    assert (await ended(reader)).endswith(b"2\r\n0\r\n\r\n")


async def test_an_answer_that_nobody_takes_is_given_up(client, left):
    left.clear()
    client[1].write(b"GET /stream HTTP/1.1\r\n\r\n")
    assert await asyncio.to_thread(left.wait, 20)


async def test_a_connection_that_is_used_again_is_kept(client):
    reader, writer = client
    for _ in range(3):
        writer.write(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi")
        assert b"2\r\n0\r\n\r\n" in await reader.readuntil(b"0\r\n\r\n")
        await asyncio.sleep(0.7)
