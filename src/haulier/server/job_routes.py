"""Jobs: how the work stands that follows from an upload."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from haulier.core.jobs import FileJob, Job
from haulier.core.records import format_time
from haulier.core.sessions.session import SessionStatus, UploadSession
from haulier.errors import FileNotFoundError as NoSuchJob
from haulier.files.access import acting_for, may_see_job
from haulier.server.identity import Reader, TheServices
from haulier.server.services import Services

router = APIRouter(prefix="/api/jobs", tags=["jobs"])


@router.get("/{job_id}")
async def get_job(job_id: str, user: Reader, services: TheServices) -> dict[str, Any]:
    """Say how a job stands; jobs that ended can be asked about for a week."""
    job = await services.catalog.read(lambda tx: tx.jobs.get(job_id), acting=acting_for(user))
    if job is None or not may_see_job(user, job):
        raise NoSuchJob("there is no such job")
    return job_shown(job)


async def job_of(services: Services, session: UploadSession) -> str | None:
    """Return the id of the job that an upload waits for, or else of the first that follows it."""
    if session.file_id is None:
        return None
    file_id, is_verifying = session.file_id, session.status is SessionStatus.VERIFYING
    jobs = await services.catalog.read(lambda tx: tx.jobs.of_subject(file_id))
    asked = [job for job in jobs if (job.kind == FileJob.VERIFY) is is_verifying]
    return max(asked, key=lambda job: job.priority).job_id if asked else None


def job_shown(job: Job) -> dict[str, Any]:
    """Return what is told of a job."""
    return {
        "id": job.job_id,
        "kind": job.kind,
        "status": job.state,
        "file_id": job.payload.get("file_id", job.subject),
        "attempts": job.attempts,
        "max_attempts": job.max_attempts,
        "not_before": format_time(job.not_before),
        "error": job.last_error,
        "result": job.result,
        "created_at": format_time(job.created_at),
        "updated_at": format_time(job.updated_at),
    }
