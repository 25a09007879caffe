"""How stored files are found: by words and marks, in the order of their numbers or another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    and_,
    cast,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import TSQUERY

from haulier.catalog.grant_tables import grants
from haulier.catalog.patterns import unindexed
from haulier.catalog.search_match import apart, fts5_of, tsquery_of
from haulier.catalog.search_tables import file_search, file_words
from haulier.catalog.stored_tables import stored_files
from haulier.catalog.types import from_microseconds, to_microseconds
from haulier.catalog.visibility import Sight, visible_there
from haulier.core.file_search import FileSearch, FileSort, Place, condition_of
from haulier.core.file_words import in_folder, of_id, of_owner
from haulier.core.search_text import AllOf, AnyOf, Condition, Sought

MOST_COUNTED = 10_000
"""So many results are counted; of more, how many they are may be estimated."""

# PostgreSQL's index gives what it finds in no order, all of it. So the files that come next are
# looked at one by one first: more of them as long as these may fill a page.
_LOOKED_AT = (1_024, 8_192, 65_536)
_STEP = 8
_SURELY_MORE = 3 * MOST_COUNTED
_MOST_GRANTED = 500

_ROW = file_search.c
_ROWID = file_words.c.rowid
_SORTED_BY = {
    FileSort.MODIFIED: _ROW.modified_at,
    FileSort.NAME: _ROW.sort_name,
    FileSort.SIZE: _ROW.size_bytes,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """What is searched for.

    Args:
        condition: what words and marks of a file meet.
        tests: what its row in `file_search` meets besides.
        seen: what its row in `stored_files` meets besides, where marks don't say who sees it.
    """

    condition: Condition
    tests: Sequence[ColumnElement[bool]] = ()
    seen: ColumnElement[bool] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRow:
    """A file that was found, and by what it was sorted."""

    number: int
    file_id: str
    sort_name: str
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A page of what was found, and how many matched in all, where that was told by the way."""

    rows: list[FoundRow]
    total: int | None = None


