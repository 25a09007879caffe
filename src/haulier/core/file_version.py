"""What an HTTP answer says of the file it is of, and what proves two to be of one version."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

STRONG_DATE_AGE = timedelta(seconds=60)

_CONTENT_RANGE = re.compile(r"bytes\s+(?:(\d{1,18})-(\d{1,18})|\*)/(\d{1,18}|\*)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerHead:
    """What an answer says before its body.

    `start` and `end` (exclusive) are of its Content-Range, None when it has none that can be
    read; `total_bytes` is the whole file's size (of a 200: its Content-Length). `etag`,
    `last_modified` and `date` are header values as they came.
    """

    status: int
    start: int | None = None
    end: int | None = None
    total_bytes: int | None = None
    etag: str | None = None
    last_modified: str | None = None
    date: str | None = None


def parse_content_range(value: str | None) -> tuple[int | None, int | None, int | None]:
    """Return start, exclusive end and total of a Content-Range; None for what it lacks."""
    match = _CONTENT_RANGE.fullmatch((value or "").strip())
    if match is None:
        return None, None, None
    first, last, total = match.groups()
    return (
        None if first is None else int(first),
        None if last is None else int(last) + 1,
        None if total == "*" else int(total),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """Which version of the file it is: its size, and validators that prove it.

    `etag` only when strong; `last_modified` only when old enough that a second change within
    the same second would have been noticed.
    """

    size_bytes: int | None = None
    etag: str | None = None
    last_modified: str | None = None

    @classmethod
    def of(cls, head: AnswerHead) -> Version:
        """Return the version that an answer is of."""
        strong = head.etag is not None and head.etag.startswith('"') and len(head.etag) > 2
        return cls(
            size_bytes=head.total_bytes,
            etag=head.etag if strong else None,
            last_modified=head.last_modified if _is_strong_date(head) else None,
        )

    @property
    def is_proven(self) -> bool:
        """Whether two answers can be shown to be of this one version."""
        return self.etag is not None or self.last_modified is not None

    def is_same(self, head: AnswerHead) -> bool:
        """Whether an answer is of this version, beyond doubt."""
        if None not in {self.size_bytes, head.total_bytes} and self.size_bytes != head.total_bytes:
            return False
        if self.etag is not None:
            return head.etag == self.etag
        return self.last_modified is not None and head.last_modified == self.last_modified


def _is_strong_date(head: AnswerHead) -> bool:
    modified, date = _parse_date(head.last_modified), _parse_date(head.date)
    return modified is not None and date is not None and date - modified >= STRONG_DATE_AGE


def _parse_date(value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
