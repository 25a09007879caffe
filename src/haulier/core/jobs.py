"""A job: work that is done after the request that made it necessary was answered.

    pending ──► running ──► completed
       ▲  │        │  │
       │  │        │  └───► failed       it can't succeed, or was tried often enough
       │  └────────┼──────► cancelled    what it was about is gone
       └───────────┘                     a try failed, the worker died or was stopped

A worker holds a running job by a lease, which it renews. When the lease ends unrenewed the job is
pending again, so every job must be safe to run twice. Its token grows with each claim: whoever
comes with an older one lost the job meanwhile, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from haulier.core.records import new_file_id

_FIRST_BACKOFF_S = 2
_LONGEST_BACKOFF = timedelta(hours=1)


class JobState(StrEnum):
    """Where a job stands."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class FileJob(StrEnum):
    """The kinds of jobs that a file's upload gives rise to."""

    VERIFY = "verify"
    SCAN = "scan"
    DIGEST = "digest"
    THUMBNAIL = "thumbnail"
    WAVEFORM = "waveform"
    PACK = "pack"
    RECORDING = "recording-file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is known of a job; changes make new ones.

    Args:
        job_id: 26 characters of 0-9 and a-z that sort by the time the job was made.
        kind: which code does it.
        payload: what that code is told.
        subject: id of the file it is about.
        owner_id: for whom it is done.
        priority: jobs of a higher one go first.
        attempts: how often it was begun.
        max_attempts: how often it may be begun.
        not_before: when it may be begun.
        lease_until: until when its worker holds it.
        token: grows with each claim.
        last_error: why the last attempt failed.
        result: what it came to.
        worker: the process that holds it, where that is known.
    """

    job_id: str
    kind: str
    created_at: datetime
    updated_at: datetime
    not_before: datetime
    payload: Mapping[str, Any] = field(default_factory=dict)
    subject: str | None = None
    owner_id: str | None = None
    state: JobState = JobState.PENDING
    priority: int = 0
    attempts: int = 0
    max_attempts: int = 5
    lease_until: datetime | None = None
    token: int = 0
    last_error: str | None = None
    result: Mapping[str, Any] | None = None
    worker: str | None = None


def new_job(kind: str, now: datetime, **more: Any) -> Job:
    """Return a pending job that may be begun at once; `more` are other fields of it."""
    return Job(
        job_id=new_file_id(), kind=kind, created_at=now, updated_at=now, not_before=now, **more
    )


def backoff(attempts: int) -> timedelta:
    """Return how long to wait after that many attempts: 2 s, 4 s, 8 s, … up to an hour."""
    doublings = min(attempts - 1, 30)
    return min(_LONGEST_BACKOFF, timedelta(seconds=_FIRST_BACKOFF_S * 2**doublings))
