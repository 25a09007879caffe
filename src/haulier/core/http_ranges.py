"""Which bytes of a file an HTTP request asks for (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from haulier.core.sessions.chunks import Span

_MOST_RANGES = 32
_SPEC = re.compile(r"\s*(\d{0,18})-(\d{0,18})\s*", re.ASCII)


class UnsatisfiableRange(ValueError):
    """None of the ranges lies within the file."""


def select_ranges(header: str | None, size_bytes: int) -> list[Span] | None:
    """Return the bytes that `Range` asks for, in its order; None for the whole file.

    A header that can't be read, or that asks for more than 32 ranges, is ignored, as the
    standard allows.

    Raises:
        UnsatisfiableRange: every range begins behind the end.
    """
    unit, _, specs = (header or "").partition("=")
    if unit.strip().lower() != "bytes":
        return None
    asked = specs.split(",")
    if len(asked) > _MOST_RANGES:
        return None
    spans = []
    for spec in asked:
        found = _SPEC.fullmatch(spec)
        if found is None or not (found[1] or found[2]):
            return None
        first, last = found[1], found[2]
        if first and last and int(last) < int(first):
            return None
        start = int(first) if first else max(0, size_bytes - int(last))
        end = min(int(last) + 1, size_bytes) if first and last else size_bytes
        if start < end:
            spans.append(Span(start, end - start))
    if not spans:
        raise UnsatisfiableRange(header)
    return spans


def etag_matches(header: str, etag: str, *, weakly: bool) -> bool:
    """Tell whether `etag` is among those of an If-Match or If-None-Match header."""
    if header.strip() == "*":
        return True
    for candidate in header.split(","):
        one = candidate.strip()
        if one == etag or (weakly and one.removeprefix("W/") == etag):
            return True
    return False


def is_fresh(
    etag: str, modified_at: datetime, if_none_match: str | None, if_modified_since: str | None
) -> bool:
    """Tell whether what the client has is still the same (304)."""
    if if_none_match is not None:
        return etag_matches(if_none_match, etag, weakly=True)
    since = _parse_date(if_modified_since)
    return since is not None and modified_at.replace(microsecond=0) <= since


def range_applies(etag: str, modified_at: datetime, if_range: str | None) -> bool:
    """Tell whether a range may be answered, or the file changed since the client saw it."""
    if if_range is None:
        return True
    if if_range.startswith(('"', "W/")):
        return if_range.strip() == etag
    return _parse_date(if_range) == modified_at.replace(microsecond=0)


def _parse_date(value: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value or "")
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
