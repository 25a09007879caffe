"""What is sent to MAX: where to, with which text and attachments; checked before it leaves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from haulier.errors import UsageError
from haulier.max.models import Attachment
from haulier.max.reading import Json

MOST_TEXT = 4000
MOST_ATTACHMENTS = 12
_GROUPED = frozenset({"image", "video"})
_ALONE = frozenset({"audio", "file"})
_KEYBOARD = "inline_keyboard"


@dataclass(frozen=True, slots=True, kw_only=True)
class To:
    """Where a message goes: a chat, or the dialog with a user. One of the two is given."""

    chat_id: int | None = None
    user_id: int | None = None

    def __post_init__(self) -> None:
        if (self.chat_id is None) == (self.user_id is None):
            raise UsageError("a message goes to a chat or to a user", hint="Give one id.")

    @classmethod
    def of(cls, where: int | To) -> To:
        """Return where a message goes; a plain number is a chat's id."""
        return where if isinstance(where, To) else cls(chat_id=where)

    @classmethod
    def parse(cls, written: str) -> Self:
        """Read `CHAT_ID` or `user:USER_ID`.

        Raises:
            UsageError: it is neither.
        """
        match = re.fullmatch(r"(user:)?(-?\d{1,19})", written, re.ASCII)
        if match is None:
            raise UsageError(
                f"{written!r} is no chat of MAX", hint="Write a chat's id, or user:ID for a user."
            )
        number = int(match[2])
        return cls(user_id=number) if match[1] else cls(chat_id=number)

    def query(self) -> dict[str, str]:
        """Return the parameters that name it."""
        if self.chat_id is not None:
            return {"chat_id": str(self.chat_id)}
        return {"user_id": str(self.user_id)}

    def __str__(self) -> str:
        return f"user:{self.user_id}" if self.chat_id is None else str(self.chat_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """An attachment of a message to be sent.

    Attributes:
        type: `image`, `video`, `audio`, `file` or `inline_keyboard`.
        payload: what MAX wants of it.
    """

    type: str
    payload: Json

    @classmethod
    def by_token(cls, type_: str, token: str) -> Self:
        """Return an uploaded or received file, by its token."""
        return cls(type=type_, payload={"token": token})

    @classmethod
    def image_by_url(cls, url: str) -> Self:
        """Return an image that MAX itself fetches; other types can't be given so."""
        return cls(type="image", payload={"url": url})

    @classmethod
    def again(cls, received: Attachment) -> Self:
        """Return a received attachment, to be sent again without an upload.

        Raises:
            UsageError: it has no token.
        """
        if received.token is None:
            raise UsageError(
                f"a received {received.type or 'attachment'} without a token can't be sent again",
                hint="Download it and send it as a file.",
            )
        return cls.by_token(received.type, received.token)


def message_body(
    text: str | None,
    attachments: Sequence[Outgoing] | None,
    *,
    text_format: str | None = None,
    notify: bool = True,
    reply_to: str | None = None,
    forward: str | None = None,
) -> Json:
    """Return the body of a message. With attachments that are None an edited message keeps its
    own, while an empty list removes them.

    Raises:
        UsageError: MAX would refuse it, or never deliver it.
    """
    _check(text, attachments or (), text_format)
    body: Json = {"text": text, "notify": notify, "attachments": None, "link": None}
    if attachments is not None:
        body["attachments"] = [{"type": one.type, "payload": one.payload} for one in attachments]
    if text_format is not None:
        body["format"] = text_format
    if reply_to is not None or forward is not None:
        if None not in {reply_to, forward}:
            raise UsageError("a message either replies or forwards", hint="Give one of them.")
        kind, mid = ("forward", forward) if reply_to is None else ("reply", reply_to)
        body["link"] = {"type": kind, "mid": mid}
    return body


def _check(text: str | None, attachments: Sequence[Outgoing], text_format: str | None) -> None:
    if text is not None and len(text) > MOST_TEXT:
        raise UsageError(
            f"the text has {len(text)} characters, a message of MAX takes {MOST_TEXT}",
            hint="Send it as several messages, or as a file.",
        )
    if text_format not in {None, "markdown", "html"}:
        raise UsageError(f"{text_format!r} is no format", hint="Use markdown or html.")
    media = [one for one in attachments if one.type != _KEYBOARD]
    if len(media) > MOST_ATTACHMENTS or len(attachments) - len(media) > 1:
        raise UsageError(
            f"a message of MAX takes {MOST_ATTACHMENTS} attachments and one keyboard",
            hint="Send several messages; `send_files` groups them.",
        )
    lonely = {one.type for one in media} & _ALONE
    if lonely and len(media) > 1:
        raise UsageError(
            f"{lonely.pop()} must be the only attachment of a message",
            hint="Send a message for each; `send_files` does.",
        )
    unknown = {one.type for one in media} - _GROUPED - _ALONE
    if unknown:
        raise UsageError(f"{unknown.pop()!r} can't be sent", hint="Send it as a file.")
