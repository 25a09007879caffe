"""What can be typed into a search, and what it asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulier.core.search_text import MOST_WORDS, parse
from haulier.errors import ValidationError


def shown(text):
    sought = parse(text)
    spelled = [" ".join(one.words) + "*" * one.is_prefix for one in sought.wanted]
    return spelled + ["-" + " ".join(one.words) + "*" * one.is_prefix for one in sought.unwanted]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Holiday  2026", ["holiday", "2026"]),
        ('"holiday photo" x', ["holiday photo", "x"]),
        ('"holiday pho"*', ["holiday pho*"]),
        ("holi*", ["holi*"]),
        ("-holi* -old", ["-holi*", "-old"]),
        ('-"old photo"', ["-old photo"]),
        ("2026-03-01", ["2026 03 01"]),
        ("clip.mp4", ["clip mp4"]),
        ("img*.jpg", ["img*", "jpg"]),
        ("*.jpg", ["jpg"]),
        ("a a A", ["a"]),
        ("東京", ["東 京"]),
        # Not quite the syntax: the words in it.
        ('"holiday photo', ["holiday", "photo"]),
        ('holi"day x"', ["holi day", "x"]),
        ('"a"b', ["a b"]),
        ("- a -", ["a"]),
        ("--a", ["-a"]),
        ("a AND (b OR NOT c):d^2 NEAR(e)", ["a", "and", "b", "or", "not", "c d 2", "near e"]),
        ("'a' & !b | c:* <-> d", ["a", "b", "c*", "d"]),
        ("%_\\ \x00 \u202e ' ;--", []),
        ("", []),
    ],
)  # fmt: skip
def test_what_it_asks_for(text, expected):
    assert shown(text) == expected


def test_too_many_words_are_refused():
    parse(" ".join(f"w{number}" for number in range(MOST_WORDS)))
    with pytest.raises(ValidationError, match=f"at most {MOST_WORDS} words, this one has 10000"):
        parse(" ".join(f"w{number}" for number in range(10_000)))


@given(st.text(alphabet="ab \"*-'\0\u202e東", max_size=40))
def test_nothing_short_is_an_error(text):
    sought = parse(text)
    assert sought.is_empty == (not sought.wanted and not sought.unwanted)
