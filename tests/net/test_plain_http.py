"""Answers as servers really send them, byte by byte; what any client does is in test_http."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from haulier import errors
from haulier.net.guard import AddressGuard
from haulier.net.http import HttpClient
from haulier.net.plain_http import is_plain

BODY = bytes(range(256)) * 12
LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY)


def in_chunks(body: bytes, size: int, *, end: bytes = b"0\r\n\r\n") -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    cut = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + cut + end


class Script:
    """Answers each request with the next of `answers`, some bytes at a time; None: not at all.

    `closes`: the connection after each answer. `connections` tells which one each came by.
    """

    def __init__(self, *answers: bytes | None, by: int = 1 << 20, closes: bool = False) -> None:
        self.answers: Iterator[bytes | None] = iter(answers)
        self.by, self.closes = by, closes
        self.connections: list[int] = []
        self.port = 0
        self.count = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.count += 1
        number = self.count
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                self.connections.append(number)
                answer = next(self.answers)
                if answer is None:
                    break
                for start in range(0, len(answer), self.by):
                    writer.write(answer[start : start + self.by])
                    await writer.drain()
                    await asyncio.sleep(0)
                if self.closes:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[Script]:
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    script.port = server.sockets[0].getsockname()[1]
    async with server:
        yield script


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    async with HttpClient(guard=AddressGuard(["127.0.0.1"]), stall_timeout_s=5) as client:
        yield client


async def fetch(client: HttpClient, script: Script) -> bytes:
    async with client.open_large(f"http://127.0.0.1:{script.port}/x") as answer:
        found = bytearray()
        async for count in answer.pass_to(found.extend):
            assert count > 0
        return bytes(found)


@pytest.mark.parametrize("by", [1, 7, 1000, 1 << 20])
@pytest.mark.parametrize(
    "answer",
    [
        LENGTH + BODY,
        (LENGTH + BODY).replace(b"\r\n", b"\n", 3),
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + LENGTH + BODY,
        in_chunks(BODY, 1),
        in_chunks(BODY, 1000),
        in_chunks(BODY, 1000, end=b"0\r\nX-Sum: 1\r\n\r\n"),
        b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
    ],
    ids=["length", "bare-lf", "hint", "chunks-of-1", "chunks", "trailer", "until-close"],
)
async def test_a_body_arrives_however_it_is_cut(client: HttpClient, answer: bytes, by: int) -> None:
    until_close = answer.startswith(b"HTTP/1.0")
    async with serving(Script(answer, by=by, closes=until_close)) as script:
        assert await fetch(client, script) == BODY


async def test_chunks_larger_than_the_buffer(client: HttpClient) -> None:
    body = BODY * 1500
    async with serving(Script(in_chunks(body, 1_500_001), by=300_000)) as script:
        assert await fetch(client, script) == body


@pytest.mark.parametrize(
    "answer",
    [
        (LENGTH + BODY)[:-1],
        LENGTH[:-1],
        b"",
        in_chunks(BODY, 1000)[:-1],
        in_chunks(BODY, 1000)[:-9],
        in_chunks(BODY, 1000, end=b""),
        in_chunks(BODY, 1000).replace(b"\r\n3e8\r\n", b"\r\nzz\r\n"),
        in_chunks(BODY, 1000).replace(b"\r\n3e8\r\n", b"\r\n3e7\r\n", 1),
        in_chunks(BODY, 1000, end=b"0\r\n" + b"X-A: b\r\n" * 20_000),
        b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 20_000,
        b"HTTP/1.1 200 OK\r\nX-A: " + b"b" * 200_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 20,
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    ],
)
async def test_what_is_not_whole_or_not_http_is_never_taken(
    client: HttpClient, answer: bytes
) -> None:
    async with serving(Script(answer, by=1000, closes=True)) as script:
        with pytest.raises(errors.ConnectionLost, match=r"GET http://127\.0\.0\.1:\d+/x"):
            await fetch(client, script)


async def test_connections_are_used_again_only_when_all_was_read(client: HttpClient) -> None:
    chunked = in_chunks(BODY, 1000)
    closing = LENGTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + BODY
    unasked = LENGTH + BODY + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    answers = [LENGTH + BODY, chunked, closing, unasked, LENGTH + BODY, LENGTH + BODY]
    async with serving(Script(*answers)) as script:
        for _ in answers[:-2]:
            assert await fetch(client, script) == BODY
        async with client.open_large(f"http://127.0.0.1:{script.port}/x") as answer:
            async for _count in answer.pass_to(lambda _: None):
                break
        assert await fetch(client, script) == BODY
    assert script.connections[:5] == [1, 1, 1, 2, 3]


async def test_a_connection_given_up_by_the_server_is_replaced(client: HttpClient) -> None:
    async with serving(Script(LENGTH + BODY, None, LENGTH + BODY, None, None)) as script:
        assert await fetch(client, script) == BODY
        # The server leaves the next request unanswered, which went over the old connection.
        assert await fetch(client, script) == BODY
        assert script.connections == [1, 1, 2]
        with pytest.raises(errors.ConnectionLost):
            await fetch(client, script)
        assert script.connections == [1, 1, 2, 2, 3], "a new one that fails is not tried again"


async def test_a_name_for_the_inside_is_refused_when_it_is_resolved() -> None:
    async with serving(Script(LENGTH + BODY)) as script, HttpClient() as client:
        with pytest.raises(errors.AddressRefused):
            async with client.open_large(f"http://localhost:{script.port}/x"):
                pass
    assert script.connections == []


async def test_nobody_listens(client: HttpClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(errors.ConnectionLost):
        async with client.open_large(f"http://127.0.0.1:{port}/x"):
            pass


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("http://example.org/a%20b?x=1#y", True),
        ("HTTP://example.org:8080", True),
        ("https://example.org/", False),
        ("http://user:password@example.org/", False),
        ("http://example.org/café", False),
        ("http://example.org/a b", False),
        ("http://example.org/a\r\nX: y", False),
    ],
)
def test_what_is_asked_for_without_the_general_client(url: str, plain: bool) -> None:
    assert is_plain(url) is plain
