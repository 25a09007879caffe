"""The embedded runner: does jobs inside the process that it runs in."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from haulier.catalog.catalog import Catalog
from haulier.catalog.transaction import Tx
from haulier.coordination.bells import Bell
from haulier.core.jobs import Job, JobState, backoff
from haulier.core.records import utc_now
from haulier.errors import CatalogUnavailable, HaulierError
from haulier.jobs.kinds import Done, JobKind
from haulier.jobs.processes import has_ended, this_process

_HEARTBEATS_PER_LEASE = 3
_RECORD_AGAIN_S = 0.5
_log = logging.getLogger("haulier.jobs")


class Runner:
    """Claims jobs and carries them out; any number of processes may run one on one catalog.

    Args:
        catalog: where the jobs are.
        kinds: the jobs that it can do; others are left alone.
        bell: rung when there is a new job.
        at_once: how many jobs at once.
        lease_s: seconds after which the jobs of a process that is not heard of are taken by others;
            on the same machine those of one that ended are taken at once.
        poll_s: seconds between looks for jobs that nobody rang for: those that wait for another
            attempt, and those of other processes.
        grace_s: seconds for which a job that is due is left to those who were told of it by its
            id (`do`) before a look finds it.
        kept_for: how long jobs that ended can still be asked about.
        changed: told each job that is in another state, in the transaction in which it changes.
        now: the clock.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        kinds: Iterable[JobKind],
        bell: Bell,
        at_once: int = 3,
        lease_s: float = 15,
        poll_s: float = 5,
        grace_s: float = 0,
        kept_for: timedelta = timedelta(days=7),
        changed: Callable[[Tx, Job], None] = lambda _tx, _job: None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._catalog = catalog
        self._kinds = {kind.name: kind for kind in kinds}
        self._bell = bell
        self._at_once = at_once
        self._lease_s = lease_s
        self._poll_s = poll_s
        self._grace = timedelta(seconds=grace_s)
        self._rooms = asyncio.Semaphore(at_once)
        self._kept_for = kept_for
        self._changed = changed
        self._now = now
        self._worker = this_process()
        self._claiming = asyncio.Lock()
        self._running: Counter[str] = Counter()
        self._running_about: Counter[tuple[str, str | None]] = Counter()

    async def run(self) -> None:
        """Do jobs until cancelled; those that are under way then are stopped and given back."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._reap_forever())
            for _ in range(self._at_once):
                tasks.create_task(self._work_forever())

    async def do(self, job_id: str) -> bool:
        """Do one job, unless it was done, is not due, or is of a kind of which enough run here.

        Returns:
            Whether it was begun here. If not, a look finds it when it has to be done.

        Raises:
            CatalogError: the catalog can't be asked.
        """
        async with self._rooms:
            async with self._claiming:
                job = await self._claim(job_id)
            if job is not None:
                await self._carry_out(job)
        return job is not None

    async def _work_forever(self) -> None:
        while True:
            rung = self._bell.count
            try:
                async with self._rooms:
                    # One at a time: how many of a kind run is looked at before.
                    async with self._claiming:
                        job = await self._claim()
                    if job is not None:
                        await self._carry_out(job)
                        continue
            except HaulierError as exc:
                _log.error("jobs have to wait: %s", exc.message)
            await self._bell.wait(rung, self._poll_s)

    async def _claim(self, job_id: str | None = None) -> Job | None:
        now = self._now()
        due = now if job_id is not None else now - self._grace
        kinds = [kind.name for kind in self._kinds.values() if self._has_room(kind)]
        busy = self._busy_subjects()

        def claim(tx: Tx) -> Job | None:
            job = tx.jobs.claim(
                kinds,
                now,
                self._lease_from(now),
                busy_subjects=busy,
                due_before=due,
                job_id=job_id,
                worker=self._worker,
            )
            if job is not None:
                self._changed(tx, job)
            return job

        claiming = asyncio.ensure_future(self._catalog.transaction(claim))
        try:
            job = await asyncio.shield(claiming)
        except asyncio.CancelledError:
            # The transaction goes on without us: what it claims must not wait for its lease.
            with suppress(HaulierError):
                if (claimed := await claiming) is not None:
                    await self._give_back(claimed)
            raise
        if job is not None:
            self._running[job.kind] += 1
            self._running_about[job.kind, job.subject] += 1
        return job

    def _has_room(self, kind: JobKind) -> bool:
        return kind.at_once is None or self._running[kind.name] < kind.at_once

    def _busy_subjects(self) -> list[str]:
        return [
            subject
            for (name, subject), count in self._running_about.items()
            if subject is not None
            and (most := self._kinds[name].at_once_of_subject) is not None
            and count >= most
        ]

    async def _carry_out(self, job: Job) -> None:
        working = asyncio.ensure_future(self._kinds[job.kind].run(job))
        holding = asyncio.ensure_future(self._hold(job))
        try:
            await asyncio.wait({working, holding}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._running[job.kind] -= 1
            self._running_about[job.kind, job.subject] -= 1
            self._running_about = +self._running_about  # forgets what is at zero
            working.cancel()
            holding.cancel()
            await asyncio.wait({working, holding})
            await self._settle(job, working)

    async def _settle(self, job: Job, worked: asyncio.Future[Done]) -> None:
        try:
            if worked.cancelled():
                await self._give_back(job)
            else:
                await self._while_held(lambda: self._record(job, worked))
        except Exception:  # noqa: BLE001  # a job that can't be settled must not end the runner
            _log.exception("job %s is taken again when its lease ends", job.job_id)

    async def _while_held(self, record: Callable[[], Awaitable[None]]) -> None:
        """Record what a job came to, again while the catalog is away: its work is done."""
        clock = asyncio.get_running_loop().time
        until = clock() + self._lease_s
        while True:
            try:
                return await record()
            except CatalogUnavailable as exc:
                if clock() >= until:
                    raise
                _log.warning("what a job came to has to wait: %s", exc.message)
            await asyncio.sleep(_RECORD_AGAIN_S)

    async def _record(self, job: Job, worked: asyncio.Future[Done]) -> None:
        error = worked.exception()
        if error is None:
            await self._complete(job, worked.result())
        elif isinstance(error, CatalogUnavailable):
            # It did not fail: it could not go on.
            await self._give_back(job)
        else:
            await self._fail(job, error)

    async def _hold(self, job: Job) -> None:
        """Renew the lease until the job is lost."""
        held = True
        while held:
            await asyncio.sleep(self._lease_s / _HEARTBEATS_PER_LEASE)
            lease_until = self._lease_from(self._now())
            try:
                held = await self._catalog.transaction(
                    lambda tx, until=lease_until: tx.jobs.heartbeat(job, until)  # type: ignore[misc]  # a default binds it
                )
            except HaulierError as exc:
                _log.warning("the lease of job %s was not renewed: %s", job.job_id, exc.message)

    async def _complete(self, job: Job, done: Done) -> None:
        now = self._now()

        def complete(tx: Tx) -> None:
            if not tx.jobs.complete(job, done.result, now):
                return
            if done.record is not None:
                done.record(tx)
            self._changed(tx, replace(job, state=JobState.COMPLETED, last_error=None))

        await self._catalog.transaction(complete)

    async def _fail(self, job: Job, error: BaseException) -> None:
        kind = self._kinds[job.kind]
        now = self._now()
        is_last = isinstance(error, kind.hopeless) or job.attempts >= job.max_attempts
        if isinstance(error, HaulierError):
            words = error.message
            _log.warning("%s job %s: %s", job.kind, job.job_id, words)
        else:
            # Its words may name inner paths, and are for the log alone.
            words = f"something went wrong inside haulier ({type(error).__name__})"
            _log.error("%s job %s failed", job.kind, job.job_id, exc_info=error)

        def fail(tx: Tx) -> None:
            if is_last:
                held = tx.jobs.fail(job, words, now)
            else:
                held = tx.jobs.retry(job, words, now + backoff(job.attempts), now)
            if not held:
                return
            if kind.failed is not None:
                kind.failed(tx, job, words, is_last)
            state = JobState.FAILED if is_last else JobState.PENDING
            self._changed(tx, replace(job, state=state, last_error=words))

        await self._catalog.transaction(fail)

    async def _give_back(self, job: Job) -> None:
        now = self._now()

        def give_back(tx: Tx) -> None:
            if tx.jobs.give_back(job, now):
                back = replace(job, state=JobState.PENDING, attempts=job.attempts - 1)
                self._changed(tx, back)

        await self._catalog.transaction(give_back)

    async def _reap_forever(self) -> None:
        while True:
            try:
                if await self._catalog.transaction(self._reap):
                    self._bell.ring()
            except HaulierError as exc:
                _log.error("jobs of dead workers have to wait: %s", exc.message)
            await asyncio.sleep(self._lease_s / _HEARTBEATS_PER_LEASE)

    def _reap(self, tx: Tx) -> int:
        now = self._now()
        ended = [worker for worker in tx.jobs.workers() if has_ended(worker)]
        reaped = tx.jobs.reap(self._kinds, now, ended)
        for job in reaped:
            kind = self._kinds[job.kind]
            if job.state is JobState.FAILED and kind.failed is not None:
                kind.failed(tx, job, job.last_error or "", True)
            self._changed(tx, job)
        tx.jobs.purge(now - self._kept_for)
        return len(reaped)

    def _lease_from(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self._lease_s)
