"""What the MAX double knows: slots, uploaded files, chats, updates, and what is to go wrong."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MIB = 1 << 20
TYPES = ("image", "video", "audio", "file")


@dataclass(slots=True, kw_only=True)
class MaxFaults:
    """What goes wrong, and how often; nothing by itself.

    Args:
        too_many: so many requests of the API are answered 429.
        retry_after_s: told with a 429; the real API is not known to tell it.
        answers: for the next request whose `METHOD /path` begins so: status and body instead.
        lose_messages: so many messages are taken, and their answers lost.
        hold_messages: so many messages are taken, and never answered.
        hold_downloads: where there is one, downloads wait for it.
        not_ready: each file uploaded from now on is refused so many times as not ready.
        ready_after_s: and for so long.
        cut_uploads: the next requests with bytes are cut after so many of them.
        cut_downloads: the next downloads are cut after so many bytes.
        stall_uploads: nothing is read any more of the next ones after so many.
        lose_upload_answers: so many uploads are taken to their end, and the answer lost.
        forget_cut: bytes of a request that was cut are thrown away.
        expire_after: the next slots expire after so many bytes.
        upload_answers: the next uploads that end get this status and text instead.
    """

    too_many: int = 0
    retry_after_s: int | None = None
    answers: deque[tuple[str, int, bytes]] = field(default_factory=deque)
    lose_messages: int = 0
    hold_messages: int = 0
    hold_downloads: asyncio.Event | None = None
    not_ready: int = 0
    ready_after_s: float = 0.0
    cut_uploads: deque[int] = field(default_factory=deque)
    cut_downloads: deque[int] = field(default_factory=deque)
    stall_uploads: deque[int] = field(default_factory=deque)
    lose_upload_answers: int = 0
    forget_cut: bool = False
    expire_after: deque[int] = field(default_factory=deque)
    upload_answers: deque[tuple[int, str]] = field(default_factory=deque)


@dataclass(slots=True, kw_only=True)
class Media:
    """A file that was uploaded, or is to be.

    `not_ready` and `ready_at` tell until when messages with it are refused.
    """

    id: int
    type: str
    token: str
    path: Path
    name: str = ""
    is_whole: bool = False
    not_ready: int = 0
    ready_at: float = 0.0
    expired_links: bool = False

    @property
    def content(self) -> bytes:
        """Its bytes."""
        return self.path.read_bytes()


@dataclass(slots=True, kw_only=True)
class Slot:
    """A signed URL that one file may be sent to."""

    id: str
    media: Media
    received: int = 0
    total: int | None = None
    requests: int = 0
    expires_after: int | None = None
    is_expired: bool = False
    is_busy: bool = False
    last_answer: tuple[int, str, str] | None = None


@dataclass(slots=True, kw_only=True)
class SeenRequest:
    """A request that came, at the API or at the host of files."""

    host: str
    method: str
    path: str
    headers: dict[str, str]
    body_bytes: int = 0
    status: int = 0


@dataclass(slots=True, kw_only=True)
class MaxState:
    """All of it. Tests look into it and set what they need.

    Attributes:
        chats: id and type of the chats that the bot is in.
        denied: chats in which it may not write.
        users: ids of users, and of the dialogs with them.
        messages: by id, newest last, as the API tells them.
        subscriptions: by URL.
        limits: bytes of the largest file of each type.
        latency_s: every answer comes so late.
        link_bytes_per_s: of all uploads together; None: as fast as they come.
        leaks: requests with a token where none belongs.
    """

    token: str
    folder: Path
    faults: MaxFaults = field(default_factory=MaxFaults)
    chats: dict[int, str] = field(default_factory=lambda: {1: "dialog", -7: "chat", -9: "channel"})
    denied: set[int] = field(default_factory=set)
    users: dict[int, int] = field(default_factory=lambda: {5: 1})
    messages: dict[str, dict[str, Any]] = field(default_factory=dict)
    slots: dict[str, Slot] = field(default_factory=dict)
    media: dict[str, Media] = field(default_factory=dict)
    subscriptions: dict[str, dict[str, Any]] = field(default_factory=dict)
    updates: list[dict[str, Any]] = field(default_factory=list)
    committed: int = 0
    actions: list[tuple[int, str]] = field(default_factory=list)
    limits: dict[str, int] = field(
        default_factory=lambda: {
            "image": 50 * MIB, "video": 250 * MIB, "audio": 256 * MIB, "file": 4096 * MIB,
        }
    )  # fmt: skip
    latency_s: float = 0.0
    link_bytes_per_s: float | None = None
    requests_per_s: int = 30
    messages_per_s: int = 2
    chunks_per_upload: int = 1000
    takes_ranges: bool = True
    repeats_last_answer: bool = False
    sparse_videos: bool = False
    seen: list[SeenRequest] = field(default_factory=list)
    leaks: list[SeenRequest] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def new_media(self, type_: str, *, is_whole: bool = False) -> Media:
        """Return a file to be, known by its token."""
        number = next(self.numbers)
        media = Media(
            id=number,
            type=type_,
            token=f"{type_}-token_{number}",
            path=self.folder / str(number),
            is_whole=is_whole,
        )
        media.path.touch()
        self.media[media.token] = media
        return media

    def count(self, method: str, path: str, host: str = "api") -> int:
        """Return how many requests of that kind came; `path` may be its beginning."""
        return sum(
            one.host == host and one.method == method and one.path.startswith(path)
            for one in self.seen
        )


def user(user_id: int, name: str, *, is_bot: bool) -> dict[str, Any]:
    """Return how the API tells of a user."""
    return {
        "user_id": user_id, "first_name": name, "last_name": None, "username": None,
        "is_bot": is_bot, "last_activity_time": 0,
    }  # fmt: skip
