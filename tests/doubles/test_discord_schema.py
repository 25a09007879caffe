"""The Discord double speaks as Discord's OpenAPI file says: each answer, and each body sent to it.

Run by `make check-doubles`, where the reference lies beside the repository.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema_rs
import pytest

import discord
from haulier import DiscordUploadProcessor, MediaFile, MediaType
from haulier.testing.discord_server import DiscordServer
from haulier.testing.discord_state import Fault

pytestmark = pytest.mark.doubles

REPOSITORY = Path(__file__).resolve().parents[2]
REFERENCE = Path(os.environ.get("REFERENCE", REPOSITORY.parent / "shared" / "reference"))
MESSAGES = "/channels/{channel_id}/messages"
MESSAGE = MESSAGES + "/{message_id}"
WEBHOOK = "/webhooks/{webhook_id}/{webhook_token}"


class Schema:
    def __init__(self) -> None:
        path = REFERENCE / "discord-api" / "openapi.json"
        self.document = json.loads(path.read_text("utf-8"))
        schemas = self.document["components"]["schemas"]
        # The written documentation, which stands over the file, numbers attachments from 0 and
        # has words for the codes of single fields.
        schemas["SnowflakeType"] = {**schemas["SnowflakeType"], "type": ["string", "integer"]}
        schemas["Error"]["properties"]["code"] = {"type": ["integer", "string"]}

    def check(self, schema: Any, value: Any) -> None:
        jsonschema_rs.validate({**schema, "components": self.document["components"]}, value)

    def answer(self, path: str, method: str, status: int) -> Any:
        told = self.document["paths"][path][method]["responses"]
        found = told.get(str(status)) or told["4XX"]
        if "$ref" in found:
            found = self.document["components"]["responses"][found["$ref"].rpartition("/")[2]]
        return found["content"]["application/json"]["schema"]

    def body(self, path: str, method: str) -> Any:
        told = self.document["paths"][path][method]["requestBody"]["content"]
        return told["application/json"]["schema"]


@pytest.fixture(scope="module")
def schema() -> Schema:
    return Schema()


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as server:
        with server.redirect():
            yield server


class Caller:
    def __init__(self, server: DiscordServer, schema: Schema) -> None:
        self.server, self.schema = server, schema

    async def __call__(
        self, method: str, path: str, status: int = 200, *, token: str | None = None,
        body: Any = None, files: int = 0, **given: Any,
    ) -> Any:  # fmt: skip
        named = {"channel_id": self.server.channel_id, "webhook_id": 1002, "webhook_token": "t"}
        url = f"{self.server.url}/api/v10{path.format(**named | given)}"
        headers = {"Authorization": f"Bot {token or self.server.token}",
                   "User-Agent": "DiscordBot (https://example.org, 1)"}  # fmt: skip
        form = None
        if files:
            form = aiohttp.FormData(quote_fields=False)
            form.add_field("payload_json", json.dumps(body), content_type="application/json")
            for n in range(files):
                form.add_field(f"files[{n}]", b"\xff\xd8\xff", filename=f"{n}.jpg")
        sent = {"data": form} if form else {"json": body} if body is not None else {}
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, url, headers=headers, **sent) as answer,
        ):
            assert answer.status == status
            assert answer.headers["Content-Type"] == "application/json"
            told = await answer.json()
        self.schema.check(self.schema.answer(path, method.lower(), status), told)
        return told


def attached(count: int) -> dict[str, Any]:
    return {"attachments": [{"id": n, "filename": f"{n}.jpg"} for n in range(count)]}


async def test_each_answer_is_as_described(server: DiscordServer, schema: Schema) -> None:
    call = Caller(server, schema)
    await call("GET", "/users/@me")
    await call("GET", "/oauth2/applications/@me")
    await call("GET", "/gateway/bot")
    made = await call("POST", MESSAGES, body={"content": "hello"})
    await call("POST", MESSAGES, body=attached(2), files=2)
    await call("POST", WEBHOOK, body=attached(1), files=1)
    await call("GET", MESSAGES)
    await call("GET", MESSAGE, message_id=made["id"])
    await call("PATCH", MESSAGE, message_id=made["id"], body={"content": "changed"})


async def test_each_refusal_is_as_described(server: DiscordServer, schema: Schema) -> None:
    call = Caller(server, schema)
    await call("GET", "/users/@me", 401, token="wrong")
    await call("POST", MESSAGES, 400, body={"content": ""})
    await call("POST", MESSAGES, 400, body={"content": "x" * 2001})
    await call("POST", MESSAGES, 400, body={"content": "x", "nonce": "n" * 26})
    await call("POST", MESSAGES, 400, body=attached(11), files=11)
    await call("POST", MESSAGES, 400, body=attached(1), files=2)
    await call("POST", MESSAGES, 404, body={"content": "x"}, channel_id=9)
    await call("GET", MESSAGE, 404, message_id=9)
    server.state.limit_bytes = 3
    await call("POST", MESSAGES, 413, body=attached(1), files=1)
    server.state.may_send = False
    await call("POST", MESSAGES, 403, body={"content": "x"})
    server.state.may_send = True
    for is_global in (False, True):
        server.state.faults.append(Fault("rate", is_global=is_global))
        await call("POST", MESSAGES, 429, body=attached(1), files=1)


async def test_what_discord_py_sends_is_as_described(
    server: DiscordServer, schema: Schema, tmp_path: Path
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"\xff\xd8\xff")
    file = MediaFile(path=path, filename="a.jpg", size_bytes=3, media_type=MediaType.IMAGE)
    async with discord.Client(intents=discord.Intents.none()) as client:
        await client.login(server.token)
        place = client.get_partial_messageable(server.channel_id)
        assert (await DiscordUploadProcessor().upload_files([file] * 11, place)).success
    first, *files, edit = server.state.bodies
    assert len(files) == 2
    for body in (first, *files):
        schema.check(schema.body(MESSAGES, "post"), body)
    schema.check(schema.body(MESSAGE, "patch"), edit)
