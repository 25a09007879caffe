"""What people let others do with their files and folders; feeds of changes for them."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Boolean, Column, PrimaryKeyConstraint

from haulier.catalog.types import PLAIN_TEXT, UtcTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "grants",
        Column("resource_id", PLAIN_TEXT, nullable=False),
        Column("grantee", PLAIN_TEXT, nullable=False),
        Column("is_folder", Boolean, nullable=False),
        Column("level", PLAIN_TEXT, nullable=False),
        Column("granted_by", PLAIN_TEXT, nullable=False),
        Column("created_at", UtcTime, nullable=False),
        PrimaryKeyConstraint("resource_id", "grantee", name="pk_grants"),
    )
    op.create_index("ix_grants_grantee", "grants", ["grantee", "is_folder", "resource_id"])
    # Roles and everybody have a feed of changes as well.
    op.execute("ALTER TABLE change_counts RENAME COLUMN user_id TO feed")
    op.execute("ALTER TABLE file_changes RENAME COLUMN user_id TO feed")
