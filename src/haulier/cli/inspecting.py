"""inspect: what files are, and what they say of themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from haulier.cli.options import SIZES, DataOption, JsonOption

if TYPE_CHECKING:
    from haulier.media.inspection import FileInspection

_LINES_OF_LIST = 12
_TYPE_WIDTH = 32
_CHANNELS = {1: "mono", 2: "stereo"}


def inspect(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH…", help="Files, and directories with all below.")
    ],
    as_json: JsonOption = False,
    _data: DataOption = None,
) -> None:
    """Tell what files are, by their content.

    And what they say of themselves. A warning is given where a file's name says something else
    than its content, and where a file is two things at once. Hidden files in directories are left
    out.

    Example: haulier inspect holiday/ letter.pdf
    """
    from haulier.cli.output import print_json
    from haulier.cli.running import run
    from haulier.core.records import OperationStatus

    told = run(lambda: _inspect_all(paths, silent=as_json))
    if as_json:
        print_json(told)
    else:
        _print(told)
    if any(each.status is OperationStatus.FAILED for each in told):
        raise SystemExit(1)


async def _inspect_all(paths: list[Path], *, silent: bool) -> list[FileInspection]:
    from haulier.cli.render import counting
    from haulier.media.inspection import inspect_files
    from haulier.media.isolation import Workers

    files, failed = _files_below(paths)
    told = []
    with counting("inspecting", len(files), silent=silent) as count:
        async with Workers() as workers:
            async for each in inspect_files(files, workers=workers):
                told.append(each)
                count()
    return [*told, *failed]


def _files_below(paths: list[Path]) -> tuple[list[Path], list[FileInspection]]:
    """Return the files to inspect, and what of the directories can't be read."""
    from haulier.errors import SourceError, TargetUnreadable
    from haulier.media.finding import walk_files
    from haulier.media.inspection import failed_inspection

    files, failed = [], []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        try:
            found = walk_files(path)
        except SourceError as error:
            failed.append(failed_inspection(path, error))
            continue
        for below, obstacle in found:
            if obstacle is None:
                files.append(below)
            elif not below.is_symlink():
                failed.append(failed_inspection(below, TargetUnreadable(obstacle)))
    return files, failed


def _print(told: list[FileInspection]) -> None:
    from haulier.cli.output import printable, say
    from haulier.cli.render import is_drawn, table

    if is_drawn() and len(told) == 1:
        table(("field", "value"), _lines(told[0].to_json()))
    elif is_drawn():
        table(("path", "size", "kind", "mime type", "content"), (_row(each)[:5] for each in told))
        for each in told:
            for warning in each.warnings:
                say(f"warning: {printable(each.path)}: {printable(warning)}")
    else:
        table((), map(_row, told))
    for each in told:
        if each.error_message is not None:
            say(f"failed: {printable(each.path)}: {printable(_without_name(each))}")
            say(f"  {each.hint}")


def _without_name(failed: FileInspection) -> str:
    name = failed.path.rpartition("/")[2]
    return (failed.error_message or "").removeprefix(name).lstrip(": ")


def _row(told: FileInspection) -> tuple[str, ...]:
    from haulier.cli.render import is_drawn
    from haulier.core.units import format_size

    mime_type = told.mime_type or ""
    if is_drawn() and len(mime_type) > _TYPE_WIDTH:
        mime_type = "…" + mime_type[-_TYPE_WIDTH:].partition(".")[2]
    return (
        told.path,
        "" if told.size is None else format_size(told.size),
        told.kind,
        mime_type,
        _summary(told),
        "; ".join(told.warnings),
    )


def _lines(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield what is known, a line for each field; those of records in it as `record.field`."""
    for name, value in values.items():
        label = f"{prefix}{name}"
        if isinstance(value, dict):
            yield from _lines(value, "" if label == "metadata" else f"{label}.")
        elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
            for number, each in enumerate(value[:_LINES_OF_LIST], start=1):
                yield f"{label} {number}", _joined(each)
            if len(value) > _LINES_OF_LIST:
                yield label, f"and {len(value) - _LINES_OF_LIST} more"
        elif isinstance(value, list) and value:
            yield label, "; ".join(map(str, value))
        elif value not in (None, "", []):
            yield label, value


def _joined(values: dict[str, Any]) -> str:
    return "  ".join(str(value) for value in values.values() if value not in (None, "", False))


def _summary(told: FileInspection) -> str:
    """Return the few facts that tell files of a kind apart."""
    return ", ".join(_facts(told.metadata))


def _facts(metadata: dict[str, Any]) -> Iterator[str]:
    from haulier.core.units import format_duration, format_size

    if "container" in metadata:
        yield from _streams(metadata)
        if (duration_s := metadata["duration_s"]) is not None:
            yield ("about " if metadata["duration_estimated"] else "") + format_duration(duration_s)
    elif "width" in metadata:
        yield f"{metadata['width']} x {metadata['height']}"
        if metadata["frames"] > 1:
            yield f"{metadata['frames']} frames"
        if metadata["has_gps"]:
            yield "says where it was taken"
    elif "entries" in metadata:
        yield _counted(len(metadata["entries"]), "entry", "entries")
        yield f"{format_size(metadata['total_size_bytes'])} unpacked"
        if metadata["unsafe_names"]:
            yield f"{len(metadata['unsafe_names'])} lead outside"
    elif "pages" in metadata:
        if metadata["pages"] is not None:
            yield _counted(metadata["pages"], "page", "pages")
        yield from filter(None, [metadata["title"], metadata["author"]])


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _streams(metadata: dict[str, Any]) -> Iterator[str]:
    if (video := metadata["video"]) is not None:
        fps = "" if video.fps is None else f" {video.fps:.4g} fps"
        yield f"{video.codec} {video.width} x {video.height}{fps}"
    for audio in metadata["audio"]:
        yield " ".join(filter(None, [audio.codec, _CHANNELS.get(audio.channels, audio.layout)]))


def register(app: typer.Typer) -> None:
    """Add this command to `app`."""
    app.command(epilog=SIZES)(inspect)
