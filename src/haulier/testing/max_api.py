"""The API of the MAX double: uploads, messages, videos, updates, subscriptions, actions."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import defaultdict, deque
from typing import Any, NoReturn

from aiohttp import web
from aiohttp.typedefs import Handler

from haulier.testing.max_cdn import EXPIRES_MS
from haulier.testing.max_state import TYPES, MaxState, SeenRequest, Slot, user

_MOST_TEXT = 4000
_MOST_ATTACHMENTS = 12
_ACTIONS = {
    "sending_photo", "sending_video", "sending_audio", "sending_file", "typing_on", "mark_seen",
}  # fmt: skip
_NOT_PROCESSED = "Key: errors.process.attachment.{}.not.processed"


class _Refused(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def _refuse(status: int, code: str, message: str) -> NoReturn:
    raise _Refused(status, code, message)


class MaxApi:
    """Handlers of the API's host.

    Args:
        state: what the double knows.
        files_url: the host of files.
    """

    def __init__(self, state: MaxState, files_url: str) -> None:
        self._state = state
        self._files_url = files_url
        self._requests: deque[float] = deque()
        self._sent: dict[int, deque[float]] = defaultdict(deque)

    def app(self) -> web.Application:
        """Return the application."""
        app = web.Application(middlewares=[self._guard])
        app.router.add_post("/uploads", self._uploads)
        app.router.add_post("/messages", self._send)
        app.router.add_put("/messages", self._edit)
        app.router.add_delete("/messages", self._delete)
        app.router.add_get("/messages", self._list)
        app.router.add_get("/messages/{mid}", self._message)
        app.router.add_get("/videos/{token}", self._video)
        app.router.add_post("/chats/{chat}/actions", self._action)
        app.router.add_get("/updates", self._updates)
        app.router.add_get("/subscriptions", self._subscriptions)
        app.router.add_post("/subscriptions", self._subscribe)
        app.router.add_delete("/subscriptions", self._unsubscribe)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        seen = SeenRequest(
            host="api", method=request.method, path=request.path, headers=dict(request.headers)
        )
        self._state.seen.append(seen)
        answer: web.StreamResponse
        try:
            answer = self._instead(request) or await self._answer(request, handler)
        except _Refused as refused:
            body = {"code": refused.code, "message": refused.message}
            answer = web.json_response(body, status=refused.status)
            if refused.status == 429 and self._state.faults.retry_after_s is not None:
                answer.headers["Retry-After"] = str(self._state.faults.retry_after_s)
        except web.HTTPException as unknown:
            body = {"code": "not.found", "message": unknown.reason}
            answer = web.json_response(body, status=unknown.status)
        seen.status = answer.status
        return answer

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._check(request)
        await asyncio.sleep(self._state.latency_s)
        return await handler(request)

    def _instead(self, request: web.Request) -> web.Response | None:
        answers = self._state.faults.answers
        if not answers or not f"{request.method} {request.path}".startswith(answers[0][0]):
            return None
        _, status, body = answers.popleft()
        return web.Response(status=status, body=body)

    def _check(self, request: web.Request) -> None:
        if "access_token" in request.query:
            _refuse(401, "verify.token", "access_token in the query is no longer supported")
        if request.headers.get("Authorization") != self._state.token:
            _refuse(401, "verify.token", "Invalid access_token")
        if self._state.faults.too_many:
            self._state.faults.too_many -= 1
            _refuse(429, "too.many.requests", "Too many requests")
        self._count(self._requests, self._state.requests_per_s)

    def _count(self, window: deque[float], most: int) -> None:
        now = time.monotonic()
        while window and window[0] <= now - 1:
            window.popleft()
        if len(window) >= most:
            _refuse(429, "too.many.requests", "Too many requests")
        window.append(now)

    async def _uploads(self, request: web.Request) -> web.Response:
        type_ = request.query.get("type")
        if type_ not in TYPES:
            _refuse(400, "proto.payload", "type: must be one of image, video, audio, file")
        media = self._state.new_media(type_)
        slot = Slot(id=f"u{media.id}", media=media)
        if self._state.faults.expire_after:
            slot.expires_after = self._state.faults.expire_after.popleft()
        self._state.slots[slot.id] = slot
        url = f"{self._files_url}/upload/{slot.id}?sig=s-{slot.id}&expires={EXPIRES_MS}"
        told = {"url": url}
        if type_ in {"video", "audio"}:
            told["token"] = media.token
        return web.json_response(told)

    async def _send(self, request: web.Request) -> web.Response:
        chat_id = self._chat_of(request)
        self._count(self._sent[chat_id], self._state.messages_per_s)
        body = await _body_of(request)
        if body.get("notify") is False and self._state.chats[chat_id] == "channel":
            _refuse(400, "proto.payload", "notify: must not be false in a channel")
        attachments = self._checked(body)
        if not attachments and not body.get("text") and not body.get("link"):
            _refuse(400, "proto.payload", "text or attachments expected")
        message = self._new_message(chat_id, body, attachments)
        if self._state.faults.hold_messages:
            self._state.faults.hold_messages -= 1
            await asyncio.Event().wait()
        if self._state.faults.lose_messages:
            self._state.faults.lose_messages -= 1
            assert request.transport is not None
            request.transport.abort()
            raise asyncio.CancelledError
        return web.json_response({"message": message})

    def _new_message(
        self, chat_id: int, body: dict[str, Any], attachments: list[dict[str, Any]]
    ) -> dict[str, Any]:
        number = next(self._state.numbers)
        mid = f"mid.{number:016x}"
        message = {
            "sender": user(9, "Bot", is_bot=True),
            "recipient": {
                "chat_id": chat_id, "chat_type": self._state.chats[chat_id], "user_id": None,
            },
            "timestamp": int(time.time() * 1000),
            "body": {
                "mid": mid, "seq": (1 << 56) + number, "text": body.get("text"),
                "attachments": attachments,
            },
        }  # fmt: skip
        if (link := self._linked(body)) is not None:
            message["link"] = link
        self._state.messages[mid] = message
        return message

    def _linked(self, body: dict[str, Any]) -> dict[str, Any] | None:
        link = body.get("link")
        linked = self._state.messages.get((link or {}).get("mid", ""))
        if link is None or linked is None:
            return None
        return {"type": link["type"], "sender": linked["sender"], "message": linked["body"]}

    def _chat_of(self, request: web.Request) -> int:
        query = request.query
        try:
            chat_id = int(query["chat_id"]) if "chat_id" in query else None
            if chat_id is None:
                chat_id = self._state.users.get(int(query["user_id"]))
        except (KeyError, ValueError):
            _refuse(400, "proto.payload", "chat_id or user_id expected")
        if chat_id not in self._state.chats:
            _refuse(404, "chat.not.found", f"Chat {chat_id} not found")
        if chat_id in self._state.denied:
            _refuse(403, "chat.denied", "Bot is suspended by user")
        return chat_id

    def _checked(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        """Refuse what the API refuses; return the attachments as they are told of afterwards."""
        if len(body.get("text") or "") > _MOST_TEXT:
            _refuse(400, "proto.payload", "text: size must be between 0 and 4000")
        wanted = body.get("attachments") or []
        types = [one.get("type") for one in wanted if one.get("type") != "inline_keyboard"]
        if len(types) > _MOST_ATTACHMENTS:
            _refuse(400, "proto.payload", "attachments: size must be between 0 and 12")
        if len(types) > 1 and {"audio", "file"} & set(types):
            _refuse(400, "proto.payload", "audio and file must be the only attachment")
        return [self._attachment(one) for one in wanted if one.get("type") != "inline_keyboard"]

    def _attachment(self, wanted: dict[str, Any]) -> dict[str, Any]:
        type_, payload = wanted.get("type"), wanted.get("payload")
        if type_ not in TYPES or not isinstance(payload, dict):
            _refuse(400, "proto.payload", "attachments: unknown type")
        given = [name for name in ("token", "url", "photos") if payload.get(name)]
        if type_ == "image":
            return self._image(given, payload)
        if given != ["token"]:
            _refuse(400, "proto.payload", f"Missing `token` in {type_} attachment")
        return self._by_token(type_, payload["token"])

    def _image(self, given: list[str], payload: dict[str, Any]) -> dict[str, Any]:
        if len(given) != 1:
            _refuse(400, "proto.payload", "No `photos`, `url` or `token` provided. Check payload.")
        if given == ["url"]:
            number = next(self._state.numbers)
            told = {"photo_id": number, "token": f"image-url_{number}", "url": payload["url"]}
            return {"type": "image", "payload": told}
        token = payload.get("token") or next(iter(payload["photos"].values()))["token"]
        return self._by_token("image", token)

    def _by_token(self, type_: str, token: str) -> dict[str, Any]:
        media = self._state.media.get(token)
        if media is None or media.type != type_:
            _refuse(400, "proto.payload", f"Missing `token` in {type_} attachment")
        now = asyncio.get_running_loop().time()
        if not media.is_whole or media.not_ready or now < media.ready_at:
            media.not_ready = max(0, media.not_ready - 1)
            _refuse(400, "attachment.not.ready", _NOT_PROCESSED.format(type_))
        payload = {"url": f"{self._files_url}/get/{token}?sig=d", "token": token}
        told: dict[str, Any] = {"type": type_, "payload": payload}
        if type_ == "image":
            told["payload"]["photo_id"] = media.id
        elif type_ == "file":
            told |= {"filename": media.name, "size": media.path.stat().st_size}
        return told

    async def _edit(self, request: web.Request) -> web.Response:
        message = self._state.messages.get(request.query.get("message_id", ""))
        if message is None:
            _refuse(404, "not.found", "Message not found")
        body = await _body_of(request)
        try:
            attachments = self._checked(body)
        except _Refused as refused:
            if refused.code != "attachment.not.ready":
                raise
            return web.json_response({"success": False, "message": refused.message})
        if body.get("text") is not None:
            message["body"]["text"] = body["text"]
        if body.get("attachments") is not None:
            message["body"]["attachments"] = attachments
        return web.json_response({"success": True})

    async def _delete(self, request: web.Request) -> web.Response:
        found = self._state.messages.pop(request.query.get("message_id", ""), None)
        if found is None:
            return web.json_response({"success": False, "message": "Message not found"})
        return web.json_response({"success": True})

    async def _message(self, request: web.Request) -> web.Response:
        message = self._state.messages.get(request.match_info["mid"])
        if message is None:
            _refuse(404, "not.found", "Message not found")
        return web.json_response(message)

    async def _list(self, request: web.Request) -> web.Response:
        query = request.query
        if "message_ids" in query:
            mids = query["message_ids"].split(",")
            found = [self._state.messages[mid] for mid in mids if mid in self._state.messages]
            return web.json_response({"messages": found})
        chat_id = self._chat_of(request)
        count = int(query.get("count", "50"))
        if not 1 <= count <= 100:
            _refuse(400, "proto.payload", "count: must be between 1 and 100")
        found = [
            message
            for message in reversed(self._state.messages.values())
            if message["recipient"]["chat_id"] == chat_id
            and int(query.get("after", "0")) <= message["timestamp"]
            and message["timestamp"] <= int(query.get("before", str(EXPIRES_MS)))
        ]
        return web.json_response({"messages": found[:count]})

    async def _video(self, request: web.Request) -> web.Response:
        token = request.match_info["token"]
        media = self._state.media.get(token)
        if not re.fullmatch(r"[\w-]+", token) or media is None or media.type != "video":
            _refuse(404, "not.found", "Video not found")
        url = f"{self._files_url}/get/{token}?sig=v"
        if self._state.sparse_videos:
            return web.json_response(
                {
                    "token": token, "width": 0, "height": 0, "duration": 79619,
                    "urls": {"mp4_480": url}, "thumbnail": {"url": url},
                }
            )  # fmt: skip
        urls: dict[str, str | None] = dict.fromkeys(
            ("mp4_1080", "mp4_720", "mp4_480", "mp4_360", "mp4_240", "mp4_144", "hls")
        )
        urls |= {"mp4_720": f"{url}&q=720", "mp4_480": f"{url}&q=480", "hls": f"{url}&q=hls"}
        is_ready = media.is_whole and not media.not_ready
        told = {
            "token": token, "width": 1280, "height": 720, "duration": 12,
            "urls": urls if is_ready else None,
            "thumbnail": {"photo_id": media.id, "token": f"t-{token}", "url": url},
        }  # fmt: skip
        return web.json_response(told)

    async def _action(self, request: web.Request) -> web.Response:
        chat_id, body = int(request.match_info["chat"]), await _body_of(request)
        if chat_id not in self._state.chats:
            _refuse(404, "chat.not.found", "Chat not found")
        if body.get("action") not in _ACTIONS:
            _refuse(400, "proto.payload", "action: unknown")
        self._state.actions.append((chat_id, body["action"]))
        return web.json_response({"success": True})

    async def _updates(self, request: web.Request) -> web.Response:
        if self._state.subscriptions:
            _refuse(405, "method.not.allowed", "A webhook is subscribed")
        query = request.query
        limit, timeout = int(query.get("limit", "100")), int(query.get("timeout", "30"))
        if not 1 <= limit <= 1000 or not 0 <= timeout <= 90:
            _refuse(400, "proto.payload", "limit or timeout out of bounds")
        if "marker" in query:
            self._state.committed = max(self._state.committed, int(query["marker"]))
        start = self._state.committed
        if len(self._state.updates) <= start and timeout:
            self._state.news.clear()
            try:
                async with asyncio.timeout(timeout):
                    await self._state.news.wait()
            except TimeoutError:
                pass
        page = self._state.updates[start : start + limit]
        types = query.get("types")
        wanted = [one for one in page if types is None or one["update_type"] in types.split(",")]
        return web.json_response({"updates": wanted, "marker": start + len(page)})

    async def _subscriptions(self, _request: web.Request) -> web.Response:
        told = [
            {"url": url, "time": int(time.time() * 1000), "update_types": body.get("update_types")}
            for url, body in self._state.subscriptions.items()
        ]
        return web.json_response({"subscriptions": told})

    async def _subscribe(self, request: web.Request) -> web.Response:
        body = await _body_of(request)
        url, secret = body.get("url", ""), body.get("secret")
        if not url.startswith("https://"):
            return web.json_response({"success": False, "message": "url: https expected"})
        if secret is not None and not re.fullmatch(r"[\w-]{5,256}", secret):
            return web.json_response({"success": False, "message": "secret: malformed"})
        self._state.subscriptions[url] = body
        return web.json_response({"success": True})

    async def _unsubscribe(self, request: web.Request) -> web.Response:
        found = self._state.subscriptions.pop(request.query.get("url", ""), None)
        if found is None:
            return web.json_response({"success": False, "message": "no such subscription"})
        return web.json_response({"success": True})


async def _body_of(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.read())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        _refuse(400, "proto.payload", "a JSON object is expected")
    return body
