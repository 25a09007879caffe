"""The audit log in the catalog."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, RowMapping, insert, literal, select, tuple_

from haulier.catalog.audit_tables import audit_entries, audit_heads
from haulier.catalog.filters import Page
from haulier.catalog.types import UtcTime, from_microseconds, to_microseconds
from haulier.catalog.upsert import insert_missing, upsert
from haulier.core.audit import FIRST_CODE, AuditEntry, AuditEvent, AuditHead
from haulier.errors import UsageError

_BATCH = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """What to list of the audit log: all that is given has to be so."""

    actor: str | None = None
    action: str | None = None
    object_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    cursor: str | None = None
    limit: int = 100


class AuditRows:
    """What can be done with the audit log inside one transaction (`Tx.audit`)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def head(self, instance: str) -> AuditHead:
        """Return where the chain of `instance` ends, and keep others from lengthening it."""
        first = {"instance": instance, "number": 0, "code": FIRST_CODE}
        insert_missing(self._connection, audit_heads, [first])  # what is not there can't be locked
        return self._head(instance, lock=True)

    def recorded_head(self, instance: str) -> AuditHead:
        """Return where the chain of `instance` is on record to end."""
        return self._head(instance, lock=False)

    def append(self, entry: AuditEntry) -> None:
        """Insert the entry that follows the head."""
        event = {one.name: getattr(entry.event, one.name) for one in dataclasses.fields(AuditEvent)}
        event["details"] = dict(entry.event.details)
        row = {**event, "instance": entry.instance, "number": entry.number, "code": entry.code}
        self._connection.execute(insert(audit_entries).values(row))
        head = {"instance": entry.instance, "number": entry.number, "code": entry.code}
        upsert(self._connection, audit_heads, [head], key=["instance"])

    def chain(self, instance: str) -> Iterator[AuditEntry]:
        """Yield the entries of `instance` in their order."""
        columns, last = audit_entries.c, 0
        while True:
            statement = (
                select(audit_entries)
                .where(columns.instance == instance, columns.number > last)
                .order_by(columns.number)
                .limit(_BATCH)
            )
            rows = self._connection.execute(statement).mappings().all()
            yield from map(_entry, rows)
            if len(rows) < _BATCH:
                return
            last = rows[-1]["number"]

    def list(self, wanted: AuditFilter) -> Page[AuditEntry]:
        """Return a page of entries, newest first; raises UsageError for a bad cursor."""
        columns = audit_entries.c
        statement = select(audit_entries)
        for column, value in (
            (columns.actor, wanted.actor),
            (columns.action, wanted.action),
            (columns.object_id, wanted.object_id),
        ):
            if value is not None:
                statement = statement.where(column == value)
        if wanted.since is not None:
            statement = statement.where(columns.at >= wanted.since)
        if wanted.until is not None:
            statement = statement.where(columns.at < wanted.until)
        if wanted.cursor is not None:
            at, instance, number = _read_cursor(wanted.cursor)
            place = tuple_(columns.at, columns.instance, columns.number)
            behind = tuple_(literal(at, UtcTime), literal(instance), literal(number))
            statement = statement.where(place < behind)
        order = (columns.at.desc(), columns.instance.desc(), columns.number.desc())
        rows = self._connection.execute(statement.order_by(*order).limit(wanted.limit + 1))
        found = [_entry(row) for row in rows.mappings()]
        shown = found[: wanted.limit]
        more = len(found) > wanted.limit
        return Page(items=shown, next_cursor=_cursor(shown[-1]) if more else None)

    def _head(self, instance: str, *, lock: bool) -> AuditHead:
        statement = select(audit_heads).where(audit_heads.c.instance == instance)
        row = (
            self._connection.execute(statement.with_for_update() if lock else statement)
            .mappings()
            .one_or_none()
        )
        if row is None:
            return AuditHead(instance=instance, number=0, code=FIRST_CODE)
        return AuditHead(**row)


def _entry(row: RowMapping) -> AuditEntry:
    names = {one.name for one in dataclasses.fields(AuditEvent)}
    event = AuditEvent(**{name: value for name, value in row.items() if name in names})
    return AuditEntry(instance=row["instance"], number=row["number"], event=event, code=row["code"])


def _cursor(entry: AuditEntry) -> str:
    return f"{to_microseconds(entry.event.at)}:{entry.instance}:{entry.number}"


def _read_cursor(cursor: str) -> tuple[datetime, str, int]:
    try:
        moment, instance, number = cursor.split(":")
        return from_microseconds(int(moment)), instance, int(number)
    except (ValueError, OverflowError):
        raise UsageError("the cursor is not one that a listing gave") from None
