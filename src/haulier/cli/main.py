"""The `haulier` command (`mgmt` is the same program).

The modules of the commands declare options and import what does the work only when it is done:
`haulier --help` must answer at once.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from haulier._version import __version__
from haulier.cli import maintenance, objects, records, uploading

app = typer.Typer(
    name="haulier",
    help="Moves media files into object storage and never loses one.",
    epilog="Sizes: K M G T, also KB KiB MB MiB …, are powers of 1024.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for family in (uploading, records, objects, maintenance):
    family.register(app)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"haulier {__version__}")
        raise typer.Exit


@app.callback()
def options(
    _version_flag: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Options of the program itself."""


def main() -> None:
    """Run the command line of this process and exit with its code."""
    try:
        try:
            app()
        finally:
            sys.stdout.flush()  # here, a pipe that nobody reads is still ours to be quiet about
    except Exception as error:
        from haulier.cli.output import leave

        leave(error)


if __name__ == "__main__":
    main()
