"""Folders, the trash, versions and the feed of changes of stored files."""

from __future__ import annotations

from datetime import UTC, datetime

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Integer,
    PrimaryKeyConstraint,
    column,
    insert,
    select,
    table,
    text,
)

from haulier.catalog.types import PLAIN_TEXT, SafeText, UtcTime
from haulier.core.file_names import ancestors
from haulier.core.records import new_file_id

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _extend_files()
    _create_versions()
    _create_folders()
    _create_changes()


def _extend_files() -> None:
    op.add_column(
        "stored_files", Column("content_id", PLAIN_TEXT, nullable=False, server_default="")
    )
    op.add_column("stored_files", Column("revision", Integer(), nullable=False, server_default="0"))
    op.add_column("stored_files", Column("deleted_at", UtcTime))
    op.execute("UPDATE stored_files SET content_id = file_id")
    op.create_index("ix_stored_files_content_id", "stored_files", ["content_id"])
    in_trash = text("deleted_at IS NOT NULL")
    op.create_index(
        "ix_stored_files_trash",
        "stored_files",
        ["owner_id", "file_id"],
        sqlite_where=in_trash,
        postgresql_where=in_trash,
    )
    op.create_index(
        "ix_stored_files_deleted_at",
        "stored_files",
        ["deleted_at"],
        sqlite_where=in_trash,
        postgresql_where=in_trash,
    )


def _create_versions() -> None:
    op.create_table(
        "file_versions",
        Column("file_id", PLAIN_TEXT, nullable=False),
        Column("version", Integer(), autoincrement=False, nullable=False),
        Column("content_id", PLAIN_TEXT, nullable=False),
        Column("size_bytes", BigInteger(), nullable=False),
        Column("mime_type", SafeText),
        Column("crc64nvme", PLAIN_TEXT, nullable=False),
        Column("crc32", PLAIN_TEXT, nullable=False),
        Column("sha256", PLAIN_TEXT),
        Column("modified_at", UtcTime, nullable=False),
        Column("scan_state", PLAIN_TEXT, nullable=False),
        Column("scan_detail", SafeText),
        PrimaryKeyConstraint("file_id", "version", name="pk_file_versions"),
    )
    op.create_index("ix_file_versions_content_id", "file_versions", ["content_id"])
    op.create_table(
        "removals",
        Column("content_id", PLAIN_TEXT, nullable=False),
        PrimaryKeyConstraint("content_id", name="pk_removals"),
    )


def _create_folders() -> None:
    op.create_table(
        "folders",
        Column("folder_id", PLAIN_TEXT, nullable=False),
        Column("owner_id", PLAIN_TEXT, nullable=False),
        Column("path", SafeText, nullable=False),
        Column("created_at", UtcTime, nullable=False),
        PrimaryKeyConstraint("folder_id", name="pk_folders"),
        ForeignKeyConstraint(["owner_id"], ["users.user_id"], name="fk_folders_owner_id"),
    )
    op.create_index("ix_folders_path", "folders", ["owner_id", "path"], unique=True)
    files = table("stored_files", column("owner_id"), column("folder", SafeText))
    used = op.get_bind().execute(select(files.c.owner_id, files.c.folder).distinct())
    paths = sorted({(owner, path) for owner, folder in used for path in ancestors(folder)})
    if not paths:
        return
    made = table(
        "folders",
        column("folder_id"),
        column("owner_id"),
        column("path", SafeText),
        column("created_at", UtcTime),
    )
    now = datetime.now(UTC)
    op.get_bind().execute(
        insert(made),
        [
            {"folder_id": new_file_id(), "owner_id": owner, "path": path, "created_at": now}
            for owner, path in paths
        ],
    )


def _create_changes() -> None:
    op.create_table(
        "change_counts",
        Column("user_id", PLAIN_TEXT, nullable=False),
        Column("last", BigInteger(), nullable=False),
        PrimaryKeyConstraint("user_id", name="pk_change_counts"),
    )
    op.create_table(
        "file_changes",
        Column("user_id", PLAIN_TEXT, nullable=False),
        Column("file_id", PLAIN_TEXT, nullable=False),
        Column("number", BigInteger(), nullable=False),
        Column("is_deleted", Boolean(), nullable=False),
        PrimaryKeyConstraint("user_id", "file_id", name="pk_file_changes"),
    )
    # What is there already is what changed first.
    op.execute(
        "INSERT INTO file_changes (user_id, file_id, number, is_deleted)"
        " SELECT owner_id, file_id,"
        " row_number() OVER (PARTITION BY owner_id ORDER BY file_id), false FROM stored_files"
    )
    op.execute(
        "INSERT INTO change_counts (user_id, last)"
        " SELECT owner_id, count(*) FROM stored_files GROUP BY owner_id"
    )
    op.create_index("ix_file_changes_number", "file_changes", ["user_id", "number"], unique=True)
