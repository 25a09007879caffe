"""What processors have in common that send files as messages: once each, and on after a crash."""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from haulier.media.finding import MediaFile
from haulier.transfer.consignments import Consignment, Ledger, MemoryLedger
from haulier.transfer.deliveries import Delivery, Sender, Sleep, Smaller
from haulier.transfer.processors import (
    BaseUploadProcessor,
    SilentLine,
    StatusLine,
    Tally,
    UploadResult,
)


class MessageProcessor(BaseUploadProcessor):
    """Sends files as messages; a platform says how by `sender`, `divided` and `status_line`.

    Args:
        max_retries: how often a message is tried again.
        retry_delay: seconds before the second attempt; each further wait is twice as long.
        smaller: makes a file smaller that was refused for its size.
        updates: whether a message tells how far `upload_files` is.
        sleep: waits a number of seconds.
    """

    platform: ClassVar[str]
    """What it is called where nobody says otherwise."""

    def __init__(
        self,
        max_retries: int = 3,
        retry_delay: float = 2.0,
        *,
        smaller: Smaller | None = None,
        updates: bool = True,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._max_retries = max_retries
        self._retry_delay_s = retry_delay
        self._smaller = smaller
        self._updates = updates
        self._sleep = sleep

    @abstractmethod
    def sender(self, ctx: Any) -> Sender:
        """Return what sends messages to `ctx`; raises UsageError where it is no place."""

    @abstractmethod
    def divided(self, files: Sequence[MediaFile]) -> Iterable[Sequence[MediaFile]]:
        """Return the files of each message."""

    async def upload_files(
        self, files: Sequence[MediaFile], ctx: Any = None, platform_name: str | None = None
    ) -> UploadResult:
        """Send files; what is refused or lost is told in the result, not raised.

        Args:
            files: media, in the order in which they are shown.
            ctx: where they go.
            platform_name: what the platform is called in messages and results.

        Raises:
            UsageError: `ctx` is no place there.
        """
        status = self.status_line(ctx) if self._updates else SilentLine()
        result = await self.deliver(
            files, ctx, platform_name or self.platform, ledger=MemoryLedger(), status=status
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
            self.sender(ctx),
            ledger,
            status=status,
            max_retries=self._max_retries,
            retry_delay=self._retry_delay_s,
            smaller=self._smaller,
            sleep=self._sleep,
        )
        fresh = [Consignment(files=tuple(each)) for each in self.divided(files)]
        result = await delivery.run(fresh, Tally(platform=platform_name))
        result.metadata["processing_time_seconds"] = time.monotonic() - began
        return result
