"""What an HTTP/1.1 request for a file looks like, and what the head of its answer says.

Strict where a lenient reading could take bytes of the head for the file's, or the other way
round: lengths that disagree, folded headers and unknown codings are not read at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from haulier.errors import UsageError

_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9]\d\d)(?: .*)?")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NOT_IN_VALUES = re.compile(r"[\r\n\0]")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?")
_LENGTH = re.compile(r"\d{1,19}", re.ASCII)


class Headers(Mapping[str, str]):
    """Headers by their names in any case; of several with one name the first counts."""

    def __init__(self, lowered: Mapping[str, str]) -> None:
        self._lowered = lowered

    def __getitem__(self, name: str) -> str:
        return self._lowered[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._lowered)

    def __len__(self) -> int:
        return len(self._lowered)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpHead:
    """The head of an answer to a GET.

    `length_bytes` is None where the body tells its end itself: by its chunks, or by the end of
    the connection. `stays_open` says whether the connection may be used again.
    """

    status: int
    headers: Headers
    length_bytes: int | None
    is_chunked: bool
    stays_open: bool


def get_request(url: str, headers: Mapping[str, str]) -> bytes:
    """Return the bytes that ask for `url`, an http link of plain ASCII; raises UsageError."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [f"GET {target} HTTP/1.1"]
    if not any(name.lower() == "host" for name in headers):
        lines.append(f"Host: {parts.netloc.removesuffix(':80')}")
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or _NOT_IN_VALUES.search(value):
            raise UsageError(f"the header {name!r} can't be sent", hint="Check the headers.")
        lines.append(f"{name}: {value}")
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")


def parse_head(lines: Sequence[bytes]) -> HttpHead | None:
    """Return what the lines of a head say, without their ends; None when it is not HTTP."""
    first = _STATUS_LINE.fullmatch(lines[0]) if lines else None
    found = _parse_headers(lines[1:])
    if first is None or found is None:
        return None
    status, codings = int(first[2]), found.get("transfer-encoding")
    lengths = set(found.get("content-length", []))
    if codings not in (None, ["chunked"]) or len(lengths) > 1:
        return None
    length = next(iter(lengths), None)
    if length is not None and not _LENGTH.fullmatch(length):
        return None
    options = ",".join(found.get("connection", [])).lower()
    length_bytes = None if length is None or codings else int(length)
    return HttpHead(
        status=status,
        headers=Headers({name: values[0] for name, values in found.items()}),
        length_bytes=0 if status in {204, 304} or status < 200 else length_bytes,
        is_chunked=codings is not None,
        # Whoever says both has a length that others may believe.
        stays_open=first[1] == b"1" and "close" not in options and not (codings and lengths),
    )


def _parse_headers(lines: Sequence[bytes]) -> dict[str, list[str]] | None:
    found: dict[str, list[str]] = {}
    for line in lines:
        name, colon, value = line.decode("utf-8", "surrogateescape").partition(":")
        if not colon or not _NAME.fullmatch(name):
            return None
        value = value.strip(" \t")
        if name.lower() == "transfer-encoding":
            value = value.lower()
        found.setdefault(name.lower(), []).append(value)
    return found


def parse_chunk_size(line: bytes) -> int | None:
    """Return how long the chunk is that follows such a line; None when it is none."""
    size = _CHUNK.fullmatch(line)
    return None if size is None else int(size[1], 16)
