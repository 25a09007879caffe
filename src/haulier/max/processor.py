"""Files brought into a chat of MAX as a delivery: `MaxUploadProcessor`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from haulier.core.mime import MediaType
from haulier.errors import UsageError
from haulier.max.client import MaxClient
from haulier.max.files import FileManager
from haulier.max.models import Message, Update
from haulier.max.outgoing import MOST_TEXT, To
from haulier.max.sender import MaxSender
from haulier.max.sent import grouped
from haulier.max.upload_types import MaxLimits
from haulier.media.finding import MediaFile
from haulier.transfer.deliveries import Sleep
from haulier.transfer.message_processor import MessageProcessor
from haulier.transfer.processors import StatusLine
from haulier.transfer.status_line import EditedStatusLine

PLATFORM = "max"
_SHOWN_TOGETHER = frozenset({MediaType.IMAGE, MediaType.VIDEO})


class MaxUploadProcessor(MessageProcessor):
    """Sends files to chats of MAX: pictures and videos that follow each other together, up to 12 in
    a message, everything else alone. What MAX does not take as what it is goes as a file.

    `ctx` may be a chat's id, `CHAT_ID` or `user:USER_ID` as text, `To`, or a received message or
    update.

    Args:
        client: the bot.
        files: sends files; one without workers, which leaves pixels and minutes to MAX to check,
            when left out.
        max_retries: how often a message is tried again.
        retry_delay: seconds before the second attempt; each further wait is twice as long.
        limits: what MAX takes.
        updates: whether a message tells how far `upload_files` is.
        sleep: waits a number of seconds.
    """

    platform = PLATFORM

    def __init__(
        self,
        client: MaxClient,
        *,
        files: FileManager | None = None,
        max_retries: int = 3,
        retry_delay: float = 2.0,
        limits: MaxLimits | None = None,
        updates: bool = True,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        super().__init__(max_retries, retry_delay, updates=updates, sleep=sleep)
        self._client = client
        self._files = files or FileManager(client)
        self._limits = limits or MaxLimits()

    def sender(self, ctx: Any) -> MaxSender:
        """Return what sends messages to the chat; raises UsageError where `ctx` is none."""
        return MaxSender(self._client, self._files, where(ctx))

    def divided(self, files: Sequence[MediaFile]) -> list[list[MediaFile]]:
        """Return the files of each message."""
        return grouped(files, lambda file: file.media_type in _SHOWN_TOGETHER)

    def limit_bytes(self, ctx: Any) -> int:
        """Return the largest file in bytes that MAX takes, as a file."""
        del ctx
        return self._limits.file_bytes

    def place_of(self, ctx: Any) -> str:
        """Return the chat, as `haulier send` names it."""
        return str(where(ctx))

    def status_line(self, ctx: Any) -> StatusLine:
        """Return a message in the chat that is edited as things go on."""
        return MaxStatusLine(self._client, where(ctx))


class MaxStatusLine(EditedStatusLine):
    """A message that is sent when first told, and edited from then on.

    Args:
        client: the bot.
        to: where it stands.
        **pace: `interval_s` and `clock` of `EditedStatusLine`.
    """

    def __init__(self, client: MaxClient, to: To, **pace: Any) -> None:
        super().__init__(most_chars=MOST_TEXT, **pace)
        self._client = client
        self._to = to
        self._mids: list[str] = []

    async def show(self, text: str, page: int) -> None:
        """Send or edit a message; errors as `MaxClient.send_message` and `edit_message`."""
        if page == len(self._mids):
            message = await self._client.send_message(self._to, text, notify=False)
            self._mids.append(message.mid)
        else:
            await self._client.edit_message(self._mids[page], text)


def where(ctx: Any) -> To:
    """Return the chat that `ctx` of a processor is.

    Raises:
        UsageError: it is none.
    """
    if isinstance(ctx, str):
        return To.parse(ctx)
    chat = ctx.chat_id if isinstance(ctx, (Message, Update)) else ctx
    if isinstance(chat, (int, To)):
        return To.of(chat)
    raise UsageError(
        f"{type(ctx).__name__} is no chat of MAX",
        hint="Give a chat's id, `To`, or a received message.",
    )
