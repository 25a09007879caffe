import hashlib
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulier.core import checksums
from haulier.errors import UsageError


def crc64nvme_bit_by_bit(data: bytes) -> int:
    """The definition: reflected polynomial, all ones in and out."""
    crc = 0xFFFFFFFFFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x9A6C9329AC4BC9B5 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFFFFFFFFFF


def test_check_values_of_the_catalogue_of_crcs() -> None:
    assert checksums.crc64nvme(b"123456789") == 0xAE8B14860A799888
    assert checksums.crc32(b"123456789") == 0xCBF43926
    assert checksums.crc64nvme(b"") == checksums.crc32(b"") == 0


@given(st.binary(max_size=300))
def test_crc64nvme_is_the_definition(data: bytes) -> None:
    assert checksums.crc64nvme(data) == crc64nvme_bit_by_bit(data)


@given(st.binary(max_size=3000), st.binary(max_size=3000))
def test_going_on_and_combining_agree_with_the_whole(first: bytes, second: bytes) -> None:
    whole = checksums.crc64nvme(first + second)
    assert checksums.crc64nvme(second, checksums.crc64nvme(first)) == whole
    pair = checksums.crc64nvme(first), checksums.crc64nvme(second)
    assert checksums.combine_crc64nvme(*pair, len(second)) == whole

    whole = zlib.crc32(first + second)
    assert checksums.crc32(second, checksums.crc32(first)) == whole
    pair = checksums.crc32(first), checksums.crc32(second)
    assert checksums.combine_crc32(*pair, len(second)) == whole


def test_combining_with_a_second_piece_of_many_gibibytes() -> None:
    """Doubling 1 MiB of zeros 13 times by combination is 8 GiB; one more MiB by hand agrees."""
    mib = checksums.crc64nvme(bytes(1 << 20))
    crc, size = mib, 1 << 20
    while size < 8 << 30:
        crc, size = checksums.combine_crc64nvme(crc, crc, size), size * 2
    behind = checksums.combine_crc64nvme(crc, mib, 1 << 20)
    before = checksums.combine_crc64nvme(mib, crc, size)
    assert behind == before == checksums.crc64nvme(bytes(1 << 20), crc)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_is_taken(kind: type) -> None:
    assert checksums.crc64nvme(kind(b"123456789")) == 0xAE8B14860A799888
    assert checksums.crc32(kind(b"123456789")) == 0xCBF43926


def test_multipart_etag_is_the_md5_of_md5s() -> None:
    parts = [hashlib.md5(part).hexdigest() for part in (b"a" * 10, b"b")]
    joined = hashlib.md5(hashlib.md5(b"a" * 10).digest() + hashlib.md5(b"b").digest())
    assert checksums.multipart_etag(parts) == joined.hexdigest() + "-2"


def test_format_and_parse_are_inverse() -> None:
    assert checksums.format_checksum("crc64nvme", 0xAB) == "crc64nvme:00000000000000ab"
    assert checksums.format_checksum("crc32", b"\x00\x01\x02\x03") == "crc32:00010203"
    digest = hashlib.sha256(b"x").hexdigest()
    assert checksums.format_checksum("sha256", digest.upper()) == f"sha256:{digest}"
    assert checksums.parse_checksum(f" SHA256:{digest.upper()}\n") == ("sha256", digest)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256",
        "sha256:",
        "sha256:12",
        "md4:" + "0" * 32,
        "crc32:0000000g",
        ":00000000",
        "crc32:٠٠٠٠٠٠٠٠",
    ],
)
def test_what_is_no_checksum_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a checksum") as caught:
        checksums.parse_checksum(text)
    assert "sha256 (64 digits)" in caught.value.hint


def test_a_value_too_large_or_of_an_unknown_algorithm_is_not_formatted() -> None:
    with pytest.raises(UsageError):
        checksums.format_checksum("crc32", 1 << 32)
    with pytest.raises(UsageError):
        checksums.format_checksum("crc99", 1)
