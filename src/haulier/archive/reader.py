"""Decompression: an archive's bytes in, the tar stream out.

Any archive of gzip members or zstd frames is read, not only haulier's own. Damage, truncation
and more output than was promised end in CorruptArchive; memory stays bounded whatever comes in.
"""

from __future__ import annotations

import gzip
import io
from typing import IO, TYPE_CHECKING, Protocol, cast

from isal import igzip, isal_zlib

from haulier.archive.entry import Segment
from haulier.errors import ConfigurationError, CorruptArchive

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

READ_BYTES = 1 << 20
_GZIP_WINDOW = 31  # zlib's code for a gzip wrapper around a 32 KiB window
_MAX_ZSTD_WINDOW_BYTES = 128 << 20
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_TAR_MAGIC_AT = slice(257, 262)
_SENTINEL = b"haulier: the end" * 16


class ByteSource(Protocol):
    """Anything to read from."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, none at the end."""
        ...


def detect_compression(head: bytes) -> str:
    """Tell from the first 512 bytes of an archive how it is compressed.

    Returns:
        `gzip`, `zstd` or `none`.

    Raises:
        CorruptArchive: it is no archive that can be read here.
    """
    for magic, compression in _MAGIC.items():
        if head.startswith(magic):
            return compression
    if head[_TAR_MAGIC_AT] == b"ustar":
        return "none"
    raise CorruptArchive("this is neither a tar archive nor one compressed by gzip or zstd")


def open_tar_stream(
    raw: ByteSource, compression: str, *, max_bytes: int | None = None
) -> TarByteStream:
    """Open the tar stream inside `raw`.

    Args:
        raw: the archive; what its `read` raises comes through as it is.
        compression: `gzip`, `zstd` or `none`.
        max_bytes: how long the tar stream may be at most.

    Raises:
        ConfigurationError: there is no such compression.
    """
    if compression == "gzip":
        unzipped = igzip.IGzipFile(fileobj=io.BufferedReader(_Raw(raw)))  # type: ignore[no-untyped-call]  # isal's stub
        return TarByteStream(unzipped, max_bytes)
    if compression == "zstd":
        return TarByteStream(_ZstdFrames(raw), max_bytes)
    if compression == "none":
        return TarByteStream(raw, max_bytes)
    raise ConfigurationError(f"an archive can't be compressed by {compression!r}")


class TarByteStream:
    """The tar stream, forward only.

    `read` raises CorruptArchive when the archive is damaged, ends too early, or holds more
    bytes than it may.
    """

    def __init__(self, source: ByteSource, max_bytes: int | None) -> None:
        self._source = source
        self._max_bytes = max_bytes
        self.position = 0

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes (more than 0), none at the end."""
        try:
            data = self._source.read(size)
        except (EOFError, gzip.BadGzipFile, isal_zlib.IsalError) as error:  # type: ignore[misc]  # isal declares it as a value
            raise CorruptArchive(f"the archive is damaged: {error}") from error
        self.position += len(data)
        if self._max_bytes is not None and self.position > self._max_bytes:
            raise CorruptArchive(
                f"the archive unpacks to more than the {self._max_bytes} bytes it should hold"
            )
        return data


class _Raw(io.RawIOBase):
    """Gives any source the `readinto` that buffered readers ask for."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        room = memoryview(buffer).cast("B")
        data = self._source.read(len(room))
        room[: len(data)] = data
        return len(data)


class _ZstdFrames:
    """Decompresses frame after frame and notices an archive that ends inside one.

    The library takes a truncated frame for the end. So a small frame of known content is fed
    after the last byte: only if that content comes out last was every frame whole. The frame is
    shorter than its content and does not hold it as it is, so that a block of stored bytes that
    was cut, and swallows the frame, does not end with that content.
    """

    def __init__(self, raw: ByteSource) -> None:
        import zstandard

        self._error = zstandard.ZstdError
        source = _ThenSentinel(raw, zstandard.ZstdCompressor().compress(_SENTINEL))
        decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_ZSTD_WINDOW_BYTES)
        self._frames = decompressor.stream_reader(
            cast("IO[bytes]", source), read_size=READ_BYTES, read_across_frames=True
        )
        self._held = b""
        self._ended = False

    def read(self, size: int, /) -> bytes:
        while not self._ended:
            try:
                data = self._frames.read(size)
            except self._error as error:
                raise CorruptArchive(f"the archive is damaged: {error}") from error
            if not data:
                self._end()
                break
            data = self._held + data
            self._held = data[-len(_SENTINEL) :]
            if len(data) > len(_SENTINEL):
                return data[: -len(_SENTINEL)]
        return b""

    def _end(self) -> None:
        self._ended = True
        if self._held != _SENTINEL:
            raise CorruptArchive("the archive is damaged: it ends inside a zstd frame")


class _ThenSentinel:
    def __init__(self, raw: ByteSource, sentinel: bytes) -> None:
        self._raw = raw
        self._sentinel = sentinel

    def read(self, size: int) -> bytes:
        data = self._raw.read(size)
        if not data:
            data, self._sentinel = self._sentinel, b""
        return data


def decode_segment(compression: str, data: bytes, segment: Segment) -> bytes:
    """Return the tar bytes of one segment.

    Args:
        compression: `gzip`, `zstd` or `none`.
        data: the segment's bytes of the archive.
        segment: what the index says of it; never more than its tar bytes are produced.

    Raises:
        CorruptArchive: it is damaged, or not as long as the index says.
    """
    expected = segment.tar_end - segment.tar_start
    if compression == "gzip":
        decoded = _decode_gzip(data, expected)
    elif compression == "zstd":
        decoded = _decode_zstd(data, expected)
    else:
        decoded = data
    if len(decoded) != expected:
        raise CorruptArchive(f"the segment at byte {segment.offset} is not as the index says")
    return decoded


def _decode_gzip(data: bytes, expected: int) -> bytes:
    member = isal_zlib.decompressobj(_GZIP_WINDOW)
    try:
        decoded = member.decompress(data, expected + 1)
    except isal_zlib.IsalError as error:  # type: ignore[misc]  # isal declares it as a value
        raise CorruptArchive(f"the archive is damaged: {error}") from error
    if not member.eof or member.unused_data:
        raise CorruptArchive("the archive is damaged: a gzip member does not end where it should")
    return decoded


def _decode_zstd(data: bytes, expected: int) -> bytes:
    import zstandard

    try:
        # The frame's own claim decides how much memory is taken: believe the index instead.
        if zstandard.get_frame_parameters(data).content_size != expected:
            raise CorruptArchive("the archive is damaged: a zstd frame is not as long as it should")
        return zstandard.ZstdDecompressor().decompress(data, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise CorruptArchive(f"the archive is damaged: {error}") from error
