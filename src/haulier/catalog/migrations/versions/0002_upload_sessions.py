"""Upload sessions and the chunks of them that are safe."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Integer,
    PrimaryKeyConstraint,
)

from haulier.catalog.types import PLAIN_TEXT, JsonText, SafeText, UtcTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "upload_sessions",
        Column("session_id", PLAIN_TEXT, nullable=False),
        Column("owner_id", PLAIN_TEXT, nullable=False),
        Column("name", SafeText, nullable=False),
        Column("size_bytes", BigInteger()),
        Column("chunk_size", BigInteger(), nullable=False),
        Column("order", PLAIN_TEXT, nullable=False),
        Column("created_at", UtcTime, nullable=False),
        Column("expires_at", UtcTime, nullable=False),
        Column("status", PLAIN_TEXT, nullable=False),
        Column("mime_type", SafeText),
        Column("wanted_checksum", PLAIN_TEXT),
        Column("folder", SafeText),
        Column("tags", JsonText, nullable=False),
        Column("details", JsonText, nullable=False),
        Column("offset", BigInteger(), nullable=False),
        Column("crc64nvme", PLAIN_TEXT, nullable=False),
        Column("crc32", PLAIN_TEXT, nullable=False),
        Column("file_id", PLAIN_TEXT),
        Column("error", SafeText),
        PrimaryKeyConstraint("session_id", name="pk_upload_sessions"),
    )
    op.create_index("ix_upload_sessions_owner_id", "upload_sessions", ["owner_id", "created_at"])
    op.create_index("ix_upload_sessions_status", "upload_sessions", ["status", "expires_at"])
    op.create_table(
        "upload_chunks",
        Column("session_id", PLAIN_TEXT, nullable=False),
        Column("number", Integer(), nullable=False, autoincrement=False),
        Column("offset", BigInteger(), nullable=False),
        Column("length", BigInteger(), nullable=False),
        Column("crc64nvme", PLAIN_TEXT, nullable=False),
        Column("crc32", PLAIN_TEXT, nullable=False),
        PrimaryKeyConstraint("session_id", "number", name="pk_upload_chunks"),
        ForeignKeyConstraint(
            ["session_id"],
            ["upload_sessions.session_id"],
            name="fk_upload_chunks_session_id",
            ondelete="CASCADE",
        ),
        sqlite_with_rowid=False,
    )
