"""Files brought into a channel of Discord: `DiscordUploadProcessor`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from haulier.discord.places import Place
from haulier.discord.sender import DiscordSender
from haulier.discord.status import DiscordStatusLine
from haulier.media.finding import MediaFile
from haulier.transfer.batching import BatchProcessor
from haulier.transfer.consignments import Consignment, Ledger, MemoryLedger
from haulier.transfer.deliveries import Delivery, Sleep, Smaller
from haulier.transfer.processors import (
    BaseUploadProcessor,
    SilentLine,
    StatusLine,
    Tally,
    UploadResult,
)

PLATFORM = "discord"


class DiscordUploadProcessor(BaseUploadProcessor):
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
        self._max_retries = max_retries
        self._retry_delay_s = retry_delay
        self._limit_mb = limit_mb
        self._batches = batches or BatchProcessor()
        self._smaller = smaller
        self._updates = updates
        self._sleep = sleep

    async def upload_files(
        self, files: Sequence[MediaFile], ctx: Any = None, platform_name: str | None = None
    ) -> UploadResult:
        """Send files; what is refused or lost is told in the result, not raised.

        Args:
            files: media, in the order in which they are shown.
            ctx: where they go.
            platform_name: what Discord is called in messages and results.
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
        planned = self._batches.optimize_batches(files)
        delivery = Delivery(
            DiscordSender(Place(ctx)),
            ledger,
            status=status,
            max_retries=self._max_retries,
            retry_delay=self._retry_delay_s,
            smaller=self._smaller,
            sleep=self._sleep,
        )
        tally = Tally(platform=platform_name)
        fresh = [Consignment(files=tuple(batch.files)) for batch in planned]
        result = await delivery.run(fresh, tally)
        result.metadata["processing_time_seconds"] = time.monotonic() - began
        return result

    def limit_bytes(self, ctx: Any) -> int:
        """Return the largest file in bytes that the place takes."""
        return Place(ctx).limit_bytes(self._limit_mb)

    def place_of(self, ctx: Any) -> str:
        """Return the channel's id."""
        return Place(ctx).id

    def status_line(self, ctx: Any) -> StatusLine:
        """Return a message in the place that is edited as things go on."""
        return DiscordStatusLine(Place(ctx))
