"""Files sealed at rest: frames of AES-256-GCM, so that any range can be read by itself.

A sealed file is one frame behind the other, each of 64 KiB of the file but the last: a random
nonce of 96 bits, the ciphertext, a tag of 16 bytes. The frame's number is authenticated with it.
Each file has a random key of its own, so frames of other files don't fit; that key is in the
catalog, wrapped by the server's key, which is nowhere in the data. What the file's size is, and
so whether frames were cut off its end, is known from the catalog too.
"""

from __future__ import annotations

import os
import secrets
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from haulier.archive.seal import key_id as id_of_key
from haulier.catalog.content_key_rows import WrappedKey
from haulier.errors import DecryptionFailed

FRAME_BYTES = 64 << 10
NONCE_BYTES, TAG_BYTES = 12, 16
OVERHEAD_BYTES = NONCE_BYTES + TAG_BYTES
SEALED_FRAME_BYTES = FRAME_BYTES + OVERHEAD_BYTES
_KEY_BYTES = 32
_NUMBER = struct.Struct(">Q")
_WRAPPED_FOR = b"haulier content key\0"


def sealed_size(plain_bytes: int) -> int:
    """Return the size of a sealed file of so many bytes."""
    return plain_bytes + -(-plain_bytes // FRAME_BYTES) * OVERHEAD_BYTES


def plain_size(sealed_bytes: int) -> int:
    """Undo `sealed_size`."""
    return max(0, sealed_bytes - -(-sealed_bytes // SEALED_FRAME_BYTES) * OVERHEAD_BYTES)


class FrameCipher:
    """Seals and opens the frames of one file; safe from several threads."""

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)

    def seal(self, first: int, plain: memoryview) -> bytearray:
        """Return `plain` as frames, the first of which is number `first` of its file."""
        out = bytearray(sealed_size(len(plain)))
        view = memoryview(out)
        for number, start in enumerate(range(0, len(plain), FRAME_BYTES)):
            frame = plain[start : start + FRAME_BYTES]
            nonce = os.urandom(NONCE_BYTES)
            room = view[number * SEALED_FRAME_BYTES :][: len(frame) + OVERHEAD_BYTES]
            room[:NONCE_BYTES] = nonce
            self._aead.encrypt_into(nonce, frame, _NUMBER.pack(first + number), room[NONCE_BYTES:])
        return out

    def open(self, first: int, sealed: bytes) -> bytearray:
        """Return what was sealed as frames that begin with number `first`.

        Raises:
            DecryptionFailed: they were altered, moved or cut.
        """
        out = bytearray(plain_size(len(sealed)))
        view, source = memoryview(out), memoryview(sealed)
        for number, start in enumerate(range(0, len(sealed), SEALED_FRAME_BYTES)):
            frame = source[start : start + SEALED_FRAME_BYTES]
            if len(frame) <= OVERHEAD_BYTES:
                raise DecryptionFailed("a stored file was cut")
            room = view[number * FRAME_BYTES :][: len(frame) - OVERHEAD_BYTES]
            try:
                self._aead.decrypt_into(
                    frame[:NONCE_BYTES], frame[NONCE_BYTES:], _NUMBER.pack(first + number), room
                )
            except InvalidTag:
                raise DecryptionFailed(
                    "a stored file was altered on the disk", hint="Take it from a backup."
                ) from None
        return out


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The server's keys: what is new is sealed with the current one.

    Args:
        current: the id of that one.
        keys: all keys, by their ids.
    """

    current: str
    keys: Mapping[str, bytes]

    @classmethod
    def of(cls, current: bytes, *older: bytes) -> KeyRing:
        """Return the ring of these keys, each of 32 bytes."""
        keys = {id_of_key(one): one for one in (*older, current)}
        return cls(id_of_key(current), keys)

    def new_key(self, content_id: str) -> WrappedKey:
        """Return a new key for a content."""
        return self._wrap(content_id, secrets.token_bytes(_KEY_BYTES))

    def cipher(self, key: WrappedKey) -> FrameCipher:
        """Return what seals and opens a content.

        Raises:
            DecryptionFailed: its key is wrapped by a key that is not here, or was altered.
        """
        return FrameCipher(self._unwrap(key))

    def rewrapped(self, key: WrappedKey, content_id: str | None = None) -> WrappedKey:
        """Return a content's key under the current key, for another id where one is named.

        Raises:
            DecryptionFailed: as `cipher`.
        """
        return self._wrap(content_id or key.content_id, self._unwrap(key))

    def _wrap(self, content_id: str, plain: bytes) -> WrappedKey:
        nonce = os.urandom(NONCE_BYTES)
        sealed = AESGCM(self.keys[self.current]).encrypt(nonce, plain, _bound(content_id))
        return WrappedKey(content_id=content_id, key_id=self.current, wrapped=nonce + sealed)

    def _unwrap(self, key: WrappedKey) -> bytes:
        known = self.keys.get(key.key_id)
        if known is None:
            raise DecryptionFailed(
                f"a stored file is sealed with the key {key.key_id}, which is not here",
                hint="Name that key by ENCRYPTION_KEY, or among ENCRYPTION_OLD_KEYS.",
            )
        nonce, sealed = key.wrapped[:NONCE_BYTES], key.wrapped[NONCE_BYTES:]
        try:
            return AESGCM(known).decrypt(nonce, sealed, _bound(key.content_id))
        except InvalidTag:
            raise DecryptionFailed(
                "the key of a stored file was altered in the catalog", hint="Take it from a backup."
            ) from None


def _bound(content_id: str) -> bytes:
    """Bind a wrapped key to its content, so that it can't be put in the place of another."""
    return _WRAPPED_FOR + content_id.encode()
