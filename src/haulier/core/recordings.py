"""Recordings: what is known of each, what state follows which, and how long what failed is kept.

    recorded ──► uploading ──► uploaded ──► processing ──► completed
       ▲             │                          │
       └── failed ◄──┴──────────────────────────┘

A recording is whole on the disk before anything is said of it, and nothing that happens to it
later changes its sound.
"""

from __future__ import annotations

import re
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from haulier.core.mime import FileKind, kind_of, usual_ending
from haulier.core.records import JsonRecord, parse_time
from haulier.core.sniff import Certainty, sniff
from haulier.errors import UnsupportedContent, UsageError, ValidationError

DEFAULT_MODE = "recap"
FOLDER = "recordings"
"""Where recordings lie among files."""
MODE_TAG = "mode"
TRASH_DAYS = 30
"""On how many days a recording without a verified copy elsewhere is seen in the trash before it
is removed."""

_WRITTEN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_USER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}")
_MOST_MODE_CHARS = 64
# What a head that says nothing is kept as.
_UNKNOWN_FORMAT = "bin"
_FORMAT = re.compile(r"[a-z0-9]{1,8}")


class RecordingStatus(StrEnum):
    """Where a recording stands."""

    RECORDED = "recorded"
    UPLOADING = "uploading"
    UPLOADED = "uploaded"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


