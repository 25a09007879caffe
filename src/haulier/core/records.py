"""The records: what is known of a file at a place, and of a thing done to files.

Field names are public: they are what `--json` prints and what the catalog stores.
Records are frozen; `dataclasses.replace` makes the next state. Sizes are bytes, times
are timezone-aware UTC, checksums read `<algorithm>:<lower hex>`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import secrets
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


class FileStatus(StrEnum):
    PENDING = "pending"
    UPLOADING = "uploading"
    COMPLETED = "completed"
    FAILED = "failed"
    DELETED = "deleted"


class OperationStatus(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    PARTIAL = "partial"
    CANCELLED = "cancelled"


def utc_now() -> datetime:
    """Return the time now, aware, in UTC."""
    return datetime.now(UTC)


def new_file_id() -> str:
    """Return an id of 26 characters that sorts by the time it was made.

    48 bits of milliseconds and 80 random bits in Crockford's base 32 (the layout of
    ULID, lower case), so that newest-first listings are an index scan.
    """
    return _id_of(time.time_ns() // 1_000_000, secrets.randbits(80))


def derived_id(time_ms: int, cause: str) -> str:
    """Return an id as `new_file_id` does, but the same one each time for the same arguments.

    Args:
        time_ms: when what it names was made, in milliseconds since 1970.
        cause: what tells it apart from all others.
    """
    digest = hashlib.sha256(cause.encode()).digest()
    return _id_of(time_ms & (1 << 48) - 1, int.from_bytes(digest[:10]))


def _id_of(time_ms: int, others: int) -> str:
    number = time_ms << 80 | others
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def new_operation_id() -> str:
    """Return a random UUID, the form of every operation id."""
    return str(uuid.uuid4())


def format_time(moment: datetime) -> str:
    """Return `moment` as RFC 3339 in UTC with `Z`, microseconds only where there are any."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """Read an RFC 3339 time; raises ValueError when it is none or carries no offset."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no UTC offset")
    return moment.astimezone(UTC)


def _to_json_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return format_time(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _to_json_value(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, (list, tuple)):
        return [_to_json_value(item) for item in value]
    if isinstance(value, dict):
        return {key: _to_json_value(item) for key, item in value.items()}
    return value


class JsonRecord:
    """A frozen dataclass that can be printed as JSON values and read back."""

    __slots__ = ()

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain JSON values, every field present."""
        values: dict[str, Any] = _to_json_value(self)
        return values


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord(JsonRecord):
    """What is known of one file (or directory) at one place.

    `location` is `local`, `s3`, `completed`, or the scheme of another destination
    (`file` for a local store). A directory's `size` is the sum of its files.
    """

    id: str = field(default_factory=new_file_id)
    name: str
    path: str
    location: str
    size: int
    is_directory: bool = False
    mime_type: str | None = None
    created_at: datetime | None = None
    modified_at: datetime | None = None
    accessed_at: datetime | None = None
    checksum: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    status: FileStatus = FileStatus.PENDING
    error_message: str | None = None

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Read what `to_json` wrote, ignoring fields this version does not know."""
        known = _known_fields(cls, values)
        for name in ("created_at", "modified_at", "accessed_at"):
            if known.get(name) is not None:
                known[name] = parse_time(known[name])
        known["status"] = FileStatus(known.get("status", FileStatus.PENDING))
        return cls(**known)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationRecord(JsonRecord):
    """One thing done to files, with its outcome."""

    operation_id: str = field(default_factory=new_operation_id)
    operation_type: str
    target_path: str
    target_name: str
    started_at: datetime = field(default_factory=utc_now)
    completed_at: datetime | None = None
    duration_seconds: float | None = None
    status: OperationStatus = OperationStatus.PENDING
    result_path: str | None = None
    error_message: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    user: str | None = None
    command_args: list[str] = field(default_factory=list)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Read what `to_json` wrote, ignoring fields this version does not know."""
        known = _known_fields(cls, values)
        known["started_at"] = parse_time(known["started_at"])
        if known.get("completed_at") is not None:
            known["completed_at"] = parse_time(known["completed_at"])
        known["status"] = OperationStatus(known["status"])
        for name in FILE_RECORD_FIELDS:
            if known.get(name) is not None:
                known[name] = FileRecord.from_json(known[name])
        return cls(**known)


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRecord(OperationRecord):
    """An upload: what was packed, where it went, and how it was proven.

    `compression_ratio` is original / compressed (2.0 = halved).
    """

    compression_type: str | None = None
    original_size: int | None = None
    compressed_size: int | None = None
    compression_ratio: float | None = None
    s3_bucket: str | None = None
    s3_object_key: str | None = None
    s3_storage_class: str | None = None
    checksum_original: str | None = None
    checksum_compressed: str | None = None
    checksum_s3_etag: str | None = None
    completed_dir_path: str | None = None
    compressed_file_path: str | None = None
    source_file_record: FileRecord | None = None
    compressed_file_record: FileRecord | None = None
    s3_file_record: FileRecord | None = None
    completed_file_record: FileRecord | None = None

    def file_records(self) -> list[FileRecord]:
        """Return the linked file records that exist so far."""
        linked = (getattr(self, name) for name in FILE_RECORD_FIELDS)
        return [record for record in linked if record is not None]


FILE_RECORD_FIELDS = (
    "source_file_record",
    "compressed_file_record",
    "s3_file_record",
    "completed_file_record",
)


def operation_from_json(values: dict[str, Any]) -> OperationRecord:
    """Read an operation of either kind, by its `operation_type`."""
    kind = UploadRecord if values.get("operation_type") == "upload" else OperationRecord
    return kind.from_json(values)


def _known_fields(cls: type, values: dict[str, Any]) -> dict[str, Any]:
    names = {f.name for f in dataclasses.fields(cls)}
    return {name: value for name, value in values.items() if name in names}
