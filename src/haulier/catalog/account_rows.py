"""Users in the catalog."""

from __future__ import annotations

import dataclasses
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, func, or_, select, update

from haulier.catalog.account_tables import users
from haulier.catalog.upsert import upsert
from haulier.core.accounts import Role, User

_COUNTS = ("used_bytes", "reserved_bytes")


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

    def lock(self, user_id: str) -> None:
        """Let nobody else change what is the user's before this transaction ends."""
        # On SQLite whoever writes is alone anyway.
        mine = select(users.c.user_id).where(users.c.user_id == user_id).with_for_update()
        self._connection.execute(mine)

    def list(self, after: str | None, limit: int) -> list[User]:
        """Return users, oldest first, from behind the one with the id `after` on."""
        statement = select(users).order_by(users.c.user_id).limit(limit)
        if after is not None:
            statement = statement.where(users.c.user_id > after)
        return [_user(row) for row in self._connection.execute(statement).mappings()]

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
        return None if row is None else _user(row)


def _user(row: RowMapping) -> User:
    values: dict[str, Any] = {**row, "role": Role(row["role"])}
    return User(**values)
