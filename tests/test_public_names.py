"""The names others write down: what `import haulier` gives and what the command answers to."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys

import pytest

import haulier
from docs.tables import DOCS, read_tables

NAMES = read_tables(DOCS / "features.md", first_column="name")
DONE = [row["place"].strip("`") for row in NAMES if row["status"] == "done"]
HEAVY = ("aiohttp", "alembic", "awscrt", "botocore", "psycopg", "sqlalchemy")


def test_all_is_what_the_features_page_says() -> None:
    pinned = {place.split(".")[1] for place in DONE if place.count(".") == 1}
    assert set(haulier.__all__) == pinned | {"__version__"}
    assert len(haulier.__all__) == len(set(haulier.__all__))


def test_a_place_is_named_once_and_marked() -> None:
    assert {row["status"] for row in NAMES} <= {"done", "not yet"}
    assert len(DONE) == len(set(DONE))


@pytest.mark.parametrize("place", DONE)
def test_a_public_name_is_where_it_should_be(place: str) -> None:
    assert resolve(place) is not None


def resolve(place: str) -> object:
    """Import as much of a dotted path as is modules, and take the rest as attributes."""
    parts = place.split(".")
    found: object = importlib.import_module(parts[0])
    for depth, part in enumerate(parts[1:], start=1):
        if not hasattr(found, part):
            importlib.import_module(".".join(parts[: depth + 1]))
        found = getattr(found, part)
    return found


@pytest.mark.parametrize("program", ["haulier", "mgmt"])
def test_the_command_lists_its_commands(program: str) -> None:
    path = os.path.join(os.path.dirname(sys.executable), program)
    done = subprocess.run([path, "--help"], capture_output=True, text=True, check=True)
    for command in ("upload", "history", "restore", "doctor"):
        assert re.search(rf"\b{command}\b", done.stdout)


def test_help_loads_no_heavy_library() -> None:
    script = (
        "import sys; from haulier.cli.main import main; sys.argv = ['haulier', '--help']\n"
        "try: main()\n"
        f"finally: sys.stderr.write(' '.join(n for n in {HEAVY!r} if n in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
