"""The tus 1.0.0 protocol as pure thought: headers read and written, requests judged.

Source: https://tus.io/protocols/resumable-upload (core and the extensions creation,
creation-with-upload, creation-defer-length, expiration, checksum, termination, concatenation).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

from haulier.core.sessions.session import SessionStatus, UploadSession
from haulier.errors import ValidationError

VERSION = "1.0.0"
EXTENSIONS = (
    "creation",
    "creation-with-upload",
    "creation-defer-length",
    "expiration",
    "checksum",
    "termination",
    "concatenation",
)
CHECKSUM_ALGORITHMS = ("sha1", "md5", "sha256", "sha512", "crc32", "crc32c", "crc64nvme")
OFFSET_OCTETS = "application/offset+octet-stream"

_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
_MOST_METADATA_CHARACTERS = 8192
_MOST_PARTS = 1000
_MOST_TAGS = 50
_MOST_TAG_CHARACTERS = 255
_SESSION_ID = re.compile(r"[0-9a-z]{20,32}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Creation:
    """What a POST asks for.

    Args:
        size_bytes: None when the length is deferred, or that of `parts` together.
        metadata: as the client wrote it, to be given back so.
        concat: `Upload-Concat` as the client wrote it.
        parts: the uploads that are to be joined, by id.
    """

    size_bytes: int | None
    metadata: str
    concat: str | None = None
    parts: tuple[str, ...] = ()

    @property
    def details(self) -> dict[str, str]:
        """What has to be known of it later, for `UploadSession.details`."""
        found = {"metadata": self.metadata}
        if self.concat is not None:
            found["concat"] = self.concat
            if not self.parts:
                found["partial"] = ""
        return found


def read_number(headers: Mapping[str, str], name: str) -> int | None:
    """Return the header as a number, or None when it is not there.

    Raises:
        ValidationError: it is not a plain non-negative integer.
    """
    value = headers.get(name)
    if value is None:
        return None
    if not _NUMBER.fullmatch(value):
        raise ValidationError(f"{name} is a non-negative integer, not {value[:40]!r}")
    return int(value)


def read_creation(headers: Mapping[str, str]) -> Creation:
    """Read the headers of a POST; their names are lower case.

    Raises:
        ValidationError: they contradict each other, or one can't be read.
    """
    metadata = headers.get("upload-metadata", "")
    parse_metadata(metadata)
    size_bytes = read_number(headers, "upload-length")
    deferred = headers.get("upload-defer-length")
    concat = headers.get("upload-concat")
    parts = () if concat is None else _read_concat(concat)
    if parts:
        if size_bytes is not None or deferred is not None:
            raise ValidationError("the length of a final upload is that of its parts; send none")
        return Creation(size_bytes=None, metadata=metadata, concat=concat, parts=parts)
    if deferred is not None and deferred != "1":
        raise ValidationError("Upload-Defer-Length can only be 1")
    if (size_bytes is None) == (deferred is None):
        raise ValidationError("a POST carries either Upload-Length or Upload-Defer-Length: 1")
    return Creation(size_bytes=size_bytes, metadata=metadata, concat=concat)


def _read_concat(value: str) -> tuple[str, ...]:
    """Return the ids that `final;URL URL …` names; none for `partial`."""
    if value == "partial":
        return ()
    kind, _, listed = value.partition(";")
    urls = listed.split()
    if kind != "final" or not urls:
        raise ValidationError("Upload-Concat is `partial` or `final;URL URL …`")
    if len(urls) > _MOST_PARTS:
        raise ValidationError(f"at most {_MOST_PARTS} uploads can be joined")
    # Absolute or relative, and behind any proxy: the id is what comes last.
    ids = tuple(url.split("?", 1)[0].rsplit("/", 1)[-1] for url in urls)
    for one in ids:
        if not _SESSION_ID.fullmatch(one):
            raise ValidationError(f"{one[:60]!r} in Upload-Concat is no upload")
    return ids


def parse_metadata(text: str) -> dict[str, str]:
    """Read `Upload-Metadata`; an empty header, which some clients send, is no metadata.

    Raises:
        ValidationError: a key is empty or comes twice, or a value is not base64.
    """
    if len(text) > _MOST_METADATA_CHARACTERS:
        raise ValidationError(f"Upload-Metadata is longer than {_MOST_METADATA_CHARACTERS} bytes")
    found: dict[str, str] = {}
    for pair in text.split(",") if text.strip() else ():
        key, _, value = pair.strip().partition(" ")
        if not key or key in found:
            raise ValidationError("keys of Upload-Metadata are unique and not empty")
        try:
            found[key] = base64.b64decode(value.strip(), validate=True).decode("utf-8", "replace")
        except binascii.Error:
            raise ValidationError(
                f"the value of {key[:40]!r} in Upload-Metadata is not base64"
            ) from None
    return found


def read_tags(text: str) -> dict[str, str]:
    """Read the tags that a client names in the metadata `tags`: a JSON object of texts.

    Raises:
        ValidationError: it is none, or there is too much in it.
    """
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(one, str) for one in found.values()):
        raise ValidationError("`tags` in Upload-Metadata is a JSON object whose values are texts")
    longest = max((len(one) for pair in found.items() for one in pair), default=0)
    if len(found) > _MOST_TAGS or longest > _MOST_TAG_CHARACTERS:
        raise ValidationError(
            f"a file has at most {_MOST_TAGS} tags of {_MOST_TAG_CHARACTERS} characters"
        )
    return found


def read_checksum(value: str) -> str:
    """Return `Upload-Checksum` (`algorithm base64`) as `algorithm:hex`.

    Raises:
        ValidationError: the algorithm is not offered, or the value is not base64.
    """
    algorithm, _, encoded = value.strip().partition(" ")
    if algorithm not in CHECKSUM_ALGORITHMS:
        raise ValidationError(
            f"the checksum algorithm {algorithm[:20]!r} is not offered",
            hint=f"Use one of {', '.join(CHECKSUM_ALGORITHMS)}.",
        )
    try:
        return f"{algorithm}:{base64.b64decode(encoded.strip(), validate=True).hex()}"
    except binascii.Error:
        raise ValidationError("the value of Upload-Checksum is not base64") from None


def state_headers(session: UploadSession) -> dict[str, str]:
    """Return the headers of a HEAD answer."""
    headers = {"Cache-Control": "no-store"}
    if not session.parts or session.status is SessionStatus.COMPLETED:
        headers["Upload-Offset"] = str(session.offset)
    if session.size_bytes is None:
        headers["Upload-Defer-Length"] = "1"
    else:
        headers["Upload-Length"] = str(session.size_bytes)
    if metadata := session.details.get("metadata"):
        headers["Upload-Metadata"] = metadata
    if concat := session.details.get("concat"):
        headers["Upload-Concat"] = concat
    return headers


def checksum_header(session: UploadSession) -> dict[str, str]:
    """Return `Upload-Checksum` of the bytes before the offset; the protocol has it in requests."""
    value = base64.b64encode(session.crc64nvme.to_bytes(8)).decode()
    return {"Upload-Checksum": f"crc64nvme {value}"}


def expires_header(moment: datetime) -> dict[str, str]:
    """Return `Upload-Expires`."""
    return {"Upload-Expires": format_datetime(moment, usegmt=True)}


def offer_headers(most_bytes: int | None) -> dict[str, str]:
    """Return the headers of an OPTIONS answer: what this server can do."""
    headers = {
        "Tus-Version": VERSION,
        "Tus-Extension": ",".join(EXTENSIONS),
        "Tus-Checksum-Algorithm": ",".join(CHECKSUM_ALGORITHMS),
    }
    if most_bytes is not None:
        headers["Tus-Max-Size"] = str(most_bytes)
    return headers
