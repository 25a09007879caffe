"""The tar stream of a plan, read from the source files as runs of about 1 MiB.

Every byte of a source is read once, in order: the run it goes into, and the SHA-256 of its
file, come from that one reading. A file is checked against the plan when it is opened and
again when it was read: one that changed, shrank, grew or vanished ends the stream with an
error that names it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from haulier.archive.codec import PROBE_BYTES, SEGMENT_BYTES, is_incompressible
from haulier.archive.entry import Entry, EntryType
from haulier.archive.layout import TarLayout, entry_end, header
from haulier.archive.walk import Identity, PlannedEntry
from haulier.errors import SourceChanged, TargetUnreadable


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive bytes of the tar stream.

    `digests` are of files that were read to their end before this run was closed. The digest of
    a file that ends exactly where a range does is not told.
    """

    tar_start: int
    buffer: bytearray
    size_bytes: int
    store: bool
    digests: dict[str, str]

    @property
    def data(self) -> memoryview:
        return memoryview(self.buffer)[: self.size_bytes]

    @property
    def tar_end(self) -> int:
        return self.tar_start + self.size_bytes


class TarStream:
    """Reads the tar stream of `layout` from any offset on.

    Args:
        layout: the plan.
        known_digests: path -> SHA-256 of files hashed by an earlier run.
    """

    def __init__(self, layout: TarLayout, known_digests: dict[str, str] | None = None) -> None:
        self._layout = layout
        self._known = dict(known_digests or {})
        self._position = 0
        self._open: _OpenFile | None = None
        self._spare: list[bytearray] = []

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
        """Close the file being read, if any."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def give_back(self, run: Run) -> None:
        """Let the memory of `run` be used again; nobody may hold its data any more."""
        self._spare.append(run.buffer)

    def runs(self, start: int, end: int) -> Iterator[Run]:
        """Yield tar bytes `start` to `end`, in runs that are all stored or all squeezed.

        Going on where the last call ended keeps the open file and its hash; anywhere else, the
        part before `start` of the file that covers it is read for its digest alone.
        """
        if start != self._position:
            self._seek(start)
        builder = _RunBuilder(start, self._spare)
        while self._position < end:
            yield from self._read_entry(builder, end)
        yield from builder.flush()

    def _seek(self, start: int) -> None:
        self.close()
        self._position = start

    def _read_entry(self, builder: _RunBuilder, end: int) -> Iterator[Run]:
        number = self._layout.index_at(self._position)
        if number == len(self._layout.entries):
            yield from self._closing_zeros(builder, end)
            return
        planned = self._layout.entries[number]
        entry = planned.entry
        if entry.type is EntryType.FILE and self._open is None:
            self._open = self._open_file(planned)
        yield from builder.switch(store=self._open is not None and self._open.incompressible)
        yield from self._headers(builder, entry, end)
        if self._open is not None:
            yield from self._content(self._open, builder, entry, end)
        yield from self._padding(builder, entry, end)
        if self._position >= entry_end(entry) and self._open is not None:
            finished, self._open = self._open, None
            builder.digests[entry.path] = finished.finish()

    def _headers(self, builder: _RunBuilder, entry: Entry, end: int) -> Iterator[Run]:
        within = self._position - entry.tar_offset
        if within < entry.header_bytes:
            block = header(entry)[within : within + end - self._position]
            self._position += len(block)
            yield from builder.append(block)

    def _content(
        self, source: _OpenFile, builder: _RunBuilder, entry: Entry, end: int
    ) -> Iterator[Run]:
        content_start = entry.tar_offset + entry.header_bytes
        while (within := self._position - content_start) < entry.size:
            wanted = min(entry.size - within, end - self._position)
            if wanted <= 0:
                return
            room = builder.room(wanted)
            source.read_into(room, within)
            self._position += len(room)
            yield from builder.filled(len(room))

    def _padding(self, builder: _RunBuilder, entry: Entry, end: int) -> Iterator[Run]:
        content_end = entry.tar_offset + entry.header_bytes + entry.size
        if self._position >= content_end:
            count = min(entry_end(entry), end) - self._position
            self._position += count
            yield from builder.append(bytes(count))

    def _closing_zeros(self, builder: _RunBuilder, end: int) -> Iterator[Run]:
        yield from builder.switch(store=False)
        count = end - self._position
        self._position = end
        yield from builder.append(bytes(count))

    def _open_file(self, planned: PlannedEntry) -> _OpenFile:
        entry = planned.entry
        before = self._position - entry.tar_offset - entry.header_bytes
        opened = _OpenFile(
            os.path.join(self._layout.base, entry.path), planned, self._known.get(entry.path)
        )
        try:
            if before > 0:
                opened.hash_prefix(min(before, entry.size))
        except BaseException:
            opened.close()
            raise
        return opened


class _RunBuilder:
    """Collects bytes into buffers of one segment, starting a new one at each change of mode."""

    def __init__(self, tar_start: int, spare: list[bytearray]) -> None:
        self._tar_start = tar_start
        self._spare = spare
        self._buffer = self._new_buffer()
        self._used = 0
        self._store = False
        self.digests: dict[str, str] = {}

    def _new_buffer(self) -> bytearray:
        # Fresh memory costs a page fault every 4 KiB, as much as hashing it.
        return self._spare.pop() if self._spare else bytearray(SEGMENT_BYTES)

    def switch(self, *, store: bool) -> Iterator[Run]:
        """Store or squeeze what comes next."""
        if store != self._store:
            yield from self.flush()
            self._store = store

    def append(self, data: bytes) -> Iterator[Run]:
        taken = 0
        while taken < len(data):
            room = self.room(len(data) - taken)
            count = len(room)
            room[:] = data[taken : taken + count]
            taken += count
            yield from self.filled(count)

    def room(self, wanted: int) -> memoryview:
        """Return free space of at most `wanted` bytes; say with `filled` what was used."""
        return memoryview(self._buffer)[self._used : min(self._used + wanted, SEGMENT_BYTES)]

    def filled(self, count: int) -> Iterator[Run]:
        self._used += count
        if self._used == SEGMENT_BYTES:
            yield from self.flush()

    def flush(self) -> Iterator[Run]:
        if not self._used:
            return
        run = Run(self._tar_start, self._buffer, self._used, self._store, self.digests)
        self._tar_start += self._used
        self._buffer = self._new_buffer()
        self._used = 0
        self.digests = {}
        yield run


class _OpenFile:
    """One source file while it is read: its bytes, its hash, and whether it is still itself."""

    def __init__(self, full: str, planned: PlannedEntry, known_digest: str | None) -> None:
        self._full = full
        self._planned = planned
        self._known = known_digest
        self._hash = hashlib.sha256()
        try:
            self._descriptor = os.open(full, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            raise SourceChanged(f"{full} vanished while it was packed") from None
        except OSError as error:
            raise TargetUnreadable(f"{full} can't be read: {error.strerror}") from error
        try:
            self._require_unchanged()
            self.incompressible = self._probe()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        os.close(self._descriptor)

    def _probe(self) -> bool:
        size = self._planned.entry.size
        if size < PROBE_BYTES:
            return False
        # These 64 KiB come from the page cache when they are read again for their run.
        return is_incompressible(self._pread(PROBE_BYTES, 0))

    def read_into(self, room: memoryview, offset: int) -> None:
        """Fill `room` from `offset`, hashing what was read unless the digest is known."""
        filled = 0
        while filled < len(room):
            try:
                count = os.preadv(self._descriptor, [room[filled:]], offset + filled)
            except OSError as error:
                raise TargetUnreadable(f"{self._full} can't be read: {error.strerror}") from error
            if not count:
                raise SourceChanged(f"{self._full} shrank while it was packed")
            filled += count
        if self._known is None:
            self._hash.update(room)

    def hash_prefix(self, length: int) -> None:
        """Hash the first `length` bytes, which an earlier run has packed already."""
        if self._known is not None:
            return
        offset = 0
        while offset < length:
            piece = self._pread(min(SEGMENT_BYTES, length - offset), offset)
            self._hash.update(piece)
            offset += len(piece)

    def _pread(self, count: int, offset: int) -> bytes:
        try:
            piece = os.pread(self._descriptor, count, offset)
        except OSError as error:
            raise TargetUnreadable(f"{self._full} can't be read: {error.strerror}") from error
        if not piece:
            raise SourceChanged(f"{self._full} shrank while it was packed")
        return piece

    def finish(self) -> str:
        """Close the file, check that it did not change, and return its SHA-256."""
        try:
            self._require_unchanged()
        finally:
            self.close()
        return self._known or self._hash.hexdigest()

    def _require_unchanged(self) -> None:
        now = Identity.of(os.fstat(self._descriptor))
        if now == self._planned.identity:
            return
        was = self._planned.identity
        if now.size != was.size:
            verb = "grew" if now.size > was.size else "shrank"
            raise SourceChanged(
                f"{self._full} {verb} while it was packed ({was.size} -> {now.size} bytes)"
            )
        raise SourceChanged(f"{self._full} changed while it was packed")
