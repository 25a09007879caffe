import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlsplit

import pytest

from haulier import errors
from haulier.net.guard import AddressGuard
from haulier.net.http import HttpClient, parse_retry_after
from haulier.net.http_session import HttpAnswer
from haulier.net.links import printable
from haulier.net.plain_http import PlainAnswer
from haulier.net.redirects import keeps_secrets
from haulier.testing.range_server import Fault, RangeServer


@pytest.fixture
async def server() -> AsyncIterator[RangeServer]:
    async with RangeServer() as server:
        yield server


class LargeClient(HttpClient):
    """Asks for everything as if it were large."""

    def open(self, method: str, url: str, **options: Any) -> Any:
        if method != "GET":
            return super().open(method, url, **options)
        options.pop("body", None)
        return self.open_large(url, **options)


@pytest.fixture(params=[HttpClient, LargeClient])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[HttpClient]:
    guard = AddressGuard(["127.0.0.1", "localhost"])
    async with request.param(guard=guard, stall_timeout_s=0.3, connect_timeout_s=2) as client:
        yield client


async def pieces_of(answer: HttpAnswer | PlainAnswer) -> list[bytes]:
    pieces: list[bytes] = []
    counts = [count async for count in answer.pass_to(lambda piece: pieces.append(bytes(piece)))]
    assert sum(counts) == sum(map(len, pieces))
    assert max(counts, default=0) <= 2 << 20
    return pieces


async def body_of(answer: HttpAnswer | PlainAnswer) -> bytes:
    return b"".join(await pieces_of(answer))


async def get(client: HttpClient, url: str, **options: Any) -> bytes:
    async with client.open("GET", url, **options) as answer:
        return await body_of(answer)


def redirect(server: RangeServer, path: str, target: str, status: int = 302) -> str:
    server.put(path, b"").faults.extend([Fault(status=status, headers={"Location": target})] * 20)
    return server.url(path)


async def test_an_answer_with_its_body_and_headers(server: RangeServer, client: HttpClient) -> None:
    body = bytes(range(256)) * 20_000
    server.put("/a", body)
    async with client.open("GET", server.url("/a")) as answer:
        assert (answer.status, answer.headers["etag"], answer.url) == (200, '"1"', server.url("/a"))
        pieces = await pieces_of(answer)
    assert b"".join(pieces) == body
    assert max(map(len, pieces)) <= 2 << 20
    [request] = server.log
    assert request.headers["user-agent"].startswith("haulier/")
    assert request.headers["accept-encoding"] == "identity"


async def test_escapes_of_a_signed_link_stay_as_they_are(
    server: RangeServer, client: HttpClient
) -> None:
    path = "/a%2Fb%7e/c+d?X-Signature=%2b%3D&z=a%20b&A=1"
    server.put(path, b"x")
    assert await get(client, server.url(path)) == b"x"
    server.put("/caf%C3%A9%20x", b"y")
    assert await get(client, server.url("/café x")) == b"y"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.RequestRejected), (401, errors.AccessDenied), (403, errors.AccessDenied),
        (404, errors.NoSuchObject), (410, errors.NoSuchObject), (408, errors.TimedOut),
        (412, errors.ObjectChanged), (416, errors.RequestRejected), (429, errors.RateLimited),
        (451, errors.RequestRejected), (500, errors.ServiceFault), (501, errors.RequestRejected),
        (502, errors.ServiceFault), (503, errors.ServiceFault), (507, errors.StorageFull),
        (599, errors.ServiceFault),
    ],
)  # fmt: skip
async def test_refusals_by_status(
    server: RangeServer, client: HttpClient, status: int, kind: type[Exception]
) -> None:
    server.put("/a", b"").faults.extend([Fault(status=status, headers={"Retry-After": "5"})] * 2)
    with pytest.raises(errors.HaulierError, match=f"GET .*/a: HTTP {status}") as caught:
        await get(client, server.url("/a"))
    assert type(caught.value) is kind
    assert caught.value.retry_after_s == 5
    async with client.open("GET", server.url("/a"), accept={status}) as answer:
        assert answer.status == status


def test_retry_after_in_seconds_or_as_a_date() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    later = format_datetime(now + timedelta(seconds=90), usegmt=True)
    read = [parse_retry_after(value, now.timestamp) for value in (" 7 ", "0", later)]
    assert read == [7, 0, 90]
    assert (
        parse_retry_after(format_datetime(now, usegmt=True), (now + timedelta(days=1)).timestamp)
        == 0
    )
    assert [parse_retry_after(value) for value in (None, "", "soon", "-3", "1.5", "٣")] == [
        None
    ] * 6
    assert parse_retry_after("9" * 5000) == 999_999_999_999


