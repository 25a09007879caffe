"""Sound on its way to the disk: written beside its place, then announced with its metadata."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Self

from haulier.core.checksums import RunningChecksum
from haulier.core.recordings import Recording, format_of, wav_duration_s
from haulier.core.sniff import HEAD_BYTES
from haulier.core.units import format_size
from haulier.errors import FileSizeError, QuotaExceeded, RecordingConflict, ValidationError
from haulier.journeys.recording.durable import (
    partial_beside,
    prepare,
    remove,
    try_lock,
)
from haulier.journeys.recording.listing import read_record
from haulier.journeys.recording.shelf import Shelf

AUDIO = ".audio"


class Draft:
    """A recording that is being written; blocks, and raises OSError.

    Args:
        shelf: where it will stand.
        recording_id: its id.
        mode: what it is for.
        most_bytes: the largest recording; None for any.
        limit_bytes: what the user may keep in all.
    """

    def __init__(
        self,
        shelf: Shelf,
        recording_id: str,
        mode: str,
        *,
        most_bytes: int | None,
        limit_bytes: int,
    ) -> None:
        self._shelf = shelf
        self._recording_id = recording_id
        self._mode = mode
        self._most_bytes = most_bytes
        self._limit_bytes = limit_bytes
        self._size_bytes = 0
        self._head = bytearray()
        self._checksum = RunningChecksum("crc64nvme")
        self._partial = partial_beside(shelf.recordings / f"{recording_id}{AUDIO}")
        with shelf.locked():
            self._file = self._partial.open("wb", buffering=0)
            # As long as it is held nobody takes it for what a dead process left.
            try_lock(self._file.fileno())
        self._taken_bytes = shelf.stored_bytes()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Forget what was not kept."""
        self._file.close()
        with suppress(OSError):
            self._partial.unlink()

    def write(self, piece: bytes | bytearray | memoryview) -> None:
        """Take more of the sound.

        Raises:
            FileSizeError: it is larger than a recording may be.
            QuotaExceeded: it does not fit into what the user may keep.
        """
        self._size_bytes += len(piece)
        if self._most_bytes is not None and self._size_bytes > self._most_bytes:
            raise FileSizeError(
                f"the recording has more than {format_size(self._most_bytes)}",
                hint="Record in shorter pieces, or ask for a higher MAX_UPLOAD_SIZE_MB.",
            )
        self._check_room()
        if len(self._head) < HEAD_BYTES:
            self._head += piece[: HEAD_BYTES - len(self._head)]
        self._checksum.update(piece)
        rest = memoryview(piece)
        while rest:
            rest = rest[self._file.write(rest) :]

    def keep(self) -> Recording:
        """Make it a recording, for good, and return it; one that is there already stays.

        Raises:
            ValidationError: it has no bytes.
            UnsupportedContent: it is surely no sound.
            RecordingConflict: there is one of that id with other bytes.
            QuotaExceeded: others were kept meanwhile, and it does not fit any more.
        """
        if not self._size_bytes:
            raise ValidationError("the recording is empty", hint="Send its bytes.")
        head, now = bytes(self._head), self._shelf.now()
        recording = Recording(
            recording_id=self._recording_id,
            user_id=self._shelf.user_id,
            mode=self._mode,
            file_size=self._size_bytes,
            checksum=str(self._checksum),
            format=format_of(head),
            duration=wav_duration_s(head, self._size_bytes),
            created_at=now,
            updated_at=now,
        )
        os.fsync(self._file.fileno())
        self._shelf.observe("audio synced")
        with self._shelf.locked():
            known = self._known()
            if known is not None:
                return known
            self._taken_bytes = self._shelf.stored_bytes()
            self._check_room()
            return self._announce(recording)

    def _announce(self, recording: Recording) -> Recording:
        shelf, metadata = self._shelf, self._shelf.metadata_path(recording.recording_id)
        # Both lie there whole before either has its name: what is found of them can be finished.
        prepared = prepare(metadata, recording.to_json())
        try:
            self._partial.replace(shelf.audio_path(recording))
            shelf.observe("audio renamed")
            shelf.announce(prepared, metadata, "metadata")
        except OSError:
            with suppress(OSError):
                prepared.unlink()
                remove(shelf.audio_path(recording), shelf.observe, "audio")
            raise
        return recording

    def _known(self) -> Recording | None:
        try:
            known = read_record(self._shelf.metadata_path(self._recording_id), Recording)
        except FileNotFoundError:
            return None
        except ValueError:
            raise RecordingConflict(
                f"the metadata of the recording {self._recording_id} is damaged",
                hint="It is mended when haulier is started the next time.",
            ) from None
        if (known.file_size, known.checksum) == (self._size_bytes, str(self._checksum)):
            return known
        raise RecordingConflict(f"there is another recording {self._recording_id} already")

    def _check_room(self) -> None:
        if self._taken_bytes + self._size_bytes > self._limit_bytes:
            raise QuotaExceeded(
                f"the recording does not fit into the {format_size(self._limit_bytes)} that a "
                f"user may keep; {format_size(self._taken_bytes)} are taken",
                hint="Move away what is stored elsewhere already, or raise AUDIO_USER_LIMIT_MB.",
            )


def checksum_of(path: Path) -> str:
    """Return the CRC-64/NVME of a file as it is written in metadata; blocks, raises OSError."""
    running = RunningChecksum("crc64nvme")
    with path.open("rb", buffering=0) as file:
        while piece := file.read(1 << 20):
            running.update(piece)
    return str(running)
