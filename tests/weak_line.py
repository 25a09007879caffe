"""A line to a server that can be slow, be cut, and be whole again, for all that goes over it."""

from __future__ import annotations

import asyncio
import threading
from typing import Self
from urllib.parse import urlsplit

_PIECE_BYTES = 16 << 10


class WeakLine:
    """A context manager; `url` is where clients go instead of `upstream`."""

    def __init__(self, upstream: str) -> None:
        place = urlsplit(upstream)
        self._upstream = (place.hostname, place.port)
        self._up_bps: int | None = None
        self._is_cut = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.url = ""

    def slow(self, up_bps: int) -> Self:
        """Let each connection send so many bytes a second."""
        self._up_bps = up_bps
        return self

    def cut(self) -> None:
        """End all connections, and take none."""
        self._is_cut = True
        self._loop.call_soon_threadsafe(self._abort)

    def mend(self) -> None:
        """Be a line without limits."""
        self._is_cut, self._up_bps = False, None

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def _abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _stop(self) -> None:
        self._server.close()
        self._abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0.01)  # aborted transports close their sockets in the next rounds

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        opened = [writer]
        self._writers.add(writer)
        try:
            if self._is_cut:
                return
            source, sink = await asyncio.open_connection(*self._upstream)
            opened.append(sink)
            self._writers.add(sink)
            await asyncio.gather(self._pump(reader, sink, is_up=True), self._pump(source, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for one in opened:
                one.transport.abort()
                self._writers.discard(one)
            self._tasks.discard(task)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_up: bool = False
    ) -> None:
        while piece := await source.read(_PIECE_BYTES):
            if is_up and self._up_bps is not None:
                await asyncio.sleep(len(piece) / self._up_bps)
            sink.write(piece)
            await sink.drain()
        sink.transport.abort() if is_up else sink.close()
