"""The table of links by which people without an account bring files into a folder."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table

from haulier.catalog.tables import metadata
from haulier.catalog.types import PLAIN_TEXT, SafeText, UtcTime

upload_links = Table(
    "upload_links",
    metadata,
    Column("link_id", PLAIN_TEXT, primary_key=True),
    # No foreign key: a folder may go, and its links lead nowhere then.
    Column("folder_id", PLAIN_TEXT, nullable=False),
    Column("creator_id", PLAIN_TEXT, ForeignKey("users.user_id"), nullable=False),
    Column("token_hash", PLAIN_TEXT, nullable=False, unique=True),
    Column("created_at", UtcTime, nullable=False),
    Column("title", SafeText, nullable=False),
    Column("password_hash", PLAIN_TEXT),
    Column("max_files", Integer),
    Column("max_bytes", BigInteger),
    Column("files", Integer, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("expires_at", UtcTime),
    Column("revoked_at", UtcTime),
    Index("ix_upload_links_folder_id", "folder_id", "link_id"),
    Index("ix_upload_links_creator_id", "creator_id", "link_id"),
)
