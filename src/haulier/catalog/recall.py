"""What was read, remembered for as long as nothing else has been committed."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Hashable
from typing import Any

from sqlalchemy import URL

from haulier.catalog.engines import is_sqlite

LONGEST_S = 1.0
"""How long something is remembered at most, for what depends on the time as well."""

_MOST_REMEMBERED = 10_000


class Recall:
    """Remembers what was read from a catalog; for one thread.

    SQLite tells each connection whether others, of this process or of any other, have committed
    since it asked last, in microseconds. PostgreSQL does not, and nothing of it is remembered.

    Args:
        url: of the catalog.
        clock: seconds that only ever grow.
    """

    def __init__(self, url: URL, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._clock = clock
        self._connection: sqlite3.Connection | None = None
        self._version = 0
        self._since = 0.0
        self._known: dict[Hashable, Any] = {}

    def version(self) -> int | None:
        """Return a number that differs from those before as soon as something is committed.

        None where nobody can tell, and nothing is to be remembered.
        """
        if not is_sqlite(self._url):
            return None
        try:
            if self._connection is None:
                self._connection = self._connect()
            version = int(self._connection.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error:
            return None
        now = self._clock()
        if version != self._version or now - self._since >= LONGEST_S:
            self._version, self._since = version, now
            self._known.clear()
        return version

    def get(self, key: Hashable) -> Any:
        """Return what is remembered for `key` at the version just asked for, or None."""
        return self._known.get(key)

    def keep(self, key: Hashable, version: int, value: Any) -> None:
        """Remember what was read after `version` was asked for."""
        if version == self._version and len(self._known) < _MOST_REMEMBERED:
            self._known[key] = value

    def close(self) -> None:
        """Give back the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> sqlite3.Connection:
        # It must never wait: it is asked in the event loop.
        return sqlite3.connect(
            str(self._url.database), timeout=0, isolation_level=None, check_same_thread=False
        )
