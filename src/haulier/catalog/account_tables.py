"""The table of users."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Integer, Table

from haulier.catalog.tables import metadata
from haulier.catalog.types import PLAIN_TEXT, SafeText, UtcTime

users = Table(
    "users",
    metadata,
    Column("user_id", PLAIN_TEXT, primary_key=True),
    Column("name", SafeText, nullable=False, unique=True),
    Column("role", PLAIN_TEXT, nullable=False),
    Column("password_hash", PLAIN_TEXT),
    Column("token_version", Integer, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("quota_bytes", BigInteger),
    Column("used_bytes", BigInteger, nullable=False),
    Column("reserved_bytes", BigInteger, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)
