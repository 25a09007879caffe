"""What the recordings API answers, as its OpenAPI page describes it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, RootModel

from haulier.core.recordings import RecordingStatus

_ID = "0b1f6f0e-8c4e-4a53-9a55-1f7a0e2f6c11"
_TIME = "2026-03-01T12:00:00Z"
_JOB = "01k9fj2q7vdm3c8x5t0h4n6bwz"


def _like(**example: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"example": example})


_RECORDING: dict[str, Any] = {
    "recording_id": _ID, "user_id": _JOB, "mode": "recap", "status": "uploaded",
    "file_size": 1048576, "checksum": "crc64nvme:53f2a1c9b07e4d88", "format": "wav",
    "duration": 32.7, "created_at": _TIME, "updated_at": _TIME, "job_id": None,
    "location": "s3://media/recordings/a.wav", "error": None,
}  # fmt: skip
_QUEUED: dict[str, Any] = {
    "recording_id": _ID,
    "queued_at": _TIME,
    "attempts": 1,
    "last_error": "timed out",
}


class SavedRecording(BaseModel):
    """A recording that is kept."""

    model_config = _like(recording_id=_ID, status="recorded", file_size=1048576)

    recording_id: str
    status: RecordingStatus
    file_size: int


class RecordingMetadata(BaseModel):
    """What is known of a recording."""

    model_config = _like(**_RECORDING)

    recording_id: str
    user_id: str
    mode: str
    status: RecordingStatus
    file_size: int
    checksum: str
    format: str
    duration: float | None
    created_at: str
    updated_at: str
    job_id: str | None
    location: str | None
    error: str | None


class RecordingList(RootModel[list[RecordingMetadata]]):
    """Recordings, newest first."""

    model_config = ConfigDict(json_schema_extra={"example": [_RECORDING]})


class QueuedRecording(BaseModel):
    """A recording that waits to be sent."""

    model_config = _like(**_QUEUED)

    recording_id: str
    queued_at: str
    attempts: int
    last_error: str | None


class RecordingQueue(RootModel[list[QueuedRecording]]):
    """What waits, what waits longest first."""

    model_config = ConfigDict(json_schema_extra={"example": [_QUEUED]})


class SyncedRecording(BaseModel):
    """How the upload of one recording stands."""

    recording_id: str
    status: RecordingStatus
    upload_endpoint: str
    job_id: str | None = None
    error: str | None = None


class SyncReport(BaseModel):
    """How many are there, failed, and are under way."""

    model_config = _like(
        synced=1, failed=0, pending=0,
        recordings=[{"recording_id": _ID, "status": "processing", "job_id": _JOB,
                     "upload_endpoint": f"/upload/sync/{_ID}"}],
    )  # fmt: skip

    synced: int
    failed: int
    pending: int
    recordings: list[SyncedRecording]


class UploadedRecording(BaseModel):
    """A recording that is there, and the job that works on it."""

    model_config = _like(recording_id=_ID, status="uploaded", job_id=_JOB)

    recording_id: str
    status: str
    job_id: str | None


class CompressionAdvice(BaseModel):
    """What a recording would take; sizes are bytes, the ratio is new by old."""

    model_config = _like(
        current_format="wav", current_size=104857600, recommended_format="opus",
        estimated_size=7340032, compression_ratio=0.07, estimated_time_minutes=0.2,
        bandwidth_saved=97517568,
    )  # fmt: skip

    current_format: str
    current_size: int
    recommended_format: str
    estimated_size: int
    compression_ratio: float
    estimated_time_minutes: float
    bandwidth_saved: int


class RecordingStorage(BaseModel):
    """What one's recordings take."""

    model_config = _like(
        files=2, bytes=2097152, by_status={"recorded": 1, "uploaded": 1}, queued=1,
        limit_bytes=524288000, free_bytes=107374182400, trash_files=0, trash_bytes=0,
        only_in_trash=[], damaged=[],
    )  # fmt: skip

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
