"""What goes through the filtering proxy, and what does not."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import httpx2
import pytest

from haulier.net.guard import AddressGuard
from haulier.net.proxy import FilteringProxy

HERE = AddressGuard(["127.0.0.1"])
Answer = Callable[[bytes], bytes]


class Site:
    """A server that notes each request and answers as it is told."""

    def __init__(self, port: int, seen: list[bytes]) -> None:
        self.port = port
        self.seen = seen
        self.url = f"http://127.0.0.1:{port}"


@asynccontextmanager
async def site(answer: Answer, *, host: str = "127.0.0.1") -> AsyncIterator[Site]:
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (
                int(line[15:])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length:")
            ),
            0,
        )
        seen.append(head + await reader.readexactly(length))
        writer.write(answer(head))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, host, 0)
    async with server:
        yield Site(server.sockets[0].getsockname()[1], seen)


def ok(body: bytes) -> Answer:
    return lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


async def ask(proxy: FilteringProxy, request: str, *, password: str | None = "") -> bytes:
    """Send a request as it is written, and return all that comes back."""
    parts = urlsplit(proxy.url)
    reader, writer = await asyncio.open_connection("127.0.0.1", parts.port)
    try:
        given = f"{parts.username}:{password or parts.password}"
        header = f"Proxy-Authorization: Basic {base64.b64encode(given.encode()).decode()}\r\n"
        first, _, rest = request.partition("\r\n")
        writer.write(f"{first}\r\n{'' if password is None else header}{rest}".encode("latin-1"))
        return await asyncio.wait_for(reader.read(), 20)
    finally:
        writer.close()


def status(answer: bytes) -> int:
    return int(answer.split()[1])


async def test_a_client_fetches_through_it_and_the_site_sees_a_plain_request() -> None:
    async with site(ok(b"hello")) as far, FilteringProxy(HERE) as proxy:
        async with httpx2.AsyncClient(proxy=proxy.url) as client:
            answer = await client.post(f"{far.url}/a%20b?c=d", content=b"asked")
        assert answer.text == "hello"
        assert proxy.received_bytes >= 5
    [request] = far.seen
    assert request.startswith(b"POST /a%20b?c=d HTTP/1.1\r\n")
    assert request.endswith(b"\r\n\r\nasked")
    assert b"Host: 127.0.0.1:" in request
    assert b"proxy-" not in request.lower()


async def test_a_tunnel_carries_bytes_both_ways() -> None:
    async with site(ok(b"inside")) as far, FilteringProxy(HERE) as proxy:
        answer = await ask(
            proxy, f"CONNECT 127.0.0.1:{far.port} HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n\r\n"
        )
    established, _, rest = answer.partition(b"\r\n\r\n")
    assert status(established) == 200
    assert rest.endswith(b"inside")


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.2:{port}/",
        "http://2130706434:{port}/",
        "http://0x7f000002:{port}/",
        "http://[::1]:{port}/",
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:25/",
    ],
)
@pytest.mark.parametrize("method", ["GET", "CONNECT"])
async def test_what_is_not_allowed_is_refused_and_noted(target: str, method: str) -> None:
    async with site(ok(b"secret"), host="0.0.0.0") as far, FilteringProxy(HERE) as proxy:
        url = target.format(port=far.port)
        asked = url if method == "GET" else urlsplit(url).netloc
        answer = await ask(proxy, f"{method} {asked} HTTP/1.1\r\n\r\n")
        assert status(answer) == 403
        assert b"secret" not in answer
        assert len(proxy.refused) == 1
    assert far.seen == []


async def test_a_name_is_judged_by_what_it_resolves_to() -> None:
    async with site(ok(b"secret")) as far, FilteringProxy(AddressGuard()) as proxy:
        assert status(await ask(proxy, f"GET http://localhost:{far.port}/ HTTP/1.1\r\n\r\n")) == 403
    assert far.seen == []


async def test_a_redirect_into_the_network_ends_at_the_proxy() -> None:
    async with site(ok(b"secret"), host="127.0.0.2") as inside, FilteringProxy(HERE) as proxy:
        moved = f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.2:{inside.port}/\r\nContent-Length: 0\r\n\r\n"
        client = httpx2.AsyncClient(proxy=proxy.url, follow_redirects=True)
        async with site(lambda _: moved.encode()) as far, client:
            answer = await client.get(far.url)
        assert answer.status_code == 403
        assert "127.0.0.2" in proxy.refused[0].message
    assert inside.seen == []


@pytest.mark.parametrize("password", [None, "guess", "pässword"])
async def test_nobody_else_may_use_it(password: str | None) -> None:
    async with site(ok(b"hello")) as far, FilteringProxy(HERE) as proxy:
        answer = await ask(proxy, f"GET {far.url}/ HTTP/1.1\r\n\r\n", password=password)
        assert status(answer) == 407
        assert b"Proxy-Authenticate: Basic" in answer
    assert far.seen == []


async def test_a_second_request_on_a_connection_is_not_passed_on_unchecked() -> None:
    async with site(ok(b"first")) as far, FilteringProxy(HERE) as proxy:
        request = f"GET {far.url}/ HTTP/1.1\r\n\r\n"
        answer = await ask(proxy, request + "GET http://127.0.0.2/ HTTP/1.1\r\n\r\n")
        assert answer.endswith(b"first")
    [seen] = far.seen
    assert seen.count(b"GET") == 1


@pytest.mark.parametrize(
    ("request_", "wanted"),
    [
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET ftp://127.0.0.1/ HTTP/1.1\r\n\r\n", 400),
        ("GET http://127.0.0.1:99999/ HTTP/1.1\r\n\r\n", 400),
        ("get http://127.0.0.1/ HTTP/1.1\r\n\r\n", 400),
        ("GET http://127.0.0.1/ HTTP/2\r\n\r\n", 400),
        ("GET http://127.0.0.1/ HTTP/1.1\r\nno header\r\n\r\n", 400),
        ("GET http://127.0.0.1/ HTTP/1.1\r\n folded: x\r\n\r\n", 400),
        ("POST http://127.0.0.1/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        ("POST http://127.0.0.1/ HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        ("POST http://127.0.0.1/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
    ],
)
async def test_what_is_no_request_is_refused(request_: str, wanted: int) -> None:
    async with FilteringProxy(HERE) as proxy:
        assert status(await ask(proxy, request_)) == wanted


async def test_a_head_without_an_end_is_cut_off() -> None:
    async with FilteringProxy(HERE) as proxy:
        with suppress(ConnectionError):
            assert await ask(proxy, "GET http://127.0.0.1/ HTTP/1.1\r\nX: " + "x" * 200_000) == b""


async def test_no_more_than_allowed_comes_in() -> None:
    async with site(ok(bytes(4 << 20))) as far, FilteringProxy(HERE, max_bytes=1 << 20) as proxy:
        async with httpx2.AsyncClient(proxy=proxy.url) as client:
            with pytest.raises(httpx2.TransportError):
                await client.get(far.url)
        assert proxy.is_exhausted
        assert status(await ask(proxy, f"GET {far.url}/ HTTP/1.1\r\n\r\n")) == 403


async def test_a_site_that_stalls_is_left() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, FilteringProxy(HERE, stall_timeout_s=0.2) as proxy:
        port = server.sockets[0].getsockname()[1]
        assert await ask(proxy, f"GET http://127.0.0.1:{port}/ HTTP/1.1\r\n\r\n") == b""


async def test_a_host_that_is_not_there_is_told() -> None:
    async with FilteringProxy(HERE) as proxy:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        assert status(await ask(proxy, f"GET http://127.0.0.1:{port}/ HTTP/1.1\r\n\r\n")) == 504
        assert proxy.environment()["https_proxy"] == proxy.url
    parts = urlsplit(proxy.url)
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", parts.port)
