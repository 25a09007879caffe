"""A double of Discord on loopback, for the real discord.py: its REST API and its gateway.

    async with DiscordServer() as server:
        with server.redirect():
            client = discord.Client(intents=discord.Intents.default())
            await client.login(server.token)
            channel = client.get_partial_messageable(server.channel_id)
            ...
        assert server.state.deliveries

`server.state.faults` makes messages with files go wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self

from aiohttp import WSMsgType, web

from haulier.testing.discord_api import MOST_BODY_BYTES, DiscordApi
from haulier.testing.discord_state import (
    APPLICATION_ID,
    BOT_ID,
    CHANNEL_ID,
    GUILD_ID,
    USER_ID,
    DiscordState,
    user,
)

TOKEN = "MTAwMQ.double.token-of-the-bot"
_HEARTBEAT_MS = 41_250
_MEMBER = {
    "roles": [], "joined_at": "2026-01-01T00:00:00+00:00", "deaf": False, "mute": False, "flags": 0,
}  # fmt: skip
_ALL_PERMISSIONS = str((1 << 53) - 1)


class DiscordServer:
    """Serves on a free port of 127.0.0.1 while its block runs.

    Args:
        token: the bot's.
    """

    def __init__(self, token: str = TOKEN) -> None:
        self.token = token
        self.channel_id = CHANNEL_ID
        self.url = ""
        self.state = DiscordState(token=token)
        self._sockets: set[web.WebSocketResponse] = set()
        self._sequence = 0
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=MOST_BODY_BYTES)  # the outer one's counts
        api = DiscordApi(self.state, lambda: self.url, self.tell)
        app.add_subapp("/api/v10", api.app())
        app.router.add_get("/gateway", self._gateway)
        app.router.add_get("/gateway/", self._gateway)
        app.router.add_get("/attachments/{channel}/{id}", self._attachment)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05, handle_signals=False)
        self._runner = runner
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for socket in list(self._sockets):
            await socket.close()
        assert self._runner is not None
        await self._runner.cleanup()

    @contextmanager
    def redirect(self) -> Iterator[None]:
        """Have discord.py, in all of this process, speak with the double."""
        import yarl
        from discord.gateway import DiscordWebSocket
        from discord.http import Route

        base, gateway = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
        Route.BASE = f"{self.url}/api/v10"
        DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(self.url.replace("http", "ws", 1) + "/gateway")
        try:
            yield
        finally:
            Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = base, gateway

    async def tell(self, event: str, data: dict[str, Any]) -> None:
        """Send an event to every client that is connected."""
        for socket in list(self._sockets):
            self._sequence += 1
            with suppress(ConnectionError):
                await socket.send_json({"op": 0, "t": event, "s": self._sequence, "d": data})

    async def say(self, content: str, *, user_id: int = USER_ID) -> int:
        """Have a person write a message in the channel; return its id."""
        from haulier.testing.discord_state import StoredMessage

        message = StoredMessage(
            id=self.state.new_id(),
            channel_id=CHANNEL_ID,
            author=user(user_id, "ada" if user_id == USER_ID else f"user{user_id}"),
            content=content,
        )
        self.state.put(message)
        told = message.to_json(self.url)
        await self.tell("MESSAGE_CREATE", {**told, "guild_id": str(GUILD_ID), "member": _MEMBER})
        return message.id

    async def react(self, message_id: int, emoji: str, *, user_id: int = USER_ID) -> None:
        """Have a person put a reaction below a message."""
        await self.tell(
            "MESSAGE_REACTION_ADD",
            {
                "user_id": str(user_id), "channel_id": str(CHANNEL_ID),
                "message_id": str(message_id), "guild_id": str(GUILD_ID),
                "emoji": {"id": None, "name": emoji}, "burst": False, "type": 0,
            },
        )  # fmt: skip

    async def use_command(
        self, name: str, *, attachment_size_limit: int = 20 << 20, **options: str | bool
    ) -> None:
        """Have a person use a slash command.

        Args:
            name: of the command.
            options: what they filled in.
            attachment_size_limit: bytes of the largest file that the answer may have.
        """
        await self.tell(
            "INTERACTION_CREATE",
            {
                "id": str(self.state.new_id()), "application_id": str(APPLICATION_ID), "type": 2,
                "token": "token-of-the-interaction", "version": 1, "locale": "en-US",
                "guild_id": str(GUILD_ID), "channel_id": str(CHANNEL_ID), "entitlements": [],
                "channel": {"id": str(CHANNEL_ID), "type": 0, "name": "media",
                            "permissions": _ALL_PERMISSIONS},
                "data": {
                    "id": "1", "name": name, "type": 1,
                    "options": [
                        {"name": each, "type": 5 if isinstance(value, bool) else 3, "value": value}
                        for each, value in options.items()
                    ],
                },
                "member": {"user": user(USER_ID, "ada"), "permissions": _ALL_PERMISSIONS,
                           **_MEMBER},
                "app_permissions": _ALL_PERMISSIONS, "authorizing_integration_owners": {},
                "context": 0, "attachment_size_limit": attachment_size_limit,
            },
        )  # fmt: skip

    async def _gateway(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"op": 10, "d": {"heartbeat_interval": _HEARTBEAT_MS}})
        try:
            async for frame in socket:
                if frame.type is not WSMsgType.TEXT:
                    break
                await self._answer(socket, json.loads(frame.data))
        finally:
            self._sockets.discard(socket)
        return socket

    async def _answer(self, socket: web.WebSocketResponse, frame: dict[str, Any]) -> None:
        if frame["op"] == 1:
            await socket.send_json({"op": 11})
        elif frame["op"] == 2 and frame["d"]["token"] != self.token:
            await socket.close(code=4004, message=b"Authentication failed.")
        elif frame["op"] == 2:
            self._sockets.add(socket)
            await self.tell("READY", self._ready())
            await self.tell("GUILD_CREATE", self._guild())

    def _ready(self) -> dict[str, Any]:
        return {
            "v": 10, "user": user(BOT_ID, "haulier", bot=True), "session_id": "session",
            "guilds": [{"id": str(GUILD_ID), "unavailable": True}],
            "resume_gateway_url": self.url.replace("http", "ws", 1) + "/gateway",
            "application": {"id": str(APPLICATION_ID), "flags": 0},
        }  # fmt: skip

    def _guild(self) -> dict[str, Any]:
        joined = "2026-01-01T00:00:00+00:00"
        people = [user(BOT_ID, "haulier", bot=True), user(USER_ID, "ada")]
        colors = {"primary_color": 0, "secondary_color": None, "tertiary_color": None}
        return {
            "id": str(GUILD_ID), "name": "guild", "owner_id": str(USER_ID), "unavailable": False,
            "premium_tier": self.state.boost_tier, "member_count": len(people), "large": False,
            "joined_at": joined, "afk_timeout": 300, "verification_level": 0,
            "default_message_notifications": 0, "explicit_content_filter": 0, "mfa_level": 0,
            "system_channel_flags": 0, "premium_subscription_count": 0, "nsfw_level": 0,
            "preferred_locale": "en-US", "premium_progress_bar_enabled": False, "features": [],
            "emojis": [], "stickers": [], "threads": [], "presences": [], "voice_states": [],
            "stage_instances": [], "guild_scheduled_events": [], "soundboard_sounds": [],
            "roles": [
                {"id": str(GUILD_ID), "name": "@everyone", "color": 0, "colors": colors,
                 "hoist": False, "position": 0, "managed": False,
                 "permissions": str(self.state.everyone_may),
                 "mentionable": False, "flags": 0}
            ],
            "channels": [
                {"id": str(CHANNEL_ID), "type": 0, "name": "media", "position": 0, "nsfw": False,
                 "permission_overwrites": [], "parent_id": None, "rate_limit_per_user": 0,
                 "topic": None, "last_message_id": None}
            ],
            "members": [
                {"user": each, "roles": [], "joined_at": joined, "deaf": False, "mute": False,
                 "flags": 0}
                for each in people
            ],
        }  # fmt: skip

    async def _attachment(self, request: web.Request) -> web.Response:
        wanted = int(request.match_info["id"])
        for message in self.state.deliveries:
            for each in message.attachments:
                if each.id == wanted:
                    return web.Response(body=each.content, content_type=each.content_type)
        raise web.HTTPNotFound
