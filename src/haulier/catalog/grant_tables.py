"""The table of what people let others do with their files and folders."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Table

from haulier.catalog.tables import metadata
from haulier.catalog.types import PLAIN_TEXT, UtcTime

grants = Table(
    "grants",
    metadata,
    # No foreign keys: a file or a folder is one, a grantee may be a role.
    Column("resource_id", PLAIN_TEXT, primary_key=True),
    Column("grantee", PLAIN_TEXT, primary_key=True),
    Column("is_folder", Boolean, nullable=False),
    Column("level", PLAIN_TEXT, nullable=False),
    Column("granted_by", PLAIN_TEXT, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Index("ix_grants_grantee", "grantee", "is_folder", "resource_id"),
)
