"""Users, and the files that they keep on a server."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Integer,
    PrimaryKeyConstraint,
    UniqueConstraint,
)

from haulier.catalog.types import PLAIN_TEXT, JsonText, SafeText, UtcTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "users",
        Column("user_id", PLAIN_TEXT, nullable=False),
        Column("name", SafeText, nullable=False),
        Column("role", PLAIN_TEXT, nullable=False),
        Column("password_hash", PLAIN_TEXT),
        Column("token_version", Integer(), nullable=False),
        Column("disabled", Boolean(), nullable=False),
        Column("quota_bytes", BigInteger()),
        Column("used_bytes", BigInteger(), nullable=False),
        Column("reserved_bytes", BigInteger(), nullable=False),
        Column("created_at", UtcTime, nullable=False),
        PrimaryKeyConstraint("user_id", name="pk_users"),
        UniqueConstraint("name", name="uq_users_name"),
    )
    op.create_table(
        "stored_files",
        Column("file_id", PLAIN_TEXT, nullable=False),
        Column("owner_id", PLAIN_TEXT, nullable=False),
        Column("name", SafeText, nullable=False),
        Column("folder", SafeText, nullable=False),
        Column("size_bytes", BigInteger(), nullable=False),
        Column("mime_type", SafeText),
        Column("crc64nvme", PLAIN_TEXT, nullable=False),
        Column("crc32", PLAIN_TEXT, nullable=False),
        Column("sha256", PLAIN_TEXT),
        Column("version", Integer(), nullable=False),
        Column("tags", JsonText, nullable=False),
        Column("created_at", UtcTime, nullable=False),
        Column("modified_at", UtcTime, nullable=False),
        PrimaryKeyConstraint("file_id", name="pk_stored_files"),
        ForeignKeyConstraint(["owner_id"], ["users.user_id"], name="fk_stored_files_owner_id"),
    )
    op.create_index("ix_stored_files_owner_id", "stored_files", ["owner_id", "file_id"])
    op.create_index("ix_stored_files_owner_folder", "stored_files", ["owner_id", "folder", "name"])