async def test_a_connection_that_breaks_or_never_was(
    server: RangeServer, client: HttpClient
) -> None:
    server.put("/a", b"x" * 1000).faults.append(Fault(cut_after=10))
    with pytest.raises(errors.ConnectionLost, match=r"GET http://127\.0\.0\.1:.*/a"):
        await get(client, server.url("/a"))
    port = server.port
    await server.__aexit__(None, None, None)
    await client.aclose()
    with pytest.raises(errors.ConnectionLost):
        await get(client, f"http://127.0.0.1:{port}/a")


@pytest.mark.parametrize("stall_after", [0, 10])
async def test_a_stall_is_noticed_without_a_total_limit(
    server: RangeServer, client: HttpClient, stall_after: int
) -> None:
    server.put("/a", b"x" * 1000).faults.append(Fault(stall_after=stall_after))
    with pytest.raises(errors.TimedOut):
        await get(client, server.url("/a"))


async def test_an_answer_that_is_not_http(client: HttpClient) -> None:
    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH\r\n\r\n")
        writer.close()

    listener = await asyncio.start_server(garbage, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    with pytest.raises(errors.ConnectionLost):
        await get(client, f"http://127.0.0.1:{port}/")
    listener.close()


@pytest.mark.parametrize(
    "url",
    [
        "http://exa mple.org/",
        "http://example.org:x/",
        "http://a..b/",
        "http://" + "a" * 70 + ".org/",
    ],
)
async def test_links_that_can_not_be_used(client: HttpClient, url: str) -> None:
    with pytest.raises((errors.UsageError, errors.AddressRefused, errors.ConnectionLost)):
        await get(client, url)


async def test_an_answer_longer_than_allowed_is_not_read(server: RangeServer) -> None:
    server.put("/a", bytes(3 << 20))
    async with (
        HttpClient(guard=AddressGuard(["127.0.0.1"])) as client,
        client.open("GET", server.url("/a")) as answer,
    ):
        with pytest.raises(errors.RequestRejected, match="longer than"):
            await answer.read(1000)


async def test_redirects_are_followed(server: RangeServer, client: HttpClient) -> None:
    server.put("/dir/end", b"there")
    url = redirect(server, "/a", redirect(server, "/dir/b", "end?x#frag"))
    server.files["/dir/end?x"] = server.files["/dir/end"]
    async with client.open("GET", url) as answer:
        assert await body_of(answer) == b"there"
        assert answer.url.startswith(server.url("/dir/end?x"))


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [(301, "POST", "GET"), (302, "POST", "GET"), (303, "PUT", "GET"), (307, "POST", "POST"), (308, "PUT", "PUT"),
     (303, "HEAD", "HEAD"), (301, "GET", "GET")],
)  # fmt: skip
async def test_methods_over_redirects(
    server: RangeServer, client: HttpClient, status: int, method: str, then: str
) -> None:
    server.put("/end", b"")
    url = redirect(server, "/a", "/end", status)
    async with client.open(method, url, body=b"body" if method in {"POST", "PUT"} else None):
        pass
    last = server.log[-1]
    assert (last.method, last.headers.get("content-length")) == (
        then,
        "4" if then in {"POST", "PUT"} else None,
    )


async def test_redirects_have_an_end(server: RangeServer, client: HttpClient) -> None:
    url = redirect(server, "/a", "/a")
    with pytest.raises(errors.RequestRejected, match="redirects more than 10 times"):
        await get(client, url)
    assert len(server.log) == 11


SECRETS = {"Authorization": "Bearer x", "Cookie": "a=b", "X-Api-Key": "k", "Range": "bytes=0-1"}


async def test_secrets_stay_on_the_server_they_are_for(
    server: RangeServer, client: HttpClient
) -> None:
    server.put("/end", b"there")
    await get(client, redirect(server, "/a", "/end"), headers=SECRETS)
    assert server.log[-1].headers["authorization"] == "Bearer x"

    await get(client, redirect(server, "/b", server.url("/end", host="localhost")), headers=SECRETS)
    assert {"authorization", "cookie", "x-api-key"}.isdisjoint(server.log[-1].headers)
    assert server.log[-1].range == "bytes=0-1"

    async with RangeServer() as other:
        other.put("/end", b"there")
        await get(client, redirect(server, "/c", other.url("/end")), headers=SECRETS)
        assert {"authorization", "cookie", "x-api-key"}.isdisjoint(other.log[-1].headers)


