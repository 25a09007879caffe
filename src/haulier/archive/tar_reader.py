"""The members of a tar stream, one after another: nothing is sought and nothing is kept.

The standard library reads the headers. What it lets pass silently is refused here: an archive
that ends without its end marker, a header that can't be read in the middle, headers and sizes
made to exhaust memory.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Callable, Iterator
from typing import TypeVar, cast

from haulier.archive.entry import Entry
from haulier.archive.reader import READ_BYTES, TarByteStream
from haulier.archive.safety import member_type
from haulier.errors import CorruptArchive, UnsafeArchive

T = TypeVar("T")

_MAX_HEADER_BYTES = 128 << 10
_NANO = 1_000_000_000
_TIME_LIMIT_S = 1 << 62
_DECIMAL = re.compile(r"(-?)(\d{1,20})(?:\.(\d{1,30}))?", re.ASCII)
_END_MARKER = bytes(tarfile.BLOCKSIZE)
_PARSE_ERRORS = (
    tarfile.TarError, ValueError, OverflowError, RecursionError, KeyError, IndexError, EOFError,
)  # fmt: skip


class TarReader:
    """Iterates over the members of `stream`; `content` reads the one that came last.

    Iterating raises CorruptArchive when a header is damaged or the stream ends too early. At
    the end the rest of the stream is read, so that damage there is noticed too.
    """

    def __init__(self, stream: TarByteStream) -> None:
        self._forward = _Forward(stream)

    def __iter__(self) -> Iterator[tarfile.TarInfo]:
        archive = self._open()
        while (member := self._guarded(archive.next)) is not None:
            if member.size < 0:
                raise CorruptArchive(f"the archive has a member of negative size: {member.name!r}")
            yield member
            # The library collects members; an archive may have millions.
            archive.members.clear()  # type: ignore[attr-defined]  # typeshed leaves it out
        self._require_end_marker()
        self._forward.drain()

    def _open(self) -> tarfile.TarFile:
        return self._guarded(
            lambda: tarfile.TarFile(
                fileobj=cast("io.BytesIO", self._forward),
                mode="r",
                encoding="utf-8",
                errors="surrogateescape",
            )
        )

    def _guarded(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except _PARSE_ERRORS as error:
            raise CorruptArchive(f"the archive has a damaged header: {error}") from error

    def _require_end_marker(self) -> None:
        if self._forward.last_block != _END_MARKER:
            raise CorruptArchive(
                f"the archive is damaged or ends too early, at byte {self._forward.tell()} of "
                f"its tar stream"
            )

    def content(self, member: tarfile.TarInfo) -> Iterator[bytes]:
        """Yield the content of `member`, which the iteration has just yielded.

        Raises:
            CorruptArchive: the stream ends inside it.
            UnsafeArchive: it is sparse; holes can hide any size.
        """
        if member.issparse():
            raise UnsafeArchive(
                f"the archive has a sparse member, which is not supported: {member.name!r}",
                hint="Unpack it with GNU tar.",
            )
        return self._forward.pieces(member.size)


class _Forward:
    """The file object the library reads headers from: it can only skip ahead."""

    def __init__(self, stream: TarByteStream) -> None:
        self._stream = stream
        self.last_block = b""

    def tell(self) -> int:
        return self._stream.position

    def seek(self, offset: int) -> None:
        if offset < self.tell():
            raise CorruptArchive("the archive has a header that points backwards")
        for _ in self.pieces(offset - self.tell()):
            pass

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _MAX_HEADER_BYTES:
            raise CorruptArchive(f"the archive has a header of {size} bytes")
        blocks = []
        missing = size
        while missing and (data := self._stream.read(missing)):
            blocks.append(data)
            missing -= len(data)
        self.last_block = b"".join(blocks)
        return self.last_block

    def pieces(self, size: int) -> Iterator[bytes]:
        while size:
            data = self._stream.read(min(size, READ_BYTES))
            if not data:
                raise CorruptArchive("the archive ends inside a member")
            size -= len(data)
            yield data

    def drain(self) -> None:
        while self._stream.read(READ_BYTES):
            pass


def mtime_ns(member: tarfile.TarInfo) -> int:
    """Return the member's modification time in nanoseconds, exact where pax records are.

    Raises:
        CorruptArchive: it is no time that a file system could hold.
    """
    found = _DECIMAL.fullmatch(member.pax_headers.get("mtime", ""))
    if found is None:
        if not abs(member.mtime) < _TIME_LIMIT_S:  # not a number is not below it either
            raise _absurd_time(member)
        return int(member.mtime) * _NANO
    sign, seconds, fraction = found.groups()
    if int(seconds) >= _TIME_LIMIT_S:
        raise _absurd_time(member)
    total = int(seconds) * _NANO + int((fraction or "")[:9].ljust(9, "0"))
    return -total if sign else total


def _absurd_time(member: tarfile.TarInfo) -> CorruptArchive:
    return CorruptArchive(f"the archive has a member of an absurd time: {member.name!r}")


def require_agreement(member: tarfile.TarInfo, entry: Entry) -> None:
    """Require that a member is what the index says.

    Raises:
        CorruptArchive: they differ.
    """
    link_target = member.linkname if member.islnk() or member.issym() else None
    said = (member.name, member_type(member), member.mode, mtime_ns(member), member.size)
    if said != (entry.path, entry.type, entry.mode, entry.mtime_ns, entry.size):
        raise CorruptArchive(f"the archive's {member.name!r} is not what its index says of it")
    if link_target != entry.link_target:
        raise CorruptArchive(f"the archive's link {member.name!r} is not what its index says of it")
