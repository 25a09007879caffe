"""Writes docs/reference from the code: errors.md, settings.md, cli.md.

Usage: python tools/gen_reference.py [DIRECTORY]
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

from haulier import errors

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"
NOTICE = "<!-- Written by `make docs` from the code; changes here are lost. -->\n"


def error_classes(root: type[errors.HaulierError]) -> Iterator[type[errors.HaulierError]]:
    """Yield `root` and every class below it, parents before their children."""
    yield root
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from error_classes(child)


def errors_page() -> str:
    lines = [
        "# Errors",
        "",
        NOTICE,
        "Every error has a `code` that does not change, a message that names the thing concerned,",
        "and advice. The HTTP status is what a server answers, the exit code what the command",
        "returns when it ends on it.",
        "",
        "| code | class | HTTP | exit |",
        "|---|---|---|---|",
    ]
    classes = list(error_classes(errors.HaulierError))
    lines += [
        f"| [`{cls.code}`](#{cls.code}) | `{cls.__name__}` | {cls.http_status} | {cls.exit_code} |"
        for cls in classes
    ]
    for cls in classes:
        parent = cls.__bases__[0]
        kind = f", a kind of `{parent.__name__}`" if parent is not Exception else ""
        summary = (inspect.getdoc(cls) or "").split("\n\n")[0]
        lines += ["", f"## {cls.code}", "", f"`haulier.errors.{cls.__name__}`{kind}.", ""]
        lines += [summary, "", f"What to do: {cls.advice}"]
    return "\n".join(lines) + "\n"


PAGES = {"errors.md": errors_page}


def write_pages(directory: Path) -> None:
    """Write every page into `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (directory / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]) if len(sys.argv) > 1 else REFERENCE)
