"""What changed of files, numbered in feeds so that nobody who asks can miss anything.

Each user has a feed, and each role and everybody for what is granted to them (`core.grants`).
A number is taken while the feed's count is locked, and the lock is held until the commit: whoever
sees a number sees all that are smaller. Of each file its last change is kept, so that the feed
is as long as there are files, and those that are gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from haulier.catalog.grant_rows import GrantRows, Placed
from haulier.catalog.stored_tables import change_counts, file_changes
from haulier.catalog.upsert import chunks, insert_missing


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

    def tell(
        self,
        files: Sequence[Placed],
        *,
        before: Sequence[Placed] = (),
        is_deleted: bool = False,
        is_new: bool = False,
    ) -> None:
        """Record a change of files for their owners, and for whom something is granted for them.

        Args:
            files: as they are now.
            before: as they were, where they lay elsewhere.
            is_deleted: whether they are gone, if only to the trash.
            is_new: whether they are there for the first time.
        """
        feeds: dict[str, dict[str, None]] = {}
        for state in (files, before):
            for one in state:
                feeds.setdefault(one.owner_id, {})[one.file_id] = None
            for grantee, file_ids in GrantRows(self._connection).grantees_of(state).items():
                feeds.setdefault(grantee, {}).update(dict.fromkeys(file_ids))
        # Sorted: who locks several feeds does so in the same order as others.
        for feed in sorted(feeds):
            self.add(feed, list(feeds[feed]), is_deleted=is_deleted, is_new=is_new)

    def add(
        self,
        feed: str,
        file_ids: Sequence[str],
        *,
        is_deleted: bool = False,
        is_new: bool = False,
    ) -> None:
        """Record that files of a feed changed, are gone, or are there for the first time."""
        if not file_ids:
            return
        first = self._count(feed, len(file_ids)) - len(file_ids) + 1
        rows = [
            {"feed": feed, "file_id": one, "number": number, "is_deleted": is_deleted}
            for number, one in enumerate(file_ids, first)
        ]
        # Nobody else is here: the count is locked. An upsert is compiled anew each time.
        mine = file_changes.c.feed == feed
        for some in chunks([] if is_new else file_ids):
            known = delete(file_changes).where(mine, file_changes.c.file_id.in_(some))
            self._connection.execute(known)
        self._connection.execute(insert(file_changes), rows)

    def since(self, feed: str, number: int, limit: int) -> list[Change]:
        """Return the changes of a feed behind that number, oldest first."""
        columns = file_changes.c
        statement = (
            select(columns.number, columns.file_id, columns.is_deleted)
            .where(columns.feed == feed, columns.number > number)
            .order_by(columns.number)
            .limit(limit)
        )
        return [Change(**row) for row in self._connection.execute(statement).mappings()]

    def last(self, feed: str) -> int:
        """Return how many changes there were in a feed."""
        statement = select(change_counts.c.last).where(change_counts.c.feed == feed)
        return int(self._connection.scalar(statement) or 0)

    def _count(self, feed: str, by: int) -> int:
        """Count so many changes more; return how many there were by then."""
        columns = change_counts.c
        counted = (
            update(change_counts)
            .where(columns.feed == feed)
            .values(last=columns.last + by)
            .returning(columns.last)
        )
        last = self._connection.scalar(counted)
        if last is None:
            insert_missing(self._connection, change_counts, [{"feed": feed, "last": 0}])
            last = self._connection.execute(counted).scalar_one()
        return int(last)
