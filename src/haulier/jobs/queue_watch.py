"""Watches how long queues are, and tells once when one is too long, and once when it is not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from haulier.catalog.catalog import Catalog
from haulier.catalog.transaction import Tx
from haulier.core.alerts import is_too_long
from haulier.core.records import utc_now
from haulier.errors import HaulierError

JOBS, RECORDINGS = "jobs", "recordings"
QUEUES = (JOBS, RECORDINGS)

_log = logging.getLogger("haulier.jobs")

Tell = Callable[[Tx, str, int, bool], None]
"""Tells in a transaction of a queue, of how many wait, and whether these are too many."""


class QueueWatch:
    """Looks at queues again and again; of all processes on a catalog one tells, and that once.

    Args:
        catalog: where jobs wait, and where it stands what was told.
        recordings: returns how many recordings wait to be sent.
        tell: called in the transaction that records the change.
        every_s: seconds between looks.
        now: the clock.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        recordings: Callable[[], Awaitable[int]],
        tell: Tell,
        every_s: float = 5,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._catalog = catalog
        self._recordings = recordings
        self._tell = tell
        self._every_s = every_s
        self._now = now

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                await self.look()
            except HaulierError as exc:
                _log.error("queues can't be watched: %s", exc.message)
            await asyncio.sleep(self._every_s)

    async def look(self) -> None:
        """Look once, and tell what changed.

        Raises:
            CatalogError: the catalog can't be asked.
            StoreError: recordings can't be read.
        """
        known, jobs = await self._catalog.read(
            lambda tx: (tx.watch.alerts(), tx.jobs.count_pending(self._now()))
        )
        lengths = {JOBS: jobs, RECORDINGS: await self._recordings()}
        changed = {
            queue: length
            for queue, length in lengths.items()
            if is_too_long(length, was_too_long=queue in known) != (queue in known)
        }
        if changed:
            await self._catalog.transaction(lambda tx: self._change(tx, changed, known))

    def _change(self, tx: Tx, changed: Mapping[str, int], known: Mapping[str, datetime]) -> None:
        for queue, length in changed.items():
            is_new = queue not in known
            if tx.watch.begin_alert(queue, self._now()) if is_new else tx.watch.end_alert(queue):
                self._tell(tx, queue, length, is_new)
                words = "too long" if is_new else "short enough again"
                _log.warning("the queue of %s is %s: %d wait", queue, words, length)
