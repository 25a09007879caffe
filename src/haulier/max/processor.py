"""Files brought into a chat of MAX as a delivery: `MaxUploadProcessor`."""

from __future__ import annotations

import asyncio
import time
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
from haulier.transfer.consignments import Consignment, Ledger, MemoryLedger
from haulier.transfer.deliveries import Delivery, Sleep
from haulier.transfer.processors import (
    BaseUploadProcessor,
    SilentLine,
    StatusLine,
    Tally,
    UploadResult,
)
from haulier.transfer.status_line import EditedStatusLine

PLATFORM = "max"
_SHOWN_TOGETHER = frozenset({MediaType.IMAGE, MediaType.VIDEO})


class MaxUploadProcessor(BaseUploadProcessor):
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
        self._client = client
        self._files = files or FileManager(client)
        self._max_retries = max_retries
        self._retry_delay_s = retry_delay
        self._limits = limits or MaxLimits()
        self._updates = updates
        self._sleep = sleep

    async def upload_files(
        self, files: Sequence[MediaFile], ctx: Any = None, platform_name: str | None = None
    ) -> UploadResult:
        """Send files; what is refused or lost is told in the result, not raised.

        Args:
            files: media, in the order in which they are shown.
            ctx: where they go.
            platform_name: what MAX is called in messages and results.

        Raises:
            UsageError: `ctx` names no chat.
        """
        status = self.status_line(ctx) if self._updates else SilentLine()
        result = await self.deliver(
            files, ctx, platform_name or PLATFORM, ledger=MemoryLedger(), status=status
        )
        await status.tell(result.message, at_once=True)
        return result

    async def deliver(
        self,
        files: Sequence[MediaFile],
        ctx: Any,
        platform_name: str,
        *,
        ledger: Ledger,
        status: StatusLine,
    ) -> UploadResult:
        """Send what the ledger still owes, then these files; see `BaseUploadProcessor`."""
        began = time.monotonic()
        delivery = Delivery(
            MaxSender(self._client, self._files, where(ctx)),
            ledger,
            status=status,
            max_retries=self._max_retries,
            retry_delay=self._retry_delay_s,
            sleep=self._sleep,
        )
        groups = grouped(files, lambda file: file.media_type in _SHOWN_TOGETHER)
        tally = Tally(platform=platform_name)
        result = await delivery.run([Consignment(files=tuple(each)) for each in groups], tally)
        result.metadata["processing_time_seconds"] = time.monotonic() - began
        return result

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
        self._mid: str | None = None

    async def show(self, text: str) -> None:
        """Send or edit the message; errors as `MaxClient.send_message` and `edit_message`."""
        if self._mid is None:
            self._mid = (await self._client.send_message(self._to, text, notify=False)).mid
        else:
            await self._client.edit_message(self._mid, text)


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
