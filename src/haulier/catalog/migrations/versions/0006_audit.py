"""The audit log."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, PrimaryKeyConstraint

from haulier.catalog.types import PLAIN_TEXT, JsonText, SafeText, UtcTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_entries",
        Column("instance", PLAIN_TEXT, nullable=False),
        Column("number", BigInteger, nullable=False),
        Column("at", UtcTime, nullable=False),
        Column("action", SafeText, nullable=False),
        Column("actor", SafeText),
        Column("object_id", SafeText),
        Column("status", Integer),
        Column("address", SafeText),
        Column("request_id", PLAIN_TEXT),
        Column("details", JsonText, nullable=False),
        Column("code", PLAIN_TEXT, nullable=False),
        PrimaryKeyConstraint("instance", "number", name="pk_audit_entries"),
    )
    op.create_index("ix_audit_entries_at", "audit_entries", ["at", "instance", "number"])
    op.create_index("ix_audit_entries_actor", "audit_entries", ["actor", "at"])
    op.create_index("ix_audit_entries_object", "audit_entries", ["object_id", "at"])
    op.create_table(
        "audit_heads",
        Column("instance", PLAIN_TEXT, nullable=False),
        Column("number", BigInteger, nullable=False),
        Column("code", PLAIN_TEXT, nullable=False),
        PrimaryKeyConstraint("instance", name="pk_audit_heads"),
    )
