"""What the API answers, as its OpenAPI page describes it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from haulier.core.sessions.session import Order, SessionStatus

_ID = "01k9fj2q7vdm3c8x5t0h4n6bwz"
_SESSION = "5f3c9a1be2d84706a9b8c7d6e5f40312"
_TIME = "2026-03-01T12:00:00Z"
_LARGEST_CHUNK_BYTES = 100 << 20


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


def _like(**example: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"example": example})


_FILE = {
    "id": _ID, "name": "clip.mp4", "folder": "holiday", "size": 1048576, "mime_type": "video/mp4",
    "owner": _ID, "version": 1, "created_at": _TIME, "modified_at": _TIME,
    "checksum": "crc64nvme:53f2a1c9b07e4d88", "crc32": "crc32:9f1e22b4", "sha256": None,
    "tags": {"trip": "north"}, "scan_state": "clean", "scan_detail": None,
}  # fmt: skip

_FOLDER = {
    "id": _ID, "path": "holiday/2026", "name": "2026", "owner": _ID, "created_at": _TIME,
}  # fmt: skip


_OPEN_UPLOAD = {
    "session_id": _SESSION, "name": "clip.mp4", "folder": "holiday", "size": 3145728,
    "bytes": 1048576, "order": "sequential", "created_at": _TIME,
    "expires_at": "2026-03-02T12:00:00Z",
}  # fmt: skip


class Problem(BaseModel):
    """An error (RFC 9457); some carry members of their own beside these."""

    model_config = ConfigDict(extra="allow")

    type: str
    status: int
    code: str = Field(description="stable, for programs")
    detail: str = Field(description="for people")
    request_id: str = Field(description="what to name when asking about it")
    advice: str | None = None
    missing: list[Any] | None = Field(None, description="of chunks-missing: what has not arrived")
    errors: list[dict[str, Any]] | None = Field(None, description="of schema: what does not fit")


class FileMetadata(_Answer):
    """What is known of a stored file."""

    model_config = _like(**_FILE)

    id: str
    name: str
    folder: str
    size: int
    mime_type: str | None
    owner: str
    version: int
    created_at: str
    modified_at: str
    deleted_at: str | None
    checksum: str
    crc32: str
    sha256: str | None
    tags: dict[str, str]
    scan_state: str
    scan_detail: str | None


class FileList(_Answer):
    """A page of files, newest first."""

    model_config = _like(items=[_FILE], next_cursor=None)

    items: list[FileMetadata]
    next_cursor: str | None


class FileChanges(_Answer):
    """What changed, each file once; `next_cursor` is what to ask with again."""

    model_config = _like(
        items=[{"id": _ID, "change": "deleted", "file": None}], next_cursor="42", more=False
    )

    items: list[FileChangeItem]
    next_cursor: str
    more: bool


class FileChangeItem(_Answer):
    """The last change of a file, and the file as it is now."""

    id: str
    change: Literal["updated", "deleted"]
    file: FileMetadata | None


class BulkOutcomes(_Answer):
    """What became of each file."""

    model_config = _like(items=[{"id": _ID, "status": 204}])

    items: list[BulkOutcome]


class BulkOutcome(_Answer):
    """What one request for this file alone would have answered."""

    id: str
    status: int
    file: FileMetadata | None = None
    code: str | None = None
    detail: str | None = None


class FileStorageConfig(_Answer):
    """Which files are taken and how they are kept; sizes are in bytes."""

    model_config = _like(
        max_file_size=None, max_json_file_size=104857600, allowed_types=["image/*", "video/mp4"],
        checksums=["sha256", "crc64nvme"], durability="chunk", scans=True, upload_ttl_hours=24,
        trash_retention_days=30,
    )  # fmt: skip

    max_file_size: int | None = Field(description="null: what the disk holds")
    max_json_file_size: int = Field(description="of files sent by /api/files/upload")
    allowed_types: list[str] = Field(description="none: all")
    checksums: list[str] = Field(description="the algorithms that chunks and files may name")
    durability: Literal["none", "chunk", "complete"]
    scans: bool = Field(description="whether files are looked at for malware")
    upload_ttl_hours: int = Field(description="how long an upload may rest without bytes")
    trash_retention_days: int | None = Field(description="null: for ever")


class FolderMetadata(_Answer):
    """What is known of a folder."""

    model_config = _like(**_FOLDER)

    id: str
    path: str
    name: str
    owner: str
    created_at: str


class FolderList(_Answer):
    """A page of folders, by name."""

    model_config = _like(items=[_FOLDER], next_cursor=None)

    items: list[FolderMetadata]
    next_cursor: str | None


class FileUploadRequest(BaseModel):
    """What is said of a file before it is sent."""

    name: str = Field(min_length=1, max_length=1024, examples=["clip.mp4"])
    size: int | None = Field(default=None, ge=0, examples=[3145728])
    mime_type: str | None = Field(default=None, max_length=255)
    checksum: str | None = Field(default=None, max_length=200)
    chunk_size: int | None = Field(default=None, ge=1, le=_LARGEST_CHUNK_BYTES)
    tags: dict[str, str] = Field(default_factory=dict, max_length=50)
    folder: str | None = Field(default=None, max_length=1024)
    folder_id: str | None = Field(
        default=None,
        pattern="^[0-9a-z]{20,32}$",
        description="of a folder in which one may write, also another's; `folder` is below it",
    )


class FileUploadSession(_Answer):
    """An upload that was begun; of an empty file also the file."""

    model_config = _like(
        session_id=_SESSION, chunk_size=1048576, total_chunks=3, expires_at="2026-03-02T12:00:00Z"
    )

    session_id: str
    chunk_size: int
    total_chunks: int | None
    expires_at: str
    status: Literal["completed"] | None = None
    file: FileMetadata | None = None


class FileChunk(_Answer):
    """A chunk that is safe; with the last one the file."""

    model_config = _like(
        session_id=_SESSION, chunk_number=1, status="received", received_bytes=1048576,
        received_chunks=1, missing_count=2,
    )  # fmt: skip

    session_id: str
    chunk_number: int | None = None
    status: Literal["received", "verifying", "completed"]
    received_bytes: int | None = None
    received_chunks: int | None = None
    missing_count: int | None = None
    file: FileMetadata | None = None
    job_id: str | None = None


class FileUploadProgress(_Answer):
    """How far an upload came; runs are the first and the last number."""

    model_config = _like(
        session_id=_SESSION, name="clip.mp4", size=3145728, chunk_size=1048576, total_chunks=3,
        received=[[1, 1]], missing=[[2, 3]], bytes=1048576, percent=33.33, rate_bps=524288,
        expires_at="2026-03-02T12:00:00Z", status="receiving",
    )  # fmt: skip

    session_id: str
    name: str
    size: int | None
    chunk_size: int
    total_chunks: int | None
    received: list[tuple[int, int]]
    missing: list[tuple[int, int]]
    bytes: int
    percent: float | None
    rate_bps: int
    expires_at: str
    status: SessionStatus


class OpenUpload(_Answer):
    """An upload that is under way; its size is null while nobody told it."""

    model_config = _like(**_OPEN_UPLOAD)

    session_id: str
    name: str
    folder: str
    size: int | None
    bytes: int
    order: Order
    created_at: str
    expires_at: str


class OpenUploads(_Answer):
    """A page of uploads that are under way."""

    model_config = _like(items=[_OPEN_UPLOAD], next_cursor=None)

    items: list[OpenUpload]
    next_cursor: str | None


class ChunkedSession(_Answer):
    """An upload of the chunked API that was begun."""

    model_config = _like(file_id=_SESSION, chunk_size=1048576, total_chunks=3)

    file_id: str
    chunk_size: int
    total_chunks: int


class ChunkedReceipt(_Answer):
    """A chunk of the chunked API that is safe; progress is between 0 and 1."""

    model_config = _like(chunk_number=1, status="received", progress=0.3333)

    chunk_number: int
    status: Literal["received"]
    progress: float


class ChunkedStatus(_Answer):
    """How far an upload of the chunked API came."""

    model_config = _like(uploaded_chunks=[1], missing=[2, 3], bytes=1048576, percent=33.33)

    uploaded_chunks: list[int]
    missing: list[int]
    bytes: int
    percent: float | None


class ChunkedResult(_Answer):
    """The end of an upload of the chunked API."""

    model_config = _like(file_id=_ID, status="completed", checksum="crc32:9f1e22b4", job_id=None)

    file_id: str | None = None
    status: Literal["completed", "verifying"]
    checksum: str | None = None
    job_id: str | None = None


class TokenPair(_Answer):
    """Tokens: one for requests, one for new tokens."""

    model_config = _like(
        access_token="eyJhbGciOi…", refresh_token="eyJhbGciOi…", token_type="bearer",  # noqa: S106
        expires_in=3600,
    )  # fmt: skip

    access_token: str
    refresh_token: str
    token_type: Literal["bearer"]
    expires_in: int


class Ticket(_Answer):
    """What opens one WebSocket or event stream, within a minute."""

    model_config = _like(ticket="8rWZ1k…", expires_in=60)

    ticket: str
    expires_in: int


class Account(_Answer):
    """Who is asking, and how much they keep, in bytes."""

    model_config = _like(id=_ID, name="ann", role="user", quota=None, used=1048576, reserved=0)

    id: str
    name: str
    role: Literal["admin", "user", "viewer"]
    quota: int | None
    used: int
    reserved: int


_USER = {
    "id": _ID, "name": "ann", "role": "user", "disabled": False, "quota": None, "used": 1048576,
    "reserved": 0, "created_at": _TIME,
}  # fmt: skip


class UserAccount(Account):
    """An account as admins see it."""

    model_config = _like(**_USER)

    disabled: bool
    created_at: str


class UserList(_Answer):
    """A page of accounts, oldest first."""

    model_config = _like(items=[_USER], next_cursor=None)

    items: list[UserAccount]
    next_cursor: str | None


class FileDownloadResponse(_Answer):
    """Where a file's bytes are to be had without a header, for a while."""

    model_config = _like(url="https://files.example/l/01k9fj…", expires_at=_TIME)

    url: str
    expires_at: str


