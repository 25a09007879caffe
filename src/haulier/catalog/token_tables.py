"""The tables of tokens: what chats call files that were sent to them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Table

from haulier.catalog.tables import metadata
from haulier.catalog.types import PLAIN_TEXT, SafeText, UtcTime

upload_tokens = Table(
    "upload_tokens",
    metadata,
    Column("content", PLAIN_TEXT, primary_key=True),
    Column("type", SafeText, primary_key=True),
    Column("bot", SafeText, primary_key=True),
    Column("name", SafeText, primary_key=True),
    Column("token", SafeText, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Index("ix_upload_tokens_expires_at", "expires_at"),
)

upload_token_counts = Table(
    "upload_token_counts",
    metadata,
    Column("bot", SafeText, primary_key=True),
    Column("hits", BigInteger, nullable=False),
    Column("misses", BigInteger, nullable=False),
    Column("refused", BigInteger, nullable=False),
    Column("bytes_saved", BigInteger, nullable=False),
)
