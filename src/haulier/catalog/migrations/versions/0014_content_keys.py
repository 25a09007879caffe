"""Keys that contents are sealed with."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, LargeBinary, PrimaryKeyConstraint

from haulier.catalog.types import PLAIN_TEXT

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "content_keys",
        Column("content_id", PLAIN_TEXT, nullable=False),
        Column("key_id", PLAIN_TEXT, nullable=False),
        Column("wrapped", LargeBinary, nullable=False),
        PrimaryKeyConstraint("content_id", name="pk_content_keys"),
    )
    op.create_index("ix_content_keys_key_id", "content_keys", ["key_id"])
