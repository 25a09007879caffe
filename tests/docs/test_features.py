"""Every promise has its row, and what a row marked done names is there."""

from __future__ import annotations

import ast
import re

import pytest

from docs.tables import DOCS, REPOSITORY, read_tables

FEATURES = read_tables(DOCS / "features.md", first_column="id")
COUNTS = {"A": 16, "B": 11, "C": 23, "D": 8, "E": 11}
DONE = [row for row in FEATURES if row["status"] == "done"]


def test_no_row_is_missing_or_twice() -> None:
    ids = [row["id"] for row in FEATURES]
    promised = {f"{journey}{n}" for journey, count in COUNTS.items() for n in range(1, count + 1)}
    assert promised - set(ids) == set()
    assert len(ids) == len(set(ids))


def test_a_row_is_done_or_not_yet() -> None:
    assert {row["status"] for row in FEATURES} <= {"done", "not yet"}


def test_every_command_and_option_has_its_row() -> None:
    ids = {row["id"].partition("/")[2] for row in FEATURES}
    reference = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    for section in reference.split("\n## haulier ")[1:]:
        command = section.splitlines()[0].replace(" ", "-")
        options = re.findall(r"^\| `(?:-\w, )?(--[a-z0-9-]+)", section, re.MULTILINE)
        told = {f"{command}{option}" for option in options if option not in {"--help", "--data"}}
        assert {command, *told} - ids == set()


@pytest.mark.parametrize("row", DONE, ids=[row["id"] for row in DONE])
def test_what_a_done_row_names_exists(row: dict[str, str]) -> None:
    named = re.findall(r"`([^`]+)`", row["shown by"])
    assert named, f"{row['id']} is done but names no test or command"
    for name in named:
        if name.startswith("make "):
            assert name.split()[1] in make_targets()
        else:
            path, _, test = name.partition("::")
            assert path.startswith("tests/"), name
            assert (REPOSITORY / path).is_file(), name
            assert not test or test in names_of_tests(path), name


def make_targets() -> set[str]:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))


def names_of_tests(path: str) -> set[str]:
    """Return the names of the tests of a file, those in classes as `Class::test`."""
    names: set[str] = set()
    for node in ast.parse((REPOSITORY / path).read_text(encoding="utf-8")).body:
        names |= {getattr(node, "name", "")}
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}::{getattr(inner, 'name', '')}" for inner in node.body}
    return names
