"""A link of a set rate to a server: a proxy on loopback that lets through so many bytes a second.

All connections share the rate, as they do a line. Both ways wait for `delay_s` besides, so that
each question costs a round trip.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

_PIECE_BYTES = 16 << 10
_BUFFER_S = 0.1


class Link:
    """A context manager; `url` is where clients go. It runs in a process of its own."""

    def __init__(self, upstream: str, *, bytes_per_s: float, delay_s: float = 0) -> None:
        self._upstream = urlsplit(upstream)
        self._bytes_per_s = bytes_per_s
        self._delay_s = delay_s
        self.url = ""

    def __enter__(self) -> Self:
        context = multiprocessing.get_context("spawn")
        told, tells = context.Pipe(duplex=False)
        host, port = self._upstream.hostname, self._upstream.port
        arguments = (host, port, self._bytes_per_s, self._delay_s, tells)
        self._process = context.Process(target=_run, args=arguments, daemon=True)
        self._process.start()
        self.url = f"http://127.0.0.1:{told.recv()}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.join()


class _Line:
    """Bytes that may pass; of what was not used a tenth of a second is made up for, as by a buffer."""

    def __init__(self, bytes_per_s: float) -> None:
        self._bytes_per_s = bytes_per_s
        self._free_at = 0.0

    async def pass_(self, count: int) -> None:
        now = time.monotonic()
        self._free_at = max(self._free_at, now - _BUFFER_S) + count / self._bytes_per_s
        if self._free_at > now:
            await asyncio.sleep(self._free_at - now)


def _run(host: str, port: int, bytes_per_s: float, delay_s: float, tells: Any) -> None:
    asyncio.run(_serve(host, port, bytes_per_s, delay_s, tells))


async def _serve(host: str, port: int, bytes_per_s: float, delay_s: float, tells: Any) -> None:
    line = _Line(bytes_per_s)

    async def carry(reader: Any, writer: Any, way: _Line | None) -> None:
        try:
            while piece := await reader.read(_PIECE_BYTES):
                if way is not None:
                    await way.pass_(len(piece))
                asyncio.get_running_loop().call_later(delay_s, writer.write, piece)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            asyncio.get_running_loop().call_later(2 * delay_s, writer.close)

    serving: set[Any] = set()

    async def take(reader: Any, writer: Any) -> None:
        # Streams hold their reader weakly: nothing else keeps this task.
        task = asyncio.current_task()
        serving.add(task)
        try:
            inner, out = await asyncio.open_connection(host, port)
            await asyncio.gather(carry(reader, out, line), carry(inner, writer, None))
        finally:
            serving.discard(task)

    server = await asyncio.start_server(take, "127.0.0.1", 0, limit=4 * _PIECE_BYTES)
    tells.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()
