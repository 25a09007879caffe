"""Blocking twins of the public functions, for programs without an event loop.

Each runs its async twin to the end in a loop of its own; call the twin itself where a loop runs.
The classes keep their loop until `close`, or the end of a `with` block.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from haulier.journeys.archive import api
from haulier.journeys.recording import manager
from haulier.transfer import chunked_upload, download_manager, streaming_upload, tus_files
from haulier.transfer.streaming_upload import StoredPart

P = ParamSpec("P")
T = TypeVar("T")

__all__ = [
    "ChunkedUploadManager",
    "DownloadManager",
    "OfflineAudioManager",
    "StreamingUploadHandler",
    "restore",
    "upload",
    "upload_tus",
]


def _blocking(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return asyncio.run(function(*args, **kwargs))

    return call


upload = _blocking(api.upload)
restore = _blocking(api.restore)
upload_tus = _blocking(tus_files.upload_tus)


class _BlockingTwin:
    """Whatever its async twin has, its coroutines run to their end."""

    def __init__(self, twin: Any, runner: asyncio.Runner) -> None:
        self._twin = twin
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._twin, name)
        if not inspect.iscoroutinefunction(found):
            return found

        @functools.wraps(found)
        def call(*args: Any, **kwargs: Any) -> Any:
            return self._runner.run(found(*args, **kwargs))

        return call

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back files and connections, and end the loop."""
        try:
            self._runner.run(self._twin.aclose())
        finally:
            self._runner.close()


class ChunkedUploadManager(_BlockingTwin):
    """Blocking twin of `haulier.ChunkedUploadManager`, whose methods and arguments it has."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(chunked_upload.ChunkedUploadManager(*args, **kwargs), asyncio.Runner())


class OfflineAudioManager(_BlockingTwin):
    """Blocking twin of `haulier.OfflineAudioManager`, whose methods and arguments it has."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(manager.OfflineAudioManager(*args, **kwargs), asyncio.Runner())


class DownloadManager(_BlockingTwin):
    """Blocking twin of `haulier.DownloadManager`, whose methods and arguments it has."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(download_manager.DownloadManager(*args, **kwargs), asyncio.Runner())


class StreamingUploadHandler(_BlockingTwin):
    """Blocking twin of `haulier.StreamingUploadHandler`, whose methods and arguments it has."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(streaming_upload.StreamingUploadHandler(*args, **kwargs), asyncio.Runner())

    @classmethod
    def for_bucket(cls, *args: Any, **kwargs: Any) -> Self:
        """Return a handler for a bucket; see the twin's `for_bucket`."""
        runner = asyncio.Runner()
        made = cls.__new__(cls)
        try:
            twin = runner.run(streaming_upload.StreamingUploadHandler.for_bucket(*args, **kwargs))
        except BaseException:
            runner.close()
            raise
        _BlockingTwin.__init__(made, twin, runner)
        return made

    def upload_stream(
        self, upload_id: str, pieces: Iterable[bytes], **options: Any
    ) -> list[StoredPart]:
        """Cut what comes into parts; see the twin's `upload_stream`."""
        return self._runner.run(self._twin.upload_stream(upload_id, _one_by_one(pieces), **options))


async def _one_by_one(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
