"""A chunk as it comes over HTTP: raw with its number in a header, or in a form."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from fastapi import Request
from starlette.datastructures import UploadFile

from haulier.core.checksums import HEX_DIGITS, format_checksum
from haulier.core.sessions.chunks import Span
from haulier.core.sessions.session import UploadSession
from haulier.errors import UsageError, ValidationError
from haulier.server.bodies import body_of, length_of
from haulier.transfer.sessions.receiving import Body

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(?:\d{1,18}|\*)", re.ASCII)
_DIGEST = re.compile(r"\s*([a-z0-9-]+)=:([A-Za-z0-9+/=]*):\s*", re.ASCII)
_DIGEST_NAMES = {"sha-256": "sha256", "sha-512": "sha512", "md5": "md5", "sha": "sha1"}
_PIECE_BYTES = 256 << 10


@dataclass(frozen=True, slots=True)
class SentChunk:
    """A chunk on its way in."""

    number: int
    body: Body
    length: int | None
    checks: tuple[str, ...]


async def read_chunk(request: Request, session: UploadSession) -> SentChunk:
    """Return what the request says of its chunk, and the chunk's bytes to be read.

    Raises:
        ValidationError: it does not say which chunk it is, or something can't be read.
    """
    checks = checks_of_headers(request)
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        return await _read_form(request, checks)
    return SentChunk(_number_of(request, session), body_of(request), length_of(request), checks)


async def _read_form(request: Request, checks: tuple[str, ...]) -> SentChunk:
    form = await request.form(max_files=1, max_fields=10)
    upload = form.get("file")
    if not isinstance(upload, UploadFile):
        raise ValidationError("the form has no field `file`")
    fields = {name: value for name, value in form.items() if isinstance(value, str)}
    if md5 := fields.get("md5"):
        checks = (*checks, _checksum("md5", md5))
    if named := fields.get("checksum"):
        algorithm, _, digest = named.partition(":")
        checks = (*checks, _checksum(algorithm, digest))
    number = _number(fields.get("chunk_number"), "the field chunk_number")
    return SentChunk(number, _pieces(upload), upload.size, checks)


async def _pieces(upload: UploadFile) -> AsyncGenerator[bytes, None]:
    while piece := await upload.read(_PIECE_BYTES):
        yield piece


def _number_of(request: Request, session: UploadSession) -> int:
    if (given := request.headers.get("x-chunk-number")) is not None:
        return _number(given, "X-Chunk-Number")
    found = _CONTENT_RANGE.fullmatch(request.headers.get("content-range", ""))
    if found is None:
        raise ValidationError(
            "the request does not say which chunk it is",
            hint="Send X-Chunk-Number (from 1), or a Content-Range that is one chunk.",
        )
    first, last = int(found[1]), int(found[2])
    return session.grid.number_of(Span(first, last - first + 1))


def _number(text: str | None, what: str) -> int:
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise ValidationError(f"{what} is a number from 1")
    return int(text)


def checks_of_headers(request: Request) -> tuple[str, ...]:
    """Return the checksums that `Content-Digest` and `X-Chunk-Checksum` name for the body.

    Raises:
        ValidationError: one of them can't be read.
    """
    checks = digests_in(request, "Content-Digest")
    if (named := request.headers.get("x-chunk-checksum")) is not None:
        algorithm, _, digest = named.partition("=")
        checks.append(_checksum(algorithm.strip(), digest.strip()))
    return tuple(checks)


def digests_in(request: Request, header: str) -> list[str]:
    """Return the digests of `Content-Digest` or `Repr-Digest` as `algorithm:hex`.

    Raises:
        ValidationError: the header can't be read.
    """
    found = []
    for item in request.headers.get(header, "").split(","):
        if not item.strip():
            continue
        digest = _DIGEST.fullmatch(item)
        if digest is None:
            raise ValidationError(f"{header} can't be read: `sha-256=:BASE64:`")
        # Digests by an algorithm that we don't know say nothing to us (RFC 9530).
        if (algorithm := _DIGEST_NAMES.get(digest[1])) is not None:
            found.append(_checksum(algorithm, _hex_of(digest[2])))
    return found


def _hex_of(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).hex()
    except binascii.Error:
        raise ValidationError("a digest is not base64") from None


def _checksum(algorithm: str, digest: str) -> str:
    try:
        return format_checksum(algorithm.lower(), digest.lower())
    except UsageError:
        raise ValidationError(
            f"the checksum {algorithm[:20]}:{digest[:20]} can't be",
            hint=f"Use one of {', '.join(HEX_DIGITS)} and hexadecimal digits.",
        ) from None
