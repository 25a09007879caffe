"""The journal of resumable uploads: what survives a crash and lets the next run go on."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class JournalStage(StrEnum):
    """How far an upload has come. A finished upload has no journal any more."""

    PLANNED = "planned"
    SENDING = "sending"
    COMPLETING = "completing"
    VERIFIED = "verified"
    MOVED = "moved"


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadJournal:
    """One upload that is not finished.

    `destination` is the store's URL with its prefix, `tar_size` and `part_bytes` are
    bytes. `owner` holds the lease while `heartbeat_at` is fresh.
    """

    operation_id: str
    stage: JournalStage
    destination: str
    key: str
    upload_id: str | None = None
    tar_size: int
    part_bytes: int
    options: dict[str, Any] = field(default_factory=dict)
    owner: str | None = None
    heartbeat_at: datetime | None = None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRow:
    """A part that was cut: tar bytes `tar_start` to `tar_end` at `offset` of the object.

    `etag` is None until the store is known to have the part. `segments` are the archive's
    own packed records of what the part holds, `digests` maps paths of entries that end in
    it to their checksum.
    """

    operation_id: str
    number: int
    tar_start: int
    tar_end: int
    offset: int
    size_bytes: int
    md5: str
    crc64nvme: str
    etag: str | None = None
    segments: bytes = b""
    digests: dict[str, str] = field(default_factory=dict)
