"""What all processes of a server count together, and the queues that are too long."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, PrimaryKeyConstraint

from haulier.catalog.types import PLAIN_TEXT, UtcTime

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "counters",
        Column("name", PLAIN_TEXT, nullable=False),
        Column("value", BigInteger, nullable=False),
        PrimaryKeyConstraint("name", name="pk_counters"),
    )
    op.create_table(
        "alerts",
        Column("queue", PLAIN_TEXT, nullable=False),
        Column("since", UtcTime, nullable=False),
        PrimaryKeyConstraint("queue", name="pk_alerts"),
    )
