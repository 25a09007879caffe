"""Jobs, and what a virus scan said of a stored file."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Integer, PrimaryKeyConstraint, text

from haulier.catalog.types import PLAIN_TEXT, JsonText, SafeText, UtcTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "jobs",
        Column("job_id", PLAIN_TEXT, nullable=False),
        Column("kind", PLAIN_TEXT, nullable=False),
        Column("created_at", UtcTime, nullable=False),
        Column("updated_at", UtcTime, nullable=False),
        Column("not_before", UtcTime, nullable=False),
        Column("payload", JsonText, nullable=False),
        Column("subject", PLAIN_TEXT),
        Column("owner_id", PLAIN_TEXT),
        Column("state", PLAIN_TEXT, nullable=False),
        Column("priority", Integer(), nullable=False),
        Column("attempts", Integer(), nullable=False),
        Column("max_attempts", Integer(), nullable=False),
        Column("lease_until", UtcTime),
        Column("token", Integer(), nullable=False),
        Column("last_error", SafeText),
        Column("result", JsonText, nullable=False),
        PrimaryKeyConstraint("job_id", name="pk_jobs"),
    )
    op.create_index(
        "ix_jobs_next", "jobs", ["state", text("priority DESC"), "not_before", "job_id"]
    )
    op.create_index("ix_jobs_lease", "jobs", ["state", "lease_until"])
    op.create_index("ix_jobs_updated", "jobs", ["state", "updated_at"])
    op.create_index("ix_jobs_subject", "jobs", ["subject", "job_id"])
    # No scanner looked at what was stored before.
    op.add_column(
        "stored_files", Column("scan_state", PLAIN_TEXT, nullable=False, server_default="skipped")
    )
    op.add_column("stored_files", Column("scan_detail", SafeText))
