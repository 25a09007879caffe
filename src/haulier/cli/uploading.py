"""upload, resume, retry, watch."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from haulier.cli.options import (
    SIZES,
    CompressionOption,
    DataOption,
    EncryptOption,
    ExcludeOption,
    HiddenOption,
    IncludeOption,
    JobsOption,
    JsonOption,
    NoCompleteOption,
    RateOption,
    StorageClassOption,
    ToOption,
)

if TYPE_CHECKING:
    from haulier.core.records import UploadRecord
    from haulier.journeys.archive.context import ArchiveContext


def upload(
    names: Annotated[list[str], typer.Argument(metavar="NAME…", help="Paths, or `all`.")],
    to: ToOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Upload equal content again; overwrite the key.")
    ] = False,
    no_complete: NoCompleteOption = False,
    keep_archive: Annotated[
        bool, typer.Option("--keep-archive", help="Keep a copy of the archive here.")
    ] = False,
    compression: CompressionOption = None,
    storage_class: StorageClassOption = None,
    encrypt: EncryptOption = None,
    exclude: ExcludeOption = None,
    include: IncludeOption = None,
    hidden: HiddenOption = False,
    jobs: JobsOption = 4,
    limit_rate: RateOption = None,
    sha256: Annotated[
        bool, typer.Option("--sha256", help="Read the archive back for its SHA-256.")
    ] = False,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Pack, upload and verify; then move the source away.

    Each NAME becomes one archive. What is proven to be stored moves to the completed directory.

    Example: haulier upload holiday clip.mp4 --to s3://archive/2026
    """
    flags = {
        "force": force, "complete": not no_complete, "keep_archive": keep_archive,
        "compression": compression, "storage_class": storage_class, "encrypt": encrypt,
        "exclude": tuple(exclude or ()), "include": tuple(include or ()), "hidden": hidden,
        "jobs": jobs, "sha256": sha256,
    }  # fmt: skip
    from haulier.cli.memory import keep_freed_memory
    from haulier.cli.output import failures_as_json
    from haulier.cli.session import RESUME, Session
    from haulier.journeys.archive.open import upload_options
    from haulier.journeys.archive.upload import upload as upload_all

    _check(flags)
    keep_freed_memory()
    session = Session(data=data, to=to, limit_rate=limit_rate, silent=as_json, probe=not dry_run)
    chosen = upload_options(session.settings, to, **flags)
    with failures_as_json(as_json, "upload", names):
        uploaded = session.run(
            lambda ctx: upload_all(ctx, names, chosen, dry_run=dry_run), hint=RESUME
        )
    _end(uploaded, as_json)


def _check(flags: dict[str, Any]) -> None:
    """Refuse flags that can't work, before anything is opened."""
    from haulier.cli.output import require

    require(
        flags["compression"] in {None, "gzip", "zstd", "none"},
        f"there is no compression called {flags['compression']!r}",
        "Use gzip, zstd or none.",
    )
    key = flags["encrypt"]
    if key is None:
        return
    from haulier.archive.seal import load_key

    load_key(key)
    if not key.startswith("keyring:"):
        # The journal keeps the name: a resume may be started elsewhere.
        flags["encrypt"] = str(Path(key).absolute())


def _end(uploaded: Sequence[UploadRecord], as_json: bool) -> None:
    """Print `uploaded` and end the command by how they went."""
    from haulier.cli.output import finish, print_json

    if as_json:
        print_json(uploaded)
    tell(uploaded, results=not as_json)
    finish(uploaded)


def tell(uploaded: Iterable[UploadRecord], *, results: bool = True) -> None:
    """Print what was uploaded, unless not `results`, and say what was skipped or failed."""
    from haulier.cli.output import printable, report_failures, say
    from haulier.core.records import OperationStatus
    from haulier.core.units import format_size

    for record in uploaded:
        name, where = printable(record.target_name), printable(record.result_path)
        size = format_size(record.original_size or 0)
        if record.metadata.get("skipped"):
            say(f"skipped {name}: equal content is stored as {where}")
        elif record.metadata.get("dry_run") and results:
            print(f"would upload {name} ({size}) to {where}")
        elif record.status is OperationStatus.SUCCESS and results:
            packed = format_size(record.compressed_size or 0)
            print(f"{record.operation_id}  {name}  {size} -> {packed}  {where}", flush=True)
        report_failures([record])


