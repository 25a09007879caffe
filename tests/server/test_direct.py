"""Bodies that go around the parser: equal to the byte, whatever their size and pace."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import socket
import threading
from contextlib import asynccontextmanager, contextmanager

import pytest
import uvicorn
import uvloop

from haulier.server.direct import DirectProtocol, direct_body

MIB = 1 << 20
SIZES = [
    *(0, 1, 2, 1000, 65_535, 65_536, 65_537),
    *(n * (256 << 10) + d for n in (1, 2, 3) for d in (-1, 0, 1)),
    *(n * MIB + d for n in (1, 2, 4, 5) for d in (-1, 0, 1)),
    12 * MIB + 7,
]


async def app(scope, receive, send):
    """Answer with what arrived; /refuse answers before it reads, /leave and /keep after a piece.

    /keep does not let go of the body it left, as an exception's traceback does not.
    """
    if scope["type"] != "http":
        return
    path = scope["path"]
    digest, length, pieces = hashlib.sha256(), 0, 0
    body = None if path == "/refuse" else direct_body(scope)
    if body is not None:
        held = []
        try:
            async for piece in body:
                # As the engine does: a piece is used while the next one comes.
                held.append(piece)
                if len(held) > 1:
                    digest.update(held.pop(0))
                length += len(piece)
                pieces += 1
                if path in {"/leave", "/keep"}:
                    break
                await asyncio.sleep(0)
            for piece in held:
                digest.update(piece)
            if path == "/keep":
                scope["state"]["kept"] = body
            else:
                await body.aclose()
        except ConnectionResetError:
            scope["state"]["broken"].set()
            return
    answer = json.dumps(
        {
            "sha256": digest.hexdigest(),
            "length": length,
            "pieces": pieces,
            "direct": body is not None,
        }
    ).encode()
    headers = [(b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


@contextmanager
def serving(new_loop, broken):
    """Run uvicorn in a thread on the loop of that kind; yield its port."""

    async def with_state(scope, receive, send):
        if scope["type"] == "http":
            scope["state"]["broken"] = broken
        await app(scope, receive, send)

    config = uvicorn.Config(with_state, http=DirectProtocol, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        asyncio.Runner(loop_factory=new_loop) as runner,
    ):
        thread = threading.Thread(target=runner.run, args=[server.serve(sockets=[listener])])
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def broken():
    return threading.Event()


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def port(request, broken):
    with serving(request.param, broken) as number:
        yield number


class Client:
    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    @asynccontextmanager
    async def connect(cls, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield cls(reader, writer)
        finally:
            writer.close()
            await writer.wait_closed()

    def head(self, length, path="/", extra=""):
        self.writer.write(
            f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n{extra}\r\n".encode()
        )

    async def answer(self):
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        return json.loads(await self.reader.readexactly(length))

    async def put(self, data, path="/"):
        self.head(len(data), path)
        self.writer.write(data)
        await self.writer.drain()
        return await self.answer()


def is_answer_for(answer, data):
    return (answer["length"], answer["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())


async def test_bodies_of_every_size_on_one_connection(port):
    async with Client.connect(port) as client:
        for size in SIZES:
            data = random.Random(size).randbytes(size)
            answer = await client.put(data)
            assert is_answer_for(answer, data), size
            assert answer["direct"] == (size > 0)


async def test_a_body_that_dribbles(port):
    data = random.Random(1).randbytes(3000)
    async with Client.connect(port) as client:
        client.head(len(data))
        for start in range(0, len(data), 97):
            client.writer.write(data[start : start + 97])
            await client.writer.drain()
            await asyncio.sleep(0)
        assert is_answer_for(await client.answer(), data)
        assert is_answer_for(await client.put(b"next"), b"next")


async def test_pipelined_requests_keep_their_bodies(port):
    bodies = [random.Random(n).randbytes(300_000 + n) for n in range(3)]
    async with Client.connect(port) as client:
        for data in bodies:
            client.head(len(data))
            client.writer.write(data)
        for data in bodies:
            assert is_answer_for(await client.answer(), data)


@pytest.mark.parametrize("path", ["/leave", "/refuse", "/keep"])
async def test_a_body_that_is_not_read_leaves_the_connection_usable(port, path):
    data = random.Random(2).randbytes(5 * MIB)
    async with Client.connect(port) as client:
        first = await client.put(data, path)
        assert first["length"] < len(data)
        assert is_answer_for(await client.put(data), data)


async def test_a_client_that_goes_away_is_noticed(port, broken):
    async with Client.connect(port) as client:
        client.head(10 * MIB)
        client.writer.write(b"x" * MIB)
        await client.writer.drain()
    assert await asyncio.to_thread(broken.wait, 10)


async def test_continue_is_said_before_the_body_is_read(port):
    async with Client.connect(port) as client:
        client.head(5, extra="Expect: 100-continue\r\n")
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.writer.write(b"hello")
        assert is_answer_for(await client.answer(), b"hello")


async def test_a_slow_route_holds_the_client_back(port):
    """Memory for a body is bounded: what is not read stays with the client."""
    data = random.Random(3).randbytes(40 * MIB)
    async with Client.connect(port) as client:
        answer = await client.put(data)
        assert is_answer_for(answer, data)
        assert answer["pieces"] >= len(data) / MIB
