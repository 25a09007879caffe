"""Digests and metadata as S3's headers carry them."""

from __future__ import annotations

import base64
import binascii
from email.errors import HeaderParseError
from email.header import decode_header, make_header


def base64_of_hex(digest: str) -> str:
    """Return a hex digest in base64, as Content-MD5 and x-amz-checksum-* want it."""
    return base64.b64encode(bytes.fromhex(digest)).decode("ascii")


def hex_of_base64(digest: str | None) -> str | None:
    """Return a base64 digest in hex; None for none, and for a composite one (`…-3`)."""
    if digest is None:
        return None
    try:
        return base64.b64decode(digest, validate=True).hex()
    except binascii.Error:
        return None


def header_of_metadata(value: str) -> str:
    """Return a metadata value as a header can carry it: RFC 2047 unless plain ASCII.

    That is the form in which S3 itself hands out values that are not ASCII.
    """
    plain = value.isascii() and value.isprintable() and value == value.strip()
    if plain and not value.startswith("=?"):
        return value
    encoded = base64.b64encode(value.encode("utf-8", "surrogateescape")).decode("ascii")
    return f"=?UTF-8?B?{encoded}?="


def metadata_of_header(value: str) -> str:
    """Return what `header_of_metadata` wrote, or another program's value as it is."""
    if not value.startswith("=?"):
        return value
    prefix, _, rest = value.partition("?B?")
    if prefix.upper() == "=?UTF-8" and rest.endswith("?=") and rest.count("?") == 1:
        try:
            return base64.b64decode(rest[:-2], validate=True).decode("utf-8", "surrogateescape")
        except binascii.Error:
            return value
    try:
        return str(make_header(decode_header(value)))
    except (HeaderParseError, LookupError, UnicodeError):
        return value
