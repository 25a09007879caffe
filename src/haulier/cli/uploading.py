"""upload, resume, retry, watch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

DataOption = Annotated[
    Path | None, typer.Option("--data", help="haulier's own directory (HAULIER_DATA).")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
ToOption = Annotated[
    str | None,
    typer.Option(help="s3://bucket/prefix, file:///path, or a remote of haulier.toml."),
]
RateOption = Annotated[
    str | None,
    typer.Option(help="Bytes per second as 20M, or a timetable: 08:00,512K 18:00,10M 23:00,off."),
]
EncryptOption = Annotated[
    str | None,
    typer.Option(metavar="KEY", help="Encrypt with the key in this file, or keyring:NAME."),
]


def upload(
    names: Annotated[list[str], typer.Argument(metavar="NAME…", help="Paths, or `all`.")],
    to: ToOption = None,
    dry_run: Annotated[bool, typer.Option(help="Only say what would be done.")] = False,
    force: Annotated[bool, typer.Option(help="Upload equal content again, overwrite.")] = False,
    no_complete: Annotated[bool, typer.Option(help="Leave sources where they are.")] = False,
    keep_archive: Annotated[bool, typer.Option(help="Keep the archive here as well.")] = False,
    compression: Annotated[str | None, typer.Option(help="gzip, zstd or none.")] = None,
    storage_class: Annotated[str | None, typer.Option(help="S3's, e.g. STANDARD_IA.")] = None,
    encrypt: EncryptOption = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="Leave out what matches; as in .gitignore.")
    ] = None,
    include: Annotated[list[str] | None, typer.Option(help="Take only files that match.")] = None,
    hidden: Annotated[bool, typer.Option(help="`all` takes hidden entries too.")] = False,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Parts in flight at once.")] = 4,
    limit_rate: RateOption = None,
    sha256: Annotated[bool, typer.Option(help="Read the archive back for its SHA-256.")] = False,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Pack, upload, verify; then move the source to the completed directory.

    Example: haulier upload holiday clip.mp4 --to s3://archive/2026
    """
    flags: dict[str, Any] = {
        "force": force, "complete": not no_complete, "keep_archive": keep_archive,
        "compression": compression, "storage_class": storage_class, "encrypt": encrypt,
        "exclude": tuple(exclude or ()), "include": tuple(include or ()), "hidden": hidden,
        "jobs": jobs, "sha256": sha256,
    }  # fmt: skip
    from haulier.cli.memory import keep_freed_memory
    from haulier.cli.output import finish, print_json, run
    from haulier.cli.session import Session

    async def work() -> list[Any]:
        from haulier.journeys.archive.open import upload_options
        from haulier.journeys.archive.upload import upload as upload_all

        keep_freed_memory()
        session = Session(data=data, to=to, limit_rate=limit_rate, silent=as_json)
        chosen = upload_options(session.settings, **_checked(flags))
        async with session.open() as ctx:
            return list(await upload_all(ctx, names, chosen, dry_run=dry_run))

    uploaded = run(lambda: failures_as_records(work, names, as_json))
    if as_json:
        print_json(uploaded)
    else:
        _tell(uploaded)
    finish(uploaded)


def _checked(flags: dict[str, Any]) -> dict[str, Any]:
    from haulier.cli.output import require

    require(
        flags["compression"] in {None, "gzip", "zstd", "none"},
        f"there is no compression called {flags['compression']!r}",
        "Use gzip, zstd or none.",
    )
    if flags["encrypt"] is not None:
        from haulier.archive.seal import load_key

        load_key(flags["encrypt"])
        if not flags["encrypt"].startswith("keyring:"):
            flags = {**flags, "encrypt": str(Path(flags["encrypt"]).absolute())}
    return flags


