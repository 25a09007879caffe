"""The `haulier` command (`mgmt` is the same program).

The modules of the commands declare options and import what does the work only when it is done:
`haulier --help` must answer at once.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated, NoReturn

import typer

from haulier._version import __version__
from haulier.cli import (
    auditing,
    backing_up,
    botting,
    fetching,
    inspecting,
    maintenance,
    objects,
    picturing,
    recording,
    records,
    sealing,
    sending,
    serving,
    shrinking,
    uploading,
    working,
)
from haulier.cli.memory import collect_garbage_rarely
from haulier.cli.options import SIZES

app = typer.Typer(
    name="haulier",
    help="Moves media files into object storage and never loses one.",
    epilog=SIZES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_FAMILIES = (
    uploading,
    records,
    objects,
    fetching,
    inspecting,
    picturing,
    shrinking,
    maintenance,
    serving,
    sealing,
    working,
    sending,
    botting,
    auditing,
    backing_up,
    recording,
)
for family in _FAMILIES:
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


def main() -> NoReturn:
    """Run the command line of this process and exit with its code.

    0: all done, 1: some failed, 2: wrong usage or configuration, 130: interrupted.
    """
    collect_garbage_rarely()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except KeyboardInterrupt:
        code = 130
    except Exception as error:
        from haulier.cli.running import exit_code_of

        code = exit_code_of(error)
    sys.exit(_flushed(code))


def _flushed(code: int) -> int:
    """Flush stdout while errors can still be handled; return the exit code after it."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        # Keep Python from trying again, and complaining, at its very end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if not isinstance(error, BrokenPipeError):
            print(f"error: stdout can't be written: {error.strerror}", file=sys.stderr)
        return code or 1
    return code


if __name__ == "__main__":
    main()
