"""Ranges and validators, by the tables of RFC 9110."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulier.core.http_ranges import (
    UnsatisfiableRange,
    etag_matches,
    is_fresh,
    range_applies,
    select_ranges,
)
from haulier.core.sessions.chunks import Span

MODIFIED = datetime(2026, 3, 1, 12, 0, 0, 500_000, tzinfo=UTC)
DATE = "Sun, 01 Mar 2026 12:00:00 GMT"
EARLIER = "Sun, 01 Mar 2026 11:59:59 GMT"
ETAG = '"abc-1-0"'


@pytest.mark.parametrize(
    ("header", "spans"),
    [
        (None, None),
        ("bytes=0-4", [(0, 5)]),
        ("bytes=0-0", [(0, 1)]),
        ("bytes=5-", [(5, 5)]),
        ("bytes=-3", [(7, 3)]),
        ("bytes=-30", [(0, 10)]),
        ("bytes=8-100", [(8, 2)]),
        ("Bytes = 1-2 , 4-5", [(1, 2), (4, 2)]),
        ("bytes=4-5,0-1", [(4, 2), (0, 2)]),
        ("bytes=0-1,50-60", [(0, 2)]),
        ("bytes=5-4", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=0-4;1", None),
        ("bytes", None),
        ("items=0-4", None),
        ("bytes=" + ",".join(["0-0"] * 33), None),
        ("bytes=٣-٤", None),
        ("bytes=0-" + "9" * 30, None),
    ],
)
def test_ranges_of_ten_bytes(header, spans):
    expected = None if spans is None else [Span(*one) for one in spans]
    assert select_ranges(header, 10) == expected


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=11-12,20-"])
def test_ranges_behind_the_end(header):
    with pytest.raises(UnsatisfiableRange):
        select_ranges(header, 10)


def test_an_empty_file_has_no_range():
    with pytest.raises(UnsatisfiableRange):
        select_ranges("bytes=0-", 0)


@given(st.text(max_size=30), st.integers(0, 100))
def test_no_header_breaks_it_or_leaves_the_file(header, size):
    for text in (header, f"bytes={header}"):
        try:
            spans = select_ranges(text, size)
        except UnsatisfiableRange:
            continue
        for span in spans or []:
            assert span.length > 0
            assert 0 <= span.offset < span.end <= size


@pytest.mark.parametrize(
    ("header", "weakly", "matches"),
    [
        (ETAG, False, True),
        ("*", False, True),
        (f'"x", {ETAG}', False, True),
        (f"W/{ETAG}", False, False),
        (f"W/{ETAG}", True, True),
        ('"abc"', True, False),
        ("", True, False),
    ],
)
def test_etags_are_compared(header, weakly, matches):
    assert etag_matches(header, ETAG, weakly=weakly) == matches


@pytest.mark.parametrize(
    ("none_match", "since", "fresh"),
    [
        (None, None, False),
        (ETAG, None, True),
        ('"x"', DATE, False),
        (None, DATE, True),
        (None, EARLIER, False),
        (None, "yesterday", False),
    ],
)
def test_what_the_client_has_may_be_fresh(none_match, since, fresh):
    assert is_fresh(ETAG, MODIFIED, none_match, since) == fresh


@pytest.mark.parametrize(
    ("if_range", "applies"),
    [
        (None, True),
        (ETAG, True),
        (f"W/{ETAG}", False),
        ('"x"', False),
        (DATE, True),
        (EARLIER, False),
        ("soon", False),
    ],
)
def test_a_range_of_a_changed_file_does_not_apply(if_range, applies):
    assert range_applies(ETAG, MODIFIED, if_range) == applies
