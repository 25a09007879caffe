"""Bytes of one request on their way to the stage, and what is done when they stop coming."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from haulier.coordination.locks import Hold
from haulier.core.checksums import RunningChecksum, parse_checksum
from haulier.core.sessions.chunks import Span
from haulier.core.sessions.session import Extent, Settled, UploadSession
from haulier.errors import (
    ChecksumMismatch,
    ChunkConflict,
    FileSizeError,
    HaulierError,
    LockLost,
    ValidationError,
)
from haulier.transfer.sessions.order import HashesInOrder
from haulier.transfer.sessions.staging import Piece, Stage, Writer

T = TypeVar("T")

Body = AsyncIterator[Piece]
"""What a client sends. Each piece stays as it is until the second one after it is asked for."""

Publish = Callable[[UploadSession, Settled, int | None], Awaitable[UploadSession]]

# What is sent again at most when this process dies: so much, or what came in so long. Both, so that
# a fast upload does not wait for the disk and the catalog all the time.
_PUBLISH_BYTES = 8 << 20
_PUBLISH_S = 0.25


class Receiver:
    """Receives bytes for sessions that are locked.

    Args:
        stage: where the bytes lie.
        hashes: what is hashed as it comes in.
        publish: records how far a sequential session came.
        clock: seconds that only ever grow.
    """

    def __init__(
        self,
        stage: Stage,
        hashes: HashesInOrder,
        publish: Publish,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stage = stage
        self._hashes = hashes
        self._publish = publish
        self._clock = clock

    async def receive_chunk(
        self, session: UploadSession, span: Span, body: Body, checks: tuple[str, ...], hold: Hold
    ) -> Extent:
        """Write a chunk to its place; it counts when it is recorded.

        Raises:
            FileSizeError: more bytes came than the chunk has.
            ValidationError: fewer came.
            ChecksumMismatch: they are not those that `checks` says.
            LockLost: a newcomer asked for the chunk.
        """
        named = _named(checks)
        running = self._hashes.claim(session.session_id, span.offset)
        writer = self._stage.writer(session, span, _sums(named, running))
        try:
            async with _until_asked(hold):
                async for piece in body:
                    _check_room(session, writer, piece, span.length)
                    await writer.write(piece)
            extent = (await writer.settle()).extent
            if session.size_bytes is not None and extent.span.length < span.length:
                raise ValidationError(
                    f"the chunk has {span.length} bytes; {extent.span.length} arrived",
                    hint="Send the whole chunk again.",
                )
            _check_sums(named)
            await hold.check()
        finally:
            await uninterrupted(writer.aclose())
        if running is not None:
            self._hashes.advance(session.session_id, extent.span, running)
        return extent

    async def receive_run(
        self,
        session: UploadSession,
        body: Body,
        checks: tuple[str, ...],
        hold: Hold,
        most_bytes: int | None,
    ) -> UploadSession:
        """Write bytes behind those of a sequential session, and let them count as they come.

        With `checks` they count only when all have come and are right; otherwise whatever came
        counts, also when the connection breaks.

        Raises:
            FileSizeError: more bytes came than the file has or may have.
            ChecksumMismatch: they are not those that `checks` says.
            LockLost: a newcomer asked for the session.
        """
        named = _named(checks)
        running = self._hashes.claim(session.session_id, session.offset)
        rest = Span(session.offset, (session.size_bytes or session.offset) - session.offset)
        writer = self._stage.writer(session, rest, _sums(named, running))
        room = (session.size_bytes if session.size_bytes is not None else most_bytes) or 0
        current, asked_bytes, asked_at = session, 0, self._clock()

        async def count(settled: Settled) -> None:
            nonlocal current
            await hold.check()
            current = await self._publish(current, settled, hold.fence)
            await writer.published()
            # The hash has taken in all that was given; it counts where all of that is safe.
            if running is not None and current.offset == session.offset + writer.taken_bytes:
                span = Span(session.offset, writer.taken_bytes)
                self._hashes.advance(session.session_id, span, running.copy())

        async def keep_what_came() -> None:
            await count(await writer.settle())

        try:
            try:
                async with _until_asked(hold):
                    async for piece in body:
                        if room:
                            _check_room(session, writer, piece, room - session.offset)
                        await writer.write(piece)
                        if (
                            not named
                            and writer.taken_bytes - asked_bytes >= _PUBLISH_BYTES
                            and self._clock() - asked_at >= _PUBLISH_S
                        ):
                            settled = await writer.checkpoint()
                            asked_bytes, asked_at = writer.taken_bytes, self._clock()
                            if settled.extent.span.length:
                                await uninterrupted(count(settled))
                settled = await writer.settle()
            except BaseException:
                if not named:
                    with suppress(HaulierError):  # the first failure is the one to tell
                        await uninterrupted(keep_what_came())
                raise
            _check_sums(named)
            await uninterrupted(count(settled))
            return current
        finally:
            await uninterrupted(writer.aclose())


async def compare(
    session: UploadSession, known: Extent, body: Body, checks: tuple[str, ...]
) -> None:
    """Read a chunk that is safe already and make sure that it is the same.

    Raises:
        ChunkConflict: it is another one.
        ChecksumMismatch: its bytes are not those that `checks` says.
    """
    crc = RunningChecksum("crc64nvme")
    named = _named(checks)
    length = 0
    async for piece in body:
        length += len(piece)
        if length > known.span.length:
            break
        await asyncio.to_thread(_feed, piece, (crc, *named.values()))
    else:
        _check_sums(named)
    if length != known.span.length or str(crc) != f"crc64nvme:{known.crc64nvme:016x}":
        raise ChunkConflict(f"this chunk of {session.name} arrived before, with other bytes")


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Carry `work` out although the caller is cancelled, and only then let it be."""
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as exc:
            if task.cancelled():
                raise
            cancelled = exc
    if cancelled is not None:
        raise cancelled
    return task.result()


@asynccontextmanager
async def _until_asked(hold: Hold) -> AsyncIterator[None]:
    """End the block with LockLost as soon as somebody asks for the lock."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(None) as scope:
            watch = asyncio.create_task(hold.asked_for())
            watch.add_done_callback(
                lambda task: None if task.cancelled() else scope.reschedule(loop.time())
            )
            try:
                yield
            finally:
                watch.cancel()
    except TimeoutError:
        if not scope.expired():
            raise
        raise LockLost("another request for the same upload took over") from None


def _named(checks: tuple[str, ...]) -> dict[str, RunningChecksum]:
    return {text: RunningChecksum(parse_checksum(text)[0]) for text in checks}


def _sums(
    named: dict[str, RunningChecksum], running: RunningChecksum | None
) -> tuple[RunningChecksum, ...]:
    return (*named.values(), *([running] if running is not None else []))


def _check_room(session: UploadSession, writer: Writer, piece: Piece, room: int) -> None:
    if writer.taken_bytes + len(piece) > room:
        raise FileSizeError(f"more bytes of {session.name} were sent than there are")


def _check_sums(named: dict[str, RunningChecksum]) -> None:
    for wanted, found in named.items():
        if str(found) != wanted:
            raise ChecksumMismatch(f"the bytes have {found}, not {wanted}")


def _feed(piece: Piece, sums: tuple[RunningChecksum, ...]) -> None:
    for one in sums:
        one.update(piece)
