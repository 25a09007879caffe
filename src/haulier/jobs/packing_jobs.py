"""Files packed at rest, long after their upload was answered, and read as before.

There are two jobs to each: one writes the packed file, one removes the plain one a while later,
when nobody is left who was told where it lies: nginx, or a job that made its picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from haulier.catalog.catalog import Catalog
from haulier.catalog.transaction import Tx
from haulier.core.accounts import ScanState, StoredFile
from haulier.core.jobs import FileJob, Job, JobState, new_job
from haulier.core.mime import is_compressible
from haulier.core.records import utc_now
from haulier.core.sessions.chunks import Span
from haulier.core.sniff import HEAD_BYTES, TAIL_BYTES, sniff
from haulier.errors import VerificationFailed
from haulier.jobs.kinds import Done, JobKind
from haulier.transfer.sessions.staging import PackingStage, Stage

_IS_PACKED = "is_packed"
_PRIORITY = -20
_GONE = Done(result={"outcome": "the file is gone"})
_WAITS = {"outcome": "waits for other jobs"}
_KEPT = Done(result={"outcome": "kept as it is"})


class PackingJobs:
    """The jobs that pack files.

    Args:
        catalog: where files are recorded.
        stage: where their bytes lie.
        packs: whether files are packed from now on; what was begun is ended in any case.
        plain_kept_for: how long the plain file stays beside the packed one.
        now: the clock.
    """

    def __init__(
        self,
        catalog: Catalog,
        stage: Stage,
        *,
        packs: bool,
        plain_kept_for: timedelta = timedelta(minutes=1),
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._catalog = catalog
        self._stage = stage
        self._packs = packs
        self._plain_kept_for = plain_kept_for
        self._now = now

    def kind(self) -> JobKind:
        """Return the kind: one at a time, as nobody waits for it."""
        return JobKind(name=FileJob.PACK, run=self._run, hopeless=(VerificationFailed,), at_once=1)

    async def _run(self, job: Job) -> Done:
        stored, others = await self._catalog.read(lambda tx: _look(tx, job))
        if stored is None or stored.scan_state is ScanState.INFECTED:
            return _GONE
        if not isinstance(self._stage, PackingStage):
            return _KEPT
        if not job.payload.get(_IS_PACKED):
            return await self._pack(self._stage, stored)
        if others:
            # One of them may be about to open the plain file.
            return Done(result=_WAITS, record=lambda tx: self._remove_later(tx, stored))
        await self._stage.remove_plain(stored.content_id)
        return Done(result={"outcome": "packed"})

    async def _pack(self, stage: PackingStage, stored: StoredFile) -> Done:
        if not self._packs or not await self._is_compressible(stored):
            return _KEPT
        packed_bytes = await stage.pack(
            stored.content_id, stored.size_bytes, int(stored.crc64nvme, 16)
        )
        if packed_bytes is None:
            return _KEPT
        return Done(
            result={
                "outcome": "packed",
                "size_bytes": stored.size_bytes,
                "packed_bytes": packed_bytes,
            },
            record=lambda tx: self._remove_later(tx, stored),
        )

    async def _is_compressible(self, stored: StoredFile) -> bool:
        head = await self._read(stored, Span(0, min(HEAD_BYTES, stored.size_bytes)))
        tail_at = max(stored.size_bytes - TAIL_BYTES, len(head))
        tail = await self._read(stored, Span(tail_at, stored.size_bytes - tail_at))
        found = sniff(head, tail)
        return found is not None and is_compressible(found.mime_type)

    async def _read(self, stored: StoredFile, span: Span) -> bytes:
        async with self._stage.read(stored.content_id, span) as pieces:
            return b"".join([bytes(piece) async for piece in pieces])

    def _remove_later(self, tx: Tx, stored: StoredFile) -> None:
        now = self._now()
        job = new_job(
            FileJob.PACK,
            now,
            payload={"file_id": stored.file_id, _IS_PACKED: True},
            subject=stored.content_id,
            owner_id=stored.owner_id,
            priority=_PRIORITY,
        )
        tx.jobs.enqueue(replace(job, not_before=now + self._plain_kept_for))


def _look(tx: Tx, job: Job) -> tuple[StoredFile | None, bool]:
    """Return the file that a job is about, and whether other jobs work on it."""
    stored = tx.stored.of_content(job.subject or "")
    others = [one for one in tx.jobs.of_subject(job.subject or "") if one.job_id != job.job_id]
    return stored, any(one.state is JobState.RUNNING for one in others)
