"""The index by which stored files are found, written with the files themselves."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, func, insert, select, text

from haulier.catalog.search_tables import as_fts5, as_tsvector, file_search, file_words
from haulier.catalog.upsert import chunks
from haulier.core.accounts import StoredFile
from haulier.core.file_words import marks_of_file, words_of_file
from haulier.core.words import fold

_ROW = file_search.c
_PUT_WORDS = {
    "sqlite": "INSERT OR REPLACE INTO file_words (rowid, words) VALUES (:number, :words)",
    "postgresql": "INSERT INTO file_words (rowid, words) VALUES (:number, CAST(:words AS tsvector))"
    " ON CONFLICT (rowid) DO UPDATE SET words = excluded.words",
}


class SearchIndex:
    """What is written of stored files, in the transaction that changes them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._dialect = connection.dialect.name

    def put(self, files: Sequence[StoredFile]) -> None:
        """Let files be found as they are now; new ones get the next numbers."""
        for some in chunks(sorted(files, key=lambda one: one.file_id)):
            self._put(some)

    def forget(self, file_id: str) -> None:
        """Let a file that is gone not be found any more."""
        numbers = self._numbers([file_id]).values()
        here = file_words.c.rowid.in_(list(numbers))
        self._connection.execute(delete(file_words).where(here))
        self._connection.execute(delete(file_search).where(_ROW.file_id == file_id))

    def _put(self, files: Sequence[StoredFile]) -> None:
        numbers = self._numbers([one.file_id for one in files])
        new = [one.file_id for one in files if one.file_id not in numbers]
        numbers.update(zip(new, self._next_numbers(len(new)), strict=True))
        rows = [
            {
                "number": numbers[one.file_id],
                "file_id": one.file_id,
                "sort_name": fold(one.name),
                "size_bytes": one.size_bytes,
                "created_at": one.created_at,
                "modified_at": one.modified_at,
            }
            for one in files
        ]
        if len(new) < len(files):
            # An upsert is compiled anew each time.
            here = _ROW.number.in_(list(numbers.values()))
            self._connection.execute(delete(file_search).where(here))
        self._connection.execute(insert(file_search), rows)
        spelled = as_fts5 if self._dialect == "sqlite" else as_tsvector
        words = [
            {
                "number": numbers[one.file_id],
                "words": spelled(words_of_file(one), marks_of_file(one)),
            }
            for one in files
        ]
        self._connection.execute(text(_PUT_WORDS[self._dialect]), words)

    def _numbers(self, file_ids: Sequence[str]) -> dict[str, int]:
        known = select(_ROW.file_id, _ROW.number).where(_ROW.file_id.in_(file_ids))
        return {row.file_id: row.number for row in self._connection.execute(known)}

    def _next_numbers(self, count: int) -> list[int]:
        if count == 0:
            return []
        if self._dialect == "sqlite":
            # Nobody else writes now.
            last = self._connection.scalar(select(func.max(_ROW.number))) or 0
            return list(range(last + 1, last + 1 + count))
        sequence = func.pg_get_serial_sequence("file_search", "number")
        series = func.generate_series(1, count).table_valued("n")
        return list(self._connection.scalars(select(func.nextval(sequence)).select_from(series)))