TO_BE_SENT = frozenset(
    {RecordingStatus.RECORDED, RecordingStatus.UPLOADING, RecordingStatus.FAILED}
)
"""States of recordings that may have to be sent; those that failed after it have a location."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording(JsonRecord):
    """A recording.

    Args:
        recording_id: a UUID.
        user_id: whose it is.
        mode: what it is for, as whoever recorded it says; 1 to 64 characters.
        status: where it stands.
        file_size: bytes.
        checksum: `crc64nvme:` and 16 digits.
        format: the ending of its file: `wav`, `webm`, `m4a`, …
        duration: seconds, where its head tells them.
        created_at: when it was saved.
        updated_at: when its state changed.
        job_id: of what is done with it after the upload.
        location: the URL of the copy that was verified there; None while there is none.
        error: why it failed.
    """

    recording_id: str
    user_id: str
    mode: str
    status: RecordingStatus = RecordingStatus.RECORDED
    file_size: int
    checksum: str
    format: str
    duration: float | None = None
    created_at: datetime
    updated_at: datetime
    job_id: str | None = None
    location: str | None = None
    error: str | None = None

    @property
    def file_name(self) -> str:
        """What its sound is called on the disk and where it is sent."""
        return f"{self.recording_id}.{self.format}"

    @property
    def waits_for_upload(self) -> bool:
        """Whether it has to be sent."""
        return self.status in TO_BE_SENT and self.location is None

    def moved_to(self, status: RecordingStatus, now: datetime, **changes: Any) -> Self:
        """Return it in another state; an error is kept by failed ones alone."""
        return replace(self, status=status, updated_at=now, **{"error": None, **changes})

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: a field is missing or can't be.
        """
        try:
            return cls(
                recording_id=check_recording_id(values["recording_id"]),
                user_id=check_user_id(values["user_id"]),
                mode=check_mode(values["mode"]),
                status=RecordingStatus(values["status"]),
                file_size=_size(values["file_size"]),
                checksum=_text(values["checksum"]),
                format=_format(values["format"]),
                duration=None if values.get("duration") is None else float(values["duration"]),
                created_at=parse_time(values["created_at"]),
                updated_at=parse_time(values["updated_at"]),
                job_id=_text_or_none(values.get("job_id")),
                location=_text_or_none(values.get("location")),
                error=_text_or_none(values.get("error")),
            )
        except (KeyError, TypeError, AttributeError, UsageError, ValidationError) as exc:
            raise ValueError(f"no metadata of a recording: {exc}") from exc


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueEntry(JsonRecord):
    """A recording that waits to be sent.

    Args:
        recording_id: which.
        queued_at: since when.
        attempts: how often it was tried.
        last_error: why the last attempt failed.
        not_before: when the next may begin; None for at once.
        progress: what the place that it goes to needs to go on with a part of it.
    """

    recording_id: str
    queued_at: datetime
    attempts: int = 0
    last_error: str | None = None
    not_before: datetime | None = None
    progress: dict[str, Any] = field(default_factory=dict)

    def is_due(self, now: datetime) -> bool:
        """Tell whether it may be tried; a clock that was set back makes nothing wait longer."""
        if self.not_before is None or self.not_before <= now:
            return True
        return self.not_before - now > backoff_after(self.attempts)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: a field is missing or can't be.
        """
        try:
            not_before = values.get("not_before")
            return cls(
                recording_id=check_recording_id(values["recording_id"]),
                queued_at=parse_time(values["queued_at"]),
                attempts=_size(values["attempts"]),
                last_error=_text_or_none(values.get("last_error")),
                not_before=None if not_before is None else parse_time(not_before),
                progress=dict(values.get("progress") or {}),
            )
        except (KeyError, TypeError, AttributeError, UsageError, ValidationError) as exc:
            raise ValueError(f"no entry of a queue: {exc}") from exc


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingStats(JsonRecord):
    """What a user's recordings take.

    Args:
        files: how many recordings.
        bytes: of their sound, that in the trash counted in.
        by_status: how many in each state.
        queued: how many wait to be sent.
        limit_bytes: how many bytes may be kept.
        free_bytes: how many the disk has left.
        trash_files: how many lie in the trash; their bytes are `trash_bytes`.
        only_in_trash: ids of those in the trash of which there is no verified copy elsewhere.
        damaged: names of metadata that can't be read, or that were set aside.
    """

    files: int
    bytes: int
    by_status: dict[str, int]
    queued: int
    limit_bytes: int
    free_bytes: int
    trash_files: int
    trash_bytes: int
    only_in_trash: list[str]
    damaged: list[str]


def count_by_status(recordings: Iterable[Recording]) -> dict[str, int]:
    """Return how many recordings are in each state."""
    found = Counter(one.status for one in recordings)
    return {status.value: found[status] for status in RecordingStatus}


def backoff_after(attempts: int) -> timedelta:
    """Return how long to wait after that many attempts: 5 s, 10 s, 20 s, … up to 15 minutes."""
    return min(timedelta(minutes=15), timedelta(seconds=5 * 2 ** min(max(attempts - 1, 0), 20)))


def is_trash(recording: Recording, now: datetime, days: int) -> bool:
    """Tell whether a recording that waits for nothing failed longer than `days` days ago."""
    is_old = now - recording.updated_at > timedelta(days=days)
    return recording.status is RecordingStatus.FAILED and is_old


def format_of(head: bytes) -> str:
    """Return the ending for sound that begins with `head`.

    Raises:
        UnsupportedContent: it is surely something else.
    """
    found = sniff(head)
    if found is None or found.certainty is Certainty.GUESSED:
        return _UNKNOWN_FORMAT
    if kind_of(found.mime_type) not in {FileKind.AUDIO, FileKind.VIDEO, FileKind.UNKNOWN}:
        raise UnsupportedContent(
            f"a recording is sound, and this is {found.mime_type}",
            hint="Send WAV, WebM, M4A, OGG, FLAC or MP3; other files go to `/api/content/NAME`.",
        )
    return (usual_ending(found.mime_type) or f".{_UNKNOWN_FORMAT}")[1:]


def wav_duration_s(head: bytes, size_bytes: int) -> float | None:
    """Return the seconds of a WAV file by its head; None when that is no WAV's.

    A recorder that was cut off leaves lengths that are too large; the file's size counts then.
    """
    if head[:4] not in {b"RIFF", b"RF64"} or head[8:12] != b"WAVE":
        return None
    at, bytes_per_s = 12, 0
    while at + 8 <= len(head):
        name, length = head[at : at + 4], int.from_bytes(head[at + 4 : at + 8], "little")
        if name == b"fmt " and at + 20 <= len(head):
            bytes_per_s = int.from_bytes(head[at + 16 : at + 20], "little")
        if name == b"data":
            sound_bytes = min(length, size_bytes - at - 8)
            return round(sound_bytes / bytes_per_s, 3) if bytes_per_s else None
        at += 8 + length + length % 2
    return None


def check_recording_id(given: str) -> str:
    """Return the id of a recording as it is written here.

    Raises:
        ValidationError: it is no UUID.
    """
    try:
        if _WRITTEN_ID.fullmatch(given):
            return given
        return str(uuid.UUID(given))
    except (ValueError, AttributeError, TypeError):
        raise ValidationError(
            f"{str(given)[:80]!r} is no recording's id", hint="Ids of recordings are UUIDs."
        ) from None


def check_user_id(given: str) -> str:
    """Return a user's id that is fit to name a directory.

    Raises:
        ValidationError: it is not.
    """
    if not _USER_ID.fullmatch(given):
        raise ValidationError(
            f"{given[:80]!r} can't name a user",
            hint="Use up to 128 letters, digits and . _ @ + -, the first a letter or digit.",
        )
    return given


def check_mode(given: str) -> str:
    """Return a mode.

    Raises:
        ValidationError: it is empty, longer than 64 characters, or has some that can't be shown.
    """
    if not 1 <= len(given) <= _MOST_MODE_CHARS or not given.isprintable():
        raise ValidationError("a mode has 1 to 64 characters that can be shown")
    return given


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValidationError(f"{value!r} is no text")
    return value


def _text_or_none(value: Any) -> str | None:
    return None if value is None else _text(value)


def _format(value: Any) -> str:
    # It becomes a part of paths.
    if not _FORMAT.fullmatch(_text(value)):
        raise ValidationError(f"{value!r} is no format")
    return str(value)


def _size(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValidationError(f"{value!r} is no number")
    return value
