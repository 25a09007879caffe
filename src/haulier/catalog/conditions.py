"""The tests of file records and tags that listings are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, FromClause, Select, func, select

from haulier.catalog.filters import FileFilter, Tag
from haulier.catalog.patterns import exceeds_head
from haulier.catalog.tables import file_tags, files
from haulier.catalog.types import to_microseconds

RARE = 2000
"""So many matches are sorted in a few milliseconds."""

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"

Conditions = list[ColumnElement[bool]]


def bounds(key: Column[str], wanted: FileFilter) -> Conditions:
    """Return the tests of times and cursor: ids sort by time, so that these bound them."""
    conditions: Conditions = []
    if wanted.cursor is not None:
        conditions.append(key < wanted.cursor)
    if wanted.since is not None:
        conditions.append(key >= first_id(wanted.since))
    if wanted.until is not None:
        conditions.append(key < first_id(wanted.until))
    return conditions


def first_id(moment: datetime) -> str:
    """Return the least id that `new_file_id` makes in the millisecond of `moment`."""
    number = max(to_microseconds(moment) // 1000, 0) << 80
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


def facets(
    source: FromClause,
    wanted: FileFilter,
    spell: Callable[[ColumnElement[Any]], ColumnElement[Any]] = lambda column: column,
) -> Conditions:
    """Return the tests of location, status and kind; `spell` may keep indexes from them."""
    return [
        spell(column) == value
        for column, value in (
            (source.c.location, wanted.location),
            (source.c.status, wanted.status),
            (source.c.is_directory, wanted.is_directory),
        )
        if value is not None
    ]


def tag_is(tag: Tag) -> Conditions:
    """Return the tests that a row of `file_tags` is `tag`."""
    key, value = tag
    conditions: Conditions = [file_tags.c.key == key]
    if value is not None:
        conditions.append(file_tags.c.value_head == value)
        if exceeds_head(value):
            conditions.append(file_tags.c.value == value)
    return conditions


def has_tag(tag: Tag) -> ColumnElement[bool]:
    """Return the test that a file has `tag`, made file by file."""
    return asked(select(file_tags.c.file_id).where(*tag_is(tag), file_tags.c.file_id == files.c.id))


def asked(rows: Select[str]) -> ColumnElement[bool]:
    """Return the test that `rows` of the enclosing row is not empty, made row by row.

    EXISTS would say the same, but PostgreSQL turns it into a join and reads all of both.
    """
    return rows.limit(1).scalar_subquery().is_not(None)


def is_rare(connection: Connection, rows: Select[Any]) -> bool:
    """Return whether there are at most `RARE` of `rows`."""
    sample = rows.limit(RARE + 1).subquery()
    return (connection.scalar(select(func.count()).select_from(sample)) or 0) <= RARE


def take(connection: Connection, statement: Select[str], limit: int) -> Sequence[str]:
    """Return up to one more than `limit`, which tells that there is a next page."""
    return connection.scalars(statement.limit(limit + 1)).all()
