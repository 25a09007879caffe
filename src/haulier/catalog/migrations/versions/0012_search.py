"""The index by which stored files are found."""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    PrimaryKeyConstraint,
    column,
    insert,
    select,
    table,
    text,
)

from haulier.catalog.search_tables import (
    as_fts5,
    as_tsvector,
    create_file_words,
    index_file_words,
)
from haulier.catalog.types import BIG_KEY, PLAIN_TEXT, JsonText, SafeText, UtcTime
from haulier.core.file_words import marks_of_file, words_of_file
from haulier.core.words import fold

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_BATCH = 1000


def upgrade() -> None:
    op.create_table(
        "file_search",
        Column("number", BIG_KEY, nullable=False),
        Column("file_id", PLAIN_TEXT, nullable=False),
        Column("sort_name", SafeText, nullable=False),
        Column("size_bytes", BigInteger(), nullable=False),
        Column("created_at", UtcTime, nullable=False),
        Column("modified_at", UtcTime, nullable=False),
        PrimaryKeyConstraint("number", name="pk_file_search"),
    )
    op.create_index("ix_file_search_file_id", "file_search", ["file_id"], unique=True)
    connection = op.get_bind()
    create_file_words(connection)
    _index_files(connection)
    index_file_words(connection)


def _index_files(connection: Connection) -> None:
    """Index the files that are there, in the order in which they came."""
    files = table(
        "stored_files",
        *(column(name, PLAIN_TEXT) for name in ("file_id", "owner_id", "scan_state")),
        *(column(name, SafeText) for name in ("name", "folder", "mime_type")),
        *(column(name, UtcTime) for name in ("created_at", "modified_at", "deleted_at")),
        column("tags", JsonText),
        column("size_bytes", BigInteger()),
    )
    after, number = "", 1
    while True:
        batch = select(files).where(files.c.file_id > after).order_by(files.c.file_id)
        found = connection.execute(batch.limit(_BATCH)).all()
        if not found:
            break
        _write(connection, found, number)
        after, number = found[-1].file_id, number + len(found)
    if connection.dialect.name == "postgresql":
        sequence = "pg_get_serial_sequence('file_search', 'number')"
        connection.execute(text(f"SELECT setval({sequence}, {number}, false)"))


def _write(connection: Connection, found: Any, first: int) -> None:
    search = table(
        "file_search",
        *(column(name) for name in ("number", "file_id", "size_bytes")),
        column("sort_name", SafeText),
        *(column(name, UtcTime) for name in ("created_at", "modified_at")),
    )
    rows = [
        {
            "number": number,
            "file_id": one.file_id,
            "sort_name": fold(one.name),
            "size_bytes": one.size_bytes,
            "created_at": one.created_at,
            "modified_at": one.modified_at,
        }
        for number, one in enumerate(found, first)
    ]
    connection.execute(insert(search), rows)
    in_sqlite = connection.dialect.name == "sqlite"
    spelled = as_fts5 if in_sqlite else as_tsvector
    words = [
        {"number": number, "words": spelled(words_of_file(one), marks_of_file(one))}
        for number, one in enumerate(found, first)
    ]
    value = ":words" if in_sqlite else "CAST(:words AS tsvector)"
    statement = text(f"INSERT INTO file_words (rowid, words) VALUES (:number, {value})")  # noqa: S608 - one of two texts
    connection.execute(statement, words)
