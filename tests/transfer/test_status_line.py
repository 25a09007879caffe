"""Texts that are divided over messages."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from haulier.transfer.status_line import paged

LINES = st.lists(st.text(st.characters(exclude_characters="\n"), max_size=12), min_size=1)


@given(LINES, st.integers(min_value=1, max_value=30))
def test_nothing_but_the_ends_of_long_lines_is_lost(lines: list[str], most: int) -> None:
    pages = paged("\n".join(lines), most)
    assert all(len(page) <= most for page in pages)
    words = [line[:most] for line in lines if line]
    assert [line for page in pages for line in page.split("\n") if line] == words
