"""Reading an archive back to its last byte, and what comes to be known on the way.

Runs in a thread, in bounded memory: nothing is unpacked and nothing is kept but digests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from haulier.archive.entry import Entry
from haulier.archive.index import ArchiveIndex
from haulier.archive.reader import (
    READ_BYTES,
    ByteSource,
    TarByteStream,
    detect_compression,
    open_tar_stream,
)
from haulier.archive.tar_reader import TarReader, require_agreement
from haulier.core.checksums import crc64nvme, multipart_etag
from haulier.errors import DecryptionFailed, IntegrityError
from haulier.journeys.archive.sealed import Unseal, plain_bytes

_DAMAGES_TOLD = 100


@dataclass(slots=True)
class ReadBack:
    """What the bytes themselves say. `etag` and `sha256` are None when not asked for,
    `members` when nothing was looked into."""

    size_bytes: int = 0
    crc64nvme: str = ""
    etag: str | None = None
    sha256: str | None = None
    members: int | None = None
    damages: list[str] = field(default_factory=list)


def read_back(
    raw: ByteSource,
    *,
    index: ArchiveIndex | None,
    part_sizes: Sequence[int] = (),
    with_sha256: bool = False,
    unseal: Unseal | None = None,
) -> ReadBack:
    """Read `raw` to its end: hash it, decompress it, hold every member against the index.

    Args:
        raw: the object's bytes.
        index: what should be in it; without one the archive need only be readable.
        part_sizes: bytes of each part it was stored in, to compute its ETag again.
        with_sha256: compute the SHA-256 of the object as well.
        unseal: decrypts the object; without it an encrypted one is hashed and not looked into.

    Returns:
        Digests, and the damages found: at most 100, so that a bad disk does not fill the
        catalog. What the store raises passes through.
    """
    tap = _Tap(raw, part_sizes, with_sha256=with_sha256)
    found = ReadBack()
    try:
        _read_members(tap, index, unseal, found)
    except DecryptionFailed as error:
        if unseal is not None:
            found.damages.append(error.message)
    except IntegrityError as error:
        found.damages.append(error.message)
    while tap.read(READ_BYTES):
        pass
    tap.report(found)
    del found.damages[_DAMAGES_TOLD:]
    return found


def tar_stream_of(
    raw: ByteSource, index: ArchiveIndex | None, unseal: Unseal | None
) -> TarByteStream:
    """Open the tar stream of an archive, by its index or by its first bytes.

    Raises CorruptArchive when it is none, DecryptionFailed when it is encrypted and `unseal`
    is None or does not open it.
    """
    head, plain = plain_bytes(raw, unseal)
    if index is None:
        return open_tar_stream(plain, detect_compression(head))
    return open_tar_stream(plain, index.header.compression, max_bytes=index.header.tar_size)


def _read_members(
    raw: ByteSource, index: ArchiveIndex | None, unseal: Unseal | None, found: ReadBack
) -> None:
    reader = TarReader(tar_stream_of(raw, index, unseal))
    entries: Iterator[Entry] | None = None if index is None else iter(index.entries)
    found.members = 0
    for member in reader:
        found.members += 1
        if entries is None:
            continue
        entry = next(entries, None)
        if entry is None:
            found.damages.append(f"{member.name!r} is not in the index")
            continue
        require_agreement(member, entry)
        if member.isreg() and entry.sha256 is not None:
            digest = hashlib.sha256()
            for piece in reader.content(member):
                digest.update(piece)
            if digest.hexdigest() != entry.sha256:
                found.damages.append(f"the content of {member.name!r} is not what was packed")
    left = next(entries, None) if entries is not None else None
    if left is not None:
        found.damages.append(f"{left.path!r} is missing from the archive")


class _Tap:
    """Hashes what flows through."""

    def __init__(self, raw: ByteSource, part_sizes: Sequence[int], *, with_sha256: bool) -> None:
        self._raw = raw
        self._sha256 = hashlib.sha256() if with_sha256 else None
        self._parts = _PartDigests(part_sizes) if part_sizes else None
        self._crc64nvme = 0
        self._size_bytes = 0

    def read(self, size: int, /) -> bytes:
        data = self._raw.read(size)
        self._size_bytes += len(data)
        self._crc64nvme = crc64nvme(data, self._crc64nvme)
        if self._sha256 is not None:
            self._sha256.update(data)
        if self._parts is not None:
            self._parts.update(data)
        return data

    def report(self, found: ReadBack) -> None:
        found.size_bytes = self._size_bytes
        found.crc64nvme = f"{self._crc64nvme:016x}"
        found.sha256 = None if self._sha256 is None else self._sha256.hexdigest()
        found.etag = None if self._parts is None else self._parts.etag()


class _PartDigests:
    """The MD5 of each part, from bytes in order. What lies behind the last part belongs to it."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self._left = list(reversed(sizes))
        self._done: list[str] = []
        self._current = hashlib.md5(usedforsecurity=False)

    def update(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            room = self._left[-1] if len(self._left) > 1 else len(view)
            self._current.update(view[:room])
            taken = min(room, len(view))
            self._left[-1] -= taken
            view = view[taken:]
            if len(self._left) > 1 and not self._left[-1]:
                self._left.pop()
                self._done.append(self._current.hexdigest())
                self._current = hashlib.md5(usedforsecurity=False)

    def etag(self) -> str:
        return multipart_etag([*self._done, self._current.hexdigest()])
