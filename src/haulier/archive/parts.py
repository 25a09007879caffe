"""Cutting the tar stream into parts that can be built apart, in any order, and built again.

A part is a row of units (gzip members, zstd frames) and covers a range of the tar stream. The
range is what is remembered: after an interruption a missing part is built again from its range
alone, and the parts that are stored already are not touched. Reading and hashing happen on the
calling thread, squeezing on the pool's.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from itertools import pairwise

from haulier.archive.codec import Codec
from haulier.archive.entry import Segment
from haulier.archive.tar_stream import Run, TarStream
from haulier.core.checksums import combine_crc64nvme, crc64nvme
from haulier.errors import CorruptArchive

_SEGMENT_ROW = struct.Struct("<II")  # tar bytes, encoded bytes


@dataclass(frozen=True, slots=True)
class CutPart:
    """One part: its range of the tar stream, its bytes, and what came to be known on the way."""

    number: int
    tar_start: int
    tar_end: int
    buffers: list[bytes | memoryview]
    size_bytes: int
    crc64nvme: int
    segments: bytes
    digests: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Unit:
    run: Run
    data: bytes | memoryview
    crc64nvme: int


class PartCutter:
    """Cuts parts of at least `part_bytes` from tar offset `start` on, numbered from `number`.

    The last part ends at `end` and may be smaller. Not for use by two threads at once.
    """

    def __init__(
        self,
        stream: TarStream,
        codec: Codec,
        pool: Executor,
        *,
        start: int,
        end: int,
        number: int = 1,
        part_bytes: int | None,
        look_ahead: int = 4,
    ) -> None:
        self._codec = codec
        self._pool = pool
        self._stream = stream
        self._runs: Iterator[Run] = stream.runs(start, end)
        self._position = start
        self._end = end
        self._number = number
        self._part_bytes = part_bytes
        self._look_ahead = look_ahead
        self._pending: deque[Future[_Unit]] = deque()

    def next_part(self) -> CutPart | None:
        """Return the next part, or None when the stream is at its end; blocks.

        With `part_bytes` None, everything up to `end` is one part. Raises what `TarStream` does.
        """
        if self._position >= self._end:
            return None
        units = []
        size_bytes = 0
        digests: dict[str, str] = {}
        while self._position < self._end and not self._is_full(size_bytes):
            unit = self._next_unit()
            units.append(unit)
            size_bytes += len(unit.data)
            digests.update(unit.run.digests)
            self._position = unit.run.tar_end
            if self._codec.copies:
                self._stream.give_back(unit.run)
        return self._cut(units, size_bytes, digests)

    def _is_full(self, size_bytes: int) -> bool:
        return self._part_bytes is not None and size_bytes >= self._part_bytes

    def _next_unit(self) -> _Unit:
        while len(self._pending) < self._look_ahead:
            run = next(self._runs, None)
            if run is None:
                break
            self._pending.append(self._start(run))
        return self._pending.popleft().result()

    def _start(self, run: Run) -> Future[_Unit]:
        if not run.store:
            return self._pool.submit(_encode, self._codec, run)
        # Storing takes less time than handing the work over (measured).
        done: Future[_Unit] = Future()
        done.set_result(_encode(self._codec, run))
        return done

    def _cut(self, units: list[_Unit], size_bytes: int, digests: dict[str, str]) -> CutPart:
        crc = 0
        for unit in units:
            crc = combine_crc64nvme(crc, unit.crc64nvme, len(unit.data))
        part = CutPart(
            number=self._number,
            tar_start=units[0].run.tar_start,
            tar_end=self._position,
            buffers=[unit.data for unit in units],
            size_bytes=size_bytes,
            crc64nvme=crc,
            segments=b"".join(_SEGMENT_ROW.pack(u.run.size_bytes, len(u.data)) for u in units),
            digests=digests,
        )
        self._number += 1
        return part


def _encode(codec: Codec, run: Run) -> _Unit:
    data = codec.encode(run.data, store=run.store)
    return _Unit(run, data, crc64nvme(data))


def segments_of(parts: Iterable[tuple[int, bytes]]) -> list[Segment]:
    """Return the segments of an archive from its parts, each as (first tar byte, packed rows)."""
    segments = []
    offset = 0
    for tar_start, rows in parts:
        tar_position = tar_start
        for tar_bytes, size_bytes in _SEGMENT_ROW.iter_unpack(rows):
            segments.append(Segment(tar_position, tar_position + tar_bytes, offset, size_bytes))
            tar_position += tar_bytes
            offset += size_bytes
    if any(before.tar_end != after.tar_start for before, after in pairwise(segments)):
        raise CorruptArchive("the journal's parts do not follow each other")
    return segments
