"""Client-side encryption: each part of an archive is sealed on its own.

A sealed part is a header (magic, version, last-part flag, key id, file id, part number, plain
size; 42 bytes) and frames of 64 KiB: a random 192-bit nonce, the ciphertext, a tag of 16 bytes
(XChaCha20-Poly1305, RFC 8439 with the extended nonce of draft-irtf-cfrg-xchacha). The header, the
frame's number and whether it is the part's last are authenticated with every frame: cutting,
swapping, repeating or mixing parts and frames is noticed. Parts can be sealed in any order and
again after an interruption. The index of an archive is sealed under the same file id as part 0,
which no archive has: neither can be taken for the other, nor for those of another archive.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from haulier.archive.reader import ByteSource
from haulier.errors import ConfigurationError, DecryptionFailed, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Callable

KEY_BYTES = 32
FRAME_BYTES = 64 << 10
NONCE_BYTES = 24
TAG_BYTES = 16
_SEALED_FRAME_BYTES = NONCE_BYTES + FRAME_BYTES + TAG_BYTES
_MAGIC = b"HLR1"
_VERSION = 1
_HEADER = struct.Struct(">4sBB8s16sIQ")  # magic, version, last, key id, file id, number, plain size
_FRAME = struct.Struct(">IB")  # number, last of its part
_INDEX_PART = 0
_KEYRING = "keyring:"
_KEYRING_SERVICE = "haulier"

Buffer = bytes | bytearray | memoryview


def load_key(reference: str) -> bytes:
    """Return the key that `reference` names: a file's path, or `keyring:NAME`.

    A file holds 32 raw bytes, 64 hex digits, or base64. Raises ConfigurationError when there is
    no such key or it is none; MissingExtra without the keyring library.
    """
    if reference.startswith(_KEYRING):
        return _parse_key(_from_keyring(reference.removeprefix(_KEYRING)), reference)
    try:
        content = Path(reference).read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"the key file {reference} can't be read: {error.strerror}",
            hint="Make one with `head -c 32 /dev/urandom > FILE` and keep a copy elsewhere.",
        ) from error
    return _parse_key(content, reference)


def _from_keyring(name: str) -> bytes:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        raise MissingExtra("the keyring library is not installed") from None
    try:
        found = keyring.get_password(_KEYRING_SERVICE, name)
    except KeyringError as error:
        raise ConfigurationError(f"the keyring can't be asked: {error}") from error
    if found is None:
        raise ConfigurationError(
            f"the keyring has no key called {name!r}",
            hint=f"Store one: head -c 32 /dev/urandom | base64 | keyring set haulier {name}",
        )
    return found.encode()


def _parse_key(content: bytes, reference: str) -> bytes:
    if len(content) == KEY_BYTES:
        return content
    text = content.strip()
    for decode in (binascii.unhexlify, lambda t: base64.b64decode(t, validate=True)):
        try:
            key = decode(text)
        except (ValueError, binascii.Error):
            continue
        if len(key) == KEY_BYTES:
            return bytes(key)
    raise ConfigurationError(
        f"{reference} does not hold a key",
        hint="A key is 32 bytes, as they are, as 64 hex digits or as base64: "
        "`head -c 32 /dev/urandom > FILE` makes one.",
    )


def key_id(key: bytes) -> str:
    """Return 16 hex digits that tell keys apart and nothing of the key."""
    return hashlib.sha256(b"haulier key id\0" + key).hexdigest()[:16]


def sealed_size(plain_bytes: int) -> int:
    """Return the size of a sealed part of `plain_bytes` bytes."""
    frames = max(1, -(-plain_bytes // FRAME_BYTES))
    return _HEADER.size + plain_bytes + frames * (NONCE_BYTES + TAG_BYTES)


def _bindings() -> tuple[Callable[..., bytes], Callable[..., bytes]]:
    try:
        from nacl import bindings
    except ImportError:
        raise MissingExtra(
            "encryption needs PyNaCl", hint="Install it with `pip install 'haulier[encrypt]'`."
        ) from None
    return (
        bindings.crypto_aead_xchacha20poly1305_ietf_encrypt,
        bindings.crypto_aead_xchacha20poly1305_ietf_decrypt,
    )


class Sealer:
    """Seals the parts of one file; `file_id` (16 bytes) is its own and random."""

    def __init__(self, key: bytes, file_id: bytes) -> None:
        self._key = key
        self._key_id = bytes.fromhex(key_id(key))
        self._file_id = file_id
        self._encrypt, _ = _bindings()

    def sealed_size(self, plain_bytes: int) -> int:
        return sealed_size(plain_bytes)

    def seal_part(self, number: int, buffers: Sequence[Buffer], *, last: bool) -> list[bytes]:
        """Return the sealed form of one part; safe from several threads."""
        import secrets

        plain_bytes = sum(len(buffer) for buffer in buffers)
        head = _HEADER.pack(
            _MAGIC, _VERSION, last, self._key_id, self._file_id, number, plain_bytes
        )
        sealed = [head]
        frames = max(1, -(-plain_bytes // FRAME_BYTES))
        for position, frame in enumerate(_frames(buffers)):
            nonce = secrets.token_bytes(NONCE_BYTES)
            aad = head + _FRAME.pack(position, position == frames - 1)
            sealed.append(nonce + self._encrypt(frame, aad, nonce, self._key))
        return sealed

    def seal_index(self, plain: bytes) -> bytes:
        """Return the index of the file in its sealed form."""
        return b"".join(self.seal_part(_INDEX_PART, [plain], last=True))


def _frames(buffers: Sequence[Buffer]) -> Iterator[bytes]:
    held = bytearray()
    sent = False
    for buffer in buffers:
        held += buffer
        while len(held) >= FRAME_BYTES:
            yield bytes(held[:FRAME_BYTES])
            del held[:FRAME_BYTES]
            sent = True
    if held or not sent:
        yield bytes(held)


def unseal_index(key: bytes, sealed: bytes) -> bytes:
    """Return what `Sealer.seal_index` sealed; raises DecryptionFailed, also for an archive."""
    import io

    stream = UnsealedStream(io.BytesIO(sealed), key, first_part=_INDEX_PART)
    return b"".join(iter(lambda: stream.read(FRAME_BYTES), b""))


def is_sealed(head: bytes) -> bool:
    """Tell from its first bytes whether a file is sealed."""
    return head.startswith(_MAGIC)


@dataclass(frozen=True, slots=True)
class _Part:
    head: bytes
    last: bool
    number: int
    plain_bytes: int


class UnsealedStream:
    """The plain bytes of a sealed file, forward only, in bounded memory.

    With `file_id`, of that file and no other. `read` raises DecryptionFailed when the key is
    another one, or when anything was altered, removed, added or reordered.
    """

    def __init__(
        self, raw: ByteSource, key: bytes, *, file_id: bytes | None = None, first_part: int = 1
    ) -> None:
        self._raw = raw
        self._key = key
        _, self._decrypt = _bindings()
        self._file_id = file_id
        self._number = first_part
        self._held = memoryview(b"")
        self._frames = self._open_frames()

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, none at the end."""
        while not self._held:
            frame = next(self._frames, None)
            if frame is None:
                return b""
            self._held = memoryview(frame)
        data = bytes(self._held[:size])
        self._held = self._held[len(data) :]
        return data

    def _open_frames(self) -> Iterator[bytes]:
        while True:
            part = self._read_head()
            frames = max(1, -(-part.plain_bytes // FRAME_BYTES))
            for position in range(frames):
                left = part.plain_bytes - position * FRAME_BYTES
                body = self._exactly(NONCE_BYTES + min(left, FRAME_BYTES) + TAG_BYTES)
                aad = part.head + _FRAME.pack(position, position == frames - 1)
                yield open_frame(self._decrypt, self._key, aad, body)
            if part.last:
                if self._raw.read(1):
                    raise DecryptionFailed("something was added behind the encrypted archive")
                return

    def _read_head(self) -> _Part:
        head = self._exactly(_HEADER.size)
        magic, version, last, key, file_id, number, plain_bytes = _HEADER.unpack(head)
        if magic != _MAGIC or version != _VERSION:
            raise DecryptionFailed("this is not an encrypted archive of haulier")
        if key.hex() != key_id(self._key):
            raise DecryptionFailed(
                f"the archive was encrypted with another key (its id is {key.hex()})"
            )
        if number != self._number or self._file_id not in {None, file_id}:
            raise DecryptionFailed("the parts of the encrypted archive were mixed up")
        self._file_id = file_id
        self._number += 1
        return _Part(head, bool(last), number, plain_bytes)

    def _exactly(self, size: int) -> bytes:
        pieces = []
        while size:
            piece = self._raw.read(size)
            if not piece:
                raise DecryptionFailed("the encrypted archive ends too early")
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)


def open_frame(decrypt: Callable[..., bytes], key: bytes, aad: bytes, body: bytes) -> bytes:
    from nacl.exceptions import CryptoError

    try:
        return decrypt(body[NONCE_BYTES:], aad, body[:NONCE_BYTES], key)
    except CryptoError:
        raise DecryptionFailed("the encrypted archive was altered") from None


@dataclass(frozen=True, slots=True)
class FrameRun:
    """Frames of one part that cover a range: where they lie in the sealed file, and how many
    plain bytes to drop in front and to keep then."""

    number: int
    last: bool
    plain_bytes: int
    first_frame: int
    start: int
    end: int
    drop: int
    keep: int


def frames_covering(part_sizes: Sequence[int], start: int, end: int) -> list[FrameRun]:
    """Return which frames hold plain bytes `start` to `end` of a file of such plain parts."""
    runs = []
    starts = [0, *accumulate(part_sizes)]
    sealed_starts = [0, *accumulate(sealed_size(size) for size in part_sizes)]
    for number, size in enumerate(part_sizes, start=1):
        low, high = max(start - starts[number - 1], 0), min(end - starts[number - 1], size)
        if low >= high:
            continue
        first, behind = low // FRAME_BYTES, -(-high // FRAME_BYTES)
        base = sealed_starts[number - 1] + _HEADER.size
        part_end = sealed_starts[number]
        runs.append(
            FrameRun(
                number=number,
                last=number == len(part_sizes),
                plain_bytes=size,
                first_frame=first,
                start=base + first * _SEALED_FRAME_BYTES,
                end=min(base + behind * _SEALED_FRAME_BYTES, part_end),
                drop=low - first * FRAME_BYTES,
                keep=high - low,
            )
        )
    return runs


class FrameReader:
    """The plain bytes of one `FrameRun`, from its sealed bytes."""

    def __init__(self, raw: ByteSource, run: FrameRun, key: bytes, file_id: bytes) -> None:
        self._raw = raw
        self._run = run
        self._key = key
        self._head = _HEADER.pack(
            _MAGIC, _VERSION, run.last, bytes.fromhex(key_id(key)), file_id, run.number,
            run.plain_bytes,
        )  # fmt: skip
        _, self._decrypt = _bindings()

    def pieces(self) -> Iterator[bytes]:
        """Yield the plain bytes; raises DecryptionFailed."""
        frames = max(1, -(-self._run.plain_bytes // FRAME_BYTES))
        drop, keep = self._run.drop, self._run.keep
        position = self._run.first_frame
        while keep:
            left = self._run.plain_bytes - position * FRAME_BYTES
            body = self._exactly(NONCE_BYTES + min(left, FRAME_BYTES) + TAG_BYTES)
            aad = self._head + _FRAME.pack(position, position == frames - 1)
            plain = open_frame(self._decrypt, self._key, aad, body)[drop : drop + keep]
            yield plain
            drop, keep, position = 0, keep - len(plain), position + 1

    def _exactly(self, size: int) -> bytes:
        pieces = []
        while size:
            piece = self._raw.read(size)
            if not piece:
                raise DecryptionFailed("the encrypted archive ends too early")
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)
