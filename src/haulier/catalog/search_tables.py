"""Tables by which stored files are found.

`file_search` counts the files, in the order in which they came, and has what they are sorted by.
`file_words` has the words and marks of each (`core/file_words`) under the same number: in SQLite an
FTS5 table, whose rows come in the order of their numbers, in PostgreSQL a tsvector and a GIN index.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import BigInteger, Column, Connection, Index, Table, column, table, text

from haulier.catalog.tables import metadata
from haulier.catalog.types import BIG_KEY, PLAIN_TEXT, SafeText, UtcTime

file_search = Table(
    "file_search",
    metadata,
    Column("number", BIG_KEY, primary_key=True),
    Column("file_id", PLAIN_TEXT, nullable=False),
    Column("sort_name", SafeText, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("modified_at", UtcTime, nullable=False),
    Index("ix_file_search_file_id", "file_id", unique=True),
)

# The column `file_words` is what an FTS5 table is matched by.
file_words = table(
    "file_words", column("rowid", BigInteger()), column("words"), column("file_words")
)


def create_file_words(connection: Connection) -> None:
    """Create the table `file_words`, for migrations; see `index_file_words`."""
    if connection.dialect.name == "sqlite":
        # Words are cut and folded before: FTS5 only has to leave them as they are.
        connection.execute(
            text(
                "CREATE VIRTUAL TABLE file_words USING fts5 (words, columnsize = 0,"
                " tokenize = \"ascii tokenchars '_'\", prefix = '1 2 3 4 5 6')"
            )
        )
        return
    connection.execute(
        text("CREATE TABLE file_words (rowid bigint PRIMARY KEY, words tsvector NOT NULL)")
    )


def index_file_words(connection: Connection) -> None:
    """Create its index, once the files that are there have been written."""
    if connection.dialect.name == "postgresql":
        # A list of changes to come would have to be read by every search.
        connection.execute(
            text(
                "CREATE INDEX ix_file_words ON file_words USING gin (words) WITH (fastupdate = off)"
            )
        )


def as_fts5(words: Iterable[str | None], marks: Sequence[str]) -> str:
    """Return words and marks as the text of an FTS5 row."""
    return " ".join([*("_" if word is None else word for word in words), "_", *marks])


def as_tsvector(words: Iterable[str | None], marks: Sequence[str]) -> str:
    """Return words and marks as a tsvector is written."""
    places: dict[str, list[str]] = {}
    for place, word in enumerate(words, 1):
        if word is not None:
            places.setdefault(word, []).append(str(place))
    lexemes = [f"'{word}':{','.join(found)}" for word, found in places.items()]
    return " ".join([*lexemes, *(f"'{mark}'" for mark in marks)])
