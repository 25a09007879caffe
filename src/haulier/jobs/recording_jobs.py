"""The job that follows the upload of a recording: its steps, each done once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from haulier.catalog.catalog import Catalog
from haulier.catalog.transaction import Tx
from haulier.core.jobs import Job, JobState, new_job
from haulier.core.recordings import Recording, RecordingStatus
from haulier.core.records import utc_now
from haulier.errors import FileNotFoundError as NoSuchRecording
from haulier.errors import HaulierError, UnreadableMedia
from haulier.jobs.kinds import Done, JobKind
from haulier.jobs.recording_steps import (
    RecordingWork,
    Step,
    recording_steps,
    work_through,
)
from haulier.journeys.recording.manager import OfflineAudioManager
from haulier.journeys.recording.shelf import Shelf
from haulier.media.isolation import Workers
from haulier.store.local_files import system_errors

KIND = "recording"
COMPRESSED = {"before": "recording_bytes_before", "after": "recording_bytes_after"}
"""The counters of bytes before and after compression."""
_ATTEMPTS = 8
_PRIORITY = -5
_LIVING = frozenset({JobState.PENDING, JobState.RUNNING})


class RecordingJobs:
    """Has recordings worked on.

    Args:
        catalog: where jobs are recorded.
        manager: where recordings are kept.
        workers: where they are decoded.
        enqueued: called, from any thread, once a new job is committed.
        steps: what is done, by name in this order.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        manager: OfflineAudioManager,
        workers: Workers,
        enqueued: Callable[[Job], None] = lambda _job: None,
        steps: Callable[[], Mapping[str, Step]] = recording_steps,
    ) -> None:
        self._catalog = catalog
        self._manager = manager
        self._workers = workers
        self._enqueued = enqueued
        self._steps = steps

    def kinds(self) -> list[JobKind]:
        """Return the kinds that can be done here."""
        # One at a time: all of a recording is decoded several times. One that is not there may lie
        # in the directory of another worker.
        return [
            JobKind(
                name=KIND,
                run=self._run,
                hopeless=(UnreadableMedia,),
                failed=self._failed,
                at_once=1,
            )
        ]

    async def process(self, recording: Recording) -> Recording:
        """Have an uploaded recording worked on, once, and return it as it stands then."""

        def enqueue(tx: Tx) -> Job:
            for known in tx.jobs.of_subject(recording.recording_id):
                if known.state in _LIVING:
                    return known
            job = new_job(
                KIND,
                utc_now(),
                payload={"user_id": recording.user_id},
                subject=recording.recording_id,
                owner_id=recording.user_id,
                priority=_PRIORITY,
                max_attempts=_ATTEMPTS,
            )
            tx.jobs.enqueue(job)
            tx.after_commit(partial(self._enqueued, job))
            return job

        job = await self._catalog.transaction(enqueue)
        return await self._manager.mark_processing(
            recording.user_id, recording.recording_id, job.job_id
        )

    async def take_up(self) -> None:
        """Have those worked on whose job is not known any more, as with another catalog.

        One whose job failed where its recording did not lie is told to have failed.
        """
        for user_id in await self._manager.users():
            for one in await self._manager.list_recordings(user_id, RecordingStatus.PROCESSING):
                job_id = one.job_id or ""
                job = await self._catalog.read(lambda tx, job_id=job_id: tx.jobs.get(job_id))  # type: ignore[misc]  # a default binds it
                if job is None:
                    await self.process(one)
                elif job.state is JobState.FAILED:
                    await asyncio.to_thread(self._tell_failure, job, job.last_error or "")

    async def _run(self, job: Job) -> Done:
        user_id, recording_id = str(job.payload["user_id"]), job.subject or ""
        recording = await self._manager.get_recording(user_id, recording_id)
        shelf = await self._manager.shelf_of(user_id)
        work = RecordingWork(
            recording=recording,
            path=shelf.audio_path(recording),
            directory=shelf.home / "derived" / recording_id,
            workers=self._workers,
        )
        notes = await work_through(work, self._steps())
        duration = notes["probe"]["result"]["duration_s"]

        def record(tx: Tx) -> None:
            tx.watch.count(compressed_bytes(notes))
            _completed(shelf, recording_id, job.job_id, duration)

        return Done(result={"steps": notes}, record=record)

    def _failed(self, _tx: Tx, job: Job, why: str, is_last: bool) -> None:
        if is_last:
            self._tell_failure(job, why)

    def _tell_failure(self, job: Job, why: str) -> None:
        with suppress(NoSuchRecording):
            try:
                shelf = self._manager.opened_shelf(str(job.payload["user_id"]))
                shelf.set_failed(job.subject or "", why, job_id=job.job_id)
            except OSError as error:
                raise _unwritable(error) from error


def compressed_bytes(notes: Mapping[str, Any]) -> dict[str, int]:
    """Return what to add to the counters of bytes before and after compression."""
    results = [one["result"] for one in notes.values() if "result" in one]
    return {
        name: sum(one.get(f"bytes_{when}", 0) for one in results)
        for when, name in COMPRESSED.items()
    }


def _completed(shelf: Shelf, recording_id: str, job_id: str, duration: float | None) -> None:
    with suppress(NoSuchRecording):
        try:
            known = shelf.get(recording_id).duration if duration is None else duration
            shelf.set_completed(recording_id, job_id, duration=known)
        except OSError as error:
            raise _unwritable(error) from error


def _unwritable(error: OSError) -> HaulierError:
    try:
        with system_errors("recordings"):
            raise error
    except HaulierError as told:
        return told
