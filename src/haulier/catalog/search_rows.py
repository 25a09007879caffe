"""How stored files are found: by words and marks, in the order of their numbers or another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    cast,
    delete,
    func,
    literal,
    or_,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import TSQUERY

from haulier.catalog.grant_tables import grants
from haulier.catalog.patterns import unindexed
from haulier.catalog.search_match import fts5_of, tsquery_of
from haulier.catalog.search_tables import as_fts5, as_tsvector, file_search, file_words
from haulier.catalog.stored_tables import stored_files
from haulier.catalog.types import from_microseconds, to_microseconds
from haulier.catalog.upsert import chunks, upsert
from haulier.catalog.visibility import Sight, visible
from haulier.core.accounts import StoredFile
from haulier.core.file_search import FileSearch, FileSort, Place, condition_of
from haulier.core.file_words import in_folder, marks_of_file, of_id, of_owner, words_of_file
from haulier.core.search_text import AllOf, AnyOf, Condition, Sought
from haulier.core.words import fold

MOST_COUNTED = 10_000
"""So many results are counted; of more, how many they are is estimated."""

# PostgreSQL's index gives what it finds in no order, all of it. So the files that come next are
# looked at one by one first; more of them where the index would give more than so many.
_LOOKED_AT = 2_048
_LOOKED_AT_OF_MANY = 32_768
_MANY = 20_000
_SURELY_MORE = 3 * MOST_COUNTED
_MOST_GRANTED = 500

_ROW = file_search.c
_SORTED_BY = {
    FileSort.MODIFIED: _ROW.modified_at,
    FileSort.NAME: _ROW.sort_name,
    FileSort.SIZE: _ROW.size_bytes,
}
_PUT_WORDS = {
    "sqlite": "INSERT OR REPLACE INTO file_words (rowid, words) VALUES (:number, :words)",
    "postgresql": "INSERT INTO file_words (rowid, words) VALUES (:number, CAST(:words AS tsvector))"
    " ON CONFLICT (rowid) DO UPDATE SET words = excluded.words",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """What is searched for: files whose words and marks meet a condition, and whose rows tests."""

    condition: Condition
    tests: Sequence[ColumnElement[bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRow:
    """A file that was found, and by what it was sorted."""

    number: int
    file_id: str
    sort_name: str
    place: Place


class SearchRows:
    """What can be done with the index of stored files inside one transaction (`Tx.search`)."""

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

    def match(self, search: FileSearch, sought: Sought, sight: Sight) -> Match:
        """Return the test that files are searched for, and that whoever looks sees them.

        Args:
            search: what is searched for.
            sought: of its text.
            sight: who looks.
        """
        tests = list(_tests(search))
        if sight.sees_all:
            return Match(condition=condition_of(search, sought), tests=tests)
        seen: Condition | None = of_owner(sight.user_id)
        if not search.in_trash:
            seen = self._seen(sight)
            if seen is None:
                tests.append(visible(sight))
        more = [] if seen is None else [seen]
        return Match(condition=condition_of(search, sought, *more), tests=tests)

    def find(
        self, match: Match, sort: FileSort, *, descending: bool, after: Place | None, limit: int
    ) -> list[FoundRow]:
        """Return the files that match, so many of them, from behind a place on.

        They come in the order of `sort`, which is not the relevance; those that are equal by it
        in the order in which they came.
        """
        column = _SORTED_BY.get(sort)
        if column is not None:
            statement = self._all(match)
            if after is not None:
                statement = statement.where(_behind(column, after))
            by = (column, _ROW.number)
            ordered = statement.order_by(*(one.desc() if descending else one for one in by))
            return self._rows(ordered.limit(limit), sort, descending)
        if self._dialect == "postgresql":
            order: dict[str, Any] = {"descending": descending, "after": after, "limit": limit}
            found = self._rows(self._nearest(match, _LOOKED_AT, **order), sort, descending)
            if len(found) < limit and self._estimate(match) > _MANY:
                many = self._nearest(match, _LOOKED_AT_OF_MANY, **order)
                found = self._rows(many, sort, descending)
            if len(found) == limit:
                return found
        statement = self._in_order(self._all(match), descending=descending, after=after)
        return self._rows(statement.limit(limit), sort, descending)

    def count(self, match: Match) -> tuple[int, bool]:
        """Return how many files match, and whether that is an estimate: those are many."""
        if self._dialect == "postgresql":
            estimate = self._estimate(match)
            if estimate > _SURELY_MORE and self._is_common(match):
                return estimate, True
        most = MOST_COUNTED + 1
        ordered = self._all(match)
        if self._dialect == "sqlite":
            ordered = self._in_order(ordered, descending=True, after=None)
        numbers = ordered.with_only_columns(_ROW.number).limit(most).subquery()
        counted = select(func.count(), func.min(numbers.c.number), func.max(numbers.c.number))
        count, least, largest = self._connection.execute(counted).one()
        if count < most:
            return count, False
        if self._dialect == "postgresql":
            return max(self._estimate(match), most), True
        # As many in each stretch of numbers as among the newest.
        return max(round(count * largest / (largest - least + 1)), most), True

    def newest(self) -> int:
        """Return the largest number of a file."""
        return self._connection.scalar(select(func.max(_ROW.number))) or 0

    def _seen(self, sight: Sight) -> Condition | None:
        """Return what all files meet that are seen, and no others; None where that is too long."""
        if sight.roots is None:
            return None
        one_by_one = (
            select(grants.c.resource_id)
            .where(grants.c.grantee.in_(sight.grantees), ~grants.c.is_folder)
            .distinct()
            .limit(_MOST_GRANTED + 1)
        )
        granted = list(self._connection.scalars(one_by_one))
        if len(granted) > _MOST_GRANTED:
            return None
        in_folders = (
            AllOf((of_owner(owner_id), in_folder(path, deeper=True)))
            for owner_id, path in sight.roots
        )
        return AnyOf((of_owner(sight.user_id), *in_folders, *map(of_id, granted)))

    def _all(self, match: Match) -> Select[Any]:
        """Return all that matches, found by the index."""
        return self._statement(match, file_words.c.words)

    def _nearest(
        self, match: Match, count: int, *, descending: bool, after: Place | None, limit: int
    ) -> Select[Any]:
        """Return what matches of so many files that come next, found by looking at each."""
        words = unindexed(file_words.c.words)
        statement = self._in_order(
            self._statement(match, words), descending=descending, after=after, by_index=True
        )
        rowid = file_words.c.rowid
        if descending:
            end = (self.newest() + 1 if after is None else after.number) - count
            return statement.where(rowid >= end).limit(limit)
        begin = 0 if after is None else after.number
        return statement.where(rowid <= begin + count).limit(limit)

    def _statement(self, match: Match, words: ColumnElement[Any]) -> Select[Any]:
        statement = select(file_search).join_from(
            file_words, file_search, _ROW.number == file_words.c.rowid
        )
        if match.tests:
            statement = statement.join(stored_files, stored_files.c.file_id == _ROW.file_id)
        return statement.where(*self._matching(match.condition, words), *match.tests)

    def _matching(
        self, condition: Condition, words: ColumnElement[Any]
    ) -> list[ColumnElement[bool]]:
        if self._dialect == "sqlite":
            return [file_words.c.file_words.op("MATCH", is_comparison=True)(fts5_of(condition))]
        return [
            words.op("@@", is_comparison=True)(cast(tsquery_of(one), TSQUERY))
            for one in _apart(condition)
        ]

    def _in_order(
        self,
        statement: Select[Any],
        *,
        descending: bool,
        after: Place | None,
        by_index: bool = False,
    ) -> Select[Any]:
        rowid = file_words.c.rowid
        if after is not None:
            statement = statement.where(
                rowid < after.number if descending else rowid > after.number
            )
        # PostgreSQL would go through all files for the sake of the order.
        is_kept = self._dialect == "sqlite" or by_index
        by = rowid if is_kept else rowid + literal(0)
        return statement.order_by(by.desc() if descending else by)

    def _rows(self, statement: Select[Any], sort: FileSort, descending: bool) -> list[FoundRow]:
        column = _SORTED_BY.get(sort)
        found = []
        for row in self._connection.execute(statement).mappings():
            value = None if column is None else row[column.name]
            if sort is FileSort.MODIFIED:
                value = to_microseconds(row["modified_at"])
            place = Place(sort=sort, descending=descending, number=row["number"], value=value)
            found.append(
                FoundRow(
                    number=row["number"],
                    file_id=row["file_id"],
                    sort_name=row["sort_name"],
                    place=place,
                )
            )
        return found

    def _estimate(self, match: Match) -> int:
        """Return how many PostgreSQL takes the matching files to be."""
        statement = self._all(match).with_only_columns(_ROW.number)
        compiled = statement.compile(self._connection, compile_kwargs={"render_postcompile": True})
        explain = text(f"EXPLAIN (FORMAT JSON) {compiled}")
        plan = self._connection.exec_driver_sql(str(explain), compiled.params).scalar_one()
        return int(plan[0]["Plan"]["Plan Rows"])

    def _is_common(self, match: Match) -> bool:
        """Tell whether many of the newest files match."""
        nearest = self._nearest(match, _LOOKED_AT, descending=True, after=None, limit=_LOOKED_AT)
        numbers = nearest.order_by(None).with_only_columns(_ROW.number).subquery()
        found = self._connection.scalar(select(func.count()).select_from(numbers)) or 0
        return found * self.newest() > _SURELY_MORE * _LOOKED_AT

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
        upsert(self._connection, file_search, rows, key=["number"])
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
            first = self.newest() + 1
            return list(range(first, first + count))
        sequence = func.pg_get_serial_sequence("file_search", "number")
        series = func.generate_series(1, count).table_valued("n")
        return list(self._connection.scalars(select(func.nextval(sequence)).select_from(series)))


def _apart(condition: Condition) -> list[Condition]:
    """Return conditions that hold together where `condition` does.

    PostgreSQL's index takes much longer for several lists of many words in one query.
    """
    if not isinstance(condition, AllOf):
        return [condition]
    lists: list[Condition] = []
    others: list[Condition] = []
    for one in condition.conditions:
        alone = one.conditions[0] if isinstance(one, AnyOf) and len(one.conditions) == 1 else one
        (lists if isinstance(alone, AnyOf) else others).append(alone)
    if not others:
        # What is not wanted can't be looked up alone.
        others.append(lists.pop())
    return [AllOf(tuple(others), condition.but_not), *lists]


def _tests(search: FileSearch) -> Iterator[ColumnElement[bool]]:
    """Yield tests of what marks say too roughly."""
    if search.least_bytes is not None:
        yield _ROW.size_bytes >= search.least_bytes
    if search.most_bytes is not None:
        yield _ROW.size_bytes <= search.most_bytes
    if search.created_from is not None:
        yield _ROW.created_at >= search.created_from
    if search.created_to is not None:
        yield _ROW.created_at < search.created_to
    if search.modified_from is not None:
        yield _ROW.modified_at >= search.modified_from
    if search.modified_to is not None:
        yield _ROW.modified_at < search.modified_to


def _behind(column: Any, after: Place) -> ColumnElement[bool]:
    value: Any = after.value
    if column is _ROW.modified_at:
        value = from_microseconds(value)
    if after.descending:
        return or_(column < value, and_(column == value, _ROW.number < after.number))
    return or_(column > value, and_(column == value, _ROW.number > after.number))
