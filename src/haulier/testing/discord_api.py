"""The REST API of the Discord double: sign-in, messages, history, answers to interactions."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler

from haulier.testing.discord_state import (
    APPLICATION_ID,
    BOT_ID,
    CHANNEL_ID,
    DiscordState,
    Fault,
    StoredAttachment,
    StoredMessage,
    user,
)

_MOST_FILES = 10
_MOST_CHARS = 2000
_MOST_NONCE_CHARS = 25
MOST_BODY_BYTES = 1 << 30
_VIA = "1.1 google"


class _Refused(Exception):
    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(body["message"])
        self.status, self.body = status, body


def _refuse(status: int, code: int, message: str) -> NoReturn:
    raise _Refused(status, {"code": code, "message": message})


def _bad_form(field: str, code: str, message: str) -> NoReturn:
    problem = {field: {"_errors": [{"code": code, "message": message}]}}
    raise _Refused(400, {"code": 50035, "message": "Invalid Form Body", "errors": problem})


def _told(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    # discord.py reads a body as JSON only when its type is this and nothing behind it.
    return web.Response(
        status=status,
        body=json.dumps(value).encode(),
        content_type="application/json",
        headers=headers,
    )


class DiscordApi:
    """Handlers below `/api/v10`.

    Args:
        state: what the double knows.
        url: returns where it is served.
        tell: sends an event through the gateway.
    """

    def __init__(
        self,
        state: DiscordState,
        url: Callable[[], str],
        tell: Callable[[str, dict[str, Any]], Awaitable[None]],
    ) -> None:
        self._state = state
        self._url = url
        self._tell = tell

    def app(self) -> web.Application:
        """Return the application."""
        app = web.Application(middlewares=[self._guard], client_max_size=MOST_BODY_BYTES)
        app.router.add_get("/users/@me", self._me)
        app.router.add_get("/oauth2/applications/@me", self._application)
        app.router.add_get("/gateway", self._gateway)
        app.router.add_get("/gateway/bot", self._gateway)
        app.router.add_post("/channels/{channel}/typing", self._typing)
        app.router.add_post("/channels/{channel}/messages", self._create)
        app.router.add_get("/channels/{channel}/messages", self._history)
        app.router.add_patch("/channels/{channel}/messages/{message}", self._edit)
        app.router.add_get("/channels/{channel}/messages/{message}", self._one)
        app.router.add_delete("/channels/{channel}/messages/{message}", self._delete)
        app.router.add_put("/applications/{application}/commands", self._commands)
        app.router.add_post("/interactions/{id}/{token}/callback", self._callback)
        app.router.add_post("/webhooks/{application}/{token}", self._follow_up)
        app.router.add_patch("/webhooks/{application}/{token}/messages/{message}", self._edit)
        app.router.add_get("/webhooks/{application}/{token}/messages/@original", self._original)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        path = request.path.partition("/api/v10")[2]
        self._state.calls.append((request.method, path))
        is_open = path.startswith(("/webhooks/", "/interactions/"))
        try:
            if not is_open and request.headers.get("Authorization") != f"Bot {self._state.token}":
                _refuse(401, 0, "401: Unauthorized")
            # discord.py gives its name to all but webhooks and interactions.
            agent = request.headers.get("User-Agent", "")
            if not is_open and not agent.startswith("DiscordBot ("):
                _refuse(403, 40333, "internal network error")
            return await handler(request)
        except _Refused as refused:
            return _told(refused.body, refused.status)

    # --- who the bot is

    async def _me(self, _request: web.Request) -> web.Response:
        bot = user(BOT_ID, "haulier", bot=True)
        return _told({**bot, "mfa_enabled": False, "locale": "en-US", "verified": True})

    async def _application(self, _request: web.Request) -> web.Response:
        return _told(
            {
                "id": str(APPLICATION_ID), "name": "haulier", "icon": None, "description": "",
                "type": None, "verify_key": "0" * 64, "flags": 0, "flags_new": "0",
                "redirect_uris": [], "interactions_endpoint_url": None,
                "role_connections_verification_url": None, "owner": user(4002, "owner"),
                "approximate_guild_count": 1, "approximate_user_install_count": 0,
                "approximate_user_authorization_count": 0, "explicit_content_filter": 0,
                "team": None, "eligible_oauth2_scopes": [], "bot_public": True,
                "bot_require_code_grant": False, "summary": "",
            }
        )  # fmt: skip

    async def _gateway(self, _request: web.Request) -> web.Response:
        limit = {"total": 1000, "remaining": 999, "reset_after": 0, "max_concurrency": 1}
        url = self._url().replace("http", "ws", 1) + "/gateway"
        return _told({"url": url, "shards": 1, "session_start_limit": limit})

    # --- messages

    async def _typing(self, request: web.Request) -> web.Response:
        self._check_channel(request)
        return web.Response(status=204)

    async def _create(self, request: web.Request) -> web.StreamResponse:
        self._check_channel(request)
        if not self._state.may_send:
            _refuse(403, 50013, "Missing Permissions")
        return await self._make(request, with_nonce=True)

    async def _follow_up(self, request: web.Request) -> web.StreamResponse:
        return await self._make(request, with_nonce=False)

    async def _make(self, request: web.Request, *, with_nonce: bool) -> web.StreamResponse:
        fault = None
        if request.content_type == "multipart/form-data" and self._state.faults:
            fault = self._state.faults.popleft()
            if fault.kind != "lose":
                return await self._fail(request, fault)
        body, attachments = await self._read(request)
        self._check(body, attachments)
        nonce = str(body["nonce"]) if with_nonce and body.get("nonce") is not None else None
        if nonce is not None and len(nonce) > _MOST_NONCE_CHARS:
            _bad_form("nonce", "NONCE_TOO_LONG", "Nonce is too long.")
        known = self._state.known_nonce(nonce) if nonce and body.get("enforce_nonce") else None
        message = known or StoredMessage(
            id=self._state.new_id(),
            channel_id=CHANNEL_ID,
            author=user(BOT_ID, "haulier", bot=True),
            content=body.get("content") or "",
            nonce=nonce,
            attachments=attachments,
            allowed_mentions=body.get("allowed_mentions"),
        )
        if known is None:
            self._state.put(message)
            await self._tell("MESSAGE_CREATE", message.to_json(self._url()))
        if fault is not None:
            return await self._cut(request)
        return _told(message.to_json(self._url()))

    async def _fail(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        if fault.kind == "drop":
            got = 0
            while got < fault.after_bytes and (piece := await request.content.read(65536)):
                got += len(piece)
            return await self._cut(request)
        await request.read()
        if fault.kind == "rate":
            scope = "global" if fault.is_global else "user"
            headers = {"X-RateLimit-Scope": scope, "Retry-After": str(round(fault.retry_after_s))}
            headers |= {"Via": _VIA} if fault.via else {}
            if fault.is_global:
                headers["X-RateLimit-Global"] = "true"
            else:
                headers["X-RateLimit-Reset-After"] = str(fault.retry_after_s)
            told = {
                "code": 0, "message": "You are being rate limited.",
                "retry_after": fault.retry_after_s,
                "global": fault.is_global,
            }  # fmt: skip
            return _told(told, 429, headers)
        if fault.status == 413:
            _refuse(413, 40005, "Request entity too large")
        return _told({"code": 0, "message": f"{fault.status}: a fault"}, fault.status)

    @staticmethod
    async def _cut(request: web.Request) -> web.Response:
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    async def _read(self, request: web.Request) -> tuple[dict[str, Any], list[StoredAttachment]]:
        if request.content_type != "multipart/form-data":
            plain: dict[str, Any] = await request.json()
            self._state.bodies.append(plain)
            return plain, []
        body: dict[str, Any] = {}
        parts: dict[str, StoredAttachment] = {}
        total = 0
        async for part in await request.multipart():
            assert isinstance(part, aiohttp.BodyPartReader)
            content = bytes(await part.read())
            total += len(content)
            if part.name == "payload_json":
                body = json.loads(content)
            elif part.name is None or part.filename is None or part.name in parts:
                _refuse(400, 50035, "Invalid Form Body")
            else:
                type_ = part.headers.get("Content-Type", "")
                parts[part.name] = StoredAttachment(
                    self._state.new_id(), part.filename, content, type_
                )
        self._state.bodies.append(body)
        if any(len(part.content) >= self._state.limit_bytes for part in parts.values()):
            _refuse(413, 40005, "Request entity too large")
        most = self._state.most_message_bytes
        if most is not None and total > most:
            _refuse(413, 40005, "Request entity too large")
        named = body.get("attachments") or []
        if {f"files[{each['id']}]" for each in named} != set(parts):
            _bad_form("attachments", "INVALID_ATTACHMENT", "Each file needs its attachment.")
        return body, list(parts.values())

    def _check(self, body: dict[str, Any], attachments: list[StoredAttachment]) -> None:
        if len(attachments) > _MOST_FILES:
            _bad_form("attachments", "BASE_TYPE_MAX_LENGTH", "Must be 10 or fewer in length.")
        content = body.get("content") or ""
        if len(content) > _MOST_CHARS:
            _bad_form("content", "BASE_TYPE_MAX_LENGTH", "Must be 2000 or fewer in length.")
        if not content and not attachments:
            _refuse(400, 50006, "Cannot send an empty message")

    async def _history(self, request: web.Request) -> web.Response:
        self._check_channel(request)
        if not self._state.may_read_history:
            _refuse(403, 50013, "Missing Permissions")
        limit = int(request.query.get("limit", 50))
        if not 1 <= limit <= 100:
            _bad_form("limit", "NUMBER_TYPE_MAX", "int value should be 1 to 100.")
        after, before = int(request.query.get("after", 0)), request.query.get("before")
        found = [each for each in self._state.messages.values() if each.id > after]
        if before is not None:
            found = [each for each in found if each.id < int(before)]
        chosen = found[:limit] if "after" in request.query else found[-limit:]
        # Whether Discord keeps nonces is not documented; this double does not.
        return _told([m.to_json(self._url(), with_nonce=False) for m in reversed(chosen)])

    async def _one(self, request: web.Request) -> web.Response:
        self._check_channel(request)
        return _told(self._message(request).to_json(self._url(), with_nonce=False))

    async def _edit(self, request: web.Request) -> web.Response:
        message = self._message(request)
        body, _ = await self._read(request)
        self._check(body, message.attachments)
        message.content = body.get("content", message.content)
        message.edits.append(message.content)
        return _told(message.to_json(self._url()))

    async def _delete(self, request: web.Request) -> web.Response:
        del self._state.messages[self._message(request).id]
        return web.Response(status=204)

    # --- commands with a slash

    async def _commands(self, request: web.Request) -> web.Response:
        """Take the commands of the bot, all of them at once."""
        wanted = await request.json()
        for command in wanted:
            if not re.fullmatch(r"[-_\w]{1,32}", command["name"]) or not command["description"]:
                _bad_form("name", "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")
        self._state.commands = wanted
        told = [
            {
                "id": str(self._state.new_id()), "application_id": str(APPLICATION_ID),
                "version": "1", "default_member_permissions": None, "type": 1, **command,
            }
            for command in wanted
        ]  # fmt: skip
        return _told(told)

    async def _original(self, _request: web.Request) -> web.Response:
        if self._state.original is None:
            _refuse(404, 10008, "Unknown Message")
        message = self._state.messages[self._state.original]
        return _told(message.to_json(self._url(), with_nonce=False))

    async def _callback(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body.get("type") not in {4, 5}:
            _bad_form("type", "BASE_TYPE_CHOICES", "Only messages are answered here.")
        if body["type"] == 4:
            self._check(body["data"], [])
            message = StoredMessage(
                id=self._state.new_id(),
                channel_id=CHANNEL_ID,
                author=user(BOT_ID, "haulier", bot=True),
                content=body["data"]["content"],
            )
            self._state.put(message)
            self._state.original = message.id
        if request.query.get("with_response") not in {"true", "1"}:
            return web.Response(status=204)
        told = {"interaction": {"id": request.match_info["id"], "type": 2}}
        return _told(told)

    def _message(self, request: web.Request) -> StoredMessage:
        found = self._state.messages.get(int(request.match_info["message"]))
        if found is None:
            _refuse(404, 10008, "Unknown Message")
        return found

    def _check_channel(self, request: web.Request) -> None:
        if request.match_info["channel"] != str(CHANNEL_ID):
            _refuse(404, 10003, "Unknown Channel")
