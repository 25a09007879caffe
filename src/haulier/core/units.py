"""Sizes, durations, moments and rates as people type and read them.

Everything typed that can't be read raises UsageError, whose hint says what is accepted.
Multiples of bytes are powers of 1024, with or without the `i`.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from decimal import Decimal

from haulier.errors import UsageError

_PREFIXES = "KMGTPE"
_SIZE = re.compile(
    rf"(\d{{1,18}}(?:\.\d{{1,18}})?)\s*(?:([{_PREFIXES}])(?:i?B)?|B)?", re.IGNORECASE | re.ASCII
)
_DURATION = re.compile(r"(?:\d{1,9}(?:\.\d{1,6})?[wdhms])+", re.IGNORECASE | re.ASCII)
_DURATION_TERM = re.compile(r"([\d.]+)([wdhms])", re.IGNORECASE | re.ASCII)
_SECONDS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_OFF = ("off", "unlimited")

_SIZE_HINT = "Write a number of bytes or with K, M, G, T (powers of 1024): 512K, 10MiB, 1.5G."
_DURATION_HINT = "Write numbers with w, d, h, m or s: 90d, 24h, 1h30m, 15m, 30s."
_WHEN_HINT = (
    "Write a date (2026-01-02), a time (2026-01-02T10:00, with Z or +02:00 for another "
    "zone than yours), or how long ago (3d, 12h)."
)
_LIMIT_HINT = (
    "Write bytes per second (20M), or a timetable of times of day and what holds from "
    "then on: '08:00,512K 18:00,10M 23:00,off'."
)


def parse_size(text: str) -> int:
    """Return the bytes that `10M`, `10MB`, `10MiB`, `1.5G` or `1048576` stand for.

    Raises:
        UsageError: it is none of these.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is not a size", hint=_SIZE_HINT)
    number, prefix = match.groups()
    power = _PREFIXES.index(prefix.upper()) + 1 if prefix else 0
    size = Decimal(number) * 1024**power
    if power == 0 and size != int(size):
        raise UsageError(f"{text!r} is not a whole number of bytes", hint=_SIZE_HINT)
    return int(size)


def format_size(size_bytes: float) -> str:
    """Return the size with three digits or so: `0 B`, `1.5 KiB`, `267 MiB`."""
    sign = "-" if size_bytes < 0 else ""
    value = abs(size_bytes)
    if round(value) < 1024:
        return f"{sign}{value:.0f} B"
    for prefix in _PREFIXES:
        value /= 1024
        # 1023.5 would be printed as 1024, which is one of the next unit.
        if value < 1023.5 or prefix == _PREFIXES[-1]:
            break
    return f"{sign}{value:.{1 if value < 9.95 else 0}f} {prefix}iB"


def parse_duration(text: str) -> timedelta:
    """Return the time that `24h`, `90d`, `15m`, `30s`, `1h30m` stand for.

    Raises:
        UsageError: it is none of these, or longer than can be reckoned with.
    """
    compact = text.strip().lower()
    if not _DURATION.fullmatch(compact):
        raise UsageError(f"{text!r} is not a duration", hint=_DURATION_HINT)
    terms = _DURATION_TERM.findall(compact)
    try:
        return timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in terms))
    except OverflowError:
        raise UsageError(f"{text!r} is too long a duration", hint=_DURATION_HINT) from None


def format_duration(seconds: float) -> str:
    """Return the time in its two largest units: `4 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`."""
    total = max(0, round(seconds))
    if total < 60:
        return f"{total} s"
    if total < 3_600:
        return _two(total // 60, "min", total % 60, "s")
    minutes = round(total / 60)
    if minutes < 24 * 60:
        return _two(minutes // 60, "h", minutes % 60, "min")
    hours = round(total / 3_600)
    return _two(hours // 24, "d", hours % 24, "h")


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large} {large_unit} {small} {small_unit}" if small else f"{large} {large_unit}"


def parse_when(text: str, *, now: datetime | None = None, zone: tzinfo | None = None) -> datetime:
    """Return the moment, aware and in UTC, that a date, a time or a duration ago means.

    Args:
        text: `2026-01-02` (its first instant), an RFC 3339 time, or `3d` (that long ago).
        now: what durations count back from; the present when left out.
        zone: where dates and times without an offset are meant; this machine's zone when
            left out.

    Raises:
        UsageError: it is none of these, or out of the calendar.
    """
    compact = text.strip()
    try:
        if _DURATION.fullmatch(compact):
            return (now or datetime.now(UTC)).astimezone(UTC) - parse_duration(compact)
        moment = datetime.fromisoformat(compact)
        if moment.tzinfo is None and zone is not None:
            moment = moment.replace(tzinfo=zone)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(f"{text!r} is not a point in time", hint=_WHEN_HINT) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """Bytes per second, perhaps by the time of day.

    `steps` are (time of day, bytes per second or None for no limit) in the order of the
    day; each holds until the next, the last one until the first of the next day.
    """

    steps: tuple[tuple[time, int | None], ...]

    @property
    def is_unlimited(self) -> bool:
        """Whether there is no limit at any time."""
        return all(rate_bps is None for _, rate_bps in self.steps)

    def rate_at(self, local_time: time) -> int | None:
        """Return the bytes per second that hold at this time of day; None: no limit."""
        # Before the first step of the day the last one of yesterday holds: index -1.
        index = bisect_right(self.steps, local_time, key=lambda step: step[0]) - 1
        return self.steps[index][1]


UNLIMITED = RateLimit(steps=((time.min, None),))


def parse_limit(text: str) -> RateLimit:
    """Read a rate limit.

    Either one rate in bytes per second (`20M`, `off`), or a timetable: entries of
    `HH:MM,RATE` apart by spaces, each from its time of day until the next entry's, the
    last one over midnight until the first: `08:00,512K 18:00,10M 23:00,off`.

    Raises:
        UsageError: it is neither, names a time twice, or a rate is below 1 KiB/s.
    """
    entries = text.split()
    if len(entries) == 1 and "," not in text:
        return RateLimit(steps=((time.min, _parse_rate(entries[0], text)),))
    steps = [_parse_step(entry, text) for entry in entries]
    if not steps or len({start for start, _ in steps}) != len(steps):
        raise UsageError(f"{text!r} is not a rate limit", hint=_LIMIT_HINT)
    return RateLimit(steps=tuple(sorted(steps, key=lambda step: step[0])))


def _parse_step(entry: str, text: str) -> tuple[time, int | None]:
    match = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d),(.+)", entry)
    if match is None:
        raise UsageError(f"{entry!r} in the rate limit {text!r} is no entry", hint=_LIMIT_HINT)
    return time(int(match[1]), int(match[2])), _parse_rate(match[3], text)


def _parse_rate(rate: str, text: str) -> int | None:
    if rate.lower() in _OFF:
        return None
    try:
        rate_bps = parse_size(rate.removesuffix("/s"))
    except UsageError:
        where = "" if rate == text else f" in {text!r}"
        raise UsageError(f"{rate!r}{where} is not a rate", hint=_LIMIT_HINT) from None
    if rate_bps < 1024:
        raise UsageError(f"the rate {rate!r} is below 1 KiB per second", hint=_LIMIT_HINT)
    return rate_bps