def resume(
    references: Annotated[
        list[str] | None, typer.Argument(metavar="[ID…]", help="All when left out.")
    ] = None,
    limit_rate: RateOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Go on with what was interrupted.

    Parts that are stored already are checked and not sent again.

    Example: haulier resume
    """
    from haulier.journeys.archive.upload import resume as resume_all

    _go_on(lambda ctx: resume_all(ctx, references or ()), references, limit_rate, as_json, data)


def retry(
    references: Annotated[list[str] | None, typer.Argument(metavar="[ID…]")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Everything that failed.")] = False,
    limit_rate: RateOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Try again what failed.

    What is stored already, and could only not be moved, is moved.

    Example: haulier retry --failed
    """
    from haulier.cli.output import require
    from haulier.journeys.archive.upload import retry as retry_all

    require(bool(references) or failed, "nothing to retry was named", "Give IDs, or --failed.")
    _go_on(
        lambda ctx: retry_all(ctx, references or (), failed_ones=failed),
        references, limit_rate, as_json, data,
    )  # fmt: skip


def _go_on(
    work: Callable[[ArchiveContext], Coroutine[Any, Any, list[UploadRecord]]],
    references: list[str] | None,
    limit_rate: str | None,
    as_json: bool,
    data: Path | None,
) -> None:
    from haulier.cli.memory import keep_freed_memory
    from haulier.cli.output import failures_as_json, say
    from haulier.cli.session import RESUME, Session
    from haulier.journeys.archive.upload import count_failed

    keep_freed_memory()
    session = Session(data=data, limit_rate=limit_rate, silent=as_json)

    async def act(ctx: ArchiveContext) -> tuple[list[UploadRecord], int]:
        return await work(ctx), await count_failed(ctx)

    with failures_as_json(as_json, "upload", references or ["all"]):
        done, failed = session.run(act, hint=RESUME)
    if not done and failed:
        say(f"nothing was interrupted; {failed} failed: mend that and run `haulier retry --failed`")
    elif not done:
        say("nothing was left to do")
    _end(done, as_json)


def watch(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Its entries are uploaded one by one.")
    ],
    to: ToOption = None,
    settle: Annotated[
        str, typer.Option(metavar="TIME", help="How long nothing must have changed.")
    ] = "10s",
    no_complete: NoCompleteOption = False,
    compression: CompressionOption = None,
    storage_class: StorageClassOption = None,
    encrypt: EncryptOption = None,
    exclude: ExcludeOption = None,
    include: IncludeOption = None,
    hidden: HiddenOption = False,
    jobs: JobsOption = 4,
    limit_rate: RateOption = None,
    data: DataOption = None,
) -> None:
    """Upload what settles in a directory, until stopped.

    An entry is uploaded when nothing in it changed for a while, and again when it changes. What
    fails is tried again at growing intervals.

    Example: haulier watch ~/Recordings --settle 1m
    """
    flags = {
        "complete": not no_complete, "compression": compression, "storage_class": storage_class,
        "encrypt": encrypt, "exclude": tuple(exclude or ()), "include": tuple(include or ()),
        "hidden": hidden, "jobs": jobs,
    }  # fmt: skip
    from haulier.cli.memory import keep_freed_memory
    from haulier.cli.output import printable, say
    from haulier.cli.session import RESUME, Session
    from haulier.core.units import parse_duration
    from haulier.journeys.archive.open import upload_options
    from haulier.journeys.archive.watch import watch as watch_directory

    _check(flags)
    keep_freed_memory()
    settle_s = parse_duration(settle).total_seconds()
    session = Session(
        data=data, to=to, limit_rate=limit_rate, settings={"MGMT_LOCAL_DIR": directory}
    )
    chosen = upload_options(session.settings, to, **flags)

    async def work(ctx: ArchiveContext) -> None:
        say(f"watching {printable(directory)}; Ctrl-C stops")
        await watch_directory(ctx, chosen, settle_s=settle_s, tell=tell)

    session.run(work, hint=RESUME)


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    for command in (upload, resume, retry, watch):
        app.command(epilog=SIZES)(command)
