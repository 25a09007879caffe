"""How uploads come along, told at most ten times a second of each, and never late."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from haulier.core.progress import Rate
from haulier.core.recent import Recent
from haulier.core.sessions.session import UploadSession

INTERVAL_S = 0.1
_MOST_UNDER_WAY = 10_000
_MOST_ENDED = 1000

Tell = Callable[[UploadSession, int, float, datetime], None]
"""Told a session, how many of its bytes are safe, bytes per second, and since when."""


@dataclass(slots=True)
class _Pace:
    rate: Rate
    first_bytes: int
    received_bytes: int
    told_at: float
    later: asyncio.TimerHandle | None = None


class UploadProgress:
    """Tells how uploads come along: at once when it is quiet, else the newest state in time.

    Everything is called inside the event loop.

    Args:
        tell: passes it on.
        interval_s: the shortest time between two states of one upload.
        most_under_way: of how many the rate is known; uploads may end in other processes.
    """

    def __init__(
        self,
        tell: Tell,
        *,
        interval_s: float = INTERVAL_S,
        most_under_way: int = _MOST_UNDER_WAY,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._tell = tell
        self._interval_s = interval_s
        self._paces: Recent[str, _Pace] = Recent(most_under_way)
        # What was committed last may be told of first: these must not come to life again.
        self._ended: Recent[str, None] = Recent(_MOST_ENDED)

    def started(self, session: UploadSession) -> None:
        """An upload begins; its rate counts from now."""
        self._paces.put(session.session_id, self._pace(0))

    def advanced(self, session: UploadSession, received_bytes: int, since: datetime) -> None:
        """So many bytes of an upload are safe since then."""
        session_id = session.session_id
        if session_id in self._ended:
            return
        pace = self._paces.get(session_id)
        if pace is None:
            # Begun before this process was: what came then says nothing of its rate.
            pace = self._pace(received_bytes)
            self._paces.put(session_id, pace)
        if received_bytes < pace.received_bytes:
            return
        now = self._loop.time()
        pace.received_bytes = received_bytes
        pace.rate.update(received_bytes - pace.first_bytes, now)
        if pace.later is not None:
            pace.later.cancel()
        due = max(now, pace.told_at + self._interval_s)
        if due <= now:
            self._now(pace, session, received_bytes, since)
        else:
            pace.later = self._loop.call_at(due, self._now, pace, session, received_bytes, since)

    def ended(self, session_id: str) -> None:
        """An upload ended: nothing is told of it any more."""
        pace = self._paces.pop(session_id)
        if pace is not None and pace.later is not None:
            pace.later.cancel()
        self._ended.put(session_id, None)

    def _pace(self, first_bytes: int) -> _Pace:
        now = self._loop.time()
        return _Pace(Rate(now), first_bytes, first_bytes, now - self._interval_s)

    def _now(
        self, pace: _Pace, session: UploadSession, received_bytes: int, since: datetime
    ) -> None:
        pace.later = None
        pace.told_at = self._loop.time()
        self._tell(session, received_bytes, pace.rate.bps, since)