class SearchRows:
    """What can be asked of the index of stored files inside one transaction (`Tx.search`)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._is_sqlite = connection.dialect.name == "sqlite"

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
        # What others threw away is theirs.
        seen = of_owner(sight.user_id) if search.in_trash else self._seen(sight)
        if seen is None:
            return Match(
                condition=condition_of(search, sought), tests=tests, seen=visible_there(sight)
            )
        return Match(condition=condition_of(search, sought, seen), tests=tests)

    def find(
        self, match: Match, sort: FileSort, *, descending: bool, after: Place | None, limit: int
    ) -> Found:
        """Return the files that match, so many of them, from behind a place on.

        They come in the order of `sort`, which is not the relevance; those that are equal by it
        in the order in which they came.
        """
        column = _SORTED_BY.get(sort)
        if column is None and not self._is_sqlite:
            nearest = self._nearest(match, sort, descending=descending, after=after, limit=limit)
            if nearest is not None:
                return Found(rows=nearest)
        numbers = self._numbers_of(match, file_words.c.words, with_rows=column is not None)
        by: list[ColumnElement[Any]] = [_ROWID]
        if column is not None:
            by.insert(0, column)
        elif not self._is_sqlite:
            # It would go through all files for the sake of their order.
            by = [_ROWID + literal(0)]
        if after is not None:
            numbers = numbers.where(_behind(column, after))
        elif not self._is_sqlite:
            numbers = numbers.add_columns(func.count().over().label("total"))
        ordered = numbers.order_by(*(one.desc() if descending else one for one in by))
        return self._found(ordered.limit(limit), sort, descending)

    def count(self, match: Match) -> tuple[int, bool]:
        """Return how many files match, and whether that is an estimate: those are many."""
        if not self._is_sqlite:
            estimate = self._estimate(match)
            if estimate > _SURELY_MORE and self._is_common(match):
                return estimate, True
        most = MOST_COUNTED + 1
        numbers = self._numbers_of(match, file_words.c.words).limit(most)
        if self._is_sqlite:
            numbers = numbers.order_by(_ROWID.desc())
        counted = numbers.subquery()
        rowid = counted.c.rowid
        ends = select(func.count(), func.min(rowid), func.max(rowid))
        count, least, largest = self._connection.execute(ends).one()
        if count < most:
            return count, False
        if not self._is_sqlite:
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

    def _nearest(
        self, match: Match, sort: FileSort, *, descending: bool, after: Place | None, limit: int
    ) -> list[FoundRow] | None:
        """Return what matches of the files that come next, found by looking at each.

        None when that does not fill a page.
        """
        numbers = self._numbers_of(match, unindexed(file_words.c.words))
        numbers = numbers.order_by(_ROWID.desc() if descending else _ROWID).limit(limit)
        first = self.newest() + 1 if descending else 0
        begin = first if after is None else after.number
        for count in _LOOKED_AT:
            near = (begin - count, begin - 1) if descending else (begin + 1, begin + count)
            found = self._found(numbers.where(_ROWID.between(*near)), sort, descending).rows
            if len(found) == limit:
                return found
            if len(found) * _STEP < limit:
                break
        return None

    def _numbers_of(
        self, match: Match, words: ColumnElement[Any], *, with_rows: bool = False
    ) -> Select[Any]:
        """Return the numbers of all that match; `words` tells whether the index is asked."""
        statement = select(_ROWID).where(*self._matching(match.condition, words))
        if not (with_rows or match.tests or match.seen is not None):
            return statement
        statement = statement.join_from(file_words, file_search, _ROW.number == _ROWID)
        statement = statement.where(*match.tests)
        if match.seen is None:
            return statement
        same = stored_files.c.file_id == _ROW.file_id
        return statement.join(stored_files, same).where(match.seen)

    def _matching(
        self, condition: Condition, words: ColumnElement[Any]
    ) -> list[ColumnElement[bool]]:
        if self._is_sqlite:
            return [file_words.c.file_words.op("MATCH", is_comparison=True)(fts5_of(condition))]
        return [
            words.op("@@", is_comparison=True)(cast(tsquery_of(one), TSQUERY))
            for one in apart(condition)
        ]

    def _found(self, numbers: Select[Any], sort: FileSort, descending: bool) -> Found:
        """Return the rows of these numbers, in their order."""
        inner = numbers.subquery()
        counted = [inner.c.total] if "total" in inner.c else []
        statement = select(file_search, *counted).join_from(
            inner, file_search, _ROW.number == inner.c.rowid
        )
        column = _SORTED_BY.get(sort)
        by = [_ROW.number] if column is None else [column, _ROW.number]
        statement = statement.order_by(*(one.desc() if descending else one for one in by))
        rows = self._connection.execute(statement).mappings().all()
        total = rows[0].get("total") if rows else None
        return Found(rows=[_found_row(row, sort, descending) for row in rows], total=total)

    def _estimate(self, match: Match) -> int:
        """Return how many PostgreSQL takes the matching files to be."""
        statement = self._numbers_of(match, file_words.c.words)
        compiled = statement.compile(self._connection, compile_kwargs={"render_postcompile": True})
        explain = f"EXPLAIN (FORMAT JSON) {compiled}"
        plan = self._connection.exec_driver_sql(explain, compiled.params).scalar_one()
        return int(plan[0]["Plan"]["Plan Rows"])

    def _is_common(self, match: Match) -> bool:
        """Tell whether many of the newest files match."""
        newest, count = self.newest(), _LOOKED_AT[0]
        numbers = self._numbers_of(match, unindexed(file_words.c.words))
        near = numbers.where(_ROWID.between(newest - count + 1, newest)).subquery()
        found = self._connection.scalar(select(func.count()).select_from(near)) or 0
        return found * newest > _SURELY_MORE * count


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
    down, number = after.descending, file_words.c.rowid
    beyond = number < after.number if down else number > after.number
    if column is None:
        return beyond
    value: Any = after.value
    if column is _ROW.modified_at:
        value = from_microseconds(value)
    return or_(column < value if down else column > value, and_(column == value, beyond))


def _found_row(row: RowMapping, sort: FileSort, descending: bool) -> FoundRow:
    column = _SORTED_BY.get(sort)
    value = None if column is None else row[column.name]
    if isinstance(value, datetime):
        value = to_microseconds(value)
    number = row["number"]
    return FoundRow(
        number=number,
        file_id=row["file_id"],
        sort_name=row["sort_name"],
        place=Place(sort=sort, descending=descending, number=number, value=value),
    )