@pytest.mark.parametrize("target", ["http://127.0.0.1:{port}/inside", "http://2130706433:{port}/inside",
                                    "http://[::ffff:127.0.0.1]:{port}/inside", "file:///etc/passwd", "//127.0.0.1:{port}/inside"])  # fmt: skip
async def test_a_redirect_to_the_inside_is_refused(server: RangeServer, target: str) -> None:
    server.put("/inside", b"secret")
    url = redirect(server, "/a", target.format(port=server.port))
    async with HttpClient(guard=AddressGuard(["localhost"])) as client:
        with pytest.raises(errors.AddressRefused):
            await get(client, url.replace("127.0.0.1", "localhost"))
    assert [request.path for request in server.log] == ["/a"]


@pytest.mark.parametrize("target", ["http://[::1", "http://x:port/"])
async def test_a_redirect_to_nonsense_is_refused(
    server: RangeServer, client: HttpClient, target: str
) -> None:
    with pytest.raises((errors.AddressRefused, errors.UsageError)):
        await get(client, redirect(server, "/a", target))


@pytest.mark.parametrize(
    ("old", "new", "kept"),
    [
        ("http://a/x", "http://a/y", True),
        ("http://a/", "https://a/", True),
        ("http://a:80/", "https://a:443/", True),
        ("https://a/", "http://a/", False),
        ("http://a:8080/", "https://a/", False),
        ("http://a/", "http://a:8080/", False),
        ("http://a/", "http://b.a/", False),
    ],
)
def test_what_counts_as_the_same_server(old: str, new: str, kept: bool) -> None:
    assert keeps_secrets(urlsplit(old), urlsplit(new)) is kept


async def test_headers_can_not_smuggle_others(server: RangeServer, client: HttpClient) -> None:
    server.put("/a", b"x")
    with pytest.raises(errors.UsageError):
        await get(client, server.url("/a"), headers={"X-A": "b\r\nX-C: d"})
    assert server.log == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0x7f.1"])
async def test_the_inside_is_refused_without_being_asked(server: RangeServer, host: str) -> None:
    server.put("/inside", b"secret")
    async with HttpClient() as client:
        with pytest.raises(errors.AddressRefused):
            await get(client, server.url("/inside", host=host))
    assert server.log == []


async def test_proxies_of_the_environment_are_not_used(
    server: RangeServer, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    server.put("/a", b"x")
    assert await get(client, server.url("/a")) == b"x"


def test_secrets_in_links_are_not_shown() -> None:
    assert printable("https://user:pw@host:1/a?token=x#y") == "https://host:1/a?…"
    assert printable("https://host/a") == "https://host/a"
    assert printable("http://[::1") == "(malformed link)"


async def test_the_connection_is_used_again(server: RangeServer, client: HttpClient) -> None:
    server.put("/a", bytes(1 << 20))
    peers: set[object] = set()
    for _ in range(3):
        await get(client, server.url("/a"))
        peers |= server._connections
    assert len(peers) == 1


# --- bodies that come in pieces


async def test_a_body_in_pieces(server: RangeServer, client: HttpClient) -> None:
    server.put("/a", b"taken")
    asked = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal asked
        asked += 1
        yield b"one"
        yield memoryview(b"two")

    async with client.open(
        "POST", server.url("/a"), headers={"Content-Length": "6"}, body=body
    ) as answer:
        assert await answer.read() == b"taken"
    assert asked == 1
    assert server.log[0].headers["content-length"] == "6"


async def test_what_the_body_raises_is_passed_on(server: RangeServer, client: HttpClient) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"one"
        raise errors.SourceChanged("it changed")

    server.put("/a", b"")
    with pytest.raises(errors.SourceChanged):
        await get_with(client, server.url("/a"), body)


async def test_a_body_that_nobody_takes_stalls(client: HttpClient) -> None:
    never = asyncio.Event()

    async def deaf(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await never.wait()
        writer.close()

    async def body() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield bytes(1 << 20)

    server = await asyncio.start_server(deaf, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    with pytest.raises(errors.TimedOut):
        await get_with(client, url, body, length=64 << 20)
    never.set()
    server.close()


async def get_with(client: HttpClient, url: str, body: Any, *, length: int = 6) -> None:
    async with client.open("POST", url, headers={"Content-Length": str(length)}, body=body):
        pass
