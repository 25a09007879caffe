"""What belongs to an archive: patterns, ignore files, hidden and temporary names."""

from __future__ import annotations

import os
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pathspec import GitIgnoreSpec

from haulier.core.selection import Selection, is_temporary
from haulier.errors import UsageError

ENTRIES = (
    "a.jpg",
    "a.tmp",
    "raw/",
    "raw/b.jpg",
    "raw/b.tmp",
    "raw/deep/",
    "raw/deep/c.jpg",
    ".hidden",
    "raw/.hidden",
    "two\nlines.tmp",
    "\udcff.tmp",
)


def taken(selection: Selection, entries: Iterable[str] = ENTRIES) -> set[str]:
    """Walk `entries` as a tree: what lies in a directory left out is not asked for."""
    kept: set[str] = set()
    for entry in entries:
        path = entry.rstrip("/")
        parent = os.path.dirname(path)
        if (not parent or parent + "/" in kept) and selection.takes(path, entry.endswith("/")):
            kept.add(entry)
    return kept


def test_everything_belongs_unless_something_is_said() -> None:
    assert taken(Selection()) == set(ENTRIES)


def test_exclude_takes_away() -> None:
    left_out = set(ENTRIES) - taken(Selection(exclude=["*.tmp", "/raw/deep/"]))
    assert left_out == {
        "a.tmp", "raw/b.tmp", "two\nlines.tmp", "\udcff.tmp", "raw/deep/", "raw/deep/c.jpg",
    }  # fmt: skip


def test_include_takes_only_matching_files_in_every_directory() -> None:
    assert taken(Selection(include=["*.jpg"])) == {
        "a.jpg", "raw/", "raw/b.jpg", "raw/deep/", "raw/deep/c.jpg",
    }  # fmt: skip


def test_include_of_a_directory_takes_what_lies_in_it() -> None:
    assert taken(Selection(include=["deep/"])) == {"raw/", "raw/deep/", "raw/deep/c.jpg"}


def test_include_does_not_bring_back_what_was_excluded() -> None:
    assert "a.jpg" not in taken(Selection(include=["*.jpg"], exclude=["a.*"]))


def test_a_later_negation_brings_back() -> None:
    assert not Selection(exclude=["*.tmp", "!a.tmp"]).takes("b.tmp", False)
    assert Selection(exclude=["*.tmp", "!a.tmp"]).takes("a.tmp", False)


def test_a_pattern_for_directories_spares_files() -> None:
    selection = Selection(exclude=["build/"])
    assert selection.takes("build", False)
    assert not selection.takes("build", True)


def test_hidden_entries_are_left_out_only_where_said() -> None:
    assert {".hidden", "raw/.hidden"} <= taken(Selection(hidden=True))
    assert not {".hidden", "raw/.hidden"} & taken(Selection(hidden=False))


def test_the_ignore_file_of_the_target_counts_below_it() -> None:
    left_out = set(ENTRIES) - taken(Selection(ignore_lines=["# camera", "", "*.tmp", "!/a.tmp"]))
    assert left_out == {"raw/b.tmp", "two\nlines.tmp", "\udcff.tmp"}


def test_ignore_files_of_directories_count_there_and_the_nearest_decides() -> None:
    files = {"": ["*.tmp"], "raw": ["!b.tmp", "/deep/c.*", "/b.jpg"]}
    asked: list[str] = []

    def lines(directory: str) -> list[str]:
        asked.append(directory)
        return files.get(directory, [])

    entries = (*ENTRIES, "b.jpg", "raw/deep/b.jpg", "raw/deep/c.tmp")
    left_out = set(entries) - taken(Selection(ignore_lines=lines), entries)
    assert left_out == {
        "a.tmp", "two\nlines.tmp", "\udcff.tmp", "raw/b.jpg", "raw/deep/c.jpg", "raw/deep/c.tmp",
    }  # fmt: skip
    assert sorted(asked) == ["", "raw", "raw/deep"], "each directory once"


def test_exclude_stands_over_ignore_files() -> None:
    assert not Selection(exclude=["a.tmp"], ignore_lines=["!a.tmp"]).takes("a.tmp", False)


@pytest.mark.parametrize(
    ("name", "temporary"),
    [
        (".haulier-partial-move-1", True),
        (".haulier-keep-x", True),
        ("film.mkv.haulier-partial", True),
        (".haulierignore", False),
        (".haulier", False),
        ("haulier-notes.txt", False),
    ],
)
def test_temporary_names_never_belong(name: str, temporary: bool) -> None:
    assert is_temporary(name) is temporary
    selection = Selection(include=["*"])
    assert selection.takes(f"raw/{name}", False) is not temporary
    assert selection.takes(name, True) is not temporary


@pytest.mark.parametrize("pattern", ["!", "\\", "[z-a]"])
def test_a_pattern_that_is_none_is_named_with_its_place(pattern: str) -> None:
    with pytest.raises(UsageError, match="--exclude"):
        Selection(exclude=[pattern])
    with pytest.raises(UsageError, match="--include"):
        Selection(include=[pattern])
    with pytest.raises(UsageError, match=r"raw/\.haulierignore"):
        Selection(ignore_lines=lambda d: [pattern] if d else []).takes("raw/x", False)


@given(st.binary(min_size=1, max_size=60).filter(lambda b: not set(b) & {0, 0x2F}), st.booleans())
def test_any_name_a_file_system_holds_can_be_judged(raw: bytes, is_directory: bool) -> None:
    name = os.fsdecode(raw)
    selection = Selection(exclude=["*.x", "?"], include=["**/*"], ignore_lines=["[a-c]*"])
    expected = not GitIgnoreSpec.from_lines(["*.x", "?", "[a-c]*"]).match_file(f"d/{name}")
    if not is_temporary(name):
        assert selection.takes(f"d/{name}", is_directory) == expected
