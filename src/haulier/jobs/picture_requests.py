"""Pictures and waveforms that are asked for: those that lie there, or the jobs that make them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path

from haulier.catalog.catalog import Catalog
from haulier.catalog.transaction import Tx
from haulier.core.accounts import StoredFile
from haulier.core.jobs import FileJob, Job, JobState, new_job
from haulier.core.records import utc_now
from haulier.errors import FileNotFoundError as NoSuchFile
from haulier.files.events import FileEvents
from haulier.files.reception import may_have_picture
from haulier.jobs.pictures import USUAL_SIDE_PX, PictureCache

_AT_WORK = (JobState.PENDING, JobState.RUNNING)
_ATTEMPTS = 3
# Somebody is waiting.
_PRIORITY = 5


class Pictures:
    """What was made of files for looking at them, made when it is asked for.

    Args:
        catalog: where jobs are recorded.
        cache: where pictures lie.
        events: told of jobs.
        enqueued: called, from any thread, once there is a job to be done.
        now: the clock.
    """

    def __init__(
        self,
        catalog: Catalog,
        cache: PictureCache,
        events: FileEvents,
        *,
        enqueued: Callable[[Job], None],
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._catalog = catalog
        self._cache = cache
        self._events = events
        self._enqueued = enqueued
        self._now = now

    async def picture(self, stored: StoredFile, side_px: int) -> Path | Job:
        """Return where a file's picture of that size lies, or the job that is going to make it.

        Raises:
            FileNotFoundError: no picture can be made of the file.
        """
        path = self._cache.picture(stored.content_id, side_px)
        return await self._made(stored, path, FileJob.THUMBNAIL, {"side_px": side_px})

    async def waveform(self, stored: StoredFile) -> Path | Job:
        """Return where a file's waveform lies, or the job that is going to make it.

        Raises:
            FileNotFoundError: there is no sound in the file.
        """
        path = self._cache.waveform(stored.content_id)
        return await self._made(stored, path, FileJob.WAVEFORM, {})

    async def _made(
        self, stored: StoredFile, path: Path, kind: FileJob, payload: Mapping[str, int]
    ) -> Path | Job:
        def work(tx: Tx) -> Path | Job:
            known = self._known(tx, stored, path, kind, payload)
            return self._enqueue(tx, stored, kind, payload) if known is None else known

        known = await self._catalog.read(lambda tx: self._known(tx, stored, path, kind, payload))
        return await self._catalog.transaction(work) if known is None else known

    def _known(
        self, tx: Tx, stored: StoredFile, path: Path, kind: FileJob, payload: Mapping[str, int]
    ) -> Path | Job | None:
        """Return what there is, or who is at it; None when nobody is."""
        jobs = [
            one
            for one in tx.jobs.of_subject(stored.content_id)
            if one.kind == kind and _side_px(one.payload) == _side_px(payload)
        ]
        # After the jobs: one that has completed meanwhile left it there.
        if path.exists():
            return path
        if not may_have_picture(stored):
            raise NoSuchFile(
                f"no picture is made of {stored.name}",
                hint="Pictures are made of images, videos, PDFs and sound.",
            )
        last = jobs[-1] if jobs else None
        if last is not None and last.state is JobState.FAILED:
            raise NoSuchFile(f"no picture can be made of {stored.name}: {last.last_error}")
        return last if last is not None and last.state in _AT_WORK else None

    def _enqueue(
        self, tx: Tx, stored: StoredFile, kind: FileJob, payload: Mapping[str, int]
    ) -> Job:
        job = new_job(
            kind,
            self._now(),
            payload={"file_id": stored.file_id, **payload},
            subject=stored.content_id,
            owner_id=stored.owner_id,
            priority=_PRIORITY,
            max_attempts=_ATTEMPTS,
        )
        tx.jobs.enqueue(job)
        self._events.job_changed(tx, job)
        tx.after_commit(partial(self._enqueued, job))
        return job


def _side_px(payload: Mapping[str, object]) -> object:
    return payload.get("side_px", USUAL_SIDE_PX)
