"""Answers to one message, none of them twice.

MAX has nothing by which a message that is sent a second time would be recognised. But an answer
tells which message it answers: by that it is found in the chat when it is not known whether it
arrived, because the process died or an answer of MAX was lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from haulier import errors
from haulier.max.client import MaxClient
from haulier.max.looking_back import said_by_bots
from haulier.max.models import Attachment, Message
from haulier.max.outgoing import MOST_TEXT, Outgoing, To
from haulier.transfer.status_line import EditedStatusLine

STATUS_INTERVAL_S = 2.0
_SETTLED_AFTER_S = 2.0


class Replies(EditedStatusLine):
    """What the bot says to one message: one text, edited in place, and files.

    Args:
        client: the bot.
        to: the message that is answered.
        again: whether an earlier run may have answered. It is looked for then before anything is
            sent, twice, since a message may still have been on its way.
        **more: `clock` and `interval_s` of `EditedStatusLine`; `sleep` waits a number of seconds.
    """

    def __init__(
        self,
        client: MaxClient,
        to: Message,
        *,
        again: bool = False,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        **more: Any,
    ) -> None:
        pace = {"interval_s": STATUS_INTERVAL_S, **more}
        super().__init__(most_chars=MOST_TEXT, most_messages=1, **pace)
        self._client = client
        self._to = to
        self._may_be_there = again
        self._sleep = sleep
        self._mid: str | None = None
        self._found: list[Message] = []

    async def show(self, text: str, page: int = 0) -> None:  # noqa: ARG002 - there is but one
        """Send the text, or put it in the place of the one that is there.

        Raises:
            MessageUncertain: the chat can't be looked into. Others: as `MaxClient.send_message`
            and `edit_message`.
        """
        await self._look()
        if self._mid is not None:
            try:
                await self._client.edit_message(self._mid, text)
            except errors.ChatError:
                self._mid = None  # somebody deleted it
            else:
                return
        message = await self._once(lambda: self._send(text))
        self._mid = message.mid

    async def say(self, text: str) -> None:
        """Show a text that must arrive: the last words. Raises as `show`."""
        if text != self._shown:
            await self.show(text[:MOST_TEXT])
            self._shown, self._pages = text, [text[:MOST_TEXT]]

    async def sent_files(self) -> list[Message]:
        """Return the answers with files that arrived already; raises MessageUncertain."""
        await self._look()
        return [one for one in self._found if one.attachments]

    async def once(self, sending: Callable[[], Awaitable[Message]]) -> Message:
        """Send a message with files that answers, by `sending`.

        Raises:
            ConnectionLost: it did not arrive, and can be tried again. MessageUncertain: the chat
            can't be looked into. Others: as `sending`.
        """
        return await self._once(sending, has_files=True)

    async def send_again(self, attachment: Outgoing) -> Message:
        """Send a file that MAX has; raises as `once`, and AttachmentRefused."""
        return await self.once(lambda: self._send(None, [attachment]))

    async def _send(self, text: str | None, attachments: Sequence[Outgoing] = ()) -> Message:
        where = To(chat_id=self._to.chat_id)
        return await self._client.send_message(
            where, text, attachments=attachments, reply_to=self._to.mid
        )

    async def _once(
        self, sending: Callable[[], Awaitable[Message]], *, has_files: bool = False
    ) -> Message:
        """Send; where the answer was lost, tell by the chat whether it arrived."""
        try:
            return await sending()
        except errors.MessageUncertain as error:
            self._may_be_there = True
            await self._look()
            for found in self._found:
                if bool(found.attachments) is has_files:
                    return found
            raise errors.ConnectionLost(error.message) from error

    async def _look(self) -> None:
        """Find what was answered, where there may be something that is not known of."""
        if not self._may_be_there:
            return
        found = await self._answers()
        if not found:
            await self._sleep(_SETTLED_AFTER_S)
            found = await self._answers()
        self._may_be_there, self._found = False, found
        texts = [one for one in found if not one.attachments]
        self._mid = texts[-1].mid if texts else self._mid

    async def _answers(self) -> list[Message]:
        """Return the bot's answers to the message, newest first."""
        try:
            said = said_by_bots(self._client, self._to.chat_id, self._to.timestamp_ms)
            return [one async for one in said if one.linked_mid == self._to.mid]
        except errors.Transient:
            raise
        except errors.HaulierError as error:
            raise errors.MessageUncertain(
                f"whether it was answered already can't be told: {error.message}"
            ) from error


def storable(message: Message) -> list[Attachment]:
    """Return what is attached to a message and has bytes to be kept."""
    kinds = ("image", "video", "audio", "file")
    return [one for one in message.attachments if one.type in kinds]
