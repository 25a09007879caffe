"""Names from outside: kept readable, never dangerous."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulier.core.file_names import clean_folder, clean_name, content_disposition
from haulier.errors import ValidationError


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("clip.mp4", "clip.mp4"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\a\\clip.mp4", "clip.mp4"),
        ("a\r\nSet-Cookie: x", "aSet-Cookie: x"),
        ("\u202egpj.exe", "gpj.exe"),
        ("a\U0010db67b", "ab"),
        ("  x  ", "x"),
        ("cafe\u0301.png", "café.png"),
        ("фото.jpg", "фото.jpg"),
        ("a\ud800b", "ab"),
    ],
)
def test_names_are_cleaned(given_name, name):
    assert clean_name(given_name) == name


@pytest.mark.parametrize("name", ["", "/", "..", "a/..", "\x00", "x" * 256, "ж" * 128])
def test_names_of_which_nothing_is_left_are_refused(name):
    with pytest.raises(ValidationError):
        clean_name(name)


def test_folders_are_cleaned_name_by_name():
    assert clean_folder("/holiday//2026/") == "holiday/2026"
    assert clean_folder("") == ""
    with pytest.raises(ValidationError):
        clean_folder("a/../b")


@given(st.text(min_size=1, max_size=60), st.booleans())
def test_a_header_carries_any_name_and_nothing_else(text, inline):
    try:
        name = clean_name(text)
    except ValidationError:
        return
    header = content_disposition(name, inline=inline)
    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') == 2
