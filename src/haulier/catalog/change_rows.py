"""What changed of each user's files, numbered so that nobody who asks can miss anything.

A number is taken while the user's count is locked, and the lock is held until the commit: whoever
sees a number sees all that are smaller. Of each file its last change is kept, so that the feed
is as long as there are files, and those that are gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from haulier.catalog.stored_tables import change_counts, file_changes
from haulier.catalog.upsert import chunks, count_up, upsert


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The last change of a file; one in the trash is deleted."""

    number: int
    file_id: str
    is_deleted: bool


class ChangeRows:
    """What can be done with changes inside one transaction (`Tx.changes`)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, user_id: str, file_ids: Sequence[str], *, is_deleted: bool = False) -> None:
        """Record that files of a user changed, or are gone."""
        if not file_ids:
            return
        last = count_up(
            self._connection, change_counts, {"user_id": user_id}, "last", by=len(file_ids)
        )
        first = last - len(file_ids) + 1
        rows = [
            {"user_id": user_id, "file_id": one, "number": number, "is_deleted": is_deleted}
            for number, one in enumerate(file_ids, first)
        ]
        for some in chunks(rows):
            upsert(self._connection, file_changes, some, key=["user_id", "file_id"])

    def since(self, user_id: str, number: int, limit: int) -> list[Change]:
        """Return the changes of a user's files behind that number, oldest first."""
        columns = file_changes.c
        statement = (
            select(columns.number, columns.file_id, columns.is_deleted)
            .where(columns.user_id == user_id, columns.number > number)
            .order_by(columns.number)
            .limit(limit)
        )
        return [Change(**row) for row in self._connection.execute(statement).mappings()]

    def last(self, user_id: str) -> int:
        """Return how many changes there were of a user's files."""
        statement = select(change_counts.c.last).where(change_counts.c.user_id == user_id)
        return int(self._connection.scalar(statement) or 0)
