"""Statements of the upload journal, on a connection inside a transaction."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, delete, or_, select, update

from haulier.catalog.journal import JournalStage, PartRow, UploadJournal
from haulier.catalog.tables import (
    archive_indexes,
    endpoint_checks,
    upload_parts,
    upload_plans,
    uploads,
)
from haulier.catalog.upsert import upsert

_LEASE = ("owner", "heartbeat_at")


def put_upload(connection: Connection, journal: UploadJournal) -> None:
    """Insert or update a journal. Of an existing one the lease stays as it is."""
    upsert(connection, uploads, [_values(journal)], key=["operation_id"], keep=_LEASE)


def get_upload(connection: Connection, operation_id: str) -> UploadJournal | None:
    statement = select(uploads).where(uploads.c.operation_id == operation_id)
    row = connection.execute(statement).mappings().one_or_none()
    return None if row is None else _read_upload(dict(row))


def list_uploads(
    connection: Connection, stages: Collection[JournalStage] | None
) -> list[UploadJournal]:
    statement = select(uploads).order_by(uploads.c.created_at, uploads.c.operation_id)
    if stages is not None:
        statement = statement.where(uploads.c.stage.in_(list(stages)))
    return [_read_upload(dict(row)) for row in connection.execute(statement).mappings()]


def delete_upload(connection: Connection, operation_id: str) -> None:
    """Delete a journal; its parts and plan go with it by foreign key."""
    connection.execute(delete(uploads).where(uploads.c.operation_id == operation_id))


def claim_upload(
    connection: Connection, operation_id: str, owner: str, now: datetime, stale_before: datetime
) -> bool:
    free = or_(
        uploads.c.owner.is_(None),
        uploads.c.owner == owner,
        uploads.c.heartbeat_at.is_(None),
        uploads.c.heartbeat_at < stale_before,
    )
    claim = update(uploads).where(uploads.c.operation_id == operation_id, free)
    return connection.execute(claim.values(owner=owner, heartbeat_at=now)).rowcount == 1


def heartbeat(connection: Connection, operation_id: str, owner: str, now: datetime) -> bool:
    ours = update(uploads).where(uploads.c.operation_id == operation_id, uploads.c.owner == owner)
    return connection.execute(ours.values(heartbeat_at=now)).rowcount == 1


def release_upload(connection: Connection, operation_id: str, owner: str) -> None:
    ours = update(uploads).where(uploads.c.operation_id == operation_id, uploads.c.owner == owner)
    connection.execute(ours.values(owner=None, heartbeat_at=None))


def put_part(connection: Connection, row: PartRow) -> None:
    upsert(connection, upload_parts, [_values(row)], key=["operation_id", "number"])


def get_parts(connection: Connection, operation_id: str) -> list[PartRow]:
    statement = (
        select(upload_parts)
        .where(upload_parts.c.operation_id == operation_id)
        .order_by(upload_parts.c.number)
    )
    return [PartRow(**dict(row)) for row in connection.execute(statement).mappings()]


def mark_part_stored(connection: Connection, operation_id: str, number: int, etag: str) -> None:
    part = update(upload_parts).where(
        upload_parts.c.operation_id == operation_id, upload_parts.c.number == number
    )
    connection.execute(part.values(etag=etag))


def delete_parts(connection: Connection, operation_id: str, from_number: int) -> None:
    connection.execute(
        delete(upload_parts).where(
            upload_parts.c.operation_id == operation_id, upload_parts.c.number >= from_number
        )
    )


def put_plan(connection: Connection, operation_id: str, blob: bytes) -> None:
    row = {"operation_id": operation_id, "plan": blob}
    upsert(connection, upload_plans, [row], key=["operation_id"])


def get_plan(connection: Connection, operation_id: str) -> bytes | None:
    return _get_blob(connection, upload_plans, "plan", operation_id)


def put_index(connection: Connection, operation_id: str, blob: bytes) -> None:
    row = {"operation_id": operation_id, "archive_index": blob}
    upsert(connection, archive_indexes, [row], key=["operation_id"])


def get_index(connection: Connection, operation_id: str) -> bytes | None:
    return _get_blob(connection, archive_indexes, "archive_index", operation_id)


def put_checks(
    connection: Connection, endpoint: str, checks: dict[str, Any], now: datetime
) -> None:
    row = {"endpoint": endpoint, "checks": checks, "checked_at": now}
    upsert(connection, endpoint_checks, [row], key=["endpoint"])


def get_checks(
    connection: Connection, endpoint: str, newer_than: datetime
) -> dict[str, Any] | None:
    checks: dict[str, Any] | None = connection.scalar(
        select(endpoint_checks.c.checks).where(
            endpoint_checks.c.endpoint == endpoint, endpoint_checks.c.checked_at > newer_than
        )
    )
    return checks


def _values(record: UploadJournal | PartRow) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}


def _read_upload(values: dict[str, Any]) -> UploadJournal:
    return UploadJournal(**values | {"stage": JournalStage(values["stage"])})


def _get_blob(connection: Connection, table: Table, column: str, operation_id: str) -> bytes | None:
    blob: bytes | None = connection.scalar(
        select(table.c[column]).where(table.c.operation_id == operation_id)
    )
    return blob
