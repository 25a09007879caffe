import os
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulier.catalog.types import decode_text, encode_text, from_microseconds, to_microseconds

any_text = st.text(st.characters(exclude_categories=()))
storable = st.characters(exclude_categories=["Cs"], exclude_characters="\0")


@given(st.text(st.characters(max_codepoint=0x10D7FE, exclude_categories=())))
def test_text_comes_back(text):
    assert decode_text(encode_text(text)) == text


@given(any_text)
def test_what_is_stored_has_no_surrogate_and_no_nul(text):
    encoded = encode_text(text)
    assert encoded.encode().decode() == encoded
    assert "\0" not in encoded


@given(st.binary())
def test_any_file_name_comes_back_as_the_same_bytes(raw):
    text = raw.decode("utf-8", "surrogateescape")
    assert decode_text(encode_text(text)).encode("utf-8", "surrogateescape") == raw


def test_a_name_that_holds_a_stand_in_is_told_from_one_that_holds_a_raw_byte():
    private, raw = "\U0010dc80", os.fsdecode(b"\x80")
    assert encode_text(private) != encode_text(raw)
    assert os.fsencode(decode_text(encode_text(private))) == private.encode()


@given(st.text(storable))
def test_ordinary_text_is_stored_as_it_is(text):
    plain = "".join(c for c in text if not "\U0010d7ff" <= c <= "\U0010dfff")
    assert encode_text(plain) == plain


@given(st.datetimes(timezones=st.just(UTC)))
def test_microseconds_are_exact(moment):
    assert from_microseconds(to_microseconds(moment)) == moment


def test_times_without_an_offset_are_refused():
    with pytest.raises(ValueError, match="offset"):
        to_microseconds(datetime(2026, 1, 1))


def test_the_offset_counts():
    east = datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    assert to_microseconds(east) == to_microseconds(datetime(2026, 1, 1, tzinfo=UTC))
