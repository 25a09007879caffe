"""The table of webhooks; what is sent to them is among the jobs."""

from __future__ import annotations

from sqlalchemy import Column, Table

from haulier.catalog.tables import metadata
from haulier.catalog.types import PLAIN_TEXT, JsonText, SafeText, UtcTime

webhooks = Table(
    "webhooks",
    metadata,
    Column("webhook_id", PLAIN_TEXT, primary_key=True),
    Column("url", SafeText, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("secret", PLAIN_TEXT, nullable=False),
    Column("events", JsonText, nullable=False),
    Column("old_secret", PLAIN_TEXT),
    Column("old_secret_until", UtcTime),
    Column("disabled_at", UtcTime),
    Column("disabled_why", SafeText),
)
