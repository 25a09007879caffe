"""What the Discord double knows, and what is to go wrong in it."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

MIB = 1 << 20
BOT_ID, APPLICATION_ID, GUILD_ID, CHANNEL_ID, USER_ID = 1001, 1002, 2001, 3001, 4001
_EPOCH_MS = 1_420_070_400_000
_NONCE_KEPT_S = 300.0


@dataclass(frozen=True, slots=True)
class Fault:
    """How one message with files goes wrong.

    Attributes:
        kind: `status`: that status is answered; `rate`: 429; `drop`: the connection ends after
            `after_bytes` of the body; `lose`: the message is made, and the connection ends instead
            of an answer.
        status: for `status`.
        retry_after_s: for `rate`.
        is_global: for `rate`: of the whole bot and not of the channel.
        via: for `rate`: whether the proxy before Discord names itself, as it does but for bans.
        after_bytes: for `drop`.
    """

    kind: str
    status: int = 503
    retry_after_s: float = 0.05
    is_global: bool = False
    via: bool = True
    after_bytes: int = 0


@dataclass(slots=True)
class StoredAttachment:
    """A file that a message holds."""

    id: int
    filename: str
    content: bytes
    content_type: str

    @property
    def sha256(self) -> str:
        """The hash of the content, in hexadecimal digits."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(slots=True)
class StoredMessage:
    """A message in a channel."""

    id: int
    channel_id: int
    author: dict[str, Any]
    content: str
    nonce: str | None = None
    attachments: list[StoredAttachment] = field(default_factory=list)
    allowed_mentions: dict[str, Any] | None = None
    edits: list[str] = field(default_factory=list)

    def to_json(self, url: str, *, with_nonce: bool = True) -> dict[str, Any]:
        """Return the message as the API tells it."""
        now = datetime.fromtimestamp(((self.id >> 22) + _EPOCH_MS) / 1000, UTC).isoformat()
        told: dict[str, Any] = {
            "id": str(self.id), "channel_id": str(self.channel_id), "type": 0, "flags": 0,
            "author": self.author, "content": self.content, "timestamp": now,
            "edited_timestamp": now if self.edits else None, "tts": False, "pinned": False,
            "mention_everyone": False, "mentions": [], "mention_roles": [], "embeds": [],
            "components": [],
            "attachments": [
                {
                    "id": str(each.id), "filename": each.filename, "size": len(each.content),
                    "url": f"{url}/attachments/{each.id}/{each.id}",
                    "proxy_url": f"{url}/attachments/{each.id}/{each.id}",
                    "content_type": each.content_type,
                }
                for each in self.attachments
            ],
        }  # fmt: skip
        if with_nonce and self.nonce is not None:
            told["nonce"] = self.nonce
        return told


@dataclass(slots=True)
class DiscordState:
    """The one guild of the double, its channel, and what was done there.

    Attributes:
        token: the bot's.
        limit_bytes: of one file.
        most_message_bytes: of a whole request; None: none.
        may_send: whether the bot may write and attach files.
        may_read_history: whether it may read what was written.
        boost_tier: of the guild.
        everyone_may: what all members of the guild may do, as bits; its owner may all.
        faults: one for each message with files to come; none when empty.
        calls: method and path of each request.
        bodies: of requests that made or changed a message, as they were sent.
        commands: with a slash, as the bot told them.
        original: the message that answered the last of them.
    """

    token: str
    limit_bytes: int = 20 * MIB
    most_message_bytes: int | None = None
    may_send: bool = True
    may_read_history: bool = True
    boost_tier: int = 0
    everyone_may: int = (1 << 53) - 1
    faults: deque[Fault] = field(default_factory=deque)
    messages: dict[int, StoredMessage] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    commands: list[dict[str, Any]] = field(default_factory=list)
    original: int | None = None
    _nonces: dict[str, tuple[float, int]] = field(default_factory=dict)
    _last_ids: itertools.count[int] = field(default_factory=itertools.count)

    def new_id(self) -> int:
        """Return a snowflake: milliseconds and a number, so that ids rise with time."""
        moment_ms = int(time.time() * 1000) - _EPOCH_MS
        return (moment_ms << 22) + next(self._last_ids) % (1 << 22)

    def known_nonce(self, nonce: str) -> StoredMessage | None:
        """Return the message that carried a nonce some minutes ago or less."""
        moment, message_id = self._nonces.get(nonce, (0.0, 0))
        if time.monotonic() - moment > _NONCE_KEPT_S:
            return None
        return self.messages.get(message_id)

    def put(self, message: StoredMessage) -> None:
        """Keep a message."""
        self.messages[message.id] = message
        if message.nonce is not None:
            self._nonces[message.nonce] = (time.monotonic(), message.id)

    def forget_nonces(self) -> None:
        """Let the few minutes pass in which a nonce is known."""
        self._nonces.clear()

    @property
    def deliveries(self) -> list[StoredMessage]:
        """The messages with files, oldest first."""
        return [each for each in self.messages.values() if each.attachments]


def user(user_id: int, name: str, *, bot: bool = False) -> dict[str, Any]:
    """Return somebody as the API tells of them."""
    return {
        "id": str(user_id), "username": name, "avatar": None, "discriminator": "0",
        "public_flags": 0, "flags": 0, "global_name": None, "primary_guild": None, "bot": bot,
    }  # fmt: skip
