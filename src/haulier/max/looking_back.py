"""What bots said in a chat of MAX, to find what may have been sent already."""

from __future__ import annotations

from collections.abc import AsyncIterator

from haulier import errors
from haulier.max.client import MaxClient
from haulier.max.models import Message

_MOST_AT_ONCE = 100
_MOST_PAGES = 5


async def said_by_bots(
    client: MaxClient, chat_id: int | None, after_ms: int | None
) -> AsyncIterator[Message]:
    """Yield the messages of bots in a chat since a time, newest first.

    Args:
        client: the bot that looks.
        chat_id: of the chat.
        after_ms: since when, in milliseconds of Unix time.

    Raises:
        RequestRejected: there are too many messages to look through.
    """
    before_ms = None
    for _ in range(_MOST_PAGES):
        page = await client.get_messages(
            chat_id, after_ms=after_ms, before_ms=before_ms, count=_MOST_AT_ONCE
        )
        for message in page:
            if message.sender is not None and message.sender.is_bot:
                yield message
        oldest = page[-1].timestamp_ms if page else None
        if len(page) < _MOST_AT_ONCE or oldest is None:
            return
        before_ms = oldest - 1
    raise errors.RequestRejected("too many messages came since")
