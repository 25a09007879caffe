"""Users and their stored files in the catalog."""

from __future__ import annotations

import dataclasses
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, func, or_, select, update

from haulier.catalog.account_tables import stored_files, users
from haulier.catalog.upsert import upsert
from haulier.core.accounts import Role, ScanState, StoredFile, User

_COUNTS = ("used_bytes", "reserved_bytes")
# Whoever writes the row otherwise may have read it before a job found these.
_FOUND_BY_JOBS = ("scan_state", "scan_detail", "sha256")


class UserRows:
    """What can be done with users inside one transaction (`Tx.users`)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, user: User) -> None:
        """Insert or update a user; of an existing one the counted bytes stay as they are."""
        upsert(self._connection, users, [dataclasses.asdict(user)], key=["user_id"], keep=_COUNTS)

    def get(self, user_id: str) -> User | None:
        """Return the user with that id."""
        return self._one(users.c.user_id == user_id)

    def by_name(self, name: str) -> User | None:
        """Return the user who signs in under `name`."""
        return self._one(users.c.name == name)

    def count(self) -> int:
        """Return how many users there are."""
        return self._connection.execute(select(func.count()).select_from(users)).scalar_one()

    def reserve(self, user_id: str, size_bytes: int) -> bool:
        """Set `size_bytes` aside; False, and nothing done, when the quota has no room for it.

        One statement decides, so that uploads begun at the same moment can't overrun the quota.
        """
        columns = users.c
        free = columns.used_bytes + columns.reserved_bytes + size_bytes <= columns.quota_bytes
        statement = (
            update(users)
            .where(columns.user_id == user_id, or_(columns.quota_bytes.is_(None), free))
            .values(reserved_bytes=columns.reserved_bytes + size_bytes)
        )
        return self._connection.execute(statement).rowcount == 1

    def release(self, user_id: str, reserved_bytes: int, used_bytes: int = 0) -> None:
        """Give back what was set aside, and count what is kept instead."""
        columns = users.c
        self._connection.execute(
            update(users)
            .where(columns.user_id == user_id)
            .values(
                reserved_bytes=columns.reserved_bytes - reserved_bytes,
                used_bytes=columns.used_bytes + used_bytes,
            )
        )

    def _one(self, condition: ColumnElement[bool]) -> User | None:
        row = self._connection.execute(select(users).where(condition)).mappings().one_or_none()
        if row is None:
            return None
        values: dict[str, Any] = {**row, "role": Role(row["role"])}
        return User(**values)


class StoredRows:
    """What can be done with stored files inside one transaction (`Tx.stored`)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, stored: StoredFile) -> None:
        """Insert or update a stored file; of an existing one what jobs found stays as it is."""
        values = dataclasses.asdict(stored)
        upsert(self._connection, stored_files, [values], key=["file_id"], keep=_FOUND_BY_JOBS)

    def get(self, file_id: str) -> StoredFile | None:
        """Return the stored file with that id."""
        statement = select(stored_files).where(stored_files.c.file_id == file_id)
        row = self._connection.execute(statement).mappings().one_or_none()
        return None if row is None else _stored(row)

    def by_owner(self, owner_id: str, before: str | None, limit: int) -> list[StoredFile]:
        """Return files of an owner, newest first, from behind the file `before` on."""
        columns = stored_files.c
        statement = select(stored_files).where(columns.owner_id == owner_id)
        if before is not None:
            statement = statement.where(columns.file_id < before)
        rows = self._connection.execute(
            statement.order_by(columns.file_id.desc()).limit(limit)
        ).mappings()
        return [_stored(row) for row in rows]

    def search(self, owner_id: str, words: str, before: str | None, limit: int) -> list[StoredFile]:
        """Return files of an owner whose name holds `words`, newest first, like `by_owner`.

        Case does not count.
        """
        columns = stored_files.c
        # SQLite knows the other case of ASCII letters only, so the usual spellings are named.
        spellings = {words, words.lower(), words.upper(), words.capitalize()}
        found = or_(*(columns.name.icontains(one, autoescape=True) for one in sorted(spellings)))
        statement = select(stored_files).where(columns.owner_id == owner_id, found)
        if before is not None:
            statement = statement.where(columns.file_id < before)
        rows = self._connection.execute(
            statement.order_by(columns.file_id.desc()).limit(limit)
        ).mappings()
        return [_stored(row) for row in rows]

    def find(self, owner_id: str, folder: str, name: str) -> StoredFile | None:
        """Return the newest file of that name in a folder of an owner."""
        columns = stored_files.c
        statement = (
            select(stored_files)
            .where(columns.owner_id == owner_id, columns.folder == folder, columns.name == name)
            .order_by(columns.file_id.desc())
            .limit(1)
        )
        row = self._connection.execute(statement).mappings().one_or_none()
        return None if row is None else _stored(row)

    def is_taken(self, owner_id: str, folder: str, name: str) -> bool:
        """Tell whether an owner has a file of that name in a folder."""
        columns = stored_files.c
        statement = (
            select(columns.file_id)
            .where(columns.owner_id == owner_id, columns.folder == folder, columns.name == name)
            .limit(1)
        )
        return self._connection.execute(statement).first() is not None

    def set_scan(self, file_id: str, state: ScanState, detail: str | None) -> None:
        """Record what a scan said; that a file is infected is never taken back."""
        columns = stored_files.c
        self._connection.execute(
            update(stored_files)
            .where(columns.file_id == file_id, columns.scan_state != ScanState.INFECTED)
            .values(scan_state=state, scan_detail=detail)
        )

    def set_sha256(self, file_id: str, sha256: str) -> None:
        """Record a file's SHA-256, in hexadecimal."""
        columns = stored_files.c
        self._connection.execute(
            update(stored_files).where(columns.file_id == file_id).values(sha256=sha256)
        )


def _stored(row: RowMapping) -> StoredFile:
    return StoredFile(**{**row, "scan_state": ScanState(row["scan_state"])})
