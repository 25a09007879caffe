"""Tables of the files that users keep on this server, as people know them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, Table, text

from haulier.catalog.tables import metadata
from haulier.catalog.types import PLAIN_TEXT, JsonText, SafeText, UtcTime

_IN_TRASH = text("deleted_at IS NOT NULL")

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
    Column("content_id", PLAIN_TEXT, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("deleted_at", UtcTime),
    Index("ix_stored_files_owner_id", "owner_id", "file_id"),
    Index("ix_stored_files_owner_folder", "owner_id", "folder", "name"),
    Index("ix_stored_files_folder_newest", "owner_id", "folder", "file_id"),
    Index("ix_stored_files_content_id", "content_id"),
    Index(
        "ix_stored_files_trash",
        "owner_id",
        "file_id",
        sqlite_where=_IN_TRASH,
        postgresql_where=_IN_TRASH,
    ),
    Index(
        "ix_stored_files_deleted_at",
        "deleted_at",
        sqlite_where=_IN_TRASH,
        postgresql_where=_IN_TRASH,
    ),
)

# What a file's content was before; the newest is in the file's own row.
file_versions = Table(
    "file_versions",
    metadata,
    Column("file_id", PLAIN_TEXT, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("content_id", PLAIN_TEXT, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("mime_type", SafeText),
    Column("crc64nvme", PLAIN_TEXT, nullable=False),
    Column("crc32", PLAIN_TEXT, nullable=False),
    Column("sha256", PLAIN_TEXT),
    Column("modified_at", UtcTime, nullable=False),
    Column("scan_state", PLAIN_TEXT, nullable=False),
    Column("scan_detail", SafeText),
    Index("ix_file_versions_content_id", "content_id"),
)

folders = Table(
    "folders",
    metadata,
    Column("folder_id", PLAIN_TEXT, primary_key=True),
    Column("owner_id", PLAIN_TEXT, ForeignKey("users.user_id"), nullable=False),
    Column("path", SafeText, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Index("ix_folders_path", "owner_id", "path", unique=True),
)

# Content whose file is gone, until its bytes are gone as well.
removals = Table(
    "removals",
    metadata,
    Column("content_id", PLAIN_TEXT, primary_key=True),
)

# For each user, role and everybody how many changes there were, and of each file the last of them.
change_counts = Table(
    "change_counts",
    metadata,
    Column("feed", PLAIN_TEXT, primary_key=True),
    Column("last", BigInteger, nullable=False),
)
file_changes = Table(
    "file_changes",
    metadata,
    Column("feed", PLAIN_TEXT, primary_key=True),
    Column("file_id", PLAIN_TEXT, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("is_deleted", Boolean, nullable=False),
    Index("ix_file_changes_number", "feed", "number", unique=True),
)
