"""The audit log of a server: appended to, never changed, and provably so."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from haulier.catalog.audit_rows import AuditFilter
from haulier.catalog.catalog import Catalog
from haulier.catalog.filters import Page
from haulier.catalog.transaction import Tx
from haulier.core.audit import (
    AuditEntry,
    AuditEvent,
    AuditHead,
    find_break,
    instance_of,
    sealed,
)
from haulier.core.records import utc_now
from haulier.files.secret import kept_secret

_HEAD_EVERY = 1000
_log = logging.getLogger("haulier.audit")


class AuditLog:
    """The chain of one instance: of one data directory.

    Args:
        catalog: where entries are kept.
        key: what seals them; whoever has it can forge the chain.
        now: the clock.
    """

    def __init__(
        self, catalog: Catalog, key: str, *, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._catalog = catalog
        self._key = key
        self._now = now
        self.instance = instance_of(key)

    def append(self, tx: Tx, action: str, **told: object) -> AuditEntry:
        """Add an entry in the transaction of what it tells of; `told` are fields of AuditEvent."""
        head = tx.audit.head(self.instance)
        # After others were kept out: times grow as the numbers do.
        event = AuditEvent(at=self._now(), action=action, **told)  # type: ignore[arg-type]  # fields, by name
        entry = sealed(head, event, self._key)
        tx.audit.append(entry)
        if entry.number % _HEAD_EVERY == 0:
            # Logs leave the machine: a chain that lacks this head was cut.
            _log.warning("audit head %s %d %s", entry.instance, entry.number, entry.code)
        return entry

    async def record(self, action: str, **told: object) -> AuditEntry:
        """Add an entry in a transaction of its own."""
        return await self._catalog.transaction(lambda tx: self.append(tx, action, **told))

    async def list(self, wanted: AuditFilter) -> Page[AuditEntry]:
        """Return a page of entries of all instances, newest first."""
        return await self._catalog.read(lambda tx: tx.audit.list(wanted))

    async def head(self) -> AuditHead:
        """Return where the chain ends, to be kept elsewhere as an anchor."""
        return await self._catalog.read(lambda tx: tx.audit.recorded_head(self.instance))

    async def verify(self, anchors: Sequence[AuditHead] = ()) -> str | None:
        """Return what is wrong with the chain, or None.

        Args:
            anchors: heads that were kept elsewhere.
        """
        mine = [anchor for anchor in anchors if anchor.instance == self.instance]

        def look(tx: Tx) -> str | None:
            end = tx.audit.recorded_head(self.instance)
            return find_break(tx.audit.chain(self.instance), self._key, end=end, anchors=mine)

        return await self._catalog.read(look)


def audit_key(data: Path) -> str:
    """Return the key that seals the log of the data directory; it is made at first use.

    Raises:
        ConfigurationError: it can't be read or made.
    """
    return kept_secret(data / "audit-key")
