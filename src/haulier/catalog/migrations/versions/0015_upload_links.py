"""Links by which people without an account bring files into a folder."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Integer,
    PrimaryKeyConstraint,
    UniqueConstraint,
)

from haulier.catalog.types import PLAIN_TEXT, SafeText, UtcTime

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "upload_links",
        Column("link_id", PLAIN_TEXT, nullable=False),
        Column("folder_id", PLAIN_TEXT, nullable=False),
        Column("creator_id", PLAIN_TEXT, nullable=False),
        Column("token_hash", PLAIN_TEXT, nullable=False),
        Column("created_at", UtcTime, nullable=False),
        Column("title", SafeText, nullable=False),
        Column("password_hash", PLAIN_TEXT),
        Column("max_files", Integer),
        Column("max_bytes", BigInteger),
        Column("files", Integer, nullable=False),
        Column("size_bytes", BigInteger, nullable=False),
        Column("expires_at", UtcTime),
        Column("revoked_at", UtcTime),
        PrimaryKeyConstraint("link_id", name="pk_upload_links"),
        ForeignKeyConstraint(
            ["creator_id"], ["users.user_id"], name="fk_upload_links_creator_id_users"
        ),
        UniqueConstraint("token_hash", name="uq_upload_links_token_hash"),
    )
    op.create_index("ix_upload_links_folder_id", "upload_links", ["folder_id", "link_id"])
