"""What MAX tells: messages, attachments, updates. Unknown fields and types are no error.

Every record is made by its `of` from the JSON object that MAX sent. Fields that MAX may leave out
are None then; so are fields that hold something else than documented.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from haulier.max.reading import Json, number, record, records, text

QUALITIES = ("mp4_1080", "mp4_720", "mp4_480", "mp4_360", "mp4_240", "mp4_144")
"""Renditions of a video, best first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person or a bot."""

    user_id: int
    first_name: str = ""
    last_name: str | None = None
    username: str | None = None
    is_bot: bool = False

    @classmethod
    def of(cls, values: Json) -> Self | None:
        """Return the user; None when no id is told."""
        user_id = number(values, "user_id")
        if user_id is None:
            return None
        return cls(
            user_id=user_id,
            first_name=text(values, "first_name") or "",
            last_name=text(values, "last_name"),
            username=text(values, "username"),
            is_bot=values.get("is_bot") is True,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """Something attached to a message.

    Attributes:
        type: `image`, `video`, `audio`, `file`, or what else MAX may have.
        token: sends it again, in another message.
        url: where its bytes are, for some time; of a video a page, see `get_video_details`.
        filename: of a `file`.
        size_bytes: of a `file`.
        width, height, duration: of a `video`, as far as told; the unit of `duration` is not sure.
        thumbnail_url: of a `video`.
        transcription: of an `audio`: what is said in it.
        raw: all that was told.
    """

    type: str
    token: str | None = None
    url: str | None = None
    filename: str | None = None
    size_bytes: int | None = None
    width: int | None = None
    height: int | None = None
    duration: int | None = None
    thumbnail_url: str | None = None
    transcription: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, values: Json) -> Self:
        """Return the attachment, whatever it is."""
        payload = record(values, "payload")
        return cls(
            type=text(values, "type") or "",
            token=text(payload, "token"),
            url=text(payload, "url"),
            filename=text(values, "filename"),
            size_bytes=number(values, "size"),
            width=number(values, "width"),
            height=number(values, "height"),
            duration=number(values, "duration"),
            thumbnail_url=text(record(values, "thumbnail"), "url"),
            transcription=text(values, "transcription"),
            raw=values,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message in a chat.

    Attributes:
        mid: its id; empty when MAX told none.
        attachments: its own, and those of the message that it forwards.
        link_type: `forward` or `reply`, when it refers to another message.
        timestamp_ms: since 1970.
    """

    mid: str
    text: str | None = None
    chat_id: int | None = None
    chat_type: str | None = None
    sender: User | None = None
    timestamp_ms: int | None = None
    attachments: tuple[Attachment, ...] = ()
    link_type: str | None = None
    linked_mid: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, values: Json) -> Self:
        """Return the message."""
        body, recipient = record(values, "body"), record(values, "recipient")
        link = record(values, "link")
        linked = record(link, "message")
        found = records(body, "attachments")
        if text(link, "type") == "forward":
            found = found + records(linked, "attachments")
        return cls(
            mid=text(body, "mid") or "",
            text=text(body, "text"),
            chat_id=number(recipient, "chat_id"),
            chat_type=text(recipient, "chat_type"),
            sender=User.of(record(values, "sender")),
            timestamp_ms=number(values, "timestamp"),
            attachments=tuple(map(Attachment.of, found)),
            link_type=text(link, "type"),
            linked_mid=text(linked, "mid"),
            raw=values,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """Something that happened, in a chat that the bot is in.

    Attributes:
        type: `message_created`, `bot_started`, …; also ones that haulier does not know.
        message: of updates that are about one.
        message_id: of a removed message.
        callback: what a pressed button sent.
    """

    type: str
    timestamp_ms: int | None = None
    message: Message | None = None
    message_id: str | None = None
    chat_id: int | None = None
    user: User | None = None
    callback: Mapping[str, Any] | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, values: Json) -> Self:
        """Return the update, of whatever type."""
        message = Message.of(values["message"]) if record(values, "message") else None
        chat_id = number(values, "chat_id")
        if chat_id is None and message is not None:
            chat_id = message.chat_id
        return cls(
            type=text(values, "update_type") or "",
            timestamp_ms=number(values, "timestamp"),
            message=message,
            message_id=text(values, "message_id"),
            chat_id=chat_id,
            user=User.of(record(values, "user")),
            callback=record(values, "callback") or None,
            raw=values,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdatePage:
    """Updates that came together; passing `marker` on says that they are dealt with."""

    updates: tuple[Update, ...]
    marker: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoDetails:
    """Where a video can be watched and fetched.

    Attributes:
        urls: by rendition, those of `QUALITIES` and `hls` that there are. Empty while the video
            is being processed.
        width, height: None when not told; MAX tells 0 then.
        duration: as told; documented as seconds, seen to be milliseconds.
    """

    token: str
    urls: Mapping[str, str] = field(default_factory=dict)
    width: int | None = None
    height: int | None = None
    duration: int | None = None
    thumbnail_url: str | None = None

    @classmethod
    def of(cls, values: Json, token: str) -> Self:
        """Return the details of the video with that token."""
        told = record(values, "urls")
        urls = {name: url for name in told if (url := text(told, name))}
        return cls(
            token=text(values, "token") or token,
            urls=urls,
            width=number(values, "width") or None,
            height=number(values, "height") or None,
            duration=number(values, "duration") or None,
            thumbnail_url=text(record(values, "thumbnail"), "url"),
        )

    def rendition(self, max_height: int | None = None) -> str | None:
        """Return the link of the best MP4, or of the best that is at most so high.

        When all are higher, that of the smallest; None when there is none at all.
        """
        there = [name for name in QUALITIES if name in self.urls]
        if not there:
            return None
        fitting = [name for name in there if max_height is None or _height(name) <= max_height]
        return self.urls[fitting[0] if fitting else there[-1]]

    @property
    def streaming_url(self) -> str | None:
        """The link to play from: HLS where there is one, else the best MP4."""
        return self.urls.get("hls") or self.rendition()


def _height(quality: str) -> int:
    return int(quality.removeprefix("mp4_"))
