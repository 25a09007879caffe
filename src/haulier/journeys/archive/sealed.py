"""What the journey asks of an encrypted archive: is it one, and how is it opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from haulier.archive.index import ArchiveIndex, IndexHeader
from haulier.archive.reader import ByteSource
from haulier.archive.seal import (
    FrameReader,
    FrameRun,
    UnsealedStream,
    frames_covering,
    is_sealed,
    key_id,
    load_key,
    sealed_size,
    unseal_index,
)
from haulier.errors import CorruptArchive, DecryptionFailed

HEAD_BYTES = 512

Unseal = Callable[[ByteSource], ByteSource]


def unsealer(key: str | None, index: ArchiveIndex | None) -> Unseal | None:
    """Return what decrypts a whole archive by the key named `key`; None when none is named.

    With the index, it decrypts the archive that the index is of and no other under that key.
    Raises ConfigurationError when there is no such key, DecryptionFailed when the index says
    that it is another one.
    """
    if key is None:
        return None
    secret = load_key(key)
    if index is None or index.header.sealed is None:
        return lambda raw: UnsealedStream(raw, secret)
    _require_key(index.header, secret)
    file_id = bytes.fromhex(index.header.sealed.file_id)
    return lambda raw: UnsealedStream(raw, secret, file_id=file_id)


def _require_key(header: IndexHeader, secret: bytes) -> None:
    if header.sealed is not None and header.sealed.key_id != key_id(secret):
        raise DecryptionFailed(
            f"{header.key} was encrypted with another key (its id is {header.sealed.key_id})"
        )


def plain_bytes(raw: ByteSource, unseal: Unseal | None) -> tuple[bytes, ByteSource]:
    """Return the first bytes of the archive in `raw`, and all of it, decrypted if need be.

    Raises DecryptionFailed when it is encrypted and `unseal` is None, or does not open it.
    """
    head, whole = _peek(raw)
    if not is_sealed(head):
        return head, whole
    if unseal is None:
        raise DecryptionFailed("the archive is encrypted")
    return _peek(unseal(whole))


def _peek(raw: ByteSource) -> tuple[bytes, ByteSource]:
    head = b""
    while len(head) < HEAD_BYTES and (data := raw.read(HEAD_BYTES - len(head))):
        head += data
    return head, _Preceded(head, raw)


class _Preceded:
    """A source whose first bytes were read already."""

    def __init__(self, head: bytes, rest: ByteSource) -> None:
        self._head = head
        self._rest = rest

    def read(self, size: int, /) -> bytes:
        if not self._head:
            return self._rest.read(size)
        data, self._head = self._head[:size], self._head[size:]
        return data


def open_blob(blob: bytes, key: str | None) -> bytes:
    """Return an index as it was before it was sealed, if it was.

    Raises DecryptionFailed when it was and `key` is missing or another one.
    """
    if not is_sealed(blob):
        return blob
    if key is None:
        raise DecryptionFailed("the index is encrypted, as the archive is")
    return unseal_index(load_key(key), blob)


def stored_part_sizes(header: IndexHeader) -> Sequence[int]:
    """Return the bytes of each part as it is stored, encrypted or not."""
    if header.sealed is None:
        return header.part_sizes
    return [sealed_size(size) for size in header.part_sizes]


class StoredRange:
    """Where bytes `start` to `end` of an archive lie in its object, and how they are read.

    Of an encrypted archive whole frames are read, and what surrounds them is dropped again.
    Raises DecryptionFailed when that needs a key and `key` is None or another one.
    """

    def __init__(self, header: IndexHeader, start: int, end: int, key: str | None) -> None:
        self.start, self.end = start, end
        self._runs: list[FrameRun] = []
        if header.sealed is None:
            return
        if key is None:
            raise DecryptionFailed(f"{header.key} is encrypted")
        self._secret = load_key(key)
        _require_key(header, self._secret)
        self._file_id = bytes.fromhex(header.sealed.file_id)
        self._runs = frames_covering(header.part_sizes, start, end)
        self.start, self.end = self._runs[0].start, self._runs[-1].end

    def plain(self, raw: ByteSource) -> ByteSource:
        """Return the archive's bytes from `raw`, the object's bytes `start` to `end`."""
        return Chunks(self._frames(raw)) if self._runs else raw

    def _frames(self, raw: ByteSource) -> Iterator[bytes]:
        position = self.start
        for run in self._runs:
            skip(raw, run.start - position)
            yield from FrameReader(raw, run, self._secret, self._file_id).pieces()
            position = run.end


class Chunks:
    """A source made of the pieces of an iterator."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._held = memoryview(b"")

    def read(self, size: int, /) -> bytes:
        while not self._held:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._held = memoryview(piece)
        data = bytes(self._held[:size])
        self._held = self._held[len(data) :]
        return data


def skip(raw: ByteSource, count: int) -> None:
    """Read `count` bytes of `raw` away; raises CorruptArchive when there are not so many."""
    while count:
        data = raw.read(min(count, 1 << 20))
        if not data:
            raise CorruptArchive("the archive ends too early")
        count -= len(data)
