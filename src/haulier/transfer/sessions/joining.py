"""Sessions whose bytes are those of other sessions, one behind the other.

`begin` records the session, and while that is to be joined the bytes of its parts stay, whatever
becomes of these; `join` puts them together and finishes the file. A crash between any two steps is
mended by joining once more. What was set aside for a part passes on to the first session that it is
joined to: a file sent in parts needs its size of the quota once.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime, timedelta

from haulier.catalog.catalog import Catalog
from haulier.catalog.transaction import Tx
from haulier.coordination.locks import Locks
from haulier.core.records import utc_now
from haulier.core.sessions.session import (
    Order,
    SessionStatus,
    UploadSession,
    WholeFile,
    join_sums,
)
from haulier.errors import FileNotFoundError as NoSuchSession
from haulier.errors import FileSizeError, SessionConflict, SessionGone
from haulier.transfer.sessions.finishing import Finisher, SessionHooks
from haulier.transfer.sessions.receiving import uninterrupted
from haulier.transfer.sessions.staging import Stage

_JOINED_KEPT_FOR = timedelta(hours=1)


class Joiner:
    """Joins sessions.

    Args:
        catalog: where sessions are recorded.
        stage: where their bytes lie.
        finisher: puts whole files at their place.
        locks: the engine's.
        hooks: what is done in the same transactions.
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
        locks: Locks,
        hooks: SessionHooks,
        ask: Callable[[UploadSession], Awaitable[None]] | None = None,
        most_bytes: int | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._catalog = catalog
        self._stage = stage
        self._finisher = finisher
        self._locks = locks
        self._hooks = hooks
        self._ask = ask
        self._most_bytes = most_bytes
        self._now = now

    async def begin(
        self,
        part_ids: tuple[str, ...],
        *,
        owner_id: str,
        name: str,
        mime_type: str | None,
        details: dict[str, str],
    ) -> UploadSession:
        """Begin a session made of others; `join` has to follow.

        Args:
            part_ids: of the sessions, in the order of their bytes; one may come twice.
            owner_id: whose sessions these are, and whose file it will be.
            name: the file's name, made safe.
            mime_type: as the client tells it.
            details: see `UploadSession`.

        Raises:
            FileNotFoundError: there is no such session of that owner.
            SessionConflict: one is not a part, or not all of it has arrived.
            SessionGone: one has ended.
            FileSizeError: they are more than allowed together.
            QuotaExceeded: they don't fit into what is left.
            StorageFull: the disk has no room for them.
            UploadRefused, HookUnavailable: who is asked before does not want it, or did not answer.
        """
        now, session_id = self._now(), secrets.token_hex(16)

        def plan(tx: Tx) -> tuple[UploadSession, list[UploadSession]]:
            parts = {one: _part(tx, one, owner_id) for one in part_ids}
            whole = join_sums([parts[one] for one in part_ids])
            self._check_size(name, whole.size_bytes)
            joined = UploadSession(
                session_id=session_id,
                owner_id=owner_id,
                name=name,
                size_bytes=whole.size_bytes,
                chunk_size=0,
                order=Order.SEQUENTIAL,
                created_at=now,
                expires_at=now,
                status=SessionStatus.JOINING,
                mime_type=mime_type,
                details={**details, "parts": " ".join(part_ids)},
                offset=whole.size_bytes,
                crc64nvme=whole.crc64nvme,
                crc32=whole.crc32,
            )
            return self._stage.plan(joined), list(parts.values())

        def record(tx: Tx) -> UploadSession:
            session, parts = plan(tx)
            for part in parts:
                self._pass_on(tx, part)
            self._hooks.started(tx, session)
            tx.sessions.put(session)
            return session

        if self._ask is not None:
            planned, _ = await self._catalog.read(plan)
            await self._ask(planned)
        async with AsyncExitStack() as held:
            # The new one's too: the sweeper must not begin with it.
            for one in (session_id, *sorted(set(part_ids))):
                await held.enter_async_context(self._locks.hold(f"upload:{one}", breaking=False))
            session = await self._catalog.transaction(record)
            try:
                reserved = await self._stage.reserve(session)
                if reserved != session:
                    await self._catalog.transaction(lambda tx: tx.sessions.renew(session, reserved))
            except BaseException as exc:
                await uninterrupted(self._finisher.fail(session, str(exc)))
                raise
        return reserved

    async def join(self, session_id: str) -> UploadSession:
        """Put the parts of a session together; harmless when that was done.

        Raises:
            StorageFull: the disk has no room; it may be tried again later.
        """
        async with self._locks.hold(f"upload:{session_id}", breaking=False):
            session, parts = await self._catalog.read(lambda tx: _with_parts(tx, session_id))
            if session.status is not SessionStatus.JOINING:
                return session
            try:
                session = await self._stage.join(session, parts)
            except SessionGone as exc:
                return await self._finisher.fail(session, exc.message)
            whole = WholeFile(
                size_bytes=session.offset, crc64nvme=session.crc64nvme, crc32=session.crc32
            )
            return await self._finisher.place(session, whole)

    def _pass_on(self, tx: Tx, part: UploadSession) -> None:
        if part.is_passed_on:
            return
        self._hooks.ended(tx, part)
        # It counts for nothing now and must not lie on the disk for long.
        soon = min(part.expires_at, self._now() + _JOINED_KEPT_FOR)
        tx.sessions.put(replace(part, details={**part.details, "passed_on": ""}, expires_at=soon))

    def _check_size(self, name: str, size_bytes: int) -> None:
        if self._most_bytes is not None and size_bytes > self._most_bytes:
            raise FileSizeError(
                f"{name} has {size_bytes} bytes; at most {self._most_bytes} are allowed"
            )


def _with_parts(tx: Tx, session_id: str) -> tuple[UploadSession, list[UploadSession]]:
    session = tx.sessions.get(session_id)
    if session is None:
        raise NoSuchSession("there is no such upload")
    if session.status is not SessionStatus.JOINING:
        return session, []
    found = {one: tx.sessions.get(one) for one in set(session.parts)}
    return session, [part for one in session.parts if (part := found[one]) is not None]


def _part(tx: Tx, part_id: str, owner_id: str) -> UploadSession:
    part = tx.sessions.get(part_id)
    if part is None or part.owner_id != owner_id:
        raise NoSuchSession("there is no such upload to be joined")
    part.check_open()
    if not part.is_partial:
        raise SessionConflict("only uploads begun as partial can be joined")
    if not part.is_whole:
        raise SessionConflict(f"a part stands at {part.offset} of {part.size_bytes} bytes")
    return part
