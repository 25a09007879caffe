"""Hashes of whole files, taken while their bytes come in order.

A hash such as SHA-256 can't be joined from pieces. As long as every byte of a session came after
the ones before it, and through this process, the hash is known when the file is whole; otherwise
a job reads the file once more.
"""

from __future__ import annotations

from dataclasses import dataclass

from haulier.core.checksums import RunningChecksum, parse_checksum
from haulier.core.recent import Recent
from haulier.core.sessions.chunks import Span
from haulier.core.sessions.session import UploadSession

JOINABLE = frozenset({"crc32", "crc64nvme"})
"""What the engine knows of every file without hashing it."""
_MOST_SESSIONS = 10_000


@dataclass(slots=True)
class _Progress:
    offset: int
    checksum: RunningChecksum


class HashesInOrder:
    """The hashes of sessions that this process receives.

    Args:
        most_sessions: of how many; others may end elsewhere, and of those left over a job hashes
            the file.
    """

    def __init__(self, *, most_sessions: int = _MOST_SESSIONS) -> None:
        self._progress: Recent[str, _Progress] = Recent(most_sessions)

    def begin(self, session: UploadSession) -> None:
        """Hash the session's bytes, if its client wants a checksum that can't be joined."""
        if session.wanted_checksum is None:
            return
        algorithm = parse_checksum(session.wanted_checksum)[0]
        if algorithm not in JOINABLE:
            self._progress.put(session.session_id, _Progress(0, RunningChecksum(algorithm)))

    def claim(self, session_id: str, offset: int) -> RunningChecksum | None:
        """Return a copy to be fed with the bytes from `offset` on, if they come next."""
        progress = self._progress.get(session_id)
        if progress is None or progress.offset != offset:
            return None
        return progress.checksum.copy()

    def advance(self, session_id: str, span: Span, checksum: RunningChecksum) -> None:
        """Keep `checksum`, which has taken in the bytes of `span` that are safe now."""
        progress = self._progress.get(session_id)
        if progress is not None and span.offset <= progress.offset <= span.end:
            progress.offset, progress.checksum = span.end, checksum

    def result(self, session_id: str, size_bytes: int) -> str | None:
        """Return the hash of all `size_bytes`, or None when it is not known."""
        progress = self._progress.get(session_id)
        if progress is None or progress.offset != size_bytes:
            return None
        return str(progress.checksum)

    def forget(self, session_id: str) -> None:
        """Drop what is known of a session."""
        self._progress.pop(session_id)
