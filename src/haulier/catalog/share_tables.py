"""Tables of the links by which files are shared, and of who fetches by them."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, Table

from haulier.catalog.tables import metadata
from haulier.catalog.types import PLAIN_TEXT, UtcTime

shares = Table(
    "shares",
    metadata,
    Column("share_id", PLAIN_TEXT, primary_key=True),
    # No foreign key: a file may go for good, and its links with nobody's help.
    Column("file_id", PLAIN_TEXT, nullable=False),
    Column("creator_id", PLAIN_TEXT, ForeignKey("users.user_id"), nullable=False),
    Column("token_hash", PLAIN_TEXT, nullable=False, unique=True),
    Column("created_at", UtcTime, nullable=False),
    Column("password_hash", PLAIN_TEXT),
    Column("max_downloads", Integer),
    Column("downloads", Integer, nullable=False),
    Column("expires_at", UtcTime),
    Column("revoked_at", UtcTime),
    Index("ix_shares_file_id", "file_id", "share_id"),
    Index("ix_shares_creator_id", "creator_id", "share_id"),
)

# Whose downloads were counted, so that they can be continued.
share_clients = Table(
    "share_clients",
    metadata,
    Column("share_id", PLAIN_TEXT, ForeignKey("shares.share_id"), primary_key=True),
    Column("client", PLAIN_TEXT, primary_key=True),
    Column("at", UtcTime, nullable=False),
)
