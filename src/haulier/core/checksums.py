"""Checksums: computed, joined from their pieces, written down and read back.

CRC-64/NVME and CRC-32 of a whole come from those of its pieces, so that pieces can be
made in any order. Data may be any contiguous buffer. The C libraries are imported when
first used.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from haulier.errors import UsageError

Buffer = bytes | bytearray | memoryview

HEX_DIGITS = {
    "crc32": 8,
    "crc32c": 8,
    "crc64nvme": 16,
    "md5": 32,
    "sha1": 40,
    "sha256": 64,
    "sha512": 128,
}
"""The algorithms a checksum may name, and the hexadecimal digits each one has."""


def crc64nvme(data: Buffer, previous: int = 0) -> int:
    """Return the CRC-64/NVME of `data`, going on from `previous`."""
    from awscrt import checksums

    value: int = checksums.crc64nvme(data, previous)
    return value


def combine_crc64nvme(crc1: int, crc2: int, len2: int) -> int:
    """Return the CRC-64/NVME of two runs of bytes in a row, the second `len2` bytes long."""
    from awscrt import checksums

    value: int = checksums.combine_crc64nvme(crc1, crc2, len2)
    return value


def crc32(data: Buffer, previous: int = 0) -> int:
    """Return the CRC-32 (of gzip and zip) of `data`, going on from `previous`."""
    from isal import isal_zlib

    value: int = isal_zlib.crc32(data, previous)
    return value


def crc32c(data: Buffer, previous: int = 0) -> int:
    """Return the CRC-32C (Castagnoli) of `data`, going on from `previous`."""
    from awscrt import checksums

    value: int = checksums.crc32c(data, previous)
    return value


def combine_crc32(crc1: int, crc2: int, len2: int) -> int:
    """Return the CRC-32 of two runs of bytes in a row, the second `len2` bytes long."""
    from isal import isal_zlib

    value: int = isal_zlib.crc32_combine(crc1, crc2, len2)
    return value


class RunningChecksum:
    """The checksum of bytes that come one after another, by any algorithm of `HEX_DIGITS`."""

    def __init__(self, algorithm: str) -> None:
        self._algorithm = algorithm
        self._crc_of = {"crc32": crc32, "crc32c": crc32c, "crc64nvme": crc64nvme}.get(algorithm)
        self._crc = 0
        if self._crc_of is None:
            self._hash = hashlib.new(algorithm, usedforsecurity=False)

    def update(self, data: Buffer) -> None:
        """Take in more bytes."""
        if self._crc_of is None:
            self._hash.update(data)
        else:
            self._crc = self._crc_of(data, self._crc)

    def copy(self) -> RunningChecksum:
        """Return another that goes on from here by itself."""
        other = RunningChecksum(self._algorithm)
        other._crc = self._crc
        if self._crc_of is None:
            other._hash = self._hash.copy()
        return other

    def __str__(self) -> str:
        """Return it as `<algorithm>:<lower hex>`."""
        value = self._hash.hexdigest() if self._crc_of is None else self._crc
        return format_checksum(self._algorithm, value)


def format_checksum(algorithm: str, value: int | str | bytes) -> str:
    """Return `<algorithm>:<lower hex>`.

    Args:
        algorithm: one of `HEX_DIGITS`.
        value: a CRC as a number, or a digest as hexadecimal text or as bytes.

    Raises:
        UsageError: the algorithm is unknown, or the value is not as long as it makes them.
    """
    if isinstance(value, int):
        value = f"{value:0{HEX_DIGITS.get(algorithm, 0)}x}"
    elif isinstance(value, bytes):
        value = value.hex()
    parse_checksum(f"{algorithm}:{value}")
    return f"{algorithm}:{value.lower()}"


def parse_checksum(text: str) -> tuple[str, str]:
    """Return algorithm and lower hexadecimal digits of `<algorithm>:<hex>`.

    Raises:
        UsageError: it is not of that form, or the number of digits is not the algorithm's.
    """
    algorithm, _, digits = text.strip().lower().partition(":")
    length = HEX_DIGITS.get(algorithm)
    if length is None or not re.fullmatch(rf"[0-9a-f]{{{length}}}", digits):
        raise UsageError(
            f"{text!r} is not a checksum",
            hint="Write algorithm:hex, for example sha256:9f86d0…; algorithms: "
            + ", ".join(f"{name} ({count} digits)" for name, count in HEX_DIGITS.items())
            + ".",
        )
    return algorithm, digits


def multipart_etag(md5_hexes: Iterable[str]) -> str:
    """Return the bare ETag S3 gives an object made of parts with these MD5s, in order."""
    digests = [bytes.fromhex(md5_hex) for md5_hex in md5_hexes]
    # The ETag is an identifier that S3 fixed as MD5, not a protection.
    whole = hashlib.md5(b"".join(digests), usedforsecurity=False)
    return f"{whole.hexdigest()}-{len(digests)}"
