"""Jobs in the catalog: written in the transaction of the row they follow, claimed by workers."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, case, delete, func, insert, or_, select, update

from haulier.catalog.job_tables import jobs
from haulier.core.jobs import Job, JobState

_ENDED = (JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED)
_DIED = "the worker ended without a word"
_SHOWN_ERROR_CHARS = 500


class JobRows:
    """What can be done with jobs inside one transaction (`Tx.jobs`).

    Workers change a job by the record that `claim` gave them: when it was claimed again since,
    its token is larger, nothing changes and they are told so.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def enqueue(self, job: Job) -> None:
        """Record a new job."""
        values = {one.name: getattr(job, one.name) for one in dataclasses.fields(job)}
        self._connection.execute(insert(jobs).values(**values))

    def get(self, job_id: str) -> Job | None:
        """Return the job with that id."""
        found = self._list(jobs.c.job_id == job_id)
        return found[0] if found else None

    def of_subject(self, subject: str) -> list[Job]:
        """Return the jobs about a file, oldest first."""
        return self._list(jobs.c.subject == subject)

    def page_of_subject(
        self, subject: str, *, state: JobState | None, before: str | None, limit: int
    ) -> list[Job]:
        """Return jobs about something, newest first: in `state` if named, older than `before`."""
        statement = select(jobs).where(jobs.c.subject == subject)
        if state is not None:
            statement = statement.where(jobs.c.state == state)
        if before is not None:
            statement = statement.where(jobs.c.job_id < before)
        statement = statement.order_by(jobs.c.job_id.desc()).limit(limit)
        return [_job(dict(row)) for row in self._connection.execute(statement).mappings()]

    def of_kind(self, kind: str, states: Collection[JobState], limit: int) -> list[Job]:
        """Return jobs of a kind in one of `states`, in the order in which they are taken."""
        statement = (
            select(jobs)
            .where(jobs.c.kind == kind, jobs.c.state.in_(states))
            .order_by(jobs.c.priority.desc(), jobs.c.not_before, jobs.c.job_id)
            .limit(limit)
        )
        return [_job(dict(row)) for row in self._connection.execute(statement).mappings()]

    def cancel(self, job_id: str, now: datetime) -> bool:
        """Cancel a job that has not begun; False when it has, or ended."""
        statement = (
            update(jobs)
            .where(jobs.c.job_id == job_id, jobs.c.state == JobState.PENDING)
            .values(state=JobState.CANCELLED, updated_at=now)
        )
        return self._connection.execute(statement).rowcount == 1

    def revive(self, job_id: str, now: datetime) -> bool:
        """Let a job that failed be tried anew; False when it did not fail."""
        statement = (
            update(jobs)
            .where(jobs.c.job_id == job_id, jobs.c.state == JobState.FAILED)
            .values(state=JobState.PENDING, attempts=0, not_before=now, updated_at=now)
        )
        return self._connection.execute(statement).rowcount == 1

    def claim(
        self,
        kinds: Collection[str],
        now: datetime,
        lease_until: datetime,
        *,
        busy_subjects: Collection[str] = (),
        due_before: datetime | None = None,
        job_id: str | None = None,
        worker: str | None = None,
    ) -> Job | None:
        """Take the job that is due first; None when none is due.

        One statement, so that each job goes to one of the workers that ask at once.

        Args:
            kinds: what the worker can do.
            now: the time.
            lease_until: until when the worker holds the job.
            busy_subjects: jobs about one of these are left alone.
            due_before: take a job only that could have been begun then.
            job_id: take this one only.
            worker: the process that takes it.
        """
        columns = jobs.c
        is_free = or_(columns.subject.is_(None), columns.subject.not_in(busy_subjects))
        first = (
            select(columns.job_id)
            .where(
                columns.state == JobState.PENDING,
                columns.not_before <= (due_before or now),
                columns.kind.in_(kinds),
                *([columns.job_id == job_id] if job_id is not None else []),
                *([is_free] if busy_subjects else []),
            )
            .order_by(columns.priority.desc(), columns.not_before, columns.job_id)
            .limit(1)
            .with_for_update(skip_locked=True)
            .scalar_subquery()
        )
        statement = (
            update(jobs)
            .where(columns.job_id == first)
            .values(
                state=JobState.RUNNING,
                attempts=columns.attempts + 1,
                token=columns.token + 1,
                lease_until=lease_until,
                worker=worker,
                updated_at=now,
            )
            .returning(jobs)
        )
        row = self._connection.execute(statement).mappings().one_or_none()
        return None if row is None else _job(dict(row))

    def heartbeat(self, job: Job, lease_until: datetime) -> bool:
        """Renew the lease; False when the job is not held any more."""
        return self._change(job, lease_until=lease_until)

    def complete(self, job: Job, result: Mapping[str, Any] | None, now: datetime) -> bool:
        """Record what the job came to; False when it is not held any more."""
        return self._end_run(job, JobState.COMPLETED, now, last_error=None, result=result)

    def retry(self, job: Job, error: str, not_before: datetime, now: datetime) -> bool:
        """Record that an attempt failed and when the next may begin; False as `complete`."""
        words = error[:_SHOWN_ERROR_CHARS]
        return self._end_run(job, JobState.PENDING, now, last_error=words, not_before=not_before)

    def fail(self, job: Job, error: str, now: datetime) -> bool:
        """Record that the job can't be done; False as `complete`."""
        return self._end_run(job, JobState.FAILED, now, last_error=error[:_SHOWN_ERROR_CHARS])

    def give_back(self, job: Job, now: datetime) -> bool:
        """Undo a claim, as if the job had not been begun; False as `complete`."""
        return self._end_run(job, JobState.PENDING, now, attempts=job.attempts - 1)

    def workers(self) -> set[str]:
        """Return the processes that hold jobs."""
        statement = select(jobs.c.worker).where(
            jobs.c.state == JobState.RUNNING, jobs.c.worker.is_not(None)
        )
        return set(self._connection.scalars(statement.distinct()))

    def reap(self, kinds: Collection[str], now: datetime, ended: Collection[str] = ()) -> list[Job]:
        """Take jobs from workers that ended, or let their lease run out; return them as they are.

        Of those `kinds`: what follows from a failure is known to who does them. They are pending
        again, or failed when they were begun as often as they may.
        """
        columns = jobs.c
        over = columns.attempts >= columns.max_attempts
        statement = (
            update(jobs)
            .where(
                columns.state == JobState.RUNNING,
                or_(columns.lease_until <= now, columns.worker.in_(ended)),
                columns.kind.in_(kinds),
            )
            .values(
                state=case((over, JobState.FAILED), else_=JobState.PENDING),
                lease_until=None,
                worker=None,
                last_error=_DIED,
                not_before=now,
                updated_at=now,
            )
            .returning(jobs)
        )
        return [_job(dict(row)) for row in self._connection.execute(statement).mappings()]

    def cancel_of_subject(self, subject: str, now: datetime) -> list[Job]:
        """Cancel what has not begun of the jobs about a file; return these as they are now."""
        statement = (
            update(jobs)
            .where(jobs.c.subject == subject, jobs.c.state == JobState.PENDING)
            .values(state=JobState.CANCELLED, updated_at=now)
            .returning(jobs)
        )
        return [_job(dict(row)) for row in self._connection.execute(statement).mappings()]

    def purge(self, before: datetime) -> int:
        """Forget jobs that ended before that time; return how many these were."""
        statement = delete(jobs).where(jobs.c.state.in_(_ENDED), jobs.c.updated_at < before)
        return self._connection.execute(statement).rowcount

    def count_by_state(self) -> dict[JobState, int]:
        """Return how many jobs are in each state."""
        statement = select(jobs.c.state, func.count()).group_by(jobs.c.state)
        found = {JobState(state): count for state, count in self._connection.execute(statement)}
        return {state: found.get(state, 0) for state in JobState}

    def count_pending(self, now: datetime) -> int:
        """Return how many jobs wait, for others or for another attempt.

        Those that are for a later time and were not begun yet wait for nobody.
        """
        waits = or_(jobs.c.not_before <= now, jobs.c.attempts > 0)
        statement = select(func.count()).where(jobs.c.state == JobState.PENDING, waits)
        return self._connection.scalar(statement) or 0

    def oldest_due(self) -> datetime | None:
        """Return since when the job that waits longest may be begun; None when none waits."""
        statement = select(func.min(jobs.c.not_before)).where(jobs.c.state == JobState.PENDING)
        found: datetime | None = self._connection.execute(statement).scalar_one()
        return found

    def _list(self, condition: Any) -> list[Job]:
        statement = select(jobs).where(condition).order_by(jobs.c.job_id)
        return [_job(dict(row)) for row in self._connection.execute(statement).mappings()]

    def _end_run(self, job: Job, state: JobState, now: datetime, **values: Any) -> bool:
        ended = {"state": state, "lease_until": None, "worker": None, "updated_at": now}
        return self._change(job, **ended, **values)

    def _change(self, job: Job, **values: Any) -> bool:
        columns = jobs.c
        statement = (
            update(jobs)
            .where(
                columns.job_id == job.job_id,
                columns.state == JobState.RUNNING,
                columns.token == job.token,
            )
            .values(**values)
        )
        return self._connection.execute(statement).rowcount == 1


def _job(row: dict[str, Any]) -> Job:
    return Job(**{**row, "state": JobState(row["state"])})
