"""What the processes of a server count together, and which queues are too long, in the catalog."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from haulier.catalog.upsert import insert_missing
from haulier.catalog.watch_tables import alerts, counters


class WatchRows:
    """What can be done with counts and alerts inside one transaction (`Tx.watch`)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def count(self, more: Mapping[str, int]) -> None:
        """Add to counters, by their names."""
        # Sorted: who locks several rows does so in the same order as others.
        for name, by in sorted(more.items()):
            insert_missing(self._connection, counters, [{"name": name, "value": 0}])
            self._connection.execute(
                update(counters).where(counters.c.name == name).values(value=counters.c.value + by)
            )

    def take_number(self, name: str) -> int:
        """Count one on and return what it is then: nobody else gets this number, and whoever wants
        the next waits until this transaction has ended."""
        self.count({name: 1})
        taken = select(counters.c.value).where(counters.c.name == name)
        return int(self._connection.execute(taken).scalar_one())

    def counted(self) -> dict[str, int]:
        """Return all counters by their names."""
        found = self._connection.execute(select(counters.c.name, counters.c.value))
        return {row[0]: row[1] for row in found}

    def begin_alert(self, queue: str, now: datetime) -> bool:
        """Record that a queue is too long; False when that is known."""
        if queue in self.alerts():
            return False
        insert_missing(self._connection, alerts, [{"queue": queue, "since": now}])
        found = select(alerts.c.since).where(alerts.c.queue == queue)
        # Another transaction may have been first; on both databases its row is seen by now.
        return self._connection.scalar(found) == now

    def end_alert(self, queue: str) -> bool:
        """Record that a queue is too long no more; False when that is known."""
        gone = self._connection.execute(delete(alerts).where(alerts.c.queue == queue))
        return gone.rowcount == 1

    def alerts(self) -> dict[str, datetime]:
        """Return the queues that are too long, and since when."""
        found = self._connection.execute(select(alerts.c.queue, alerts.c.since))
        return {row[0]: row[1] for row in found}
