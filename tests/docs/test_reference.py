"""docs/reference says what the code says, and links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs.tables import DOCS, REPOSITORY

PAGES = sorted([*DOCS.rglob("*.md"), *REPOSITORY.glob("*.md")])


def test_the_reference_is_not_stale(tmp_path: Path) -> None:
    generator = REPOSITORY / "tools" / "gen_reference.py"
    subprocess.run([sys.executable, str(generator), str(tmp_path)], check=True)
    written = {page.name: page.read_text() for page in tmp_path.iterdir()}
    kept = {page.name: page.read_text() for page in (DOCS / "reference").iterdir()}
    assert kept == written, "run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert missing == []
