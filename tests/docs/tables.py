"""Reads the Markdown tables of the documentation."""

from __future__ import annotations

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"

_CELL_BORDER = re.compile(r"(?<!\\)\|")


def read_tables(page: Path, *, first_column: str) -> list[dict[str, str]]:
    """Return the rows of every table of `page` whose first column is called so."""
    rows: list[dict[str, str]] = []
    columns: list[str] = []
    for line in page.read_text(encoding="utf-8").splitlines():
        if not line.startswith("|"):
            columns = []
            continue
        cells = [cell.strip() for cell in _CELL_BORDER.split(line)[1:-1]]
        if not columns:
            columns = cells
        elif columns[0] == first_column and not set(line) <= set("|-: "):
            rows.append(dict(zip(columns, cells, strict=True)))
    return rows
