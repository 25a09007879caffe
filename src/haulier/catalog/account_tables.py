"""Tables of users and of the files that they keep on this server."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, Table

from haulier.catalog.tables import metadata
from haulier.catalog.types import PLAIN_TEXT, JsonText, SafeText, UtcTime

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

stored_files = Table(
    "stored_files",
    metadata,
    Column("file_id", PLAIN_TEXT, primary_key=True),
    Column("owner_id", PLAIN_TEXT, ForeignKey("users.user_id"), nullable=False),
    Column("name", SafeText, nullable=False),
    Column("folder", SafeText, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("mime_type", SafeText),
    Column("crc64nvme", PLAIN_TEXT, nullable=False),
    Column("crc32", PLAIN_TEXT, nullable=False),
    Column("sha256", PLAIN_TEXT),
    Column("version", Integer, nullable=False),
    Column("tags", JsonText, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("modified_at", UtcTime, nullable=False),
    Column("scan_state", PLAIN_TEXT, nullable=False),
    Column("scan_detail", SafeText),
    Index("ix_stored_files_owner_id", "owner_id", "file_id"),
    Index("ix_stored_files_owner_folder", "owner_id", "folder", "name"),
)
