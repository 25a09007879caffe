"""Filters become statements that stay fast on a million records, whatever they match.

Equality filters stream from an index that ends in the ordering key; what few records have is
found by it and sorted; globs and directories are searched for (catalog/search.py). `unindexed`
keeps either from being answered the other way.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, literal, select, tuple_, union

from haulier.catalog.conditions import (
    Conditions,
    asked,
    bounds,
    facets,
    has_tag,
    is_rare,
    tag_is,
    take,
)
from haulier.catalog.filters import FileFilter, OperationFilter, Page, Tag
from haulier.catalog.patterns import glob, is_glob, literal_prefix, starts_with, unindexed
from haulier.catalog.queries import LINKED_FILES, get_files, get_operations
from haulier.catalog.search import search_file_ids, take_searched
from haulier.catalog.tables import file_tags, files, operations
from haulier.catalog.types import PLAIN_TEXT, UtcTime, from_microseconds, to_microseconds
from haulier.core.records import FileRecord, OperationRecord
from haulier.errors import UsageError

_LINK_COLUMNS = [operations.c[name] for name in LINKED_FILES.values()]


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
    others: Conditions = []
    is_narrow = wanted.checksum is not None
    if wanted.checksum is not None:
        others.append(files.c.checksum == wanted.checksum)
    if wanted.tag is not None:
        tagged = select(file_tags.c.file_id).where(*tag_is(wanted.tag))
        few = is_rare(connection, tagged)
        others.append(files.c.id.in_(tagged) if few else has_tag(wanted.tag))
        is_narrow = is_narrow or few
    is_named = wanted.name is not None and not is_glob(wanted.name)
    if wanted.path is not None or (wanted.name is not None and not is_named):
        search = take_searched if is_narrow or is_named else search_file_ids
        return search(connection, wanted, others)
    if is_named:
        others.append(files.c.name == wanted.name)
    tests = [*bounds(files.c.id, wanted), *facets(files, wanted), *others]
    return take(
        connection, select(files.c.id).where(*tests).order_by(files.c.id.desc()), wanted.limit
    )


def _tagged_file_ids(connection: Connection, wanted: FileFilter, tag: Tag) -> Sequence[str]:
    key = file_tags.c.file_id
    conditions = [*bounds(key, wanted), *facets(file_tags, wanted), *tag_is(tag)]
    return take(connection, select(key).where(*conditions).order_by(key.desc()), wanted.limit)


def _operation_keys(connection: Connection, wanted: OperationFilter) -> Select[Any]:
    started, key = operations.c.started_at, operations.c.operation_id
    statement = select(started, key).where(*_operation_conditions(wanted, connection.dialect.name))
    if wanted.cursor is not None:
        moment, operation_id = _read_cursor(wanted.cursor)
        last = tuple_(literal(moment, UtcTime), literal(operation_id, PLAIN_TEXT))
        statement = statement.where(tuple_(started, key) < last)
    narrow: Conditions = []
    prefix = "" if wanted.name is None else literal_prefix(wanted.name)
    if prefix and prefix != wanted.name:
        named = starts_with(operations.c.target_name, prefix)
        if is_rare(connection, select(key).where(named)):
            narrow.append(named)
    if wanted.file is not None:
        same_path = select(files.c.id).where(
            files.c.path_head == wanted.file, files.c.path == wanted.file
        )
        narrow.append(key.in_(union(*_linked_to(same_path))))
    if wanted.tag is not None:
        tagged = select(file_tags.c.file_id).where(*tag_is(wanted.tag))
        if is_rare(connection, tagged):
            narrow.append(key.in_(union(*_linked_to(tagged))))
        else:
            linked_to_row = file_tags.c.file_id.in_(_LINK_COLUMNS)
            statement = statement.where(asked(tagged.where(linked_to_row)))
    newest = unindexed(started) if narrow else started
    return statement.where(*narrow).order_by(newest.desc(), key.desc()).limit(wanted.limit + 1)


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
