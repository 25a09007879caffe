"""Archives on disk, read into a `Listing`. Run in worker processes: unpackers may ask for much
memory, and time.

Zip is read from its directory. A tar stream has none, so what it is packed with is unpacked, up
to the listing's budget, and thrown away.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any, BinaryIO, cast

import zstandard

from haulier.errors import MediaTooDemanding, UnreadableMedia, UnsupportedMedia
from haulier.media.archive_listing import ArchiveEntry, ArchiveLimits, EntryKind, Listing

_READ_BYTES = 1 << 20
_MAX_HEADER_BYTES = 1 << 20
_MAX_WINDOW_BYTES = 128 << 20
# Each block of four bytes may unpack to 128 KiB.
_ZSTD_PIECE_BYTES = 2048
_LOCAL_HEADER_BYTES = 30
_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
_UNOPENED = {b"7z\xbc\xaf\x27\x1c": "7z", b"Rar!\x1a\x07": "RAR", b"MSCF": "CAB"}
_PACKED = {b"\x1f\x8b": "gz", b"BZh": "bz2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zst"}
_OPENERS: dict[str, Callable[[IO[bytes]], Any]] = {
    "gz": gzip.open,
    "bz2": bz2.open,
    "xz": lzma.open,
}
_DAMAGE = (
    tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, zstandard.ZstdError, EOFError,
    OSError, ValueError, OverflowError, IndexError, KeyError, RecursionError, NotImplementedError,
)  # fmt: skip


def read_listing(path: str, name: str, limits: ArchiveLimits) -> tuple[str, Listing]:
    """List an archive; returns its format (`zip`, `tar`, `tar.gz`, `gz`, …) and what is in it.

    Raises:
        UnsupportedMedia: it is 7z, RAR or CAB, or no archive.
        UnreadableMedia: it is damaged or cut short.
        MediaTooDemanding: it exceeds the limits, or its entries overlap as in bombs.
    """
    listing = Listing(name, os.stat(path).st_size, limits)
    with open(path, "rb") as stream:
        head = stream.read(tarfile.BLOCKSIZE)
    for signature, kind in _UNOPENED.items():
        if head.startswith(signature):
            raise UnsupportedMedia(
                f"{name} is a {kind} archive, which haulier does not open",
                hint="Unpack it with its own program, or pack it anew as zip or tar.",
            )
    try:
        return _listed(path, head, listing), listing
    except _DAMAGE as error:
        raise UnreadableMedia(f"{name} is damaged or ends too early: {error}") from error


def _listed(path: str, head: bytes, listing: Listing) -> str:
    if head.startswith(_ZIP_STARTS):
        _list_zip(path, listing)
        return "zip"
    for signature, packing in _PACKED.items():
        if head.startswith(signature):
            return _list_packed(path, listing, packing)
    if _begins_tar(head):
        with open(path, "rb") as stream:
            _list_tar(_Forward(stream, listing), listing)
        return "tar"
    if zipfile.is_zipfile(path):
        # A program that unpacks itself, or a picture with a zip behind it.
        _list_zip(path, listing)
        return "zip"
    raise UnsupportedMedia(
        f"{listing.name} is no archive that haulier knows",
        hint="It lists zip, tar, and tar packed with gzip, bzip2, xz or zstd.",
    )


def _list_zip(path: str, listing: Listing) -> None:
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        _require_apart(infos, archive.start_dir, listing.name)
        for info in infos:
            entry = ArchiveEntry(
                name=info.orig_filename,
                kind=_zip_kind(info),
                size_bytes=info.file_size,
                is_encrypted=bool(info.flag_bits & 1),
            )
            listing.add(entry)


def _require_apart(infos: list[zipfile.ZipInfo], directory_at: int, name: str) -> None:
    """Require that no two entries share bytes: that is how a small zip unpacks to petabytes."""
    end = directory_at
    for info in sorted(infos, key=lambda info: info.header_offset, reverse=True):
        least = _LOCAL_HEADER_BYTES + len(info.orig_filename) + info.compress_size
        if info.header_offset + least > end:
            raise MediaTooDemanding(f"{name} has entries that overlap, as zip bombs do")
        end = info.header_offset


def _zip_kind(info: zipfile.ZipInfo) -> EntryKind:
    if stat.S_ISLNK(info.external_attr >> 16):
        return EntryKind.SYMLINK
    return EntryKind.DIRECTORY if info.is_dir() else EntryKind.FILE


def _list_packed(path: str, listing: Listing, packing: str) -> str:
    with _unpacked(path, packing) as stream:
        is_tar = _begins_tar(stream.read(tarfile.BLOCKSIZE))
    with _unpacked(path, packing) as stream:
        forward = _Forward(stream, listing)
        if is_tar:
            _list_tar(forward, listing)
            return f"tar.{packing}"
        forward.drain()
    stem = re.sub(rf"\.{packing}$", "", listing.name, flags=re.IGNORECASE)
    listing.add(ArchiveEntry(name=stem, kind=EntryKind.FILE, size_bytes=forward.tell()))
    return packing


def _begins_tar(block: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _list_tar(forward: _Forward, listing: Listing) -> None:
    archive = tarfile.TarFile(
        fileobj=cast("io.BytesIO", forward), mode="r", encoding="utf-8", errors="surrogateescape"
    )
    while (member := archive.next()) is not None:
        if member.size < 0:
            raise tarfile.TarError("a member has a negative size")
        is_link = member.issym() or member.islnk()
        listing.add(
            ArchiveEntry(name=member.name, kind=_tar_kind(member), size_bytes=member.size),
            member.linkname if is_link else None,
        )
        # The library collects members.
        archive.members.clear()  # type: ignore[attr-defined]  # typeshed leaves it out
    if forward.last_read.strip(b"\0") or not forward.last_read:
        # A damaged header in the middle is taken for the end by the library.
        raise tarfile.TarError("its end marker is missing")


def _tar_kind(member: tarfile.TarInfo) -> EntryKind:
    if member.issym():
        return EntryKind.SYMLINK
    if member.islnk():
        return EntryKind.HARDLINK
    if member.isdir():
        return EntryKind.DIRECTORY
    return EntryKind.FILE if member.isreg() else EntryKind.OTHER


class _Forward:
    """The file object tar headers are read from: it skips ahead, within the listing's budget."""

    def __init__(self, stream: BinaryIO, listing: Listing) -> None:
        self._stream = stream
        self._listing = listing
        self._position = 0
        self.last_read = b""

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int) -> None:
        missing = offset - self._position
        if missing < 0:
            raise tarfile.TarError("a header points backwards")
        while missing and (data := self._take(min(missing, _READ_BYTES))):
            missing -= len(data)

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _MAX_HEADER_BYTES:
            raise tarfile.TarError(f"a header has {size} bytes")
        pieces = []
        while size and (data := self._take(size)):
            pieces.append(data)
            size -= len(data)
        self.last_read = b"".join(pieces)
        return self.last_read

    def drain(self) -> None:
        while self._take(_READ_BYTES):
            pass

    def _take(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._position += len(data)
        self._listing.check_total(self._position)
        return data


@contextmanager
def _unpacked(path: str, packing: str) -> Iterator[BinaryIO]:
    with open(path, "rb") as packed:
        if packing == "zst":
            yield cast("BinaryIO", _ZstdStream(packed))
            return
        with _OPENERS[packing](packed) as stream:
            yield stream


class _ZstdStream:
    """Zstandard frames, one after another; the library's own reader takes a cut for the end."""

    def __init__(self, packed: BinaryIO) -> None:
        self._packed = packed
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES)
        self._frame = self._decompressor.decompressobj()
        self._ready = memoryview(b"")

    def read(self, size: int) -> bytes:
        while not self._ready:
            is_between = self._frame.eof
            piece = self._frame.unused_data or self._packed.read(_ZSTD_PIECE_BYTES)
            if not piece and not is_between:
                raise EOFError("it ends inside a frame")
            if not piece:
                return b""
            if is_between:
                self._frame = self._decompressor.decompressobj()
            self._ready = memoryview(self._frame.decompress(piece))
        data, self._ready = self._ready[:size], self._ready[size:]
        return bytes(data)
