"""The tokeniser: what texts are found by, whatever they are."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulier.core.words import LONGEST_WORD, fold, sequences_of, words_of

PLAIN = set(string.ascii_lowercase + string.digits)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("holiday 2026.mp4", [["holiday", "2026", "mp4"], ["holiday", "2026", "mp", "4"], []]),
        ("IMG_2024-03-01.JPG", [["img", "2024", "03", "01", "jpg"]]),
        (
            "HolidayPhoto2024.jpg",
            [["holidayphoto2024", "jpg"], ["holiday", "photo", "2024", "jpg"],
             ["holidayphoto", "photo2024"]],
        ),
        ("HTMLParser", [["htmlparser"], ["html", "parser"]]),
        ("iPhone", [["iphone"], ["i", "phone"]]),
        ("a.b_c-d,e(f)", [["a", "b", "c", "d", "e", "f"]]),
        ("café CAFÉ cafe\u0301", [["cafe", "cafe", "cafe"]]),
        ("Łódź Ørsted STRASSE Straße", [["lodz", "orsted", "strasse", "strasse"]]),
        ("Ёлка", [["елка"]]),
        ("\ufb01le ２０２６", [["file", "2026"]]),
        ("東京タワー", [["東", "京", "タ", "ワ", "ー"]]),
        ("がぎ", [["が", "ぎ"]]),
        ("שָׁלוֹם", [["שלום"]]),
        ("हिन्दी", [["हिन्दी"]]),
        ("🎉party❤️", [["🎉", "party", "❤"]]),
        ("a\u200db\u00adc", [["abc"]]),
        # More parts than a word has: some number of something, found whole.
        ("a1b2c3d4e5f6", [["a1b2c3d4e5f6"]]),
        ("!?* -\x00\x1f \ud800", []),
        ("", []),
    ],
)  # fmt: skip
def test_what_a_text_is_found_by(text, expected):
    assert sequences_of(text) == [one for one in expected if one]


def test_all_neighbouring_parts_but_the_whole_are_words():
    *_, joined = sequences_of("AaBbCcDdEe")
    assert joined == [
        *("aabb", "bbcc", "ccdd", "ddee"),
        *("aabbcc", "bbccdd", "ccddee"),
        "aabbccdd",
    ]


@given(st.text())
def test_words_hold_nothing_that_means_something_to_a_database(text):
    for sequence in sequences_of(text):
        for word in sequence:
            assert 0 < len(word) <= LONGEST_WORD
            assert {sign for sign in word if sign.isascii()} <= PLAIN, word
            assert not any(sign.isspace() for sign in word)


@given(st.text())
def test_a_text_is_found_by_its_own_words(text):
    whole = words_of(text)
    assert whole == (sequences_of(text)[0] if whole else [])


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_case_does_not_count(text):
    assert words_of(text.casefold()) == words_of(text) or not text.isascii()
    assert fold(fold(text)) == fold(text)


def test_long_words_are_cut():
    assert sequences_of("x" * 300) == [["x" * LONGEST_WORD]]
