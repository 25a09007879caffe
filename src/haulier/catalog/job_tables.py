"""The table of jobs: the outbox of work that follows from other rows."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, Table

from haulier.catalog.tables import metadata
from haulier.catalog.types import PLAIN_TEXT, JsonText, SafeText, UtcTime

jobs = Table(
    "jobs",
    metadata,
    Column("job_id", PLAIN_TEXT, primary_key=True),
    Column("kind", PLAIN_TEXT, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("not_before", UtcTime, nullable=False),
    Column("payload", JsonText, nullable=False),
    Column("subject", PLAIN_TEXT),
    Column("owner_id", PLAIN_TEXT),
    Column("state", PLAIN_TEXT, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("lease_until", UtcTime),
    Column("token", Integer, nullable=False),
    Column("last_error", SafeText),
    Column("result", JsonText, nullable=False),
    Column("worker", PLAIN_TEXT),
)
Index("ix_jobs_next", jobs.c.state, jobs.c.priority.desc(), jobs.c.not_before, jobs.c.job_id)
Index("ix_jobs_lease", jobs.c.state, jobs.c.lease_until)
Index("ix_jobs_updated", jobs.c.state, jobs.c.updated_at)
Index("ix_jobs_subject", jobs.c.subject, jobs.c.job_id)
