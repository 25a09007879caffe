"""One member of an archive, fetched by itself: its range of bytes and nothing else."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from haulier.archive.entry import Entry, EntryType
from haulier.archive.index import ArchiveIndex
from haulier.archive.layout import BLOCK, entry_end
from haulier.archive.member import (
    byte_range,
    content_entry,
    entries_below,
    extract_file,
    make_link,
)
from haulier.archive.reader import READ_BYTES, ByteSource, TarByteStream, open_tar_stream
from haulier.archive.safety import check_members, member_path
from haulier.archive.unpack import staging, unpack
from haulier.journeys.archive.bookkeeping import RunningOperation
from haulier.journeys.archive.placing import (
    place_inside,
    publish,
    require_free,
    require_space,
)
from haulier.journeys.archive.references import StoredArchive
from haulier.journeys.archive.sealed import Chunks, StoredRange, skip
from haulier.journeys.archive.streaming import read_through
from haulier.store.base import ObjectInfo

_END_OF_TAR = bytes(2 * BLOCK)
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberRestore:
    """An archive with an index, out of which members are fetched into `out`."""

    archive: StoredArchive
    info: ObjectInfo
    index: ArchiveIndex
    out: Path
    key: str | None
    overwrite: bool
    running: RunningOperation

    async def restore(self, path: str) -> Path:
        """Bring back the file, link or directory at `path`; returns where it is.

        It goes where the whole archive would put it: NAME and the directories between are made.

        Raises:
            UnknownReference: there is no such member. UnsafeArchive: the archive has a member
            that leads out of it. DuplicateName: the name is taken. CorruptArchive: what came is
            not what the index says. DecryptionFailed, StoreError, StorageFull.
        """
        await asyncio.to_thread(check_members, self.index.entries)
        entry = await asyncio.to_thread(self.index.find, path)
        target = place_inside(self.out, member_path(entry.path))
        require_free(target, overwrite=self.overwrite)
        if entry.type is EntryType.SYMLINK:
            return make_link(entry, target, overwrite=self.overwrite)
        if entry.type is EntryType.DIRECTORY:
            return await self._directory(entry, target)
        return await self._file(entry, target)

    async def _file(self, entry: Entry, target: Path) -> Path:
        content = content_entry(self.index, entry)
        require_space(self.out, content.size)
        start, end = byte_range(self.index, content)

        def extract(source: ByteSource) -> Path:
            return extract_file(source, self.index, content, target, overwrite=self.overwrite)

        return await self._with_range(start, end, extract)

    async def _directory(self, entry: Entry, target: Path) -> Path:
        inside, links = await asyncio.to_thread(_split, self.index, entry)
        require_space(self.out, sum(each.size for each in inside))
        tar_start, tar_end = inside[0].tar_offset, entry_end(inside[-1])
        first, start, end = self.index.byte_range(tar_start, tar_end)
        begins_at = self.index.segments[first].tar_start
        with staging(self.out) as hidden:

            def extract(source: ByteSource) -> None:
                stream = open_tar_stream(source, self.index.header.compression)
                tar = Chunks(_tar_of(stream, begins_at, inside))
                unpack(lambda: tar, hidden, compression="none", index=_part_of(self.index, inside))

            await self._with_range(start, end, extract)
            for link in links:
                with _writable(hidden / os.path.dirname(member_path(link.path))):
                    await self._file(link, hidden / member_path(link.path))
            return publish(hidden / member_path(entry.path), target, overwrite=self.overwrite)

    async def _with_range(self, start: int, end: int, work: Callable[[ByteSource], T]) -> T:
        """Run `work` on bytes `start` to `end` of the (unencrypted) archive."""
        stored = StoredRange(self.index.header, start, end, self.key)
        meter = self.running.measure(stored.end - stored.start, "restoring")
        return await read_through(
            self.archive.store,
            self.archive.key,
            lambda raw: work(stored.plain(raw)),
            start=stored.start,
            end=stored.end,
            if_match=self.info.etag,
            advance=meter.add,
        )


def _split(index: ArchiveIndex, entry: Entry) -> tuple[list[Entry], list[Entry]]:
    """Return what lies below `entry`, and the hard links there whose content lies elsewhere."""
    inside: list[Entry] = []
    links: list[Entry] = []
    files: set[str | None] = set()
    for below in entries_below(index, entry):
        if below.type is EntryType.HARDLINK and below.link_target not in files:
            links.append(below)
            continue
        if below.type is EntryType.FILE:
            files.add(below.path)
        inside.append(below)
    return inside, links


def _part_of(index: ArchiveIndex, entries: list[Entry]) -> ArchiveIndex:
    tar_size = len(_END_OF_TAR) + sum(entry_end(entry) - entry.tar_offset for entry in entries)
    return ArchiveIndex(replace(index.header, tar_size=tar_size), entries, ())


def _tar_of(stream: TarByteStream, position: int, entries: list[Entry]) -> Iterator[bytes]:
    """Yield a tar of `entries`, cut out of the stream of a larger one and ended properly."""
    for entry in entries:
        skip(stream, entry.tar_offset - position)
        position = entry_end(entry)
        left = position - entry.tar_offset
        while left and (data := stream.read(min(left, READ_BYTES))):
            left -= len(data)
            yield data
    yield _END_OF_TAR


@contextmanager
def _writable(directory: Path) -> Iterator[None]:
    """Let something be put into a directory that has its mode and times already."""
    status = directory.stat()
    directory.chmod(0o700)
    try:
        yield
    finally:
        directory.chmod(status.st_mode & 0o7777)
        os.utime(directory, ns=(status.st_atime_ns, status.st_mtime_ns))
