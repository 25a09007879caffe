"""Tables of upload sessions: files on their way in."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table

from haulier.catalog.tables import metadata
from haulier.catalog.types import PLAIN_TEXT, JsonText, SafeText, UtcTime

# CRC-64 is unsigned and the databases' integers are not, so sums are kept as hexadecimal text.
upload_sessions = Table(
    "upload_sessions",
    metadata,
    Column("session_id", PLAIN_TEXT, primary_key=True),
    Column("owner_id", PLAIN_TEXT, nullable=False),
    Column("name", SafeText, nullable=False),
    Column("size_bytes", BigInteger),
    Column("chunk_size", BigInteger, nullable=False),
    Column("order", PLAIN_TEXT, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("status", PLAIN_TEXT, nullable=False),
    Column("mime_type", SafeText),
    Column("wanted_checksum", PLAIN_TEXT),
    Column("folder", SafeText),
    Column("tags", JsonText, nullable=False),
    Column("details", JsonText, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("crc64nvme", PLAIN_TEXT, nullable=False),
    Column("crc32", PLAIN_TEXT, nullable=False),
    Column("file_id", PLAIN_TEXT),
    Column("error", SafeText),
    Column("upload_id", SafeText),
    Column("tail", PLAIN_TEXT),
    Column("fence", BigInteger, nullable=False, server_default="0"),
    Index("ix_upload_sessions_owner_id", "owner_id", "created_at"),
    Index("ix_upload_sessions_status", "status", "expires_at"),
)

upload_chunks = Table(
    "upload_chunks",
    metadata,
    Column(
        "session_id",
        PLAIN_TEXT,
        ForeignKey("upload_sessions.session_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("offset", BigInteger, nullable=False),
    Column("length", BigInteger, nullable=False),
    Column("crc64nvme", PLAIN_TEXT, nullable=False),
    Column("crc32", PLAIN_TEXT, nullable=False),
    Column("etag", SafeText),
    sqlite_with_rowid=False,
)
