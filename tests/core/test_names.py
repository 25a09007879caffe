"""Keys and duplicate names: safe, distinct, never too long."""

from __future__ import annotations

import os
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from itertools import islice
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from haulier.core.names import (
    compact_time,
    duplicate_names,
    object_key,
    subdirectory_key,
    timestamped_key,
)
from haulier.errors import UsageError

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
# What a directory may hold: any bytes but NUL and slash.
raw_names = st.binary(min_size=1, max_size=255).filter(lambda b: not set(b) & {0, 0x2F})
names = st.one_of(
    raw_names.map(os.fsdecode), st.text("%0A25\nFFé\udcff", min_size=1, max_size=20)
).filter(lambda name: len(os.fsencode(name)) <= 255)


@pytest.mark.parametrize(
    ("name", "compression", "key"),
    [
        ("clip.mp4", "gzip", "clip.mp4.tar.gz"),
        ("clip.mp4", "zstd", "clip.mp4.tar.zst"),
        ("clip.mp4", "none", "clip.mp4.tar"),
        ("Smörgås 日本 👩‍👧.jpg", "gzip", "Smörgås 日本 👩‍👧.jpg.tar.gz"),
        ("-rf", "gzip", "-rf.tar.gz"),
        ("100% sure", "gzip", "100% sure.tar.gz"),
        ("percent%20name", "gzip", "percent%20name.tar.gz"),
        ("two\nlines", "gzip", "two%0Alines.tar.gz"),
        ("5%\n", "gzip", "5%25%0A.tar.gz"),
        ("two%0Alines", "gzip", "two%250Alines.tar.gz"),
        ("\udcff\udcfe", "gzip", "%FF%FE.tar.gz"),
        ("line\u2028separator", "gzip", "line%E2%80%A8separator.tar.gz"),
    ],
)
def test_a_key_is_the_name_made_safe(name: str, compression: str, key: str) -> None:
    assert object_key("media/", name, compression) == f"media/{key}"


@given(names)
@example("a\n%")
@example("n" * 255)
@example("\udcff" * 255)
def test_a_key_is_valid_text_on_one_line_and_fits(name: str) -> None:
    key = object_key("media/", name, "gzip")
    assert key.startswith("media/")
    assert len(key.removeprefix("media/").encode()) <= 255 - 60
    assert not [c for c in key if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"}]
    assert "/" not in key.removeprefix("media/")


@given(names, names)
@example("two\nlines", "two%0Alines")
@example("%250A\n", "%250A%0A")
@example("x" * 250 + "a", "x" * 250 + "b")
def test_two_names_never_make_one_key(left: str, right: str) -> None:
    same = object_key("", left, "gzip") == object_key("", right, "gzip")
    assert same == (left == right)


@given(names.filter(lambda name: len(os.fsencode(name)) < 60))
def test_what_was_escaped_can_be_read_back(name: str) -> None:
    key = object_key("", name, "none").removesuffix(".tar")
    if key != name:
        assert unquote_to_bytes(key) == os.fsencode(name)


def test_a_long_name_keeps_its_beginning_and_its_ending() -> None:
    key = object_key("", "ж" * 120 + ".mkv", "gzip")
    assert key.startswith("ж" * 40)
    assert key.endswith(".mkv.tar.gz")


def test_a_long_prefix_shortens_the_name_until_it_leaves_no_room() -> None:
    key = object_key("p" * 850 + "/", "n" * 200, "gzip")
    assert len(key) <= 1024 - 60
    with pytest.raises(UsageError, match="prefix"):
        object_key("p" * 920 + "/", "name", "gzip")


@pytest.mark.parametrize(
    "moment",
    [MOMENT, MOMENT.astimezone(timezone(timedelta(hours=-7))), MOMENT + timedelta(seconds=0.9)],
)
def test_compact_time_is_utc(moment: datetime) -> None:
    assert compact_time(moment) == "20260102T030405Z"


@pytest.mark.parametrize(
    ("key", "number", "expected"),
    [
        ("a.tar.gz", 1, "a.20260102T030405Z.tar.gz"),
        ("m/a.b.tar.zst", 1, "m/a.b.20260102T030405Z.tar.zst"),
        ("a.tar", 2, "a.20260102T030405Z-2.tar"),
        ("a.tar.gz.tar", 3, "a.tar.gz.20260102T030405Z-3.tar"),
        ("odd", 1, "odd.20260102T030405Z"),
    ],
)
def test_the_time_stands_before_the_suffix(key: str, number: int, expected: str) -> None:
    assert timestamped_key(key, MOMENT, number) == expected


def test_a_subdirectory_stands_before_the_name() -> None:
    assert subdirectory_key("a.tar.gz", MOMENT) == "20260102T030405Z/a.tar.gz"
    assert subdirectory_key("m/a.tar.gz", MOMENT) == "m/20260102T030405Z/a.tar.gz"
    assert subdirectory_key("m/a.tar.gz", MOMENT, 2) == "m/20260102T030405Z-2/a.tar.gz"


@pytest.mark.parametrize(("handling", "separator"), [("timestamp", "_"), ("subdirectory", "/")])
def test_duplicates_are_named_by_the_rule(handling: str, separator: str) -> None:
    assert list(islice(duplicate_names("a.mp4", handling, MOMENT), 4)) == [
        "a.mp4",
        f"20260102T030405Z{separator}a.mp4",
        f"20260102T030405Z-2{separator}a.mp4",
        f"20260102T030405Z-3{separator}a.mp4",
    ]


def test_with_error_there_is_one_name() -> None:
    assert list(duplicate_names("a.mp4", "error", MOMENT)) == ["a.mp4"]


@given(names, st.sampled_from(["timestamp", "subdirectory"]))
@example("n" * 255, "timestamp")
@example("n." + "e" * 253, "timestamp")
@example("n" * 240 + ".mp4", "timestamp")
def test_duplicate_names_differ_and_fit_a_file_system(name: str, handling: str) -> None:
    found = list(islice(duplicate_names(name, handling, MOMENT), 5))
    assert found[0] == name
    assert len(set(found)) == 5
    for path in found:
        assert all(0 < len(os.fsencode(part)) <= 255 for part in path.split("/"))


def test_a_shortened_duplicate_keeps_its_ending() -> None:
    found = list(islice(duplicate_names("n" * 250 + ".mp4", "timestamp", MOMENT), 3))
    assert [os.path.splitext(path)[1] for path in found] == [".mp4"] * 3
