"""What the journey asks of an encrypted archive: is it one, and how is it opened."""

from __future__ import annotations

from collections.abc import Sequence

from haulier.archive.index import ArchiveIndex, IndexHeader
from haulier.archive.reader import ByteSource
from haulier.archive.seal import UnsealedStream, is_sealed, load_key, sealed_size, unseal_bytes
from haulier.core.records import UploadRecord
from haulier.errors import DecryptionFailed
from haulier.journeys.archive.readback import Unseal

NEEDS_KEY = "Give the key it was made with: --key-file FILE, or --key-file keyring:NAME."


def is_encrypted(upload: UploadRecord | None, index: ArchiveIndex | None) -> bool:
    """Tell whether an archive is encrypted, by its index or else by its upload's record."""
    if index is not None:
        return index.header.sealed is not None
    return upload is not None and upload.metadata.get("encrypted") is not None


def stored_part_sizes(header: IndexHeader) -> Sequence[int]:
    """Return the bytes of each part as it is stored, encrypted or not."""
    if header.sealed is None:
        return header.part_sizes
    return [sealed_size(size) for size in header.part_sizes]


def unsealer(key: str) -> Unseal:
    """Return what decrypts an object with the key that `key` names.

    Raises ConfigurationError when there is no such key, MissingExtra without PyNaCl.
    """
    loaded = load_key(key)

    def unseal(raw: ByteSource) -> ByteSource:
        return UnsealedStream(raw, loaded)

    return unseal


def open_blob(blob: bytes, key: str | None) -> bytes:
    """Return an index as it was before sealing; one that is not sealed as it is.

    Raises DecryptionFailed without the key, or with another one.
    """
    if not is_sealed(blob):
        return blob
    if key is None:
        raise DecryptionFailed("the archive is encrypted", hint=NEEDS_KEY)
    return unseal_bytes(load_key(key), blob)