class JobState(_Answer):
    """How a job stands."""

    model_config = _like(
        id=_SESSION, kind="file.sha256", status="done", file_id=_ID, attempts=1, max_attempts=5,
        not_before=_TIME, error=None, result=None, created_at=_TIME, updated_at=_TIME,
    )  # fmt: skip

    id: str
    kind: str
    status: str
    file_id: str
    attempts: int
    max_attempts: int
    not_before: str
    error: str | None
    result: Any
    created_at: str
    updated_at: str


class JobList(_Answer):
    """Jobs about a file, newest first."""

    model_config = _like(items=[], next_cursor=None)

    items: list[JobState]
    next_cursor: str | None


class AuditItem(_Answer):
    """Who did what to what, from where, and its number in the chain of an instance."""

    model_config = _like(
        instance="4f8a…", number=17, at=_TIME, actor="ann", action="DELETE /api/files/{file_id}",
        object=_ID, status=204, address="192.0.2.7", request_id="5f0c9d2e", details={},
    )  # fmt: skip

    instance: str
    number: int
    at: str
    actor: str | None
    action: str
    object: str | None
    status: int | None
    address: str | None
    request_id: str | None
    details: dict[str, Any]


class AuditPage(_Answer):
    """Entries of the audit log, newest first."""

    model_config = _like(items=[], next_cursor=None)

    items: list[AuditItem]
    next_cursor: str | None


class AdminMetrics(_Answer):
    """What there is in all on the server."""

    model_config = _like(
        users=2, used_bytes=1048576, reserved_bytes=0, uploads={"receiving": 1},
        files={"clean": 3}, jobs={"pending": 0},
    )  # fmt: skip

    users: int
    used_bytes: int
    reserved_bytes: int
    uploads: dict[str, int]
    files: dict[str, int]
    jobs: dict[str, int]


class Health(_Answer):
    """Whether the server works."""

    model_config = _like(status="ok", checks={"catalog": "ok", "storage": "ok"})

    status: Literal["ok"]
    checks: dict[str, str] | None = None


class FileWebSocketEvents(_Answer):
    """A message of `/ws` and `/api/events`."""

    model_config = _like(
        id="5f3c9a1b-17",
        type="upload.progress",
        time=_TIME,
        data={
            "session_id": _SESSION,
            "received_bytes": 2097152,
            "size": 3145728,
            "rate_bps": 1048576,
        },
    )

    id: str = Field(description="what to name in last_event_id")
    type: str = Field(description="what happened; reset: look for yourself how things stand")
    time: str
    data: dict[str, Any]
