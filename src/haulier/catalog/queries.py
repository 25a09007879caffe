"""Writing and reading records by their ids, on a connection inside a transaction."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, insert, select

from haulier.catalog.blocks import add_terms
from haulier.catalog.tables import file_tags, files, operations
from haulier.catalog.upsert import chunks, upsert
from haulier.core.records import (
    FILE_RECORD_FIELDS,
    FileRecord,
    FileStatus,
    OperationRecord,
    OperationStatus,
    UploadRecord,
)
from haulier.errors import UnknownReference

LINKED_FILES = {name: name.removesuffix("_record") + "_id" for name in FILE_RECORD_FIELDS}
"""Field of `UploadRecord` -> column of `operations`."""

SHORTEST_PREFIX = 6
_CANDIDATES_SHOWN = 5
_SOURCE_SIDE = ("local", "completed")

_FILE_FIELDS = [f.name for f in dataclasses.fields(FileRecord) if f.name != "tags"]
_OPERATION_FIELDS = [f.name for f in dataclasses.fields(OperationRecord)]
_UPLOAD_FIELDS = [
    f.name
    for f in dataclasses.fields(UploadRecord)
    if f.name not in _OPERATION_FIELDS and f.name not in LINKED_FILES
]
_FILE_COLUMNS = [files.c[name] for name in _FILE_FIELDS]


def put_files(connection: Connection, records: Sequence[FileRecord]) -> None:
    """Insert or update file records with their tags."""
    rows = [
        {name: getattr(record, name) for name in _FILE_FIELDS} | {"path_head": record.path}
        for record in records
    ]
    ids = [record.id for record in records]
    places: dict[str, tuple[str, str]] = {}
    for some in chunks(ids):
        known = select(files.c.id, files.c.name, files.c.path).where(files.c.id.in_(some))
        places |= {row.id: (row.name, row.path) for row in connection.execute(known)}
    upsert(connection, files, rows, key=["id"])
    add_terms(connection, [r for r in records if places.get(r.id) != (r.name, r.path)])
    for some in chunks(ids):
        connection.execute(delete(file_tags).where(file_tags.c.file_id.in_(some)))
    tags = [row for record in records for row in _tag_rows(record)]
    if tags:
        connection.execute(insert(file_tags), tags)


def get_files(connection: Connection, ids: Iterable[str]) -> dict[str, FileRecord]:
    """Return the file records among `ids` that exist, by id."""
    wanted = list(dict.fromkeys(ids))
    tags: dict[str, dict[str, str]] = {}
    rows: list[RowMapping] = []
    for some in chunks(wanted):
        rows += connection.execute(select(*_FILE_COLUMNS).where(files.c.id.in_(some))).mappings()
        tag_columns = select(file_tags.c.file_id, file_tags.c.key, file_tags.c.value)
        for file_id, key, value in connection.execute(
            tag_columns.where(file_tags.c.file_id.in_(some))
        ):
            tags.setdefault(file_id, {})[key] = value
    return {row["id"]: _read_file(row, tags.get(row["id"], {})) for row in rows}


def has_uploaded(connection: Connection, size_bytes: int, *, is_directory: bool) -> bool:
    """Return whether a completed source-side record of that size and kind is there."""
    found = select(files.c.number).where(
        files.c.size == size_bytes,
        files.c.is_directory == is_directory,
        files.c.status == FileStatus.COMPLETED,
        files.c.location.in_(_SOURCE_SIDE),
    )
    return connection.scalar(found.limit(1)) is not None


def find_uploaded(
    connection: Connection, checksum: str, *, is_directory: bool, limit: int
) -> list[FileRecord]:
    """Return the newest completed source-side records of that content and kind."""
    found = connection.scalars(
        select(files.c.id)
        .where(
            files.c.checksum == checksum,
            files.c.is_directory == is_directory,
            files.c.status == FileStatus.COMPLETED,
            files.c.location.in_(_SOURCE_SIDE),
        )
        .order_by(files.c.id.desc())
        .limit(limit)
    ).all()
    records = get_files(connection, found)
    return [records[file_id] for file_id in found]


def put_operation(connection: Connection, operation: OperationRecord) -> None:
    """Insert or update an operation; an upload's file records are written and linked."""
    row = {name: getattr(operation, name) for name in _OPERATION_FIELDS}
    row |= dict.fromkeys([*_UPLOAD_FIELDS, *LINKED_FILES.values(), "location"])
    row["is_upload"] = isinstance(operation, UploadRecord)
    if isinstance(operation, UploadRecord):
        put_files(connection, operation.file_records())
        row |= {name: getattr(operation, name) for name in _UPLOAD_FIELDS}
        for name, column in LINKED_FILES.items():
            linked: FileRecord | None = getattr(operation, name)
            row[column] = linked.id if linked else None
        if operation.s3_file_record is not None:
            row["location"] = operation.s3_file_record.location
    upsert(connection, operations, [row], key=["operation_id"])


