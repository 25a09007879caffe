"""Filters become statements that stay fast on a million records, whatever they match.

Equality filters stream from an index that ends in the ordering key. A glob or a directory
can match few records or most of them: the newest records are looked through first, which
fills the page when matches are common; when it does not, matches are taken from the index
of names or paths and sorted. `unindexed` keeps either from being answered the other way.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    FromClause,
    Select,
    func,
    literal,
    select,
    tuple_,
    union,
)

from haulier.catalog.filters import FileFilter, OperationFilter, Page, Tag
from haulier.catalog.patterns import (
    exceeds_head,
    glob,
    has_trigram,
    is_glob,
    literal_prefix,
    starts_with,
    under,
    unindexed,
)
from haulier.catalog.queries import LINKED_FILES, get_files, get_operations
from haulier.catalog.tables import file_names, file_tags, files, operations
from haulier.catalog.types import (
    PLAIN_TEXT,
    UtcTime,
    from_microseconds,
    to_microseconds,
)
from haulier.core.records import FileRecord, OperationRecord
from haulier.errors import UsageError

NEWEST_LOOKED_THROUGH = 5000
RARE_TAG = 2000

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_LINK_COLUMNS = [operations.c[name] for name in LINKED_FILES.values()]

Conditions = list[ColumnElement[bool]]


def list_files(connection: Connection, wanted: FileFilter) -> Page[FileRecord]:
    """Return a page of file records, newest first by id; raises UsageError (bad cursor)."""
    ids = _file_ids(connection, wanted)
    shown = ids[: wanted.limit]
    records = get_files(connection, shown)
    return Page(
        items=[records[file_id] for file_id in shown],
        next_cursor=shown[-1] if len(ids) > wanted.limit else None,
    )


def list_operations(connection: Connection, wanted: OperationFilter) -> Page[OperationRecord]:
    """Return a page of operations, newest first by start; raises UsageError (bad cursor)."""
    rows = connection.execute(_operation_keys(connection, wanted)).all()
    shown = rows[: wanted.limit]
    ids = [row.operation_id for row in shown]
    records = get_operations(connection, ids)
    cursor = None
    if len(rows) > wanted.limit:
        cursor = f"{to_microseconds(shown[-1].started_at)}:{shown[-1].operation_id}"
    return Page(items=[records[operation_id] for operation_id in ids], next_cursor=cursor)


def _file_ids(connection: Connection, wanted: FileFilter) -> Sequence[str]:
    if wanted.name is None and wanted.path is None and wanted.checksum is None and wanted.tag:
        return _tagged_file_ids(connection, wanted, wanted.tag)
    key = files.c.id
    base = [*_bounds(key, wanted), *_facets(files, wanted)]
    if wanted.tag is not None:
        base.append(_has_tag(connection, wanted.tag))
    if wanted.checksum is not None:
        base.append(files.c.checksum == wanted.checksum)
    exact_name = wanted.name is not None and not is_glob(wanted.name)
    if exact_name:
        base.append(files.c.name == wanted.name)
    if wanted.path is None and (wanted.name is None or exact_name):
        return _take(connection, select(key).where(*base).order_by(key.desc()), wanted.limit)
    return _search_file_ids(connection, wanted, base)


def _search_file_ids(connection: Connection, wanted: FileFilter, base: Conditions) -> Sequence[str]:
    key = files.c.id
    oldest = connection.scalar(
        select(key)
        .where(*_bounds(key, wanted))
        .order_by(key.desc())
        .offset(NEWEST_LOOKED_THROUGH)
        .limit(1)
    )
    test = _matches_text(wanted, connection.dialect.name)
    newest = select(key).where(*base, *test).order_by(key.desc())
    if oldest is None:
        return _take(connection, newest, wanted.limit)
    found = _take(connection, newest.where(key > oldest), wanted.limit)
    if len(found) > wanted.limit:
        return found
    driven = _search_text(wanted, connection.dialect.name)
    everywhere = select(key).where(*base, *driven).order_by(unindexed(key).desc())
    return _take(connection, everywhere, wanted.limit)


def _tagged_file_ids(connection: Connection, wanted: FileFilter, tag: Tag) -> Sequence[str]:
    key = file_tags.c.file_id
    conditions = [*_bounds(key, wanted), *_facets(file_tags, wanted), *_tag_is(tag)]
    return _take(connection, select(key).where(*conditions).order_by(key.desc()), wanted.limit)


def _take(connection: Connection, statement: Select[str], limit: int) -> Sequence[str]:
    """Return up to one more than `limit`, which tells that there is a next page."""
    return connection.scalars(statement.limit(limit + 1)).all()


def _bounds(key: Column[str], wanted: FileFilter) -> Conditions:
    """Ids sort by time, so times and the cursor bound them."""
    conditions: Conditions = []
    if wanted.cursor is not None:
        conditions.append(key < wanted.cursor)
    if wanted.since is not None:
        conditions.append(key >= _first_id(wanted.since))
    if wanted.until is not None:
        conditions.append(key < _first_id(wanted.until))
    return conditions


def _first_id(moment: datetime) -> str:
    """Return the least id that `new_file_id` makes in the millisecond of `moment`."""
    number = max(to_microseconds(moment) // 1000, 0) << 80
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


def _facets(source: FromClause, wanted: FileFilter) -> Conditions:
    conditions: Conditions = []
    if wanted.location is not None:
        conditions.append(source.c.location == wanted.location)
    if wanted.status is not None:
        conditions.append(source.c.status == wanted.status)
    if wanted.is_directory is not None:
        conditions.append(source.c.is_directory == wanted.is_directory)
    return conditions


def _matches_text(wanted: FileFilter, dialect: str) -> Conditions:
    """Tests of name and path for records that are looked through anyway."""
    conditions: Conditions = []
    if wanted.name is not None:
        conditions.append(glob(unindexed(files.c.name), wanted.name, dialect))
    if wanted.path is not None:
        conditions.append(under(files.c.path, wanted.path))
    return conditions


def _search_text(wanted: FileFilter, dialect: str) -> Conditions:
    """The same tests in the form an index answers."""
    conditions: Conditions = []
    if wanted.path is not None:
        conditions.append(under(files.c.path_head, wanted.path))
        if exceeds_head(wanted.path + "/"):
            conditions.append(under(files.c.path, wanted.path))
    if wanted.name is None:
        return conditions
    prefix = literal_prefix(wanted.name)
    name: ColumnElement[str] = files.c.name
    if prefix:
        conditions.append(starts_with(files.c.name, prefix))
    elif not has_trigram(wanted.name):
        name = unindexed(files.c.name)
    elif dialect == "sqlite":
        rows = select(file_names.c.rowid).where(glob(file_names.c.name, wanted.name, dialect))
        conditions.append(files.c.number.in_(rows))
    if wanted.name != prefix + "*":
        conditions.append(glob(name, wanted.name, dialect))
    return conditions


def _tag_is(tag: Tag) -> Conditions:
    key, value = tag
    conditions: Conditions = [file_tags.c.key == key]
    if value is not None:
        conditions.append(file_tags.c.value_head == value)
        if exceeds_head(value):
            conditions.append(file_tags.c.value == value)
    return conditions


def _has_tag(connection: Connection, tag: Tag) -> ColumnElement[bool]:
    """Return the test that a file has `tag`: found by it when that is rare, else asked."""
    tagged = select(file_tags.c.file_id).where(*_tag_is(tag))
    if _is_rare(connection, tagged):
        return files.c.id.in_(tagged)
    return _asked(tagged.where(file_tags.c.file_id == files.c.id))


def _asked(rows: Select[str]) -> ColumnElement[bool]:
    """Return the test that `rows` of the enclosing row is not empty, made row by row.

    EXISTS would say the same, but PostgreSQL turns it into a join and reads all of both.
    """
    return rows.limit(1).scalar_subquery().is_not(None)


def _is_rare(connection: Connection, tagged: Select[str]) -> bool:
    sample = tagged.limit(RARE_TAG + 1).subquery()
    return (connection.scalar(select(func.count()).select_from(sample)) or 0) <= RARE_TAG


def _operation_keys(connection: Connection, wanted: OperationFilter) -> Select[Any]:
    started, key = operations.c.started_at, operations.c.operation_id
    statement = select(started, key).where(*_operation_conditions(wanted, connection.dialect.name))
    if wanted.cursor is not None:
        moment, operation_id = _read_cursor(wanted.cursor)
        last = tuple_(literal(moment, UtcTime), literal(operation_id, PLAIN_TEXT))
        statement = statement.where(tuple_(started, key) < last)
    order: list[ColumnElement[Any]] = [started.desc(), key.desc()]
    if wanted.file is not None:
        same_path = select(files.c.id).where(
            files.c.path_head == wanted.file, files.c.path == wanted.file
        )
        linked = _linked_to(same_path)
        statement = statement.where(key.in_(union(*linked)))
        order = [unindexed(started).desc(), key.desc()]
    if wanted.tag is not None:
        tagged = select(file_tags.c.file_id).where(*_tag_is(wanted.tag))
        if _is_rare(connection, tagged):
            statement = statement.where(key.in_(union(*_linked_to(tagged))))
            order = [unindexed(started).desc(), key.desc()]
        else:
            linked_to_row = file_tags.c.file_id.in_(_LINK_COLUMNS)
            statement = statement.where(_asked(tagged.where(linked_to_row)))
    return statement.order_by(*order).limit(wanted.limit + 1)


def _operation_conditions(wanted: OperationFilter, dialect: str) -> Conditions:
    columns = operations.c
    conditions: Conditions = []
    for column, value in (
        (columns.status, wanted.status),
        (columns.location, wanted.location),
        (columns.operation_type, wanted.operation_type),
        (columns.user, wanted.user),
    ):
        if value is not None:
            conditions.append(column == value)
    if wanted.since is not None:
        conditions.append(columns.started_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(columns.started_at < wanted.until)
    if wanted.name is not None and is_glob(wanted.name):
        conditions.append(glob(unindexed(columns.target_name), wanted.name, dialect))
    elif wanted.name is not None:
        conditions.append(columns.target_name == wanted.name)
    return conditions


def _linked_to(file_ids: Select[str]) -> list[Select[str]]:
    return [select(operations.c.operation_id).where(link.in_(file_ids)) for link in _LINK_COLUMNS]


def _read_cursor(cursor: str) -> tuple[datetime, str]:
    microseconds, _, operation_id = cursor.partition(":")
    try:
        return from_microseconds(int(microseconds)), operation_id
    except (ValueError, OverflowError):
        raise UsageError(
            f"{cursor!r} is no cursor", hint="Pass the next_cursor of the page before, unchanged."
        ) from None
