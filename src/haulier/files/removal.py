"""From the trash to nothing: files that lay there long, and the bytes of those that are gone.

A file is forgotten and its quota given back in one transaction, which also says whose bytes have
to go; these are removed afterwards, and what a crash leaves is removed by the next sweep.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from haulier.catalog.catalog import Catalog
from haulier.catalog.transaction import Tx
from haulier.core.jobs import JobState
from haulier.core.records import utc_now
from haulier.errors import HaulierError
from haulier.files.library import Library

_BATCH = 100
_log = logging.getLogger("haulier.files")


class Removal:
    """Removes what nobody wants any more.

    Args:
        catalog: where files are recorded.
        library: forgets files that lay in the trash for long.
        remove: removes all bytes of a content, and whatever was made of it; may be done twice.
        kept_for: how long files stay in the trash; None for ever.
        now: the clock.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        library: Library,
        remove: Callable[[str], Awaitable[None]],
        kept_for: timedelta | None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._catalog = catalog
        self._library = library
        self._remove = remove
        self._kept_for = kept_for
        self._now = now

    async def sweep(self) -> int:
        """Do what is due; return of how many contents nothing is left."""
        if self._kept_for is not None:
            await self._library.remove_old(self._now() - self._kept_for)
        removed, after = 0, ""
        while waiting := await self._waiting(after):
            for content_id in waiting:
                removed += await self._remove_content(content_id)
            after = waiting[-1]
        return removed

    async def _waiting(self, after: str) -> list[str]:
        return await self._catalog.read(lambda tx: tx.stored.removals(after, _BATCH))

    async def _remove_content(self, content_id: str) -> bool:
        if await self._catalog.read(lambda tx: _is_worked_on(tx, content_id)):
            return False
        try:
            await self._remove(content_id)
        except HaulierError as exc:
            _log.warning("content %s stays for the next sweep: %s", content_id, exc.message)
            return False
        await self._catalog.transaction(lambda tx: tx.stored.removed(content_id))
        return True


def _is_worked_on(tx: Tx, content_id: str) -> bool:
    """Tell whether a job may still write something about it."""
    return any(job.state is JobState.RUNNING for job in tx.jobs.of_subject(content_id))
