"""How whole files on a local disk are read: as they are, or packed."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from haulier.core.sessions.chunks import Span
from haulier.errors import ExternalServiceError
from haulier.transfer.sessions.packing import packed_path
from haulier.transfer.sessions.seekable import SeekableFile

_READ_BYTES = 256 << 10


@asynccontextmanager
async def stored_pieces(path: Path, span: Span) -> AsyncIterator[AsyncIterator[bytes | bytearray]]:
    """Open bytes of a stored file, packed or not, as pieces of bounded size.

    Raises:
        ExternalServiceError: it is not there, or shorter.
        VerificationFailed: it is packed, and was altered on the disk.
    """
    with opened_plain(path) as descriptor:
        if descriptor is not None:
            yield plain_pieces(descriptor, span)
            return
    with opened(packed_path(path)) as descriptor:
        file = await asyncio.to_thread(SeekableFile, descriptor)
        # Here, where the error of an altered one can still become an answer.
        first = await asyncio.to_thread(file.read, span.offset, span.length)
        yield _unpacked_pieces(file, span, first)


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """Open a stored file for reading; gives its descriptor.

    Raises:
        ExternalServiceError: it is not there.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as exc:
        raise ExternalServiceError(f"a stored file can't be read: {exc.strerror}") from exc
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def opened_plain(path: Path) -> Iterator[int | None]:
    """Open a stored file for reading; gives its descriptor, or None where it is packed.

    Raises:
        ExternalServiceError: it is not there.
    """
    with ExitStack() as stack:
        try:
            descriptor = stack.enter_context(opened(path))
        except ExternalServiceError:
            if not packed_path(path).exists():
                raise
            descriptor = None
        yield descriptor


async def plain_pieces(descriptor: int, span: Span) -> AsyncIterator[bytes | bytearray]:
    """Yield bytes of a file as pieces of 256 KiB.

    Raises:
        ExternalServiceError: it is shorter.
    """
    offset = span.offset
    while offset < span.end:
        piece = await _read(descriptor, min(_READ_BYTES, span.end - offset), offset)
        if not piece:
            raise ExternalServiceError("a stored file is shorter than its record")
        offset += len(piece)
        yield piece


async def _read(descriptor: int, count: int, offset: int) -> bytes | bytearray:
    # What is in the page cache is read at once; what is not must not hold the loop up.
    piece = bytearray(count)
    try:
        found = os.preadv(descriptor, [piece], offset, getattr(os, "RWF_NOWAIT", 0))
    except OSError as exc:
        # Not in the cache, or on a file system that can't tell (tmpfs, network file systems).
        if exc.errno not in {errno.EAGAIN, errno.EOPNOTSUPP}:
            raise
        return await asyncio.to_thread(os.pread, descriptor, count, offset)
    return piece if found == count else piece[:found]


async def _unpacked_pieces(
    file: SeekableFile, span: Span, piece: bytes
) -> AsyncIterator[bytes | bytearray]:
    offset = span.offset
    while piece:
        yield piece
        offset += len(piece)
        piece = await asyncio.to_thread(file.read, offset, span.end - offset)
    if offset < span.end:
        raise ExternalServiceError("a stored file is shorter than its record")
