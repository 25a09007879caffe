"""Writes docs/reference from the code: errors.md, settings.md, cli.md.

Usage: python tools/gen_reference.py [DIRECTORY]
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any

import typer.main

from haulier import errors

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"
NOTICE = "<!-- Written by `make docs` from the code; changes here are lost. -->\n"


def error_classes(root: type[errors.HaulierError]) -> Iterator[type[errors.HaulierError]]:
    """Yield `root` and every class below it, parents before their children."""
    yield root
    for child in root.__subclasses__():
        if child.__module__.startswith(f"{errors.__name__}."):
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


def settings_page() -> str:
    lines = [
        "# Settings",
        "",
        NOTICE,
        "What is given on the command line goes before the environment, that before `.env`, that",
        "before `haulier.toml` (here, or in the user's configuration directory), that before the",
        "default. An empty variable counts as not set.",
    ]
    table = import_module("haulier.settings").settings_table()
    for group, rows in groupby(table, key=lambda row: row.group):
        lines += ["", f"## {group}", "", "| name | default | what it does |", "|---|---|---|"]
        for row in rows:
            secret = " (secret)" if row.secret else ""
            lines.append(f"| `{row.name}` | {row.default} | {_text(row.meaning)}{secret} |")
    return "\n".join(lines) + "\n"


def cli_page() -> str:
    """Return the page of every command of the program, with its arguments and options."""
    lines = [
        "# Commands",
        "",
        NOTICE,
        "`mgmt` is the same program. Sizes `K M G` (also `KB MB GB KiB MiB GiB`) are powers of",
        "1024. Exit codes: 0 all done, 1 some failed, 2 usage or configuration, 130 interrupted.",
    ]
    app = import_module("haulier.cli.main").app
    for path, command in _commands("haulier", typer.main.get_command(app)):
        with command.make_context(path, [], resilient_parsing=True) as context:
            usage = " ".join(command.collect_usage_pieces(context))
            options = [param.get_help_record(context) for param in command.get_params(context)]
        lines += [
            "",
            f"## {path}",
            "",
            f"`{path} {usage}`",
            "",
            inspect.cleandoc(command.help or ""),
        ]
        rows = [f"| `{_text(names)}` | {_text(told)} |" for names, told in filter(None, options)]
        lines += ["", "| argument, option | what it does |", "|---|---|", *rows]
    return "\n".join(lines) + "\n"


def _commands(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Yield the commands below `command` that do something, hidden ones left out."""
    children = getattr(command, "commands", None)
    if children is None:
        yield path, command
        return
    for name in sorted(children):
        if not children[name].hidden:
            yield from _commands(f"{path} {name}", children[name])


def _text(told: str) -> str:
    return " ".join(told.split()).replace("|", "\\|")


PAGES = {
    "errors.md": ("haulier.errors", errors_page),
    "settings.md": ("haulier.settings", settings_page),
    "cli.md": ("haulier.cli.main", cli_page),
}


def write_pages(directory: Path) -> None:
    """Write every page into `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, (module, page) in PAGES.items():
        if find_spec(module):
            (directory / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]) if len(sys.argv) > 1 else REFERENCE)