def get_operations(connection: Connection, ids: Sequence[str]) -> dict[str, OperationRecord]:
    """Return the operations among `ids` that exist, by id, with their file records."""
    rows: list[RowMapping] = []
    for some in chunks(ids):
        rows += connection.execute(
            select(operations).where(operations.c.operation_id.in_(some))
        ).mappings()
    linked = [row[column] for row in rows for column in LINKED_FILES.values() if row[column]]
    records = get_files(connection, linked)
    return {row["operation_id"]: _read_operation(row, records) for row in rows}


def resolve_operation(connection: Connection, reference: str) -> OperationRecord:
    """Return the operation whose id is `reference`, or begins with it and is the only one.

    Raises UnknownReference when there is none, when it is shorter than `SHORTEST_PREFIX`,
    and, naming the candidates, when there are several.
    """
    exact = get_operations(connection, [reference])
    if exact:
        return exact[reference]
    prefix = reference.strip().lower()
    if len(prefix) < SHORTEST_PREFIX or not prefix.isascii():
        raise UnknownReference(f"no operation has the id {reference!r}")
    column = operations.c.operation_id
    found = connection.scalars(
        select(column)
        .where(column >= prefix, column < prefix[:-1] + chr(ord(prefix[-1]) + 1))
        .order_by(column)
        .limit(_CANDIDATES_SHOWN + 1)
    ).all()
    if not found:
        raise UnknownReference(f"no operation has the id {reference!r}")
    if len(found) > 1:
        shown = ", ".join(found[:_CANDIDATES_SHOWN])
        more = ", …" if len(found) > _CANDIDATES_SHOWN else ""
        raise UnknownReference(
            f"{reference!r} begins the ids of several operations: {shown}{more}",
            hint="Give more characters of the id.",
        )
    return get_operations(connection, found)[found[0]]


def _tag_rows(record: FileRecord) -> list[dict[str, Any]]:
    return [
        {
            "file_id": record.id,
            "key": key,
            "value": value,
            "value_head": value,
            "location": record.location,
            "status": record.status,
            "is_directory": record.is_directory,
        }
        for key, value in record.tags.items()
    ]


def _read_file(row: RowMapping, tags: dict[str, str]) -> FileRecord:
    values = dict(row) | {"status": FileStatus(row["status"]), "tags": tags}
    return FileRecord(**values)


def _read_operation(row: RowMapping, records: dict[str, FileRecord]) -> OperationRecord:
    values = {name: row[name] for name in _OPERATION_FIELDS}
    values["status"] = OperationStatus(row["status"])
    if not row["is_upload"]:
        return OperationRecord(**values)
    values |= {name: row[name] for name in _UPLOAD_FIELDS}
    values |= {
        name: records[row[column]] if row[column] else None for name, column in LINKED_FILES.items()
    }
    return UploadRecord(**values)
