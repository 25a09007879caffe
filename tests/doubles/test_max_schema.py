"""The MAX double speaks as the schema says: each answer, and each body that our client sends.

Run by `make check-doubles`, where the reference lies beside the repository.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema_rs
import pytest
import yaml

from haulier.max.outgoing import Outgoing, message_body
from haulier.testing.max_server import MaxServer

pytestmark = pytest.mark.doubles

REPOSITORY = Path(__file__).resolve().parents[2]
REFERENCE = Path(os.environ.get("REFERENCE", REPOSITORY.parent / "shared" / "reference"))
SCHEMAS = {"0.0.33": "schema-0.0.33-file-operations.yaml", "0.0.30": "schema-0.0.30.yaml"}


def plain(schema: Any) -> Any:
    """Return a schema of OpenAPI 3.0 in the words of JSON Schema."""
    if isinstance(schema, list):
        return [plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {
        name: plain(value)
        for name, value in schema.items()
        if name not in {"nullable", "format", "example"}
    }
    if schema.get("nullable"):
        return {"anyOf": [kept, {"type": "null"}]}
    return kept


def told_apart(schemas: dict[str, Any]) -> dict[str, Any]:
    """Have each kind of attachment and update checked by the schema that its type names."""
    kinds = {name: one["discriminator"] for name, one in schemas.items() if "discriminator" in one}

    def based(value: Any) -> Any:
        if isinstance(value, list):
            return [based(each) for each in value]
        if not isinstance(value, dict):
            return value
        name = str(value.get("$ref", "")).rpartition("/")[2]
        if name in kinds:
            return {"$ref": f"#/components/schemas/{name}Base"}
        return {key: based(each) for key, each in value.items()}

    found: dict[str, Any] = {}
    for name, one in schemas.items():
        bases = {"allOf": based(one["allOf"])} if "allOf" in one else {}
        found[name] = {**one, **bases}
    for name, kind in kinds.items():
        base = {
            key: value
            for key, value in schemas[name].items()
            if key not in {"discriminator", "oneOf"}
        }
        choices = [
            {
                "if": {"properties": {kind["propertyName"]: {"const": value}}},
                "then": {"$ref": target},
            }
            for value, target in kind["mapping"].items()
            if target.rpartition("/")[2] in schemas
        ]
        found[f"{name}Base"] = base
        found[name] = {"allOf": [{"$ref": f"#/components/schemas/{name}Base"}, *choices]}
    return found


class Schema:
    def __init__(self, version: str) -> None:
        text = (REFERENCE / "max-bot-api" / SCHEMAS[version]).read_text("utf-8")
        self.document = yaml.safe_load(text)
        self.schemas = told_apart(plain(self.document["components"]["schemas"]))

    def check(self, name: str, value: Any) -> None:
        root = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": self.schemas}}
        jsonschema_rs.validate(root, value)

    def answer(self, method: str, path: str, status: int) -> str:
        """Return the name of the schema of an answer."""
        told = self.document["paths"][path][method.lower()]["responses"].get(str(status))
        if told is None:
            return "Error"  # 400 and 429 are in the prose alone
        if "$ref" in told:
            told = self.document["components"]["responses"][told["$ref"].rpartition("/")[2]]
        return str(told["content"]["application/json"]["schema"]["$ref"]).rpartition("/")[2]


@pytest.fixture(scope="module", params=SCHEMAS)
def schema(request: pytest.FixtureRequest) -> Schema:
    return Schema(request.param)


@pytest.fixture
async def server() -> AsyncIterator[MaxServer]:
    async with MaxServer() as server:
        server.state.requests_per_s = server.state.messages_per_s = 10_000
        yield server


class Caller:
    """Asks the double and checks what it answers."""

    def __init__(self, server: MaxServer, schema: Schema) -> None:
        self.server, self.schema = server, schema

    async def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        status: int = 200,
        given: str = "",
        **query: Any,
    ) -> Any:
        url = self.server.url + path.format(messageId=given, videoToken=given, chatId=given)
        headers = {"Authorization": self.server.token}
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, url, json=body, headers=headers, params=query) as answer,
        ):
            values = await answer.json()
        assert answer.status == status, values
        self.schema.check(self.schema.answer(method, path, status), values)
        return values


async def test_the_double_answers_as_the_schema_says(server: MaxServer) -> None:
    call = Caller(server, Schema("0.0.33"))
    for type_ in ("image", "video", "audio", "file"):
        await call("POST", "/uploads", type=type_)
    await call("POST", "/uploads", type="photo", status=400)
    media = [
        server.put_media(type_, b"x", "a.bin") for type_ in ("image", "video", "audio", "file")
    ]
    sent = [
        await call(
            "POST",
            "/messages",
            message_body("hello", [Outgoing.by_token(one.type, one.token)]),
            chat_id=-7,
        )
        for one in media
    ]
    mid = sent[0]["message"]["body"]["mid"]
    await call("POST", "/messages", message_body("hello", ()), user_id=5)
    await call("POST", "/messages", {"text": "x" * 4001}, chat_id=1, status=400)
    await call("POST", "/messages", {"text": "x"}, chat_id=404, status=404)
    server.state.denied.add(1)
    await call("POST", "/messages", {"text": "x"}, chat_id=1, status=403)
    media[3].not_ready = 2
    file = message_body("x", [Outgoing.by_token("file", media[3].token)])
    await call("POST", "/messages", file, chat_id=-7, status=400)
    await call("PUT", "/messages", file, message_id=mid)
    await call("PUT", "/messages", {"text": "y"}, message_id=mid)
    await call("GET", "/messages", chat_id=-7)
    await call("GET", "/messages", message_ids=mid)
    await call("GET", "/messages/{messageId}", given=mid)
    await call("GET", "/messages/{messageId}", given="mid.0", status=404)
    await call("DELETE", "/messages", message_id=mid)
    await call("DELETE", "/messages", message_id=mid)
    await call("GET", "/videos/{videoToken}", given=media[1].token)
    media[1].not_ready = 1
    await call("GET", "/videos/{videoToken}", given=media[1].token)
    await call("GET", "/videos/{videoToken}", given="none", status=404)
    server.receive(-7, None, [server.attachment(one) for one in media])
    await call("GET", "/updates", timeout=0)
    await call("POST", "/subscriptions", {"url": "https://bot.example/"})
    await call("GET", "/subscriptions")
    await call("GET", "/updates", timeout=0, status=405)
    await call("DELETE", "/subscriptions", url="https://bot.example/")
    server.state.faults.too_many = 1
    await call("GET", "/updates", status=429)
    server.token = "wrong"
    await call("GET", "/updates", status=401)


async def test_what_only_the_older_schema_describes(server: MaxServer) -> None:
    call = Caller(server, Schema("0.0.30"))
    action = {"action": "sending_file"}
    await call("POST", "/chats/{chatId}/actions", action, given="-7")
    await call("POST", "/chats/{chatId}/actions", action, given="404", status=404)


@pytest.mark.parametrize("type_", ["image", "video", "audio", "file"])
def test_what_the_client_sends_is_as_the_schema_says(schema: Schema, type_: str) -> None:
    outgoing = [Outgoing.by_token(type_, "t")]
    schema.check(
        "NewMessageBody", message_body("hello", outgoing, text_format="html", reply_to="mid.1")
    )
    schema.check("NewMessageBody", message_body(None, None))
    schema.check(
        "NewMessageBody", message_body("x", [Outgoing.image_by_url("https://x.example/a.png")])
    )


def test_a_wrong_answer_would_be_seen(schema: Schema) -> None:
    good = {"type": "file", "payload": {"url": "u", "token": "t"}, "filename": "a", "size": 1}
    schema.check("Attachment", good)
    for missing in ("payload", "filename", "size", "type"):
        with pytest.raises(jsonschema_rs.ValidationError):
            schema.check(
                "Attachment", {key: value for key, value in good.items() if key != missing}
            )
    with pytest.raises(jsonschema_rs.ValidationError):
        schema.check(
            "UpdateList",
            {"updates": [{"update_type": "message_created", "timestamp": 1}], "marker": 1},
        )
