"""The one clockwork that reads the progress board and tells everybody who listens."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from types import TracebackType
from typing import Self

from haulier.core.progress import Progress, ProgressBoard, ProgressState

Listener = Callable[[Progress], Awaitable[None] | None]
"""Told each event; a plain function runs in the event loop and has to be quick."""

LISTENER_TIMEOUT_S = 5.0
_log = logging.getLogger(__name__)


class Ticker:
    """Samples a board at an interval and hands each event to each listener.

    Use as an async context manager around the work. Leaving it delivers what has ended
    since the last tick, so that no `finished` or `failed` is ever lost. A listener that
    raises, or takes longer than `listener_timeout_s`, is logged once and never called
    again; the work does not notice.

    Args:
        board: what to sample. Nobody else may sample it meanwhile.
        listeners: called with each event, one after another.
        interval_s: seconds between ticks.
        listener_timeout_s: how long one call of an async listener may take.
    """

    def __init__(
        self,
        board: ProgressBoard,
        listeners: Iterable[Listener] = (),
        *,
        interval_s: float = 0.1,
        listener_timeout_s: float = LISTENER_TIMEOUT_S,
    ) -> None:
        self.board = board
        self._listeners = list(listeners)
        self._streams: list[_Stream] = []
        self._interval_s = interval_s
        self._listener_timeout_s = listener_timeout_s
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._stopping.clear()
        self._task = asyncio.create_task(self._run(), name="progress ticker")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopping.set()
        assert self._task is not None
        # Never cancelled by us: an event already taken from the board would be lost.
        await self._task

    def events(self) -> AsyncIterator[Progress]:
        """Return an iterator over the events from now until the ticker stops.

        A reader that is slower than the ticks misses only `advanced` events that newer ones
        of the same thing have overtaken.
        """
        stream = _Stream()
        if self._stopping.is_set():
            stream.close()
        else:
            self._streams.append(stream)
        return stream.read()

    async def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                await self._tick()
                try:
                    async with asyncio.timeout(self._interval_s):
                        await self._stopping.wait()
                except TimeoutError:
                    continue
            await self._tick()
        finally:
            for stream in self._streams:
                stream.close()
            self._streams.clear()

    async def _tick(self) -> None:
        for event in self.board.sample():
            for stream in self._streams:
                stream.put(event)
            for listener in tuple(self._listeners):
                await self._tell(listener, event)

    async def _tell(self, listener: Listener, event: Progress) -> None:
        try:
            answer = listener(event)
            if inspect.isawaitable(answer):
                async with asyncio.timeout(self._listener_timeout_s):
                    await answer
        except Exception:  # noqa: BLE001 - whatever it raises, the transfer goes on
            _log.exception("progress listener %r failed and is not called again", listener)
            self._listeners.remove(listener)


class _Stream:
    """The events one reader has not read yet: at most one `advanced` of each thing."""

    def __init__(self) -> None:
        self._pending: deque[Progress] = deque()
        self._changed = asyncio.Event()
        self._closed = False

    def put(self, event: Progress) -> None:
        if event.state is ProgressState.ADVANCED:
            for older in self._pending:
                if older.id == event.id and older.state is ProgressState.ADVANCED:
                    self._pending.remove(older)
                    break
        self._pending.append(event)
        self._changed.set()

    def close(self) -> None:
        self._closed = True
        self._changed.set()

    async def read(self) -> AsyncIterator[Progress]:
        while True:
            while self._pending:
                yield self._pending.popleft()
            if self._closed:
                return
            self._changed.clear()
            await self._changed.wait()
