"""Which process holds a job."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column

from haulier.catalog.types import PLAIN_TEXT

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", Column("worker", PLAIN_TEXT))
