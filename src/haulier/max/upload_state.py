"""What an unfinished upload to MAX needs to go on, in this process or in another one."""

from __future__ import annotations

from pathlib import Path

from haulier.max.upload_types import UploadSlot, UploadType
from haulier.transfer.upload_journal import UploadJournal


class UploadState:
    """The state of one upload: slot, checksums of blocks, token. Methods block.

    Args:
        folder, key, size_bytes: as for `UploadJournal`, which says what is raised.
    """

    def __init__(self, folder: Path | None, key: str, size_bytes: int) -> None:
        self._journal = UploadJournal(folder, key, size_bytes)
        self.slot: UploadSlot | None = None
        if self._journal.place is None:
            return
        try:
            kept = dict(self._journal.place)
            kind = UploadType(kept["type"])
            self.slot = UploadSlot(type=kind, url=kept["url"], token=kept["token"])
        except (ValueError, KeyError, TypeError):
            self._journal.clear()

    @property
    def crcs(self) -> list[int]:
        """The checksums of the blocks that were or are being sent."""
        return self._journal.crcs

    @property
    def token(self) -> str | None:
        """The token of the file once it is sent whole."""
        return self._journal.outcome

    def close(self) -> None:
        """Give it back; what is in it stays."""
        self._journal.close()

    def begin(self, slot: UploadSlot) -> None:
        """Keep a new slot; what was known of an earlier one is forgotten."""
        self._journal.begin({"type": slot.type, "url": slot.url, "token": slot.token})
        self.slot = slot

    def add_block(self, crc: int) -> None:
        """Keep the checksum of the next block, before it is sent."""
        self._journal.add_block(crc)

    def finish(self, token: str) -> None:
        """Keep the token of the file, which is sent whole."""
        self._journal.finish(token)

    def clear(self) -> None:
        """Forget everything."""
        self.slot = None
        self._journal.clear()

    def discard(self) -> None:
        """Forget everything, and remove the file."""
        self.slot = None
        self._journal.discard()
