"""send: files into a chat."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from haulier.cli.options import SIZES, DataOption, JsonOption

if TYPE_CHECKING:
    from haulier.core.records import OperationRecord
    from haulier.journeys.sending import SendOptions
    from haulier.settings import Settings

_POLICIES = ("refuse", "file", "compress")


def send(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH…", help="Files.")],
    to: Annotated[
        str,
        typer.Option(metavar="CHAT", help="max:CHAT_ID, max:user:USER_ID, discord:CHANNEL_ID."),
    ],
    text: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Stands in the first message.")
    ] = None,
    as_file: Annotated[
        bool, typer.Option("--as-file", help="As they are, not as pictures, videos and sound.")
    ] = False,
    over_limit: Annotated[
        str,
        typer.Option(
            metavar="POLICY",
            help="What the chat does not take: refuse, file (send it as one), compress.",
        ),
    ] = "refuse",
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Send files to a chat, as what they are by their content.

    In MAX pictures and videos that follow each other go together, up to 12 in a message; all else
    alone. In Discord up to 10 files go together; only video, sound and images go there.
    An upload that was interrupted goes on when the same file is sent again.

    Example: haulier send --to max:-70123456 photo.jpg film.mp4
    """
    from haulier.cli.output import failures_as_json, finish, print_json, report_failures, require
    from haulier.cli.running import run
    from haulier.journeys.sending import TYPE, SendOptions
    from haulier.settings import Settings

    require(
        over_limit in _POLICIES,
        f"there is no policy called {over_limit!r}",
        f"Use {', '.join(_POLICIES[:-1])} or {_POLICIES[-1]}.",
    )
    settings = Settings.load(data=data)
    options = SendOptions(text=text, as_file=as_file, over_limit=over_limit)
    with failures_as_json(as_json, TYPE, [str(path) for path in paths]):
        records = run(
            lambda: _send(settings, to, paths, options, silent=as_json),
            hint="send it again to go on where it stopped",
        )
    if as_json:
        print_json(records)
    else:
        _tell(records)
    report_failures(records)
    finish(records)


async def _send(
    settings: Settings, to: str, paths: list[Path], options: SendOptions, *, silent: bool
) -> list[OperationRecord]:
    from haulier.cli.render import progress
    from haulier.core.progress import ProgressBoard
    from haulier.journeys.sending import send as send_all

    board = ProgressBoard()
    async with progress(board, silent=silent):
        return await send_all(settings, to, paths, options, board=board, command_args=sys.argv[1:])


def _tell(records: list[OperationRecord]) -> None:
    from haulier.cli.output import printable, say
    from haulier.core.units import format_size

    for record in records:
        for warning in record.metadata.get("warnings", ()):
            say(f"warning: {printable(record.target_name)}: {printable(warning)}")
        if record.result_path is not None:
            size, type_ = format_size(record.metadata["size"]), record.metadata["type"]
            print(f"{printable(record.target_name)}  {size}  {type_}  {record.result_path}")


def register(app: typer.Typer) -> None:
    """Add this command to `app`."""
    app.command(epilog=SIZES)(send)
