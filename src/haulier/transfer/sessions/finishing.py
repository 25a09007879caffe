"""From the last byte to a file at its place; and the other ways a session ends.

Finishing is two transactions with a rename between them. The first names the file's id and says
`finishing`, the second records the file and says `completed`, or `verifying` when the file has to
be hashed first. A crash between any two of these is mended by finishing once more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from haulier.catalog.catalog import Catalog
from haulier.catalog.transaction import Tx
from haulier.coordination.locks import Locks
from haulier.core.checksums import format_checksum, parse_checksum
from haulier.core.records import new_file_id, utc_now
from haulier.core.sessions.session import (
    Order,
    ReceivedChunks,
    SessionStatus,
    UploadSession,
    WholeFile,
)
from haulier.errors import (
    ChecksumMismatch,
    ChunksMissing,
    ContentRefused,
    ExternalServiceError,
    FilePermissionError,
    PreconditionFailed,
    SessionConflict,
    SessionGone,
)
from haulier.errors import FileNotFoundError as NoSuchSession
from haulier.transfer.sessions.hashing import checksum_of_file
from haulier.transfer.sessions.order import JOINABLE, HashesInOrder
from haulier.transfer.sessions.staging import Stage

_LIVE = frozenset(
    {
        SessionStatus.RECEIVING,
        SessionStatus.JOINING,
        SessionStatus.FINISHING,
        SessionStatus.VERIFYING,
    }
)
_BEFORE_FINISH = frozenset({SessionStatus.RECEIVING, SessionStatus.FINISHING})


class SessionHooks(Protocol):
    """What others do in the transaction in which a session changes; they may refuse by raising."""

    def started(self, tx: Tx, session: UploadSession) -> None:
        """A session begins: reserve what it needs."""

    def grew(self, tx: Tx, session: UploadSession, size_bytes: int) -> None:
        """A session whose size was not told at its start turns out that much larger."""

    def advanced(self, tx: Tx, session: UploadSession, received_bytes: int) -> None:
        """More bytes of a session are safe, so many in all."""

    def verifying(self, tx: Tx, session: UploadSession) -> None:
        """A file lies at its place and has to be hashed before it is seen: see to it."""

    def completed(self, tx: Tx, session: UploadSession, whole: WholeFile) -> None:
        """A file lies at its place under `session.file_id`: record it.

        With PreconditionFailed and FilePermissionError the session fails, and the file is removed.
        """

    def ended(self, tx: Tx, session: UploadSession) -> None:
        """A session ended without a file: give back what it reserved."""


async def accept_all(session: UploadSession) -> None:
    """Refuse no file for its content."""


class Finisher:
    """Puts whole files at their place.

    Args:
        catalog: where sessions are recorded.
        stage: where their bytes lie.
        hashes: what was hashed while it came in.
        locks: the engine's.
        hooks: what is done in the same transactions.
        inspect: looks at a file at its place before it is recorded; with ContentRefused the session
            fails, and the file is removed.
        kept_for: how long an ended session can still be asked about.
        now: the clock.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        stage: Stage,
        hashes: HashesInOrder,
        locks: Locks,
        hooks: SessionHooks,
        inspect: Callable[[UploadSession], Awaitable[None]] = accept_all,
        kept_for: timedelta = timedelta(hours=24),
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._catalog = catalog
        self._stage = stage
        self._hashes = hashes
        self._locks = locks
        self._hooks = hooks
        self._inspect = inspect
        self._kept_for = kept_for
        self._now = now

    async def finish(self, session_id: str) -> UploadSession:
        """Finish a session whose bytes are all safe; see `SessionEngine.complete`."""
        async with self._locks.hold(f"upload:{session_id}", breaking=False):
            session, received = await self._load(session_id)
            if session.status not in _BEFORE_FINISH:
                return session
            if session.is_partial:
                raise SessionConflict(f"{session.name} is a part, to be joined with others")
            return await self.place(session, _join(session, received))

    async def place(self, session: UploadSession, whole: WholeFile) -> UploadSession:
        """Put the file of a session that is locked, and whose bytes all lie there, at its place.

        Raises:
            ChecksumMismatch: the file is not the one whose checksum was named.
            ContentRefused: it is of a kind that is not taken.
        """
        session = replace(session, size_bytes=whole.size_bytes)
        verified = await self._check(session, whole)
        session = await self._claim_file_id(session)
        try:
            await self._stage.finish(session, whole)
            await self._inspect(session)
        except (SessionGone, ContentRefused) as exc:
            await self.fail(session, exc.message)
            raise
        if not verified:
            return await self._move(session, SessionStatus.VERIFYING, _BEFORE_FINISH)
        return await self._complete(session, whole)

    async def verify(self, session_id: str) -> UploadSession:
        """Hash the file of a session in `verifying`, and complete it if it is the right one.

        Raises:
            ChecksumMismatch: it is another one; it was removed and the session failed.
        """
        async with self._locks.hold(f"upload:{session_id}", breaking=False):
            session, received = await self._load(session_id)
            if session.status is not SessionStatus.VERIFYING:
                return session
            assert session.file_id is not None
            assert session.wanted_checksum is not None
            algorithm = parse_checksum(session.wanted_checksum)[0]
            size_bytes = session.size_bytes or 0
            found = await checksum_of_file(self._stage, session.file_id, size_bytes, algorithm)
            if found != session.wanted_checksum:
                await self._refuse(session, found)
            return await self._complete(session, _join(session, received))

    async def fail(self, session: UploadSession, reason: str) -> UploadSession:
        """End a session for a reason that its client is told."""
        return await self.end(replace(session, error=reason), SessionStatus.FAILED)

    async def end(self, session: UploadSession, status: SessionStatus) -> UploadSession:
        """End a session without a file and remove its bytes; an ended one stays as it is."""

        def record(tx: Tx) -> UploadSession:
            ended = replace(session, status=status, expires_at=self._now() + self._kept_for)
            if not tx.sessions.move(ended, _LIVE):
                return tx.sessions.get(session.session_id) or ended
            if not session.is_passed_on:
                self._hooks.ended(tx, ended)
            return ended

        ended = await self._catalog.transaction(record)
        self._hashes.forget(session.session_id)
        if ended.status is not SessionStatus.COMPLETED:
            await self.remove_bytes(ended)
        return ended

    async def remove_bytes(self, session: UploadSession) -> bool:
        """Remove the bytes of an ended session, but not the file that it became.

        Returns:
            False, and nothing done, while they are needed to be joined with others.
        """
        session_id, file_id = session.session_id, session.file_id
        if session.is_partial and await self._catalog.read(
            lambda tx: tx.sessions.is_to_be_joined(session_id)
        ):
            return False
        await self._stage.discard(session_id, file_id)
        if session.status is not SessionStatus.COMPLETED and file_id is not None:
            await self._stage.delete(file_id)
        return True

    async def _load(self, session_id: str) -> tuple[UploadSession, ReceivedChunks]:
        def load(tx: Tx) -> tuple[UploadSession, ReceivedChunks]:
            session = tx.sessions.get(session_id)
            if session is None:
                raise NoSuchSession("there is no such upload")
            return session, ReceivedChunks(session.grid, tx.sessions.chunks(session_id))

        return await self._catalog.read(load)

    async def _check(self, session: UploadSession, whole: WholeFile) -> bool:
        """Compare with the checksum the client named; False when the file must be hashed first."""
        if session.wanted_checksum is None:
            return True
        algorithm = parse_checksum(session.wanted_checksum)[0]
        if algorithm in JOINABLE:
            found: str | None = format_checksum(algorithm, getattr(whole, algorithm))
        else:
            found = self._hashes.result(session.session_id, whole.size_bytes)
        if found is None:
            return False
        if found != session.wanted_checksum:
            await self._refuse(session, found)
        return True

    async def _refuse(self, session: UploadSession, found: str) -> None:
        words = f"{session.name} has {found}, not {session.wanted_checksum}"
        await self.fail(session, words)
        raise ChecksumMismatch(words, hint="Begin a new upload of the right file.")

    async def _claim_file_id(self, session: UploadSession) -> UploadSession:
        if session.status is SessionStatus.FINISHING:
            return session
        named = replace(session, file_id=session.file_id or new_file_id())
        return await self._move(
            named, SessionStatus.FINISHING, {SessionStatus.RECEIVING, SessionStatus.JOINING}
        )

    async def _move(
        self,
        session: UploadSession,
        status: SessionStatus,
        expected: set[SessionStatus] | frozenset[SessionStatus],
    ) -> UploadSession:
        moved = replace(session, status=status)

        def record(tx: Tx) -> None:
            if not tx.sessions.move(moved, expected):
                raise ExternalServiceError(f"the upload of {session.name} was changed meanwhile")
            if status is SessionStatus.VERIFYING:
                self._hooks.verifying(tx, moved)

        await self._catalog.transaction(record)
        return moved

    async def _complete(self, session: UploadSession, whole: WholeFile) -> UploadSession:
        completed = replace(
            session, status=SessionStatus.COMPLETED, expires_at=self._now() + self._kept_for
        )

        def record(tx: Tx) -> None:
            if tx.sessions.move(completed, _LIVE):
                self._hooks.completed(tx, completed, whole)

        try:
            await self._catalog.transaction(record)
        except (PreconditionFailed, FilePermissionError) as exc:
            await self.fail(session, exc.message)
            raise
        self._hashes.forget(session.session_id)
        return completed


def _join(session: UploadSession, received: ReceivedChunks) -> WholeFile:
    if session.order is Order.CHUNKED:
        return received.whole()
    if session.size_bytes is not None and not session.is_whole:
        raise ChunksMissing(
            f"{session.offset} of {session.size_bytes} bytes of {session.name} have arrived",
            missing=[],
        )
    return WholeFile(size_bytes=session.offset, crc64nvme=session.crc64nvme, crc32=session.crc32)
