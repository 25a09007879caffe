"""Errors of messengers: what a chat or its files service refused."""

from __future__ import annotations

from haulier.errors.base import HaulierError
from haulier.errors.stores import Transient


class ChatError(HaulierError):
    """The messenger understood and refused.

    Args:
        message: what happened.
        hint: what the reader can do about it.
        api_code: the messenger's own code for it, where it gave one.
    """

    code, http_status = "chat", 502
    advice = "See the message for what the messenger did not take."

    def __init__(
        self, message: str, *, hint: str | None = None, api_code: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.api_code = api_code


class BadBotToken(ChatError):
    """The messenger does not know the bot's token."""

    code, http_status = "bad-bot-token", 401
    advice = "Check MAX_TOKEN or DISCORD_TOKEN; the token stands in the bot's settings."


class ChatDenied(ChatError):
    """The bot may not do this in that chat."""

    code, http_status = "chat-denied", 403
    advice = "Add the bot to the chat and give it the right to write there."


class ChatNotFound(ChatError):
    """There is no such chat, message or attachment, or the bot may not know of it."""

    code, http_status = "chat-not-found", 404
    advice = "Check the id; a bot learns the ids of its chats from what it receives."


class MessageTooLarge(ChatError):
    """A message, or a file in it, is larger than the chat takes."""

    code, http_status = "message-too-large", 413
    advice = "Send fewer files at once, or make them smaller with `haulier shrink`."


class AttachmentRefused(ChatError):
    """The messenger does not take the token of an uploaded file (any more)."""

    code, http_status = "attachment-refused", 422
    advice = "Upload the file again."


class MessageUncertain(ChatError):
    """It is not known whether a message was sent: the answer was lost.

    It is not sent again by itself, since it could then be there twice.
    """

    code, http_status = "message-uncertain", 504
    advice = "Look into the chat; send it again only if it is not there."


class AttachmentNotReady(Transient):
    """The messenger still processes an uploaded file."""

    code = "attachment-not-ready"
    advice = "It is uploaded; send it again in some minutes."
