"""Packed files any range of which can be read by itself: zstd's published seekable format.

Such a file is one zstd frame behind the other, each of the same number of bytes of the content but
the last, and with a checksum of its own. Behind them, in a frame that `zstd -d` skips, is a table
of how long each one is, packed and unpacked.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

from haulier.errors import ExternalServiceError, VerificationFailed

_LEVEL = 3
_LEAST_FRAME_BYTES = 256 << 10
# So that the table, which is read for every range, stays small.
_MOST_FRAMES = 1 << 16
_TABLE_FRAME, _TABLE_MAGIC = 0x184D2A5E, 0x8F92EAB1
_HEAD, _FOOT = struct.Struct("<II"), struct.Struct("<IBI")


def frame_bytes_for(size_bytes: int) -> int:
    """Return how many bytes of a content of that size go into a frame."""
    frame_bytes = _LEAST_FRAME_BYTES
    while frame_bytes * _MOST_FRAMES < size_bytes:
        frame_bytes *= 2
    return frame_bytes


def write_seekable(source: BinaryIO, size_bytes: int, out: BinaryIO) -> Iterator[tuple[int, int]]:
    """Pack `size_bytes` of `source`; yields after each frame how much went in and came out.

    Raises:
        ExternalServiceError: the source is shorter.
    """
    import zstandard

    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
    frame_bytes = frame_bytes_for(size_bytes)
    table, taken, written = bytearray(), 0, 0
    while taken < size_bytes:
        piece = source.read(min(frame_bytes, size_bytes - taken))
        if not piece:
            raise ExternalServiceError("a stored file is shorter than its record")
        frame = compressor.compress(piece)
        out.write(frame)
        table += _HEAD.pack(len(frame), len(piece))
        taken, written = taken + len(piece), written + len(frame)
        yield taken, written
    count = len(table) // _HEAD.size
    out.write(_HEAD.pack(_TABLE_FRAME, len(table) + _FOOT.size))
    out.write(table + _FOOT.pack(count, 0, _TABLE_MAGIC))


class SeekableFile:
    """An open packed file; safe from several threads.

    Args:
        descriptor: of the file.

    Raises:
        VerificationFailed: its table was altered, or it was cut.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        packed, plain = _read_table(descriptor)
        self._offsets = list(accumulate(packed, initial=0))
        self._frame_bytes = plain[0] if plain else 1
        if any(one != self._frame_bytes for one in plain[:-1]):
            raise _altered()
        self.size_bytes = sum(plain)

    def read(self, offset: int, most_bytes: int) -> bytes:
        """Return bytes from `offset` on: at most so many, and no more than the frame there has.

        Raises:
            VerificationFailed: the frame was altered.
            ExternalServiceError: the file can't be read.
        """
        import zstandard

        if offset >= self.size_bytes or not most_bytes:
            return b""
        number, skipped = divmod(offset, self._frame_bytes)
        size_bytes = min(self._frame_bytes, self.size_bytes - number * self._frame_bytes)
        begin, end = self._offsets[number : number + 2]
        frame = _pread(self._descriptor, end - begin, begin)
        try:
            # Told before it is unpacked: no altered length takes memory that is not there.
            if zstandard.frame_content_size(frame) != size_bytes:
                raise _altered()
            content = zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False)
        except zstandard.ZstdError:
            raise _altered() from None
        return content[skipped : skipped + most_bytes]

    def frames(self) -> Iterator[bytes]:
        """Yield the whole content, frame by frame; raises as `read`."""
        for offset in range(0, self.size_bytes, self._frame_bytes):
            yield self.read(offset, self._frame_bytes)


def unpacked(path: Path) -> Iterator[bytes]:
    """Yield the content of a packed file, frame by frame.

    Raises:
        VerificationFailed: it was altered, or cut.
        OSError: it can't be opened.
    """
    with path.open("rb", buffering=0) as file:
        yield from SeekableFile(file.fileno()).frames()


def _read_table(descriptor: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return how long the frames are, packed and unpacked."""
    end = os.fstat(descriptor).st_size - _FOOT.size
    if end < _HEAD.size:
        raise _altered()
    count, described, magic = _FOOT.unpack(_pread(descriptor, _FOOT.size, end))
    table_bytes = count * _HEAD.size
    begin = end - table_bytes - _HEAD.size
    if magic != _TABLE_MAGIC or described != 0 or begin < 0:
        raise _altered()
    table = _pread(descriptor, _HEAD.size + table_bytes, begin)
    if _HEAD.unpack_from(table) != (_TABLE_FRAME, table_bytes + _FOOT.size):
        raise _altered()
    lengths = struct.unpack_from(f"<{2 * count}I", table, _HEAD.size)
    if sum(lengths[::2]) != begin:
        raise _altered()
    return lengths[::2], lengths[1::2]


def _pread(descriptor: int, count: int, offset: int) -> bytes:
    try:
        found = os.pread(descriptor, count, offset)
    except OSError as exc:
        raise ExternalServiceError(f"a stored file can't be read: {exc.strerror}") from exc
    if len(found) < count:
        raise _altered()
    return found


def _altered() -> VerificationFailed:
    return VerificationFailed(
        "a stored file was altered on the disk", hint="Take it from a backup."
    )
