"""thumbnail: small pictures of files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from haulier.cli.options import SIZES, DataOption, JsonOption

if TYPE_CHECKING:
    from haulier.media.thumbnails import ThumbnailOutcome

_SUFFIX = ".thumb.jpg"
# Two are decoded at a time; the others have their files looked at meanwhile.
_AT_ONCE = 4


def thumbnail(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH…", help="Images, videos, sounds, PDFs.")
    ],
    at_s: Annotated[
        float | None,
        typer.Option("--at", min=0, metavar="SECONDS", help="The moment of a video to show."),
    ] = None,
    size_px: Annotated[
        int,
        typer.Option(
            "--size",
            min=1,
            metavar="PIXELS",
            help="Most pixels a side; on a sheet, of each picture.",
        ),
    ] = 320,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR|FILE", help="A directory, or the picture's name if there is one source."
        ),
    ] = None,
    sheet: Annotated[
        str | None,
        typer.Option(metavar="COLSxROWS", help="Many pictures of a video on one sheet: 4x3."),
    ] = None,
    waveform: Annotated[
        bool, typer.Option("--waveform", help="Draw the sound of video and audio.")
    ] = False,
    as_json: JsonOption = False,
    _data: DataOption = None,
) -> None:
    """Make small pictures of files, whatever they are called.

    Of a video the best of several frames, of a sound its cover or waveform, of a PDF its first
    page. They go beside the files, as NAME.thumb.jpg; what was there is replaced. Without --out
    FILE they are JPEG.

    Example: haulier thumbnail clip.mp4 --at 12.5
    """
    from haulier.cli.output import print_json, require
    from haulier.cli.running import run
    from haulier.core.records import OperationStatus

    require(
        sum((at_s is not None, sheet is not None, waveform)) <= 1,
        "--at, --sheet and --waveform show different things",
        "Give one of them.",
    )
    options = {"size_px": size_px, "at_s": at_s, "sheet": _grid(sheet), "waveform": waveform}
    targets = _targets(paths, out)
    told = run(lambda: _make_all(targets, options, silent=as_json))
    if as_json:
        print_json(told)
    else:
        _print(told)
    if any(each.status is OperationStatus.FAILED for each in told):
        raise SystemExit(1)


def _grid(text: str | None) -> tuple[int, int] | None:
    from haulier.cli.output import require

    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,3})x(\d{1,3})", text)
    require(found is not None, f"--sheet {text} is no grid", "Give columns x rows, such as 4x3.")
    assert found is not None
    return int(found[1]), int(found[2])


def _targets(paths: list[Path], out: Path | None) -> dict[Path, Path]:
    """Return where the picture of each path goes; never two at the same place."""
    from haulier.cli.output import require

    if out is not None and not out.is_dir():
        require(
            len(paths) == 1 and out.suffix != "",
            f"{out} is no directory",
            "Make it first. For the picture of a single file a name such as picture.jpg will do.",
        )
        return {paths[0]: out}
    targets = {path: (out or path.parent) / f"{path.name}{_SUFFIX}" for path in paths}
    require(
        len(set(targets.values())) == len(targets),
        "several files have the same name, and so would their pictures",
        "Leave out --out, so that pictures go beside their files.",
    )
    return targets


async def _make_all(
    targets: dict[Path, Path], options: dict[str, Any], *, silent: bool
) -> list[ThumbnailOutcome]:
    import asyncio

    from haulier.cli.render import counting
    from haulier.media.isolation import Workers
    from haulier.media.thumbnails import try_thumbnail

    limit = asyncio.Semaphore(_AT_ONCE)
    with counting("making pictures", len(targets), silent=silent) as count:
        async with Workers() as workers, asyncio.TaskGroup() as group:

            async def make(path: Path, target: Path) -> ThumbnailOutcome:
                async with limit:
                    made = await try_thumbnail(path, target, workers=workers, **options)
                count()
                return made

            tasks = [group.create_task(make(*pair)) for pair in targets.items()]
    return [task.result() for task in tasks]


def _print(told: list[ThumbnailOutcome]) -> None:
    from haulier.cli.output import printable, say
    from haulier.cli.render import table

    made = [each for each in told if each.thumbnail is not None]
    if made:
        table(("path", "picture", "shows", "pixels"), map(_row, made))
    for each in told:
        if each.error_message is not None:
            say(f"failed: {printable(each.error_message)}")
            say(f"  {printable(each.hint)}")


def _row(told: ThumbnailOutcome) -> tuple[object, ...]:
    moment = "" if told.at_s is None else f" at {told.at_s:.1f} s"
    return told.path, told.thumbnail, f"{told.shows}{moment}", f"{told.width} x {told.height}"


def register(app: typer.Typer) -> None:
    """Add this command to `app`."""
    app.command(epilog=SIZES)(thumbnail)