async def failures_as_records(work: Any, names: list[str], as_json: bool) -> list[Any]:
    """Run `work`; with JSON, an error before any record becomes a failed record."""
    from haulier.core.records import OperationStatus, UploadRecord
    from haulier.errors import HaulierError, UsageError

    try:
        result: list[Any] = await work()
        return result
    except UsageError:
        raise
    except HaulierError as error:
        if not as_json:
            raise
        target = " ".join(names)
        return [
            UploadRecord(
                operation_type="upload",
                target_path=target,
                target_name=target,
                status=OperationStatus.FAILED,
                error_message=error.message,
                metadata={"error": {"code": error.code, "hint": error.hint}},
            )
        ]


def _tell(uploaded: list[Any]) -> None:
    from haulier.cli.output import printable, report_failures, say
    from haulier.core.records import OperationStatus
    from haulier.core.units import format_size

    for record in uploaded:
        name = printable(record.target_name)
        if record.metadata.get("dry_run"):
            size = format_size(record.original_size or 0)
            print(f"would upload {name} ({size}) to {printable(record.result_path)}")
        elif record.metadata.get("skipped"):
            say(f"skipped {name}: equal content is stored as {printable(record.result_path)}")
        elif record.status is OperationStatus.SUCCESS:
            sizes = f"{format_size(record.original_size)} -> {format_size(record.compressed_size)}"
            print(f"{record.operation_id}  {name}  {sizes}  {printable(record.result_path)}")
    report_failures(uploaded)


def resume(
    references: Annotated[list[str] | None, typer.Argument(metavar="[ID]…")] = None,
    limit_rate: RateOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Go on with what was interrupted; parts already stored are not sent again.

    Example: haulier resume
    """
    from haulier.journeys.archive.upload import resume as resume_all

    _again(lambda ctx: resume_all(ctx, references or ()), limit_rate, as_json, data)


def retry(
    references: Annotated[list[str] | None, typer.Argument(metavar="[ID]…")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Everything that failed.")] = False,
    limit_rate: RateOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Try again what failed, or finish the move of what is stored already.

    Example: haulier retry --failed
    """
    from haulier.cli.output import require

    require(bool(references) or failed, "nothing to retry was named", "Give IDs, or --failed.")
    from haulier.journeys.archive.upload import retry as retry_all

    _again(
        lambda ctx: retry_all(ctx, references or (), failed_ones=failed),
        limit_rate, as_json, data,
    )  # fmt: skip


def _again(work: Any, limit_rate: str | None, as_json: bool, data: Path | None) -> None:
    from haulier.cli.memory import keep_freed_memory
    from haulier.cli.output import finish, print_json, run, say
    from haulier.cli.session import Session

    async def carry_on() -> list[Any]:
        keep_freed_memory()
        session = Session(data=data, limit_rate=limit_rate, silent=as_json)
        async with session.open() as ctx:
            return list(await work(ctx))

    done = run(carry_on)
    if as_json:
        print_json(done)
    elif done:
        _tell(done)
    else:
        say("nothing was left to do")
    finish(done)


def watch(
    directory: Annotated[Path, typer.Argument(help="Its entries are uploaded one by one.")],
    to: ToOption = None,
    settle: Annotated[str, typer.Option(help="How long nothing must have changed.")] = "10s",
    limit_rate: RateOption = None,
    data: DataOption = None,
) -> None:
    """Upload what settles in a directory, until stopped.

    Example: haulier watch ~/Recordings --settle 1m
    """
    from haulier.cli.output import run
    from haulier.cli.session import Session

    async def work() -> None:
        from haulier.core.units import parse_duration
        from haulier.journeys.archive.open import upload_options
        from haulier.journeys.archive.watch import watch as watch_directory

        session = Session(
            data=data, to=to, limit_rate=limit_rate, settings={"MGMT_LOCAL_DIR": directory}
        )
        chosen = upload_options(session.settings)
        async with session.open() as ctx:
            await watch_directory(
                ctx, chosen, settle_s=parse_duration(settle).total_seconds(), tell=_tell
            )

    print(f"watching {directory}; Ctrl-C stops", file=sys.stderr)
    run(work)


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    for command in (upload, resume, retry, watch):
        app.command()(command)
