"""Files that are sent together: the messages that a delivery consists of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from haulier.core.batches import plan_batches
from haulier.core.chat_limits import MIB
from haulier.errors import UsageError
from haulier.media.finding import MediaFile


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadBatch:
    """Files that go in one message.

    Attributes:
        files: in the order in which they are shown.
        metadata: whatever else is known; `oversized` is true where one file alone is above the
            limit of a message.
    """

    files: list[MediaFile]
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def total_size_bytes(self) -> int:
        """The size of all files together."""
        return sum(file.size_bytes for file in self.files)

    @property
    def total_size_mb(self) -> float:
        """The size of all files together, in units of 1,048,576 bytes."""
        return self.total_size_bytes / MIB


class BatchProcessor:
    """Divides files into messages, as few as possible.

    A batch is filled up to what is preferred, and never above what a message takes; a file larger
    than that goes alone.

    Args:
        max_files_per_message: what the platform takes.
        max_message_size_mb: likewise, in units of 1,048,576 bytes.
        preferred_batch_size_mb: up to which batches are filled (UPLOAD_BATCH_SIZE_MB).
        preferred_max_files: likewise (UPLOAD_MAX_FILES_PER_BATCH).
        keep_order: whether files stay in the order given over all messages, which may take more
            of them. Within a message they always do.

    Raises:
        UsageError: a limit is not above 0.
    """

    def __init__(
        self,
        max_files_per_message: int = 10,
        max_message_size_mb: float = 25,
        preferred_batch_size_mb: float = 20,
        preferred_max_files: int = 10,
        *,
        keep_order: bool = False,
    ) -> None:
        self._most_files = min(max_files_per_message, preferred_max_files)
        self._message_bytes = int(max_message_size_mb * MIB)
        self._most_bytes = min(self._message_bytes, int(preferred_batch_size_mb * MIB))
        self._keep_order = keep_order
        if self._most_files < 1 or self._most_bytes < 1:
            raise UsageError(
                f"a message of {self._most_files} files and {self._most_bytes} bytes",
                hint="Give limits above 0.",
            )

    def optimize_batches(self, files: Iterable[MediaFile]) -> list[UploadBatch]:
        """Return the messages for some files, none of which is left out."""
        given = list(files)
        places = plan_batches(
            [file.size_bytes for file in given],
            most_bytes=self._most_bytes,
            most_files=self._most_files,
            in_order=self._keep_order,
        )
        return [self._batch([given[place] for place in batch]) for batch in places]

    def _batch(self, files: list[MediaFile]) -> UploadBatch:
        oversized = sum(file.size_bytes for file in files) > self._message_bytes
        return UploadBatch(files=files, metadata={"oversized": oversized})
