"""The session engine: whoever speaks whichever protocol, uploads are received here.

What is acknowledged is in the catalog, and only after the bytes are safe: first the bytes, then
the row, then the answer. Every step may be repeated after a crash.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from haulier.catalog.catalog import Catalog
from haulier.catalog.transaction import Tx
from haulier.coordination.locks import Hold, Locks
from haulier.core.checksums import parse_checksum
from haulier.core.records import utc_now
from haulier.core.sessions.chunks import Span
from haulier.core.sessions.session import (
    Arrived,
    Extent,
    Order,
    ReceivedChunks,
    SessionStatus,
    Settled,
    UploadSession,
)
from haulier.errors import (
    ChecksumMismatch,
    ChunkConflict,
    FileSizeError,
    LockLost,
    SessionConflict,
    SessionGone,
    ValidationError,
)
from haulier.errors import FileNotFoundError as NoSuchSession
from haulier.transfer.sessions.finishing import Finisher, SessionHooks
from haulier.transfer.sessions.order import HashesInOrder
from haulier.transfer.sessions.receiving import Body, Receiver, compare, uninterrupted
from haulier.transfer.sessions.staging import Stage

_MOST_BYTES = 1 << 53  # what JSON can tell, and sums of which the databases can count
_OPEN = frozenset({SessionStatus.RECEIVING})
Ask = Callable[[UploadSession], Awaitable[None]]
"""Asks whether an upload may begin, and raises when it may not."""

_DONE = frozenset({SessionStatus.FINISHING, SessionStatus.VERIFYING, SessionStatus.COMPLETED})


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUpload:
    """What a client says of a file before it sends it; see `UploadSession`."""

    owner_id: str
    name: str
    size_bytes: int | None
    order: Order
    chunk_size: int | None = None
    mime_type: str | None = None
    wanted_checksum: str | None = None
    folder: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkReceipt:
    """A chunk is safe.

    Args:
        session: as it stands now; complete when this was the last chunk.
        arrived: how much of it is safe.
        repeated: whether it had arrived before, with the same bytes.
    """

    session: UploadSession
    arrived: Arrived
    repeated: bool


class SessionEngine:
    """Receives uploads.

    Args:
        catalog: where sessions are recorded.
        stage: where their bytes lie.
        finisher: puts whole files at their place.
        hashes: what was hashed as it came in, shared with the finisher.
        locks: one for each session, and for each chunk of it.
        hooks: what is done in the same transactions.
        lifetime: how long a session may rest without bytes.
        ask: asked before a session is recorded; it may refuse it.
        most_bytes: the largest file; None for whatever the disk holds.
        now: the clock.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        stage: Stage,
        finisher: Finisher,
        hashes: HashesInOrder,
        locks: Locks,
        hooks: SessionHooks,
        ask: Ask | None = None,
        lifetime: timedelta = timedelta(hours=24),
        most_bytes: int | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._catalog = catalog
        self._stage = stage
        self._receiver = Receiver(stage, hashes, self._publish)
        self._finisher = finisher
        self._hashes = hashes
        self._locks = locks
        self._hooks = hooks
        self._ask = ask
        self._lifetime = lifetime
        self._most_bytes = most_bytes
        self._now = now

    async def start(self, new: NewUpload) -> UploadSession:
        """Begin a session; an empty file is complete at once.

        Raises:
            ValidationError: the checksum is none, or the chunk size can't be.
            FileSizeError: the file is larger than allowed.
            StorageFull: the disk has no room for it.
            UploadRefused, HookUnavailable: who is asked before does not want it, or did not answer.
        """
        if new.size_bytes is not None:
            self._check_size(new.name, new.size_bytes)
        if new.wanted_checksum is not None:
            parse_checksum(new.wanted_checksum)
        if new.chunk_size is not None and new.chunk_size < 1:
            raise ValidationError("chunk_size is at least 1")
        now = self._now()
        session = UploadSession(
            session_id=secrets.token_hex(16),
            owner_id=new.owner_id,
            name=new.name,
            size_bytes=new.size_bytes,
            chunk_size=new.chunk_size or 0,
            order=new.order,
            created_at=now,
            expires_at=now + self._lifetime,
            mime_type=new.mime_type,
            wanted_checksum=new.wanted_checksum,
            folder=new.folder,
            tags=new.tags,
            details=new.details,
        )
        session = self._stage.plan(session)
        if self._ask is not None:
            await self._ask(session)

        def record(tx: Tx) -> None:
            self._hooks.started(tx, session)
            tx.sessions.put(session)

        await self._catalog.transaction(record)
        try:
            session = await self._reserve(session)
        except BaseException as exc:
            await uninterrupted(self._finisher.fail(session, str(exc)))
            raise
        self._hashes.begin(session)
        if new.size_bytes == 0 and not session.is_partial:
            return await self.complete(session.session_id)
        return session

    async def get(self, session_id: str) -> UploadSession:
        """Return the session.

        Raises:
            FileNotFoundError: there is none with that id.
        """
        # A route asks whose it is, and then how it stands once it is locked.
        session = await self._catalog.recall(
            ("upload", session_id), lambda tx: tx.sessions.get(session_id)
        )
        if session is None:
            raise NoSuchSession("there is no such upload")
        return session

    async def settled(self, session_id: str) -> UploadSession:
        """Return the session once nobody else appends to it: its offset is good for the next bytes.

        Whoever appends gives up; what arrived of it is kept. Where that is everything, the session
        is completed: a client that is told so sends nothing any more.

        Raises:
            FileNotFoundError: there is none with that id.
            LockBusy: whoever appends could not give up in time.
            ChecksumMismatch: the file is not the one whose checksum was named.
        """
        async with self._locks.hold(f"upload:{session_id}"):
            session = await self.get(session_id)
        return await self._finish_if_whole(session)

    async def _claim(self, session_id: str, hold: Hold) -> UploadSession:
        """Return the session; from now on whoever believes to hold its lock publishes nothing."""
        fence = hold.fence
        if fence is None:
            return await self.get(session_id)

        def claim(tx: Tx) -> UploadSession | None:
            claimed = tx.sessions.claim(session_id, fence)
            session = tx.sessions.get(session_id)
            if session is not None and not claimed:
                raise LockLost("another request for the same upload took over")
            return session

        session = await self._catalog.transaction(claim)
        if session is None:
            raise NoSuchSession("there is no such upload")
        return session

    async def received(self, session: UploadSession) -> ReceivedChunks:
        """Return the chunks of `session` that are safe."""
        chunks = await self._catalog.read(lambda tx: tx.sessions.chunks(session.session_id))
        return ReceivedChunks(session.grid, chunks)

    async def put_chunk(
        self,
        session_id: str,
        number: int,
        body: Body,
        *,
        length: int | None = None,
        checks: tuple[str, ...] = (),
    ) -> ChunkReceipt:
        """Receive a chunk; the one that makes the file whole completes the session.

        Args:
            session_id: which session.
            number: which chunk, from 1.
            body: its bytes.
            length: how many bytes were announced, where they were.
            checks: `algorithm:hex` that the bytes must have.

        Raises:
            FileNotFoundError: there is no such session.
            SessionGone: it has ended.
            ValidationError: there is no such chunk, or it is shorter than it should be.
            FileSizeError: it is longer.
            ChecksumMismatch: its bytes are not those that `checks` says.
            ChunkConflict: it arrived before with other bytes.
            LockLost: the same chunk came once more meanwhile; this one was given up.
            StorageFull: the disk is full; the chunk may be sent again later.
        """
        async with self._locks.hold(f"upload:{session_id}:{number}") as hold:
            session, span, known = await self._catalog.read(
                lambda tx: _look_up(tx, session_id, number)
            )
            _check_length(session, span, length)
            if known is not None:
                await compare(session, known, body, checks)
                return await self._repeated(session_id)
            session.check_open()
            if session.size_bytes is None and length is not None:
                span = Span(span.offset, min(span.length, length))
            async with self._unless_done_elsewhere(session_id):
                extent = await self._receiver.receive_chunk(session, span, body, checks, hold)
            session, arrived = await self._record_chunk(session, number, extent)
            if session.size_bytes is not None and not arrived.missing:
                session = await self._finisher.finish(session_id)
            return ChunkReceipt(session=session, arrived=arrived, repeated=False)

    async def append(
        self,
        session_id: str,
        offset: int,
        body: Body,
        *,
        length: int | None = None,
        size_bytes: int | None = None,
        checks: tuple[str, ...] = (),
    ) -> UploadSession:
        """Receive bytes behind those that are safe; the last ones complete the session.

        When the connection breaks, or a newcomer asks for the session, what arrived is kept,
        unless `checks` speaks of the whole body.

        Args:
            session_id: which session.
            offset: where the client believes that it stands.
            body: the bytes.
            length: how many bytes were announced, where they were.
            size_bytes: of the whole file, when the client tells it with this request.
            checks: `algorithm:hex` that the body must have.

        Raises:
            FileNotFoundError: there is no such session.
            SessionGone: it has ended.
            SessionConflict: it stands at another offset.
            FileSizeError: more bytes than the file has, or is allowed to have.
            ChecksumMismatch: the bytes are not those that `checks` says; none were kept.
            LockLost: a newcomer took the session over.
            StorageFull: the disk is full; what arrived before is kept.
        """
        async with self._locks.hold(f"upload:{session_id}") as hold:
            session = await self._claim(session_id, hold)
            if session.order is not Order.SEQUENTIAL:
                raise SessionConflict(f"the upload of {session.name} is sent in chunks")
            session = self._check_append(session, offset, length, size_bytes)
            if not session.is_whole:
                async with self._unless_done_elsewhere(session_id):
                    session = await self._receiver.receive_run(
                        session, body, checks, hold, self._most_bytes
                    )
        if size_bytes is not None and session.is_partial and session.is_whole:
            # It may have come without bytes, and nothing that finishes a part would record it.
            return await self.set_size(session_id, size_bytes)
        return await self._finish_if_whole(session)

    async def complete(self, session_id: str) -> UploadSession:
        """Finish a session whose bytes are all there; harmless when it is finished already.

        Raises:
            ChunksMissing: not all chunks have arrived.
            ChecksumMismatch: the file is not the one whose checksum was named.
            SessionGone: it ended without a file.
        """
        done = await self._finisher.finish(session_id)
        if done.status is SessionStatus.FAILED and done.wanted_checksum is not None:
            raise ChecksumMismatch(
                done.error or "it failed", hint="Begin a new upload of the file."
            )
        if done.is_over:
            done.check_open()
        return done

    async def cancel(self, session_id: str) -> UploadSession:
        """End a session and remove its bytes; a completed one stays as it is."""
        async with self._locks.hold(f"upload:{session_id}"):
            session = await self.get(session_id)
            return await self._finisher.end(session, SessionStatus.CANCELLED)

    async def forget(self, session_id: str) -> None:
        """Forget a session that has ended; one that has not stays, and a file as well."""
        await self._catalog.transaction(lambda tx: tx.sessions.delete(session_id))

    async def require(self, session_id: str, details: Mapping[str, str]) -> None:
        """Add to what the session's hooks look at when it is completed.

        Raises:
            FileNotFoundError: there is none with that id.
            SessionGone, SessionConflict: it is over, or complete already.
        """
        async with self._locks.hold(f"upload:{session_id}"):
            session = await self.get(session_id)
            session.check_open()
            required = replace(session, details={**session.details, **details})
            await self._catalog.transaction(lambda tx: tx.sessions.put(required))

    async def set_size(self, session_id: str, size_bytes: int) -> UploadSession:
        """Take a size that the client tells later; see `UploadSession.with_size`."""
        self._check_size("the file", size_bytes)
        async with self._locks.hold(f"upload:{session_id}"):
            session = await self.get(session_id)
            session.check_open()
            told = session.with_size(size_bytes, most_bytes=self._most_bytes)

            def record(tx: Tx) -> None:
                known = sum(one.span.length for one in tx.sessions.chunks(session_id).values())
                if tx.sessions.move(told, _OPEN) and session.size_bytes is None:
                    self._hooks.grew(tx, told, size_bytes - max(known, session.offset))

            await self._catalog.transaction(record)
            return told

    def _check_append(
        self, session: UploadSession, offset: int, length: int | None, size_bytes: int | None
    ) -> UploadSession:
        # The answer to the last request may have been lost: its repetition is no conflict.
        is_replay = session.is_whole and offset == session.offset and not length
        if not is_replay:
            session.check_open()
        if offset != session.offset:
            raise SessionConflict(
                f"the upload of {session.name} stands at {session.offset}, not at {offset}"
            )
        if size_bytes is not None:
            session = session.with_size(size_bytes, most_bytes=self._most_bytes)
        end = offset + (length or 0)
        if session.size_bytes is not None and end > session.size_bytes:
            raise FileSizeError(
                f"{session.name} has {session.size_bytes} bytes; {end} were announced"
            )
        self._check_size(session.name, end)
        return session

    def _check_size(self, name: str, size_bytes: int) -> None:
        if size_bytes < 0:
            raise ValidationError("a size is not negative")
        if size_bytes > _MOST_BYTES:
            raise FileSizeError(f"no file of {size_bytes} bytes can be kept")
        if self._most_bytes is not None and size_bytes > self._most_bytes:
            raise FileSizeError(
                f"{name} has {size_bytes} bytes; at most {self._most_bytes} are allowed"
            )

    async def _record_chunk(
        self, session: UploadSession, number: int, extent: Extent
    ) -> tuple[UploadSession, Arrived]:
        """Record the chunk; return how the session stands then."""

        def record(tx: Tx) -> tuple[UploadSession, Arrived]:
            current = tx.sessions.get(session.session_id)
            if current is None:
                raise NoSuchSession("there is no such upload")
            current.check_open()
            living = current.touched(self._now(), self._lifetime)
            if not tx.sessions.add_chunk(living, number, extent).is_same(extent):
                raise ChunkConflict(f"chunk {number} of {session.name} arrived with other bytes")
            if current.size_bytes is None:
                self._hooks.grew(tx, current, extent.span.length)
            arrived = tx.sessions.arrived(current)
            self._hooks.advanced(tx, current, arrived.size_bytes)
            return living, arrived

        return await self._catalog.transaction(record)

    @asynccontextmanager
    async def _unless_done_elsewhere(self, session_id: str) -> AsyncIterator[None]:
        """Tell an upload that the store gave up from one that another host completed meanwhile."""
        try:
            yield
        except SessionGone as exc:
            if (await self.get(session_id)).status in _DONE:
                raise LockLost("another request for the same upload completed it") from exc
            raise

    async def _reserve(self, session: UploadSession) -> UploadSession:
        reserved = await self._stage.reserve(session)
        if reserved != session:
            await self._catalog.transaction(lambda tx: tx.sessions.put(reserved))
        return reserved

    async def _finish_if_whole(self, session: UploadSession) -> UploadSession:
        if session.is_whole and not session.is_partial:
            return await self._finisher.finish(session.session_id)
        return session

    async def _repeated(self, session_id: str) -> ChunkReceipt:
        session = await self.get(session_id)
        arrived = await self._catalog.read(lambda tx: tx.sessions.arrived(session))
        # It may have been cut off between its last chunk and its completion.
        if session.size_bytes is not None and not arrived.missing:
            session = await self._finisher.finish(session_id)
        return ChunkReceipt(session=session, arrived=arrived, repeated=True)

    async def _publish(
        self, session: UploadSession, settled: Settled, fence: int | None
    ) -> UploadSession:
        appended = session.appended(settled.extent, tail=settled.tail)
        living = appended.touched(self._now(), self._lifetime)

        def record(tx: Tx) -> None:
            before = tx.sessions.get(session.session_id)
            if before is None or before.status is not SessionStatus.RECEIVING:
                raise SessionGone(f"the upload of {session.name} has ended meanwhile")
            if not tx.sessions.publish(living, session.offset, settled.parts, fence):
                raise LockLost("another request for the same upload took over")
            if before.size_bytes is None:
                now_known = living.offset if living.size_bytes is None else living.size_bytes
                self._hooks.grew(tx, living, now_known - before.offset)
            self._hooks.advanced(tx, living, living.offset)

        await self._catalog.transaction(record)
        return living


def _look_up(tx: Tx, session_id: str, number: int) -> tuple[UploadSession, Span, Extent | None]:
    session = tx.sessions.get(session_id)
    if session is None:
        raise NoSuchSession("there is no such upload")
    if session.order is not Order.CHUNKED:
        raise SessionConflict(f"the upload of {session.name} is not sent in chunks")
    span = session.grid.span(number)
    return session, span, tx.sessions.chunks(session_id, number).get(number)


def _check_length(session: UploadSession, span: Span, length: int | None) -> None:
    if length is None or session.size_bytes is None:
        return
    if length > span.length:
        raise FileSizeError(f"the chunk has {span.length} bytes; {length} were announced")
    if length < span.length:
        raise ValidationError(f"the chunk has {span.length} bytes; {length} were announced")
