"""A file of the cache as the source of a download, so that it is checked and placed as one."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from haulier.core.file_version import AnswerHead
from haulier.core.ranges import Flight
from haulier.net.threads import in_thread
from haulier.transfer.file_cache import CachedFile
from haulier.transfer.range_source import RangeAnswer, passing

_READ_BYTES = 1 << 20


class CachedSource:
    """What was found in the cache; its finder closes it."""

    def __init__(self, cached: CachedFile) -> None:
        self._cached = cached
        self.name = self.label = f"cache:{cached.sha256}"

    @asynccontextmanager
    async def open(self, flight: Flight) -> AsyncIterator[RangeAnswer]:
        """Read from the position that is wanted to the end."""
        size_bytes, etag = self._cached.size_bytes, f'"{self._cached.sha256}"'
        if not size_bytes:
            head = AnswerHead(status=200, total_bytes=0, etag=etag)
        else:
            head = AnswerHead(
                status=206, start=flight.start, end=size_bytes, total_bytes=size_bytes, etag=etag
            )
        yield RangeAnswer(head=head, body=passing(self._read(flight.start)), url=self.name)

    async def _read(self, offset: int) -> AsyncIterator[bytes]:
        descriptor = self._cached.file.fileno()

        def read(_: object) -> bytes:
            return os.pread(descriptor, _READ_BYTES, offset)

        while piece := await in_thread(read):
            offset += len(piece)
            yield piece
