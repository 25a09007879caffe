"""Files brought into a channel of Discord: `DiscordUploadProcessor`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from haulier.discord.places import Place
from haulier.discord.sender import DiscordSender
from haulier.discord.status import DiscordStatusLine
from haulier.media.finding import MediaFile
from haulier.transfer.batching import BatchProcessor
from haulier.transfer.deliveries import Sleep, Smaller
from haulier.transfer.message_processor import MessageProcessor
from haulier.transfer.processors import StatusLine

PLATFORM = "discord"


class DiscordUploadProcessor(MessageProcessor):
    """Sends files to channels of Discord, ten at most in a message.

    `ctx` may be a channel, the context of a command, or an interaction. Discord's own waiting times
    are kept by discord.py, and by this where discord.py gives up.

    Args:
        max_retries: how often a message is tried again.
        retry_delay: seconds before the second attempt; each further wait is twice as long.
        limit_mb: the largest file, in units of 1,048,576 bytes (DISCORD_LIMIT_MB); what Discord
            tells of the place when left out.
        batches: divides files into messages.
        smaller: makes a file smaller that Discord refused for its size.
        updates: whether a message tells how far `upload_files` is.
        sleep: waits a number of seconds.
    """

    platform = PLATFORM

    def __init__(
        self,
        max_retries: int = 3,
        retry_delay: float = 2.0,
        *,
        limit_mb: int | None = None,
        batches: BatchProcessor | None = None,
        smaller: Smaller | None = None,
        updates: bool = True,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        super().__init__(max_retries, retry_delay, smaller=smaller, updates=updates, sleep=sleep)
        self._limit_mb = limit_mb
        self._batches = batches or BatchProcessor()

    def sender(self, ctx: Any) -> DiscordSender:
        """Return what sends messages to the place."""
        return DiscordSender(Place(ctx))

    def divided(self, files: Sequence[MediaFile]) -> list[list[MediaFile]]:
        """Return the files of each message."""
        return [batch.files for batch in self._batches.optimize_batches(files)]

    def limit_bytes(self, ctx: Any) -> int:
        """Return the largest file in bytes that the place takes."""
        return Place(ctx).limit_bytes(self._limit_mb)

    def place_of(self, ctx: Any) -> str:
        """Return the channel's id."""
        return Place(ctx).id

    def status_line(self, ctx: Any) -> StatusLine:
        """Return a message in the place that is edited as things go on."""
        return DiscordStatusLine(Place(ctx))
