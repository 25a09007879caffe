"""shrink: files made to fit a size."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from haulier.cli.options import SIZES, DataOption, JsonOption

if TYPE_CHECKING:
    from haulier.core.progress import Meter, ProgressBoard
    from haulier.core.records import OperationRecord
    from haulier.errors import HaulierError
    from haulier.media.compression import CompressedFile, CompressionManager, CompressionOptions

_TYPE = "shrink"


def shrink(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH…", help="Videos, sounds and images.")
    ],
    to_size: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="What each may take (COMPRESSION_MAX_UPLOAD_SIZE_MB)."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="A directory, or for one file also a name."),
    ] = None,
    preset: Annotated[
        str, typer.Option(metavar="NAME", help="fast, balanced or quality.")
    ] = "balanced",
    codec: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="h264, hevc, vp9, av1, opus, aac, mp3, jpeg, webp, avif, …; one of each kind.",
        ),
    ] = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Make files smaller, to a size and never above it.

    The copy is STEM_compressed.EXT beside the file, and replaces an earlier one; the file itself
    stays as it is. What would be spoilt is refused, and the smallest size that fits is told.

    Example: haulier shrink clip.mp4 --to-size 20MB
    """
    from haulier.cli.output import failures_as_json, finish, print_json, report_failures
    from haulier.cli.running import run
    from haulier.core.units import parse_size
    from haulier.settings import Settings

    options = _options(preset, codec or [])
    outs = _outs(paths, out)
    chat = Settings.load(data=data).chat
    mib = chat.compression_max_upload_size_mb
    target_bytes = mib << 20 if to_size is None else parse_size(to_size)
    limits: dict[str, Any] = {
        "target_bytes": target_bytes,
        "max_concurrent": chat.compression_max_concurrent,
        "ffmpeg_preset": chat.compression_ffmpeg_preset,
    }
    with failures_as_json(as_json, _TYPE, [str(path) for path in paths]):
        records = run(lambda: _shrink(paths, outs, options, limits, silent=as_json))
    if as_json:
        print_json(records)
    else:
        _tell(records)
    report_failures(records)
    finish(records)


def _options(preset: str, codecs: Sequence[str]) -> CompressionOptions:
    from haulier.cli.output import require
    from haulier.media.compression import CompressionOptions, Preset, parse_codec

    names = list(Preset)
    require(preset in names, f"there is no preset {preset!r}", f"Use one of {', '.join(names)}.")
    chosen = tuple(parse_codec(name) for name in codecs)
    return CompressionOptions(preset=Preset(preset), codecs=chosen)


def _outs(paths: Sequence[Path], out: Path | None) -> list[Path]:
    """Return where each result goes, but for its ending."""
    from haulier.cli.output import require
    from haulier.media.compression import compressed_name

    if out is None:
        outs = [compressed_name(path) for path in paths]
    elif out.is_dir():
        outs = [out / compressed_name(path).name for path in paths]
    else:
        require(
            len(paths) == 1,
            f"{out} is no directory, and there are {len(paths)} files",
            "Make the directory first, or shrink the files one by one.",
        )
        outs = [out]
    require(
        len({path.with_suffix("") for path in outs}) == len(outs),
        "two of the files would get the same name",
        "Shrink them one by one, with --out.",
    )
    return outs


async def _shrink(
    paths: Sequence[Path],
    outs: Sequence[Path],
    options: CompressionOptions,
    limits: dict[str, Any],
    *,
    silent: bool,
) -> list[OperationRecord]:
    import asyncio

    from haulier.cli.render import progress
    from haulier.core.progress import ProgressBoard
    from haulier.media.compression import CompressionManager
    from haulier.media.isolation import Workers

    board = ProgressBoard()
    async with Workers(count=limits["max_concurrent"]) as workers, progress(board, silent=silent):
        manager = CompressionManager(workers=workers, **limits)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(_shrink_one(manager, board, path, to, options))
                for path, to in zip(paths, outs, strict=True)
            ]
    return [task.result() for task in tasks]


async def _shrink_one(
    manager: CompressionManager,
    board: ProgressBoard,
    path: Path,
    out: Path,
    options: CompressionOptions,
) -> OperationRecord:
    from haulier.core.records import OperationRecord, utc_now
    from haulier.errors import HaulierError

    size_bytes = path.stat().st_size if path.is_file() else 0
    meter = board.start(str(path), path.name, size_bytes, "waiting")
    record = OperationRecord(
        operation_type=_TYPE,
        target_path=str(path.absolute()),
        target_name=path.name,
        command_args=sys.argv[1:],
    )
    report = _reporter(meter, size_bytes)
    try:
        result = await manager.compress_file(path, out=out, options=options, report=report)
    except HaulierError as error:
        # What is wrong with one file does not stop the others.
        meter.fail(error.message)
        changes = _failure(error)
    else:
        report("encoded", 1)
        meter.finish()
        changes = _success(result)
    return replace(record, completed_at=utc_now(), **changes)


def _reporter(meter: Meter, size_bytes: int) -> Callable[[str, float], None]:
    """Return what turns shares of the work into bytes of the source."""
    done = 0

    def report(stage: str, share: float) -> None:
        nonlocal done
        meter.set_stage(stage)
        now = round(size_bytes * share)
        meter.add(now - done)
        done = now

    return report


def _failure(error: HaulierError) -> dict[str, Any]:
    from haulier.core.records import OperationStatus
    from haulier.errors import DoesNotFit

    told: dict[str, Any] = {"code": error.code, "hint": error.hint}
    if isinstance(error, DoesNotFit):
        told["smallest_bytes"] = error.smallest_bytes
    return {
        "status": OperationStatus.FAILED,
        "error_message": error.message,
        "metadata": {"error": told},
    }


def _success(result: CompressedFile) -> dict[str, Any]:
    from haulier.core.records import OperationStatus

    return {
        "status": OperationStatus.SUCCESS,
        "duration_seconds": result.duration_s,
        "result_path": str(result.path.absolute()),
        "metadata": {
            "kind": result.kind,
            "outcome": result.outcome,
            "original_size": result.original_bytes,
            "compressed_size": result.size_bytes,
            "compression_ratio": result.compression_ratio,
            "target_size": result.target_bytes,
            "codec": result.codec,
            "width": result.width,
            "height": result.height,
            "fps": result.fps,
            "corrections": result.corrections,
        },
    }


_REMARKS = {
    "already_fits": "  (it fitted already: a copy)",
    "visually_lossless": "  (more bytes would not be seen or heard)",
}


def _tell(records: Sequence[OperationRecord]) -> None:
    from haulier.cli.output import printable
    from haulier.core.records import OperationStatus
    from haulier.core.units import format_size

    for record in records:
        if record.status is not OperationStatus.SUCCESS:
            continue
        about = record.metadata
        sizes = f"{format_size(about['original_size'])} -> {format_size(about['compressed_size'])}"
        share = f"{about['compressed_size'] / about['target_size']:.1%} of the target"
        where = printable(record.result_path)
        remark = _REMARKS.get(about["outcome"], f"  ({share})")
        print(f"{printable(record.target_name)}  {sizes}  {where}{remark}")


def register(app: typer.Typer) -> None:
    """Add this command to `app`."""
    app.command(epilog=SIZES)(shrink)
