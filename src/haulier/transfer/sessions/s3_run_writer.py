"""A run of bytes of any length on its way to S3: cut into parts, the remainder kept beside them.

S3 takes parts of 5 MiB and more. What is too little for one is kept as an object of its own, the
tail, before it is acknowledged; whoever goes on, on whichever host, begins its first part with it.
All parts but the last are equally large, so that the same bytes always make the same parts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

from haulier.core.checksums import RunningChecksum, crc32, crc64nvme
from haulier.core.sessions.chunks import Span
from haulier.core.sessions.session import Extent, Settled, UploadSession
from haulier.errors import FileSizeError, HaulierError, LockLost, NoSuchObject, SessionGone
from haulier.transfer.sessions.s3_place import S3Place, store_errors
from haulier.transfer.sessions.staging import Piece

LastPart = Callable[[], Awaitable[tuple[int, Extent] | None]]
"""Returns the last part of the session that is recorded, with its number."""


class S3RunWriter:
    """Collects a part while the one before it is sent: two parts in memory at most."""

    def __init__(
        self,
        place: S3Place,
        session: UploadSession,
        checks: tuple[RunningChecksum, ...],
        last_part: LastPart,
    ) -> None:
        self._place = place
        self._session = session
        self._checks = checks
        self._last_part = last_part
        self._buffer = bytearray()
        self._spare = bytearray()
        self._number = 0  # of the part that is being collected
        self._start = session.offset  # where it begins in the file
        self._filled = 0
        self._known: Extent | None = None  # the bytes at its front that are safe as the tail
        self._tail = session.tail
        self._tails = [] if session.tail is None else [session.tail]
        self._sending: asyncio.Task[None] | None = None
        self._failed = False
        self._taken = 0
        self._fresh = Extent(span=Span(session.offset, 0), crc64nvme=0, crc32=0)
        self._parts: dict[int, Extent] = {}

    @property
    def taken_bytes(self) -> int:
        """How many bytes were given to it."""
        return self._taken

    async def write(self, piece: Piece) -> None:
        """Take `piece`; raises what the store said to an earlier one."""
        if not self._number:
            await self._begin()
        self._taken += len(piece)
        rest = memoryview(piece)
        while rest:
            count = min(len(rest), len(self._buffer) - self._filled)
            self._buffer[self._filled : self._filled + count] = rest[:count]
            self._filled, rest = self._filled + count, rest[count:]
            if self._filled == len(self._buffer):
                await self._cut()

    async def checkpoint(self) -> Settled:
        """Return the parts that were stored since it was last asked; nothing is waited for."""
        if self._sending is not None and self._sending.done():
            await self._land()
        return self._report()

    async def settle(self) -> Settled:
        """Make all bytes safe, the last of them as the tail, or as the last part of the file.

        After a failure: return what became safe before it.
        """
        await self._land()
        known_bytes = 0 if self._known is None else self._known.span.length
        if self._failed or self._filled == known_bytes:
            return self._report()
        new, whole = await self._sums()
        if whole.span.end == self._session.size_bytes:
            await self._send(self._number, memoryview(self._buffer)[: self._filled], new, whole)
            self._next_part()
        else:
            body = bytes(memoryview(self._buffer)[: self._filled])
            with store_errors(self._session.name):
                self._tail = await self._place.put_tail(self._session.session_id, body)
            self._tails.append(self._tail)
            self._known = whole
            self._fresh = self._fresh.followed_by(new)
        return self._report()

    async def published(self) -> None:
        """Drop the tails that another one, or a part, has replaced."""
        for name in [one for one in self._tails if one != self._tail]:
            await self._place.drop_tail(self._session.session_id, name)
            self._tails.remove(name)

    async def aclose(self) -> None:
        """Wait for a part on its way; nothing is written afterwards."""
        with suppress(HaulierError):
            await self._land()

    async def _begin(self) -> None:
        session = self._session
        last = await self._last_part()
        self._number, self._start = (1, 0) if last is None else (last[0] + 1, last[1].span.end)
        self._buffer = bytearray(session.chunk_size)
        if session.tail is None:
            return
        with store_errors(session.name):
            kept = await self._read_tail(session.tail)
        self._filled = len(kept)
        self._buffer[: len(kept)] = kept
        span = Span(self._start, len(kept))
        self._known = Extent(span=span, crc64nvme=crc64nvme(kept), crc32=crc32(kept))
        if span.end != session.offset:
            raise SessionGone(f"the object store lost bytes of {session.name}")

    async def _read_tail(self, name: str) -> bytes:
        try:
            return await self._place.read_tail(self._session.session_id, name)
        except NoSuchObject as exc:
            raise LockLost("another request for the same upload went on") from exc

    async def _cut(self) -> None:
        """Let the part that is full leave, once the one before it has arrived."""
        await self._land()
        if self._number > self._place.store.limits.max_parts:
            raise FileSizeError(f"{self._session.name} is larger than this server can store")
        new, whole = await self._sums()
        self._sending = asyncio.create_task(
            self._send(self._number, memoryview(self._buffer), new, whole)
        )
        self._buffer, self._spare = self._spare or bytearray(len(self._buffer)), self._buffer
        self._next_part()

    def _next_part(self) -> None:
        self._number += 1
        self._start += self._filled
        self._filled, self._known = 0, None

    async def _land(self) -> None:
        sending = self._sending
        if sending is None:
            return
        try:
            await asyncio.shield(sending)
        except HaulierError:
            self._failed, self._sending = True, None
            raise
        self._sending = None

    async def _send(self, number: int, body: memoryview, new: Extent, whole: Extent) -> None:
        session = self._session
        if session.upload_id is None or session.file_id is None:
            raise SessionGone(f"the upload of {session.name} was begun in another store")
        with store_errors(session.name):
            receipt = await self._place.put_part(
                session.file_id, session.upload_id, number, [body], whole
            )
        self._parts[number] = replace(whole, etag=receipt.etag)
        self._fresh = self._fresh.followed_by(new)
        self._tail = None

    async def _sums(self) -> tuple[Extent, Extent]:
        """Return the sums of what is new in the part, and those of all of it."""
        known = self._known
        skipped = 0 if known is None else known.span.length
        fresh = memoryview(self._buffer)[skipped : self._filled]
        sums = await asyncio.to_thread(_sums_of, fresh, self._checks)
        new = Extent(span=Span(self._start + skipped, len(fresh)), crc64nvme=sums[0], crc32=sums[1])
        return new, new if known is None else known.followed_by(new)

    def _report(self) -> Settled:
        extent, parts = self._fresh, self._parts
        self._fresh = Extent(span=Span(extent.span.end, 0), crc64nvme=0, crc32=0)
        self._parts = {}
        return Settled(extent=extent, parts=parts, tail=self._tail)


def _sums_of(view: memoryview, checks: tuple[RunningChecksum, ...]) -> tuple[int, int]:
    for check in checks:
        check.update(view)
    return crc64nvme(view), crc32(view)
