"""The table of the keys that contents are sealed with, themselves sealed with the server's key."""

from __future__ import annotations

from sqlalchemy import Column, Index, LargeBinary, Table

from haulier.catalog.tables import metadata
from haulier.catalog.types import PLAIN_TEXT

# Of a content, or of an upload session until its bytes are one.
content_keys = Table(
    "content_keys",
    metadata,
    Column("content_id", PLAIN_TEXT, primary_key=True),
    Column("key_id", PLAIN_TEXT, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Index("ix_content_keys_key_id", "key_id"),
)
