"""The job that follows a recording which came as a file: from a browser, or another device."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from haulier.core.accounts import StoredFile
from haulier.core.jobs import FileJob, Job
from haulier.core.recordings import MODE_TAG, Recording, RecordingStatus
from haulier.core.records import utc_now
from haulier.errors import MediaError
from haulier.jobs.file_jobs import GONE, FileJobs
from haulier.jobs.kinds import Done, JobKind
from haulier.jobs.recording_jobs import compressed_bytes
from haulier.jobs.recording_steps import RecordingWork, Step, recording_steps, work_through
from haulier.media.isolation import Workers


class RecordedFiles:
    """Has them worked on as `RecordingJobs` has those that are kept here.

    Args:
        files: knows them, and where they lie.
        directory: for what is made of each, below the id of its content.
        workers: where they are decoded.
        steps: what is done, by name in this order.
    """

    def __init__(
        self,
        *,
        files: FileJobs,
        directory: Path,
        workers: Workers,
        steps: Callable[[], Mapping[str, Step]] = recording_steps,
    ) -> None:
        self._files = files
        self._directory = directory
        self._workers = workers
        self._steps = steps

    def kinds(self) -> list[JobKind]:
        """Return the kinds that can be done here."""
        return [JobKind(name=FileJob.RECORDING, run=self._run, hopeless=(MediaError,), at_once=1)]

    async def remove(self, content_id: str) -> None:
        """Remove what was made of a content; may be done twice."""
        await asyncio.to_thread(shutil.rmtree, self._directory / content_id, ignore_errors=True)

    async def _run(self, job: Job) -> Done:
        stored = await self._files.living_file(job)
        if stored is None:
            return GONE
        async with self._files.on_disk(stored) as path:
            work = RecordingWork(
                recording=_recording_of(stored, job),
                path=path,
                directory=self._directory / stored.content_id,
                workers=self._workers,
            )
            notes = await work_through(work, self._steps())
        return Done(
            result={"steps": notes}, record=lambda tx: tx.watch.count(compressed_bytes(notes))
        )


def _recording_of(stored: StoredFile, job: Job) -> Recording:
    return Recording(
        recording_id=stored.content_id,
        user_id=stored.owner_id,
        mode=stored.tags.get(MODE_TAG, ""),
        status=RecordingStatus.PROCESSING,
        file_size=stored.size_bytes,
        checksum=f"crc64nvme:{stored.crc64nvme}",
        format=Path(stored.name).suffix[1:].lower(),
        created_at=stored.created_at,
        updated_at=utc_now(),
        job_id=job.job_id,
        location=f"/api/files/{stored.file_id}",
    )
