"""The rules of the house: floors, sizes, locks, what the repository's text may not say."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from haulier import errors

REPOSITORY = Path(__file__).resolve().parents[1]
LOCKS = sorted(REPOSITORY.glob("requirements*.lock"))
NPM_LOCKS = [
    REPOSITORY / one / "package-lock.json"
    for one in ("tests/clients", "benchmarks/tus-server", "web")
]
PLACES = ("src", "web", "tests", "docs", "tools", "benchmarks", ".ci")
MAX_MODULE_LINES = 500
MAX_DECISION_LINES = 40


def test_the_floors_hold() -> None:
    lint_imports = os.path.join(os.path.dirname(sys.executable), "lint-imports")
    done = subprocess.run(
        [lint_imports, "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_modules_are_short() -> None:
    modules = (REPOSITORY / "src").rglob("*.py")
    lengths = {str(path): len(path.read_text("utf-8").splitlines()) for path in modules}
    assert {path: n for path, n in lengths.items() if n > MAX_MODULE_LINES} == {}


def test_decisions_are_short() -> None:
    lengths = {
        path.name: len(path.read_text("utf-8").splitlines())
        for path in (REPOSITORY / "docs" / "adr").glob("*.md")
    }
    assert {name: n for name, n in lengths.items() if n > MAX_DECISION_LINES} == {}


# --- what the repository's text may not say


def text_files() -> Iterator[tuple[Path, str]]:
    paths = [path for path in REPOSITORY.iterdir() if path.is_file()]
    for place in PLACES:
        paths += [path for path in (REPOSITORY / place).rglob("*") if path.is_file()]
    for path in paths:
        if (
            "node_modules" in path.parts
            or path.suffix == ".pyc"
            or path.name.startswith((".coverage", ".git"))
        ):
            continue
        try:
            yield path, path.read_text("utf-8")
        except UnicodeDecodeError:
            continue


@pytest.mark.parametrize(
    "forbidden",
    [
        r"/w[o]rk/(main|shared|\.)",  # a bracket keeps each pattern from matching itself
        r"/r[o]ot/",
        r"/[o]pt/(pypi|wheels)",
        r"py[p]i\.org|python[h]osted\.org|registry\.n[p]mjs|deb\.d[e]bian\.org",
    ],
)
def test_no_machine_paths_and_no_registry_addresses(forbidden: str) -> None:
    found = [str(path) for path, text in text_files() if re.search(forbidden, text)]
    assert found == []


# --- lock files


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_holds_names_versions_hashes_and_nothing_else(lock: Path) -> None:
    requirement = r"[a-z0-9.-]+(\[[a-z,]+\])?==[A-Za-z0-9.+]+( ; [a-z_<>=!'A-Z0-9.() -]+)?"
    entry = re.compile(rf"{requirement}( \\\n    --hash=sha256:[0-9a-f]{{64}})+\n")
    text = lock.read_text("utf-8")
    assert entry.sub("", text) == ""
    assert entry.search(text)


@pytest.mark.parametrize("lock", NPM_LOCKS, ids=lambda lock: lock.parent.name)
def test_a_lock_of_npm_holds_no_address(lock: Path) -> None:
    assert not re.findall(r"https?://[^\s\"]+", lock.read_text("utf-8"))


def test_locks_agree() -> None:
    pins = [
        dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", lock.read_text("utf-8"), re.MULTILINE))
        for lock in LOCKS
    ]
    assert len(pins) == 3
    names = set().union(*pins)
    versions = {name: {pin[name] for pin in pins if name in pin} for name in names}
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


# --- the error table


def error_classes() -> list[type[errors.HaulierError]]:
    found = [cls for _, cls in inspect.getmembers(errors, inspect.isclass)]
    return [cls for cls in found if issubclass(cls, errors.HaulierError)]


@pytest.mark.parametrize("cls", error_classes(), ids=lambda cls: cls.__name__)
def test_an_error_is_a_whole_row_of_the_table(cls: type[errors.HaulierError]) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z0-9]+)*", cls.__dict__["code"]), "each has its own code"
    assert 400 <= cls.http_status <= 599
    assert cls.exit_code in {1, 2, 130}
    assert cls.advice.endswith(".")
    if not cls.__subclasses__():
        assert cls.advice != errors.HaulierError.advice, "only a bug may be called a bug"
    headings = (REPOSITORY / "docs" / "reference" / "errors.md").read_text("utf-8").splitlines()
    assert f"## {cls.code}" in headings


def test_error_codes_are_unique() -> None:
    codes = [cls.code for cls in error_classes()]
    assert len(codes) == len(set(codes))
