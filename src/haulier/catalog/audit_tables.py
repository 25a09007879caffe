"""Tables of the audit log: its entries, and where each instance's chain ends."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, Table

from haulier.catalog.tables import metadata
from haulier.catalog.types import PLAIN_TEXT, JsonText, SafeText, UtcTime

audit_entries = Table(
    "audit_entries",
    metadata,
    Column("instance", PLAIN_TEXT, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", UtcTime, nullable=False),
    Column("action", SafeText, nullable=False),
    Column("actor", SafeText),
    Column("object_id", SafeText),
    Column("status", Integer),
    Column("address", SafeText),
    Column("request_id", PLAIN_TEXT),
    Column("details", JsonText, nullable=False),
    Column("code", PLAIN_TEXT, nullable=False),
    Index("ix_audit_entries_at", "at", "instance", "number"),
    Index("ix_audit_entries_actor", "actor", "at"),
    Index("ix_audit_entries_object", "object_id", "at"),
)

audit_heads = Table(
    "audit_heads",
    metadata,
    Column("instance", PLAIN_TEXT, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("code", PLAIN_TEXT, nullable=False),
)
