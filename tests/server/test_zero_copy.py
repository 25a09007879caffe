"""Files that the kernel sends: equal to the byte, whatever the client's pace, and never for ever."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import threading
from contextlib import contextmanager, suppress

import pytest
import uvicorn
import uvloop

from haulier.server.direct import Connection, DirectProtocol
from haulier.server.zero_copy import MESSAGE

MIB = 1 << 20
DATA = random.Random(3).randbytes(9 * MIB + 5)
SPANS = [(0, 1), (5, MIB), (MIB - 1, 2 * MIB + 1), (0, len(DATA)), (len(DATA) - 7, 7)]


class Hasty(Connection):
    drain_s = 0.5


class HastyProtocol(DirectProtocol):
    connection = Hasty


class Serving:
    """Answers /OFFSET/COUNT by `<`, those bytes of a file, and `>`; counts answers that ended."""

    def __init__(self, path):
        self.path = path
        self.port = 0
        self.ended = threading.Semaphore(0)

    async def __call__(self, scope, receive, send):
        offset, count = map(int, scope["path"].strip("/").split("/"))
        length = [(b"content-length", str(count + 2).encode())]
        assert MESSAGE in scope["extensions"]
        file = os.open(self.path, os.O_RDONLY)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": length})
            await send({"type": "http.response.body", "body": b"<", "more_body": True})
            await send({"type": MESSAGE, "file": file, "offset": offset, "count": count})
            await send({"type": "http.response.body", "body": b">"})
        finally:
            os.close(file)
            self.ended.release()

    @contextmanager
    def running(self, new_loop, protocol):
        config = uvicorn.Config(self, http=protocol, log_level="critical", lifespan="off")
        server = uvicorn.Server(config)
        with (
            socket.create_server(("127.0.0.1", 0)) as listener,
            asyncio.Runner(loop_factory=new_loop) as runner,
        ):
            self.port = listener.getsockname()[1]
            thread = threading.Thread(target=runner.run, args=[server.serve(sockets=[listener])])
            thread.start()
            try:
                yield self
            finally:
                server.should_exit = True
                thread.join()

    def connect(self, *, room_bytes=None):
        client = socket.socket()
        if room_bytes is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room_bytes)
        client.settimeout(60)
        client.connect(("127.0.0.1", self.port))
        return client


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(DATA)
    return path


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def new_loop(request):
    return request.param


def ask(client, offset, count):
    client.sendall(f"GET /{offset}/{count} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


def answer(client, count, piece=64 << 10):
    """Read an answer of `count` bytes, `piece` by piece."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        came = client.recv(1)  # what follows may be another answer already
        assert came, "the connection was closed"
        head += came
    body = bytearray()
    while len(body) < count + 2:
        came = client.recv(min(piece, count + 2 - len(body)))
        assert came, "the connection was closed"
        body += came
    return bytes(body)


def test_bytes_are_those_of_the_file(path, new_loop):
    with Serving(path).running(new_loop, DirectProtocol) as serving, serving.connect() as client:
        for offset, count in SPANS * 2:
            ask(client, offset, count)
            assert answer(client, count) == b"<" + DATA[offset : offset + count] + b">"


def test_a_client_that_reads_slowly_and_asks_ahead(path, new_loop):
    with (
        Serving(path).running(new_loop, DirectProtocol) as serving,
        serving.connect(room_bytes=4096) as client,
    ):
        for offset, count in SPANS:
            ask(client, offset, count)
        for offset, count in SPANS:
            assert answer(client, count, 5000) == b"<" + DATA[offset : offset + count] + b">"


def test_what_is_not_in_the_page_cache(path, new_loop):
    with path.open("rb") as file, Serving(path).running(new_loop, DirectProtocol) as serving:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        with serving.connect() as client:
            ask(client, 0, len(DATA))
            assert answer(client, len(DATA)) == b"<" + DATA + b">"


def test_a_client_that_goes_away_is_noticed(path, new_loop):
    with Serving(path).running(new_loop, DirectProtocol) as serving:
        with serving.connect(room_bytes=4096) as client:
            ask(client, 0, len(DATA))
            client.recv(1000)
        assert serving.ended.acquire(timeout=60)
        with serving.connect() as client:
            ask(client, 0, 10)
            assert answer(client, 10) == b"<" + DATA[:10] + b">"


def test_a_client_that_takes_nothing_is_let_go(path, new_loop):
    with (
        Serving(path).running(new_loop, HastyProtocol) as serving,
        serving.connect(room_bytes=4096) as client,
    ):
        ask(client, 0, len(DATA))
        assert serving.ended.acquire(timeout=60)
        came = 0
        with suppress(ConnectionResetError):
            while piece := client.recv(MIB):
                came += len(piece)
        assert came < len(DATA)


def test_a_file_that_is_shorter_than_promised_ends_the_connection(path, new_loop):
    with Serving(path).running(new_loop, DirectProtocol) as serving, serving.connect() as client:
        ask(client, MIB, len(DATA))
        came = b""
        while piece := client.recv(MIB):
            came += piece
        assert came.endswith(DATA[-1000:])
