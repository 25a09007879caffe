"""Addresses that are told of events."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, PrimaryKeyConstraint

from haulier.catalog.types import PLAIN_TEXT, JsonText, SafeText, UtcTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "webhooks",
        Column("webhook_id", PLAIN_TEXT, nullable=False),
        Column("url", SafeText, nullable=False),
        Column("created_at", UtcTime, nullable=False),
        Column("secret", PLAIN_TEXT, nullable=False),
        Column("events", JsonText, nullable=False),
        Column("old_secret", PLAIN_TEXT),
        Column("old_secret_until", UtcTime),
        Column("disabled_at", UtcTime),
        Column("disabled_why", SafeText),
        PrimaryKeyConstraint("webhook_id", name="pk_webhooks"),
    )
