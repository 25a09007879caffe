"""An object read in order by code that blocks: decompression and hashing run in a thread.

The thread asks the event loop for each piece while the next one is under way already, so at
most two pieces are in memory whatever the size of the object.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from haulier.archive.reader import ByteSource
from haulier.store.base import Advance, Store, no_advance

T = TypeVar("T")


async def read_through(
    store: Store,
    key: str,
    work: Callable[[ByteSource], T],
    *,
    start: int = 0,
    end: int | None = None,
    if_match: str | None = None,
    advance: Advance = no_advance,
) -> T:
    """Run `work` in a thread on bytes `start` to `end` of `key` and return what it returns.

    Args:
        if_match: the ETag the object must have all along.
        advance: told the bytes that were handed over.

    Raises what the store does, inside `work` too. When cancelled, the thread has ended before
    this returns.
    """
    async with store.get(key, start=start, end=end, if_match=if_match) as pieces:
        source = _Pieces(pieces, asyncio.get_running_loop(), advance)
        running = asyncio.ensure_future(asyncio.to_thread(work, source))
        try:
            return await asyncio.shield(running)
        finally:
            await source.stop()
            await asyncio.wait([running])
            if not running.cancelled():
                running.exception()


class _Pieces:
    """The pieces of an object, for a thread that is not the event loop's."""

    def __init__(
        self, pieces: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop, advance: Advance
    ) -> None:
        self._pieces = pieces
        self._loop = loop
        self._advance = advance
        self._held = memoryview(b"")
        self._coming: concurrent.futures.Future[bytes] | None = None
        self._asking = asyncio.Lock()
        self._stopped = self._ended = False

    def read(self, size: int, /) -> bytes:
        if self._stopped:
            raise InterruptedError
        if not self._held and not self._ended:
            self._held = memoryview(self._next_piece())
        data = bytes(self._held[:size])
        self._held = self._held[len(data) :]
        self._advance(len(data))
        return data

    def _next_piece(self) -> bytes:
        try:
            piece = (self._coming or self._ask()).result()
        except concurrent.futures.CancelledError:
            raise InterruptedError from None
        self._ended = not piece
        self._coming = None if self._ended else self._ask()
        return piece

    def _ask(self) -> concurrent.futures.Future[bytes]:
        self._coming = asyncio.run_coroutine_threadsafe(self._following(), self._loop)
        return self._coming

    async def _following(self) -> bytes:
        async with self._asking:
            if self._stopped:
                raise asyncio.CancelledError
            return await anext(self._pieces, b"")

    async def stop(self) -> None:
        """Let nothing more be read; when this returns, nobody asks for a piece any more."""
        self._stopped = True
        if self._coming is not None:
            self._coming.cancel()
        async with self._asking:
            pass
