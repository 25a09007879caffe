"""What brings files to a platform, whichever it is, and what it tells afterwards."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from haulier.core.chat_limits import MIB
from haulier.core.records import JsonRecord
from haulier.core.units import format_size
from haulier.media.finding import MediaFile
from haulier.transfer.consignments import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadResult(JsonRecord):
    """How a delivery ended.

    Attributes:
        success: every file arrived.
        message: what may be shown to people.
        files_processed: how many files there were.
        error: what went wrong, as advice and without inner paths; None when nothing did.
        metadata: `platform`, `total_files`, `successful_uploads`, `failed_uploads`,
            `compression_attempts`, `successful_compressions`, `total_size_mb` (as sent, in units
            of 1,048,576 bytes), `batches_processed`, `processing_time_seconds` (of all),
            `upload_time_seconds`.
    """

    success: bool
    message: str
    files_processed: int = 0
    successful_uploads: int = 0
    failed_uploads: int = 0
    error: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Tally:
    """Counts what happens in a delivery; of those `delivered` so many are `linked` to."""

    platform: str
    delivered: int = 0
    linked: int = 0
    failed: int = 0
    compression_attempts: int = 0
    compressed: int = 0
    sent_bytes: int = 0
    batches: int = 0
    processing_s: float = 0.0
    upload_s: float = 0.0

    def result(self, errors: Sequence[str] = ()) -> UploadResult:
        """Return what it comes to.

        Args:
            errors: what went wrong, as advice; what is there twice is told once.
        """
        total = self.delivered + self.failed
        return UploadResult(
            success=total > 0 and self.failed == 0,
            message=self._message(total),
            files_processed=total,
            successful_uploads=self.delivered,
            failed_uploads=self.failed,
            error="\n".join(dict.fromkeys(errors)) or None,
            metadata={
                "platform": self.platform,
                "total_files": total,
                "successful_uploads": self.delivered,
                "failed_uploads": self.failed,
                "compression_attempts": self.compression_attempts,
                "successful_compressions": self.compressed,
                "total_size_mb": self.sent_bytes / MIB,
                "batches_processed": self.batches,
                "processing_time_seconds": self.processing_s,
                "upload_time_seconds": self.upload_s,
            },
        )

    def _message(self, total: int) -> str:
        if total == 0:
            return "Nothing to upload: no media was found."
        if self.delivered == 0:
            return f"Upload failed: none of {counted(total)} arrived."
        if self.failed > 0:
            return f"Partly uploaded: {self.delivered} of {counted(total)} arrived."
        stored = f"stored {counted(self.linked)}, too large for this chat:"
        if self.linked == total:
            return stored.capitalize()
        sent = f"Uploaded {counted(total - self.linked)} ({format_size(self.sent_bytes)})"
        return f"{sent}; {stored}" if self.linked else f"{sent}."


def counted(count: int) -> str:
    """Return `1 file` or `N files`."""
    return f"{count} file" if count == 1 else f"{count} files"


class StatusLine(Protocol):
    """Where people read how far a delivery is: one message that changes."""

    async def tell(self, text: str, *, at_once: bool = False) -> None:
        """Show a text; one that comes too soon after the last may be left out.

        Args:
            text: replaces what stood there.
            at_once: it is shown in any case.
        """
        ...


class SilentLine:
    """A status line that nobody reads."""

    async def tell(self, text: str, *, at_once: bool = False) -> None:
        """Show nothing."""


class BaseUploadProcessor(ABC):
    """Sends files to one platform; what other platforms are added by.

    Only `upload_files` must be written. A processor that can go on after a crash writes `deliver`
    as well, one with limits `limit_bytes`, one that tells people how far it is `status_line`.
    """

    @abstractmethod
    async def upload_files(
        self, files: Sequence[MediaFile], ctx: Any = None, platform_name: str | None = None
    ) -> UploadResult:
        """Send files.

        Args:
            files: media, in the order in which they are shown.
            ctx: where they go, in the terms of the platform.
            platform_name: what the platform is called in messages and results.
        """

    async def deliver(
        self,
        files: Sequence[MediaFile],
        ctx: Any,
        platform_name: str,
        *,
        ledger: Ledger,
        status: StatusLine,
    ) -> UploadResult:
        """Send what the ledger still owes, and these files; `upload_files` when not overridden.

        Args:
            files: those that the ledger does not know yet.
            ctx: where they go.
            platform_name: as in `upload_files`.
            ledger: saved before and after each message.
            status: told each step.
        """
        del ledger, status
        return await self.upload_files(files, ctx, platform_name)

    def limit_bytes(self, ctx: Any) -> int | None:
        """Return the largest file that `ctx` takes; None where it is not known."""
        del ctx
        return None

    def place_of(self, ctx: Any) -> str | None:
        """Return what names the place that `ctx` is, the same in every run."""
        del ctx
        return None

    def status_line(self, ctx: Any) -> StatusLine:
        """Return a message in `ctx` that can be changed; nothing is sent before it is told."""
        del ctx
        return SilentLine()
