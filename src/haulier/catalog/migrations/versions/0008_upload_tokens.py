"""Tokens: what chats call files that were sent to them."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, PrimaryKeyConstraint

from haulier.catalog.types import PLAIN_TEXT, SafeText, UtcTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "upload_tokens",
        Column("content", PLAIN_TEXT, nullable=False),
        Column("type", SafeText, nullable=False),
        Column("bot", SafeText, nullable=False),
        Column("name", SafeText, nullable=False),
        Column("token", SafeText, nullable=False),
        Column("size_bytes", BigInteger(), nullable=False),
        Column("created_at", UtcTime, nullable=False),
        Column("expires_at", UtcTime),
        PrimaryKeyConstraint("content", "type", "bot", "name", name="pk_upload_tokens"),
    )
    op.create_index("ix_upload_tokens_expires_at", "upload_tokens", ["expires_at"])
    op.create_table(
        "upload_token_counts",
        Column("bot", SafeText, nullable=False),
        Column("hits", BigInteger(), nullable=False),
        Column("misses", BigInteger(), nullable=False),
        Column("refused", BigInteger(), nullable=False),
        Column("bytes_saved", BigInteger(), nullable=False),
        PrimaryKeyConstraint("bot", name="pk_upload_token_counts"),
    )
