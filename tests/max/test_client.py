"""The API client: what it sends, what answers mean, and what is never done twice."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from haulier import errors
from haulier.max.api import Retries
from haulier.max.client import MaxClient
from haulier.max.outgoing import Outgoing, To, message_body
from haulier.testing.max_server import MaxServer
from haulier.testing.max_state import MaxState

AT_ONCE = Retries(attempts=4, wait_max_s=0)


async def test_a_message_and_its_way_through(client: MaxClient, state: MaxState) -> None:
    sent = await client.send_message(-7, "hello", text_format="markdown", notify=False)
    assert sent.mid in state.messages
    assert (sent.text, sent.chat_id) == ("hello", -7)
    await client.edit_message(sent.mid, "bye")
    assert (await client.get_message(sent.mid)).text == "bye"
    reply = await client.send_message(To(user_id=5), "you", reply_to=sent.mid)
    assert reply.chat_id == 1
    assert [one.mid for one in await client.get_messages(-7)] == [sent.mid]
    found = await client.get_messages(mids=[reply.mid, sent.mid])
    assert [one.mid for one in found] == [reply.mid, sent.mid]
    await client.delete_message(sent.mid)
    with pytest.raises(errors.ChatNotFound):
        await client.get_message(sent.mid)
    with pytest.raises(errors.ChatError, match="not found"):
        await client.delete_message(sent.mid)
    await client.send_action(-7, "sending_file")
    assert state.actions == [(-7, "sending_file")]
    heads = {one.headers["Authorization"] for one in state.seen}
    assert heads == {state.token}, "bare, without Bearer"


async def test_media_stays_when_only_the_text_is_edited(
    server: MaxServer, client: MaxClient, state: MaxState
) -> None:
    media = server.put_media("image", b"x")
    sent = await client.send_message(1, attachments=[Outgoing.by_token("image", media.token)])
    await client.edit_message(sent.mid, "caption")
    assert len((await client.get_message(sent.mid)).attachments) == 1
    await client.edit_message(sent.mid, "caption", attachments=[])
    assert (await client.get_message(sent.mid)).attachments == ()


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b'{"code": "proto.payload", "message": "Missing `token`"}', errors.AttachmentRefused),
        (400, b'{"code": "x", "message": "text: size"}', errors.ChatError),
        (401, b'{"code": "verify.token", "message": "Invalid access_token"}', errors.BadBotToken),
        (403, b'{"code": "verify.token", "message": "No access_token"}', errors.BadBotToken),
        (403, b'{"code": "chat.denied", "message": "no"}', errors.ChatDenied),
        (404, b'{"code": "chat.not.found", "message": "no"}', errors.ChatNotFound),
        (405, b"<html>", errors.ChatError),
        (302, b"", errors.ChatError),
    ],
)
async def test_refusals_are_told_apart_and_not_repeated(
    client: MaxClient, state: MaxState, status: int, body: bytes, kind: type[Exception]
) -> None:
    state.faults.answers.append(("GET /messages", status, body))
    with pytest.raises(errors.HaulierError) as caught:
        await client.get_message("mid.1")
    assert type(caught.value) is kind
    assert state.count("GET", "/messages") == 1


@pytest.mark.parametrize("body", [b"<html>" + b"x" * 5000, b"\xff\x00", b"[" * 100_000, b"[]", b""])
async def test_an_answer_that_is_no_json(client: MaxClient, state: MaxState, body: bytes) -> None:
    state.faults.answers.extend([("GET /messages", 500, body), ("GET /messages", 200, body)] * 2)
    with pytest.raises(errors.ServiceFault) as caught:
        await client.get_message("mid.1")
    assert len(caught.value.message) < 500
    assert state.count("GET", "/messages") == 4


async def test_a_storm_of_429_is_outlasted(client: MaxClient, state: MaxState) -> None:
    client.retries = Retries(attempts=30, wait_max_s=0)
    state.faults.too_many = 20
    await client.send_message(1, "hello")
    assert len(state.messages) == 1
    assert state.count("POST", "/messages") == 21


async def test_the_time_that_a_429_names_is_waited(client: MaxClient, state: MaxState) -> None:
    state.faults.too_many, state.faults.retry_after_s = 3, 0
    assert await client.subscriptions() == []
    state.faults.too_many, state.faults.retry_after_s = 1, 9999
    with pytest.raises(errors.RateLimited) as caught:
        await client.subscriptions()
    assert caught.value.retry_after_s == 9999


@pytest.mark.parametrize("fault", ["lost", 500, 503, "no json"])
async def test_a_message_that_may_have_been_sent_is_not_sent_again(
    client: MaxClient, state: MaxState, fault: object
) -> None:
    if fault == "lost":
        state.faults.lose_messages = 1
    else:
        status = fault if isinstance(fault, int) else 200
        state.faults.answers.append(("POST /messages", status, b"oops"))
    with pytest.raises(errors.MessageUncertain, match="may have been sent"):
        await client.send_message(1, "hello")
    assert state.count("POST", "/messages") == 1
    assert len(state.messages) == (1 if fault == "lost" else 0)


async def test_a_message_that_was_never_begun_is_not_uncertain(server: MaxServer) -> None:
    async with MaxClient(server.token, api_url="http://127.0.0.1:9", retries=AT_ONCE) as client:
        with pytest.raises(errors.ConnectionLost):
            await client.send_message(1, "hello")


async def test_what_is_not_ready_is_waited_for_and_sent_once(
    server: MaxServer, client: MaxClient, state: MaxState
) -> None:
    media = server.put_media("video", b"x")
    media.not_ready = 40
    await client.send_message(1, attachments=[Outgoing.by_token("video", media.token)])
    assert len(state.messages) == 1
    assert state.count("POST", "/messages") == 41


async def test_a_file_that_never_gets_ready(server: MaxServer, client: MaxClient) -> None:
    media = server.put_media("file", b"x")
    media.not_ready = 10**9
    file = Outgoing.by_token("file", media.token)
    with pytest.raises(errors.AttachmentNotReady, match="attachment"):
        await client.send_message(1, attachments=[file], ready_within_s=0.2)


async def test_success_false_with_200_is_no_success(
    server: MaxServer, client: MaxClient, state: MaxState
) -> None:
    sent = await client.send_message(1, "hello")
    media = server.put_media("video", b"x")
    media.not_ready = 3
    video = Outgoing.by_token("video", media.token)
    await client.edit_message(sent.mid, attachments=[video])
    assert state.count("PUT", "/messages") == 4
    state.faults.answers.append(("PUT", 200, b'{"success": false, "message": "too old"}'))
    with pytest.raises(errors.ChatError, match="too old"):
        await client.edit_message(sent.mid, "x")
    state.faults.answers.append(("PUT", 200, b"{}"))
    with pytest.raises(errors.ChatError, match="no reason given"):
        await client.edit_message(sent.mid, "x")


async def test_chats_that_refuse(client: MaxClient, state: MaxState) -> None:
    state.denied.add(-7)
    with pytest.raises(errors.ChatDenied):
        await client.send_message(-7, "hello")
    with pytest.raises(errors.ChatNotFound):
        await client.send_message(12345, "hello")
    with pytest.raises(errors.AttachmentRefused):
        await client.send_message(-9, "hello", notify=False)
    with pytest.raises(errors.AttachmentRefused):
        await client.send_message(1, attachments=[Outgoing.by_token("video", "no-such")])


@pytest.mark.parametrize(
    "wrong",
    [
        {"text": "x" * 4001},
        {"attachments": [Outgoing.by_token("image", "a")] * 13},
        {"attachments": [Outgoing.by_token("image", "a"), Outgoing.by_token("file", "b")]},
        {"attachments": [Outgoing.by_token("audio", "a")] * 2},
        {"attachments": [Outgoing.by_token("sticker", "a")]},
        {"text": "x", "text_format": "bbcode"},
        {"text": "x", "reply_to": "mid.1", "forward": "mid.2"},
    ],
)
async def test_what_max_would_refuse_is_not_sent(
    client: MaxClient, state: MaxState, wrong: dict[str, Any]
) -> None:
    with pytest.raises(errors.UsageError):
        await client.send_message(1, **wrong)
    assert state.seen == []


def test_a_keyboard_may_stand_beside_a_file() -> None:
    keyboard = Outgoing(type="inline_keyboard", payload={"buttons": []})
    body = message_body(None, [Outgoing.by_token("file", "a"), keyboard])
    assert [one["type"] for one in body["attachments"]] == ["file", "inline_keyboard"]


def test_where_messages_go() -> None:
    assert To.parse("-7") == To(chat_id=-7)
    assert To.parse("user:5") == To(user_id=5)
    assert str(To.parse("user:5")) == "user:5"
    for wrong in ("", "x", "user:", "5 ", "٣", "user:5:6", "9" * 30):
        with pytest.raises(errors.UsageError):
            To.parse(wrong)
    with pytest.raises(errors.UsageError):
        To(chat_id=1, user_id=2)


async def test_video_details_tolerate_what_is_missing(
    server: MaxServer, client: MaxClient, state: MaxState
) -> None:
    media = server.put_media("video", b"x")
    details = await client.get_video_details(media.token)
    assert details.rendition(480) == f"{server.files_url}/get/{media.token}?sig=v&q=480"
    state.sparse_videos = True
    sparse = await client.get_video_details(media.token)
    assert (sparse.width, sparse.height, sparse.duration) == (None, None, 79619)
    assert (
        sparse.rendition() == sparse.streaming_url == f"{server.files_url}/get/{media.token}?sig=v"
    )
    media.not_ready, state.sparse_videos = 1, False
    assert (await client.get_video_details(media.token)).urls == {}
    with pytest.raises(errors.ChatNotFound):
        await client.get_video_details("no-such")
    with pytest.raises(errors.UsageError):
        await client.get_video_details("../messages")


async def test_updates_and_markers(server: MaxServer, client: MaxClient, state: MaxState) -> None:
    server.receive(1, "one")
    server.receive(-7, "two")
    first = await client.get_updates(limit=1, timeout_s=0)
    assert [one.message.text for one in first.updates if one.message] == ["one"]
    again = await client.get_updates(timeout_s=0)
    assert len(again.updates) == 2, "nothing was committed yet"
    second = await client.get_updates(first.marker, timeout_s=0, types=["message_created"])
    assert [one.message.text for one in second.updates if one.message] == ["two"]
    assert state.committed == 1
    waiting = asyncio.create_task(client.get_updates(second.marker, timeout_s=30))
    await asyncio.sleep(0.05)
    server.receive(1, "three")
    assert len((await waiting).updates) == 1
    with pytest.raises(errors.UsageError):
        await client.get_updates(timeout_s=91)


async def test_webhooks_are_subscribed_as_max_wants_them(
    client: MaxClient, state: MaxState
) -> None:
    await client.subscribe("https://bot.example/hook", secret="five5", types=["message_created"])
    assert await client.subscriptions() == ["https://bot.example/hook"]
    with pytest.raises(errors.ChatError) as caught:
        await client.get_updates(timeout_s=0)
    assert "webhook" in caught.value.hint
    await client.unsubscribe("https://bot.example/hook")
    assert await client.subscriptions() == []
    for url, secret in (("http://bot.example", None), ("https://bot.example", "with space")):
        with pytest.raises(errors.UsageError):
            await client.subscribe(url, secret=secret)


async def test_the_limits_of_the_api_are_kept(server: MaxServer, state: MaxState) -> None:
    state.requests_per_s, state.messages_per_s = 30, 2
    now = 0.0

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    async with MaxClient(
        server.token, api_url=server.url, clock=lambda: now, sleep=sleep, retries=AT_ONCE
    ) as client:
        state.requests_per_s = state.messages_per_s = 10_000
        await asyncio.gather(*(client.send_message(1, str(n)) for n in range(5)))
        assert 2 <= now < 2.1, "five messages at two a second"
        await asyncio.gather(*(client.subscriptions() for _ in range(90)))
        assert 4 <= now < 5.3, "ninety more requests at thirty a second"


@pytest.mark.parametrize("token", ["", "a b", "a\nb", "ключ"])
async def test_a_token_that_can_not_be(token: str) -> None:
    with pytest.raises(errors.ConfigurationError) as caught:
        MaxClient(token)
    assert token == "" or token not in caught.value.message


async def test_the_token_goes_to_the_api_and_nowhere_else(
    client: MaxClient, state: MaxState, make_file: Callable[..., Path]
) -> None:
    state.faults.answers.append(("GET /subscriptions", 307, b""))
    with pytest.raises(errors.ChatError):
        await client.subscriptions()
    slot = await client.get_upload_url("file")
    async with client.transfers.open("GET", slot.url):
        pass
    files = [one for one in state.seen if one.host == "files"]
    assert len(files) == 1
    assert "Authorization" not in files[0].headers
    assert state.leaks == []


async def test_certificates_that_can_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("none")
    for name in ("gone.pem", "ca.pem"):
        with pytest.raises(errors.ConfigurationError, match=name):
            MaxClient("t", ca_file=tmp_path / name)


@pytest.fixture
async def behind_tls(tmp_path: Path) -> AsyncIterator[tuple[str, Path]]:
    """A server with a certificate that nobody knows: its address, and that certificate."""
    pem, key = tmp_path / "ca.pem", tmp_path / "key.pem"
    make_certificate(pem, key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem, key)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = b'{"subscriptions": []}'
        writer.write(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
        )
        writer.write(body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    yield f"https://localhost:{server.sockets[0].getsockname()[1]}", pem
    server.close()


def make_certificate(pem: Path, key: Path) -> None:
    made = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, made.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(made, hashes.SHA256())
    )
    pem.write_bytes(signed.public_bytes(Encoding.PEM))
    key.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


async def test_a_certificate_of_its_own_is_trusted_for_the_api_alone(
    behind_tls: tuple[str, Path],
) -> None:
    url, pem = behind_tls
    async with MaxClient("t", api_url=url, ca_file=pem) as client:
        assert await client.subscriptions() == []
        with pytest.raises(errors.AddressRefused, match="TLS"):
            async with client.transfers.open("GET", url):
                pass
    async with MaxClient("t", api_url=url) as client:
        with pytest.raises(errors.AddressRefused, match="TLS"):
            await client.subscriptions()
