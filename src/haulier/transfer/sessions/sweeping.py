"""What is done to sessions that nobody comes back to, and to what a crash left half done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from haulier.catalog.catalog import Catalog
from haulier.catalog.transaction import Tx
from haulier.coordination.locks import Locks
from haulier.core.jobs import JobState
from haulier.core.records import utc_now
from haulier.core.sessions.session import SessionStatus, UploadSession
from haulier.errors import (
    ChecksumMismatch,
    ContentRefused,
    ExternalServiceError,
    FilePermissionError,
    LockBusy,
    PreconditionFailed,
    SessionGone,
    StorageFull,
)
from haulier.transfer.sessions.finishing import Finisher
from haulier.transfer.sessions.joining import Joiner
from haulier.transfer.sessions.staging import Stage

_BATCH = 100
_NOT_FINISHED = (
    ChecksumMismatch,
    ContentRefused,
    ExternalServiceError,
    LockBusy,
    PreconditionFailed,
    FilePermissionError,
    SessionGone,
)
_ENDED = frozenset(
    {
        SessionStatus.COMPLETED,
        SessionStatus.FAILED,
        SessionStatus.CANCELLED,
        SessionStatus.EXPIRED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a sweep did, as counts of sessions, and of files that belonged to none."""

    joined: int = 0
    finished: int = 0
    unverifiable: int = 0
    expired: int = 0
    forgotten: int = 0
    orphans: int = 0


class Sweeper:
    """Ends sessions that expired, finishes those that a crash interrupted, forgets old ones.

    Args:
        catalog: where sessions are recorded.
        stage: where their bytes lie.
        finisher: ends and finishes them.
        joiner: puts parts together, where sessions are joined.
        locks: the engine's.
        now: the clock.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        stage: Stage,
        finisher: Finisher,
        joiner: Joiner | None = None,
        locks: Locks,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._catalog = catalog
        self._stage = stage
        self._finisher = finisher
        self._joiner = joiner
        self._locks = locks
        self._now = now

    async def sweep(self) -> Swept:
        """Do what is due; harmless at any moment and as often as one likes."""
        return Swept(
            joined=await self._join_waiting(),
            finished=await self._finish_interrupted(),
            unverifiable=await self._fail_unverifiable(),
            expired=await self._expire(),
            forgotten=await self._forget(),
            orphans=await self._discard_orphans(),
        )

    async def _join_waiting(self) -> int:
        joined = 0
        if self._joiner is None:
            return joined
        for session_id in await self._list({SessionStatus.JOINING}, before=None):
            try:
                await self._joiner.join(session_id)
            except (ContentRefused, ExternalServiceError, StorageFull, LockBusy):
                continue
            joined += 1
        return joined

    async def _finish_interrupted(self) -> int:
        finished = 0
        whole = await self._catalog.read(lambda tx: tx.sessions.whole(_BATCH))
        interrupted = await self._list({SessionStatus.FINISHING}, before=None)
        # Of a whole one nobody may come back: its client was told that all bytes are safe.
        interrupted += [session.session_id for session in whole]
        for session_id in interrupted:
            try:
                await self._finisher.finish(session_id)
            except _NOT_FINISHED:
                # It ended with its reason, is being finished right now, or waits for its disk.
                continue
            finished += 1
        return finished

    async def _fail_unverifiable(self) -> int:
        """End sessions whose file could not be hashed however often it was tried."""
        failed = 0
        for session_id in await self._list({SessionStatus.VERIFYING}, before=None):
            # Without the lock first: a job that hashes has it for long.
            if await self._hopeless(session_id) is None:
                continue
            try:
                async with self._locks.hold(f"upload:{session_id}", breaking=False):
                    session, reason = await self._get(session_id), await self._hopeless(session_id)
                    if session is not None and reason is not None:
                        await self._finisher.fail(session, reason)
                        failed += 1
            except LockBusy:
                continue
        return failed

    async def _hopeless(self, session_id: str) -> str | None:
        """Return why no job verifies the session's file any more; None while one does."""

        def look(tx: Tx) -> str | None:
            session = tx.sessions.get(session_id)
            if session is None or session.status is not SessionStatus.VERIFYING:
                return None
            jobs = tx.jobs.of_subject(session.file_id or "")
            if any(job.state in {JobState.PENDING, JobState.RUNNING} for job in jobs):
                return None
            last_error = jobs[-1].last_error if jobs else None
            return last_error or f"{session.name} could not be verified"

        return await self._catalog.read(look)

    async def _expire(self) -> int:
        expired = 0
        for session_id in await self._list({SessionStatus.RECEIVING}, before=self._now()):
            try:
                async with self._locks.hold(f"upload:{session_id}", breaking=False):
                    # It may have been touched between the list and the lock.
                    session = await self._get(session_id)
                    if session is not None and session.is_expired(self._now()):
                        await self._finisher.end(session, SessionStatus.EXPIRED)
                        expired += 1
            except LockBusy:
                continue
        return expired

    async def _forget(self) -> int:
        forgotten = 0
        for session_id in await self._list(_ENDED, before=self._now()):
            session = await self._get(session_id)
            if session is not None and await self._finisher.remove_bytes(session):
                await self._delete(session_id)
                forgotten += 1
        return forgotten

    async def _discard_orphans(self) -> int:
        """Remove files of sessions that have ended or that no row speaks of.

        A row is committed before its file is made, so that none of these is about to begin.
        """
        orphans = 0
        for session_id in await self._stage.session_ids():
            session = await self._get(session_id)
            if session is None:
                await self._stage.discard(session_id)
                orphans += 1
            elif session.status in _ENDED:
                orphans += await self._finisher.remove_bytes(session)
        return orphans

    async def _get(self, session_id: str) -> UploadSession | None:
        return await self._catalog.read(lambda tx: tx.sessions.get(session_id))

    async def _delete(self, session_id: str) -> None:
        await self._catalog.transaction(lambda tx: tx.sessions.delete(session_id))

    async def _list(
        self, statuses: set[SessionStatus] | frozenset[SessionStatus], *, before: datetime | None
    ) -> list[str]:
        found = await self._catalog.read(lambda tx: tx.sessions.in_status(statuses, before, _BATCH))
        return [session.session_id for session in found]
