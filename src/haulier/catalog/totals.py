"""What there is in all on a server, for its metrics."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from haulier.catalog.account_tables import users
from haulier.catalog.job_rows import JobRows
from haulier.catalog.session_tables import upload_sessions
from haulier.catalog.stored_tables import stored_files
from haulier.catalog.watch_rows import WatchRows


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Counts of a whole server; `oldest_due` is when the job that waits longest could begin.

    `alerts` are the queues that are too long, `counters` what all processes counted together.
    """

    users: int
    used_bytes: int
    reserved_bytes: int
    sessions_by_status: dict[str, int]
    files_by_scan_state: dict[str, int]
    jobs_by_state: dict[str, int]
    oldest_due: datetime | None
    alerts: frozenset[str]
    counters: dict[str, int]


def read_totals(connection: Connection) -> Totals:
    """Count users, what they keep, upload sessions, stored files and jobs."""
    job_rows, watch = JobRows(connection), WatchRows(connection)
    sums = select(
        func.count(),
        func.coalesce(func.sum(users.c.used_bytes), 0),
        func.coalesce(func.sum(users.c.reserved_bytes), 0),
    )
    count, used_bytes, reserved_bytes = connection.execute(sums).one()
    by_status = select(upload_sessions.c.status, func.count()).group_by(upload_sessions.c.status)
    by_state = select(stored_files.c.scan_state, func.count()).group_by(stored_files.c.scan_state)
    return Totals(
        users=count,
        used_bytes=int(used_bytes),
        reserved_bytes=int(reserved_bytes),
        sessions_by_status={str(row[0]): row[1] for row in connection.execute(by_status)},
        files_by_scan_state={str(row[0]): row[1] for row in connection.execute(by_state)},
        jobs_by_state={str(state): n for state, n in job_rows.count_by_state().items()},
        oldest_due=job_rows.oldest_due(),
        alerts=frozenset(watch.alerts()),
        counters=watch.counted(),
    )
