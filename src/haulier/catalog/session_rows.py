"""Upload sessions in the catalog: files on their way in, and the chunks of them that are safe."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    String,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    type_coerce,
    update,
)

from haulier.catalog.session_tables import upload_chunks, upload_sessions
from haulier.catalog.upsert import upsert
from haulier.core.sessions.chunks import Span
from haulier.core.sessions.session import Arrived, Extent, Order, SessionStatus, UploadSession

_ENDED = ("completed", "failed", "cancelled", "expired")
_SESSION, _CHUNK = upload_sessions.c, upload_chunks.c

# What each piece of an upload asks: made once, as making a statement costs more than running it.
_ONE = select(upload_sessions).where(_SESSION.session_id == bindparam("session"))
_CHUNKS = (
    select(upload_chunks).where(_CHUNK.session_id == bindparam("session")).order_by(_CHUNK.number)
)
_ONE_CHUNK = _CHUNKS.where(_CHUNK.number == bindparam("one"))
_ARRIVED = select(
    func.count(),
    func.coalesce(func.sum(_CHUNK.length), 0),
    func.coalesce(func.max(_CHUNK.number), 0),
).where(_CHUNK.session_id == bindparam("session"))
_CHANGE = update(upload_sessions).where(_SESSION.session_id == bindparam("session"))
_PUBLISH = _CHANGE.where(
    _SESSION.status == SessionStatus.RECEIVING, _SESSION.offset == bindparam("before")
)
_PUBLISH_FENCED = _PUBLISH.where(_SESSION.fence == bindparam("held"))
_ADD_CHUNK = insert(upload_chunks)


class SessionRows:
    """What can be done with upload sessions inside one transaction (`Tx.sessions`)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, session: UploadSession) -> None:
        """Insert or update a session."""
        upsert(self._connection, upload_sessions, [_values(session)], key=["session_id"])

    def get(self, session_id: str) -> UploadSession | None:
        """Return the session with that id."""
        row = self._connection.execute(_ONE, {"session": session_id}).mappings().one_or_none()
        return None if row is None else _session(dict(row))

    def renew(self, before: UploadSession, now: UploadSession) -> UploadSession:
        """Write a session as it is now unless somebody else moved it; return what is recorded."""
        current = self.get(before.session_id)
        if current is not None and _place(current) != _place(before):
            return current
        self.put(now)
        return now

    def claim(self, session_id: str, fence: int) -> bool:
        """Stamp a session with the token of a lock; from then on no older one publishes.

        False, and nothing done, when a newer one did so before, or there is no such session.
        """
        columns = upload_sessions.c
        statement = (
            update(upload_sessions)
            .where(columns.session_id == session_id, columns.fence < fence)
            .values(fence=fence)
        )
        return self._connection.execute(statement).rowcount == 1

    def publish(
        self,
        session: UploadSession,
        before: int,
        parts: Mapping[int, Extent],
        fence: int | None = None,
    ) -> bool:
        """Record how far a sequential session came, and the parts that were stored for it.

        Args:
            session: as it stands now.
            before: the offset it had when the bytes were received.
            parts: of a multipart upload, by number.
            fence: what the session was stamped with (`claim`), where it was.

        Returns:
            False, and nothing done, when it stands elsewhere by now, was claimed by another one,
            or has ended.
        """
        values = {
            "session": session.session_id,
            "before": before,
            "offset": session.offset,
            "size_bytes": session.size_bytes,
            "crc64nvme": _hex(session.crc64nvme, 16),
            "crc32": _hex(session.crc32, 8),
            "tail": session.tail,
            "expires_at": session.expires_at,
        }
        if fence is None:
            done = self._connection.execute(_PUBLISH, values)
        else:
            done = self._connection.execute(_PUBLISH_FENCED, {**values, "held": fence})
        if done.rowcount != 1:
            return False
        rows = [_chunk(session.session_id, number, part) for number, part in parts.items()]
        upsert(self._connection, upload_chunks, rows, key=["session_id", "number"])
        return True

    def move(self, session: UploadSession, expected: Collection[SessionStatus]) -> bool:
        """Write the session's status, file and error if its status is one of `expected`."""
        columns = upload_sessions.c
        statement = (
            update(upload_sessions)
            .where(columns.session_id == session.session_id, columns.status.in_(expected))
            .values(
                status=session.status,
                size_bytes=session.size_bytes,
                file_id=session.file_id,
                error=session.error,
                expires_at=session.expires_at,
            )
        )
        return self._connection.execute(statement).rowcount == 1

    def add_chunk(self, session: UploadSession, number: int, extent: Extent) -> Extent:
        """Record that a chunk is safe and return what is recorded of it, which came first."""
        recorded = self.chunks(session.session_id, number).get(number)
        if recorded is not None:
            return recorded
        self._connection.execute(_ADD_CHUNK, _chunk(session.session_id, number, extent))
        touched = {"session": session.session_id, "expires_at": session.expires_at}
        self._connection.execute(_CHANGE, touched)
        return extent

    def chunks(self, session_id: str, number: int | None = None) -> dict[int, Extent]:
        """Return the chunks of a session that are safe, or one of them, by number."""
        if number is None:
            found = self._connection.execute(_CHUNKS, {"session": session_id})
        else:
            found = self._connection.execute(_ONE_CHUNK, {"session": session_id, "one": number})
        return {
            row["number"]: Extent(
                span=Span(row["offset"], row["length"]),
                crc64nvme=int(row["crc64nvme"], 16),
                crc32=int(row["crc32"], 16),
                etag=row["etag"],
            )
            for row in found.mappings()
        }

    def last_chunk(self, session_id: str) -> tuple[int, Extent] | None:
        """Return the safe chunk with the largest number, and the number."""
        columns = upload_chunks.c
        statement = select(func.max(columns.number)).where(columns.session_id == session_id)
        number = self._connection.execute(statement).scalar_one()
        return None if number is None else (number, self.chunks(session_id, number)[number])

    def arrived(self, session: UploadSession) -> Arrived:
        """Return how much of a session in chunks is safe."""
        found = self._connection.execute(_ARRIVED, {"session": session.session_id})
        count, size_bytes, last = found.one()
        total = last if session.grid.total is None else session.grid.total
        return Arrived(chunks=count, size_bytes=int(size_bytes), missing=total - count)

    def in_status(
        self,
        statuses: Collection[SessionStatus],
        expired_before: datetime | None,
        limit: int,
    ) -> list[UploadSession]:
        """Return sessions in one of `statuses`, those that expire first at the head."""
        columns = upload_sessions.c
        statement = select(upload_sessions).where(columns.status.in_(statuses))
        if expired_before is not None:
            statement = statement.where(columns.expires_at <= expired_before)
        statement = statement.order_by(columns.expires_at, columns.session_id).limit(limit)
        return [_session(dict(row)) for row in self._connection.execute(statement).mappings()]

    def open_of(self, owner_id: str, behind: str | None, limit: int) -> list[UploadSession]:
        """Return an owner's sessions that still receive, by id, from behind `behind` on."""
        columns = upload_sessions.c
        statement = select(upload_sessions).where(
            columns.owner_id == owner_id, columns.status == SessionStatus.RECEIVING
        )
        if behind is not None:
            statement = statement.where(columns.session_id > behind)
        statement = statement.order_by(columns.session_id).limit(limit)
        return [_session(dict(row)) for row in self._connection.execute(statement).mappings()]

    def whole(self, limit: int) -> list[UploadSession]:
        """Return sessions that still receive although all their bytes are safe.

        Parts that wait to be joined are not among them.
        """
        columns, chunks = upload_sessions.c, upload_chunks.c
        in_chunks = (
            select(func.sum(chunks.length))
            .where(chunks.session_id == columns.session_id)
            .scalar_subquery()
        )
        statement = (
            select(upload_sessions)
            .where(
                columns.status == SessionStatus.RECEIVING,
                or_(columns.offset == columns.size_bytes, in_chunks == columns.size_bytes),
                type_coerce(columns.details, String).not_like('%"partial"%'),
            )
            .order_by(columns.expires_at)
            .limit(limit)
        )
        return [_session(dict(row)) for row in self._connection.execute(statement).mappings()]

    def is_to_be_joined(self, session_id: str) -> bool:
        """Tell whether a session waits for the bytes of that one."""
        columns = upload_sessions.c
        statement = select(upload_sessions).where(
            columns.status == SessionStatus.JOINING,
            type_coerce(columns.details, String).like(f"%{session_id}%"),
        )
        found = self._connection.execute(statement).mappings()
        return any(session_id in _session(dict(row)).parts for row in found)

    def delete(self, session_id: str) -> None:
        """Forget an ended session and its chunks; one that has not ended stays."""
        self._connection.execute(
            delete(upload_sessions).where(
                upload_sessions.c.session_id == session_id, upload_sessions.c.status.in_(_ENDED)
            )
        )


def _place(session: UploadSession) -> tuple[SessionStatus, str | None]:
    return session.status, session.upload_id


def _values(session: UploadSession) -> dict[str, Any]:
    values = {one.name: getattr(session, one.name) for one in dataclasses.fields(session)}
    values["tags"], values["details"] = dict(session.tags), dict(session.details)
    values["crc64nvme"], values["crc32"] = _hex(session.crc64nvme, 16), _hex(session.crc32, 8)
    return values


def _chunk(session_id: str, number: int, extent: Extent) -> dict[str, Any]:
    return {
        "session_id": session_id,
        "number": number,
        "offset": extent.span.offset,
        "length": extent.span.length,
        "crc64nvme": _hex(extent.crc64nvme, 16),
        "crc32": _hex(extent.crc32, 8),
        "etag": extent.etag,
    }


def _session(row: dict[str, Any]) -> UploadSession:
    del row["fence"]  # of no use to anybody who reads it
    row["order"], row["status"] = Order(row["order"]), SessionStatus(row["status"])
    row["crc64nvme"], row["crc32"] = int(row["crc64nvme"], 16), int(row["crc32"], 16)
    return UploadSession(**row)


def _hex(value: int, digits: int) -> str:
    return f"{value:0{digits}x}"
