"""Links by which files are shared."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    Column,
    ForeignKeyConstraint,
    Integer,
    PrimaryKeyConstraint,
    UniqueConstraint,
)

from haulier.catalog.types import PLAIN_TEXT, UtcTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "shares",
        Column("share_id", PLAIN_TEXT, nullable=False),
        Column("file_id", PLAIN_TEXT, nullable=False),
        Column("creator_id", PLAIN_TEXT, nullable=False),
        Column("token_hash", PLAIN_TEXT, nullable=False),
        Column("created_at", UtcTime, nullable=False),
        Column("password_hash", PLAIN_TEXT),
        Column("max_downloads", Integer),
        Column("downloads", Integer, nullable=False),
        Column("expires_at", UtcTime),
        Column("revoked_at", UtcTime),
        PrimaryKeyConstraint("share_id", name="pk_shares"),
        ForeignKeyConstraint(["creator_id"], ["users.user_id"], name="fk_shares_creator_id_users"),
        UniqueConstraint("token_hash", name="uq_shares_token_hash"),
    )
    op.create_index("ix_shares_file_id", "shares", ["file_id", "share_id"])
    op.create_table(
        "share_clients",
        Column("share_id", PLAIN_TEXT, nullable=False),
        Column("client", PLAIN_TEXT, nullable=False),
        Column("at", UtcTime, nullable=False),
        PrimaryKeyConstraint("share_id", "client", name="pk_share_clients"),
        ForeignKeyConstraint(
            ["share_id"], ["shares.share_id"], name="fk_share_clients_share_id_shares"
        ),
    )
