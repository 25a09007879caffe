from datetime import UTC, datetime, time, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulier.core import units
from haulier.errors import UsageError

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1048576", 1 << 20),
        ("512 B", 512),
        ("10M", 10 << 20),
        ("10MB", 10 << 20),
        ("10MiB", 10 << 20),
        ("10 mib", 10 << 20),
        ("1.5G", 3 << 29),
        ("0.1K", 102),
        ("2T", 2 << 40),
        (" 3k ", 3 << 10),
        ("1E", 1 << 60),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert units.parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    ["", "M", "-1", "1.5", "1,5M", "10 MM", "10iB", "1e3", "0x10", "nan", "٣M", "10M/s", "9" * 40],
)
def test_what_is_no_size_is_refused_with_what_is_one(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        units.parse_size(text)
    assert "512K, 10MiB, 1.5G" in caught.value.hint


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (267 << 20, "267 MiB"),
        ((1 << 20) - 1, "1.0 MiB"),
        (10 * 1024 - 1, "10 KiB"),
        (3 << 29, "1.5 GiB"),
        (5 << 60, "5.0 EiB"),
        (5000 << 60, "5000 EiB"),
        (-2048, "-2.0 KiB"),
    ],
)
def test_sizes_are_written_short(size: int, text: str) -> None:
    assert units.format_size(size) == text


@given(st.integers(min_value=0, max_value=1 << 62))
def test_a_written_size_reads_back_within_a_twentieth(size: int) -> None:
    assert units.parse_size(units.format_size(size)) == pytest.approx(size, rel=0.05)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("24h", 86_400),
        ("90d", 7_776_000),
        ("15m", 900),
        ("30s", 30),
        ("1h30m", 5_400),
        ("2w", 1_209_600),
        ("1.5h", 5_400),
        ("0s", 0),
        (" 7D ", 604_800),
    ],
)
def test_durations(text: str, seconds: int) -> None:
    assert units.parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "90", "d", "-1h", "1y", "1 hour", "1h 30m", "999999999w", "1..5h", "٣d"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        units.parse_duration(text)
    assert "90d, 24h, 1h30m" in caught.value.hint


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (4.4, "4 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (3_599.7, "1 h"),
        (7_500, "2 h 5 min"),
        (86_399, "1 d"),
        (90_000, "1 d 1 h"),
        (-3, "0 s"),
    ],
)
def test_durations_are_written_in_two_units(seconds: float, text: str) -> None:
    assert units.format_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-02", datetime(2026, 1, 1, 22, tzinfo=UTC)),
        ("2026-01-02T10:00", datetime(2026, 1, 2, 8, tzinfo=UTC)),
        ("2026-01-02T10:00:00Z", datetime(2026, 1, 2, 10, tzinfo=UTC)),
        ("2026-01-02 10:00:00.5-01:00", datetime(2026, 1, 2, 11, 0, 0, 500_000, tzinfo=UTC)),
        ("3d", datetime(2026, 3, 7, 12, tzinfo=UTC)),
        ("1h30m", datetime(2026, 3, 10, 10, 30, tzinfo=UTC)),
    ],
)
def test_points_in_time(text: str, moment: datetime) -> None:
    read = units.parse_when(text, now=NOW, zone=timezone(timedelta(hours=2)))
    assert read == moment
    assert read.tzinfo is UTC


def test_a_date_without_a_zone_is_this_machines() -> None:
    assert units.parse_when("2026-01-02") == datetime(2026, 1, 2).astimezone()


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01", "2026-02-30", "999999w", "0001-01-01T00:00+10:00", "90"]
)
def test_what_is_no_point_in_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        units.parse_when(text, now=NOW)
    assert "2026-01-02" in caught.value.hint or "90d" in caught.value.hint


@pytest.mark.parametrize("text", ["20M", "20MiB/s", " 20m "])
def test_one_rate_holds_all_day(text: str) -> None:
    limit = units.parse_limit(text)
    assert {limit.rate_at(time(hour)) for hour in range(24)} == {20 << 20}
    assert not limit.is_unlimited


def test_a_timetable_holds_from_each_time_to_the_next_and_over_midnight() -> None:
    limit = units.parse_limit("18:00,10M 8:00,512K  23:00,off")
    assert [limit.rate_at(time(*at)) for at in [(0, 0), (7, 59), (8, 0), (17, 59), (18, 0), (22, 59), (23, 0)]] == [
        None, None, 512 << 10, 512 << 10, 10 << 20, 10 << 20, None,
    ]  # fmt: skip
    assert units.parse_limit("12:00,1M").rate_at(time(3)) == 1 << 20


def test_off_is_unlimited() -> None:
    assert units.parse_limit("off").is_unlimited
    assert units.parse_limit("Unlimited") == units.UNLIMITED
    assert not units.parse_limit("off").rate_at(time(1))
    assert units.parse_limit("08:00,off 20:00,off").is_unlimited


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fast",
        "0",
        "10",
        "08:00",
        "08:00,",
        "24:00,1M",
        "8,1M",
        "08:00,1M 08:00,2M",
        "1M 2M",
        "08:00 1M",
    ],
)
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        units.parse_limit(text)
    assert "08:00,512K 18:00,10M 23:00,off" in caught.value.hint
