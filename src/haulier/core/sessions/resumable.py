"""Resumable uploads for HTTP (draft-ietf-httpbis-resumable-upload) as pure thought.

Interop version 8 (drafts -09 to -11), and 6 and 5, which today's clients speak. A structured field
that can't be read counts as not there, as RFC 9651 wants it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from haulier.core.sessions.session import SessionStatus, UploadSession
from haulier.errors import InconsistentLength, ValidationError

PARTIAL_UPLOAD = "application/partial-upload"
MISMATCHING_OFFSET = "https://iana.org/assignments/http-problem-types#mismatching-upload-offset"
COMPLETED_UPLOAD = "https://iana.org/assignments/http-problem-types#completed-upload"
INCONSISTENT_LENGTH = "https://iana.org/assignments/http-problem-types#inconsistent-upload-length"

_FIRST_WITH_MEDIA_TYPE = 6
_SPOKEN = frozenset({5, 6, 7, 8})


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What a request says of the bytes that it carries.

    Args:
        offset: where they begin; 0 when the request begins the upload.
        complete: whether they end the file.
        size_bytes: of the whole file, where the request tells it.
        version: the interop version that the client speaks, where it says so.
    """

    offset: int
    complete: bool
    size_bytes: int | None
    version: int | None


def read_creation(headers: Mapping[str, str], length: int | None) -> Piece:
    """Read the headers, with lower-case names, of a request that begins an upload.

    Args:
        headers: of the request.
        length: of its body, where it is announced.

    Raises:
        ValidationError: `Upload-Complete` is missing.
        InconsistentLength: the lengths that the request tells don't agree.
    """
    complete = _boolean(headers, "upload-complete")
    if complete is None:
        raise ValidationError("Upload-Complete is ?0 or ?1", hint="Send ?1 with the last bytes.")
    return _piece(headers, 0, complete, length)


def read_append(headers: Mapping[str, str], length: int | None) -> Piece:
    """Read the headers of a PATCH.

    Raises:
        ValidationError: `Upload-Offset` or `Upload-Complete` is missing.
        InconsistentLength: the lengths that the request tells don't agree.
    """
    complete = _boolean(headers, "upload-complete")
    offset = _number(headers, "upload-offset")
    if complete is None or offset is None:
        raise ValidationError("a PATCH carries Upload-Offset and Upload-Complete")
    return _piece(headers, offset, complete, length)


def _piece(headers: Mapping[str, str], offset: int, complete: bool, length: int | None) -> Piece:
    told = _number(headers, "upload-length")
    implied = offset + length if complete and length is not None else None
    if told is not None and implied is not None and told != implied:
        raise InconsistentLength(f"Upload-Length says {told} bytes, the request ends at {implied}")
    return Piece(
        offset=offset,
        complete=complete,
        size_bytes=implied if told is None else told,
        version=_number(headers, "upload-draft-interop-version"),
    )


def wants_media_type(piece: Piece) -> bool:
    """Tell whether the body's type must be `application/partial-upload`."""
    return piece.version is None or piece.version >= _FIRST_WITH_MEDIA_TYPE


def check_length(piece: Piece, session: UploadSession) -> None:
    """Make sure that the request tells the length that was told before.

    Raises:
        InconsistentLength: it tells another one.
    """
    if session.size_bytes is not None and piece.size_bytes not in {None, session.size_bytes}:
        raise InconsistentLength(
            f"the upload has {session.size_bytes} bytes, not {piece.size_bytes}"
        )


def interim_headers(
    piece: Piece, location: Mapping[str, str], most_bytes: int | None
) -> dict[str, str] | None:
    """Return the headers of a 104 answer; None to a client of which no draft is known."""
    if piece.version not in _SPOKEN:
        return None
    told = {"Upload-Draft-Interop-Version": str(piece.version)}
    return {**told, **location, **limit_headers(most_bytes)}


def state_headers(session: UploadSession, most_bytes: int | None) -> dict[str, str]:
    """Return the headers that say how far an upload came."""
    complete = is_complete(session)
    headers = {
        "Upload-Offset": str(session.offset),
        "Upload-Complete": "?1" if complete else "?0",
        "Cache-Control": "no-store",
        **limit_headers(most_bytes),
    }
    if session.size_bytes is not None:
        headers["Upload-Length"] = str(session.size_bytes)
    return headers


def is_complete(session: UploadSession) -> bool:
    """Tell whether all bytes came."""
    return session.status in {SessionStatus.COMPLETED, SessionStatus.VERIFYING}


def limit_headers(most_bytes: int | None) -> dict[str, str]:
    """Return `Upload-Limit`."""
    limit = "min-size=0" if most_bytes is None else f"max-size={most_bytes}, min-size=0"
    return {"Upload-Limit": limit}


def _boolean(headers: Mapping[str, str], name: str) -> bool | None:
    value = _item(headers, name)
    return value if isinstance(value, bool) else None


def _number(headers: Mapping[str, str], name: str) -> int | None:
    value = _item(headers, name)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        return None
    return value


def _item(headers: Mapping[str, str], name: str) -> object:
    from http_sf import StructuredFieldError, parse

    text = headers.get(name)
    if text is None:
        return None
    try:
        parsed = parse(text.encode("latin-1"), tltype="item")
    except (StructuredFieldError, UnicodeEncodeError):
        return None
    return parsed[0] if isinstance(parsed, tuple) else None
