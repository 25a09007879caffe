"""verify, restore, ls, delete, import: what is in the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from haulier.cli.options import SIZES, DataOption, JsonOption, KeyOption, RateOption

if TYPE_CHECKING:
    from haulier.core.records import OperationRecord
    from haulier.journeys.archive.context import ArchiveContext
    from haulier.journeys.archive.delete import DeletePlan

ReferenceArgument = Annotated[
    str, typer.Argument(metavar="ID|KEY", help="An upload, a key, or a URL.")
]


def verify(
    references: Annotated[list[str] | None, typer.Argument(metavar="[ID|KEY…]")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every upload.")] = False,
    deep: Annotated[
        bool, typer.Option("--deep", help="Read back and compare every byte's checksum.")
    ] = False,
    key: KeyOption = None,
    limit_rate: RateOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Ask the store again whether it has what was sent.

    Example: haulier verify --all
    """
    from haulier.cli.output import (
        failures_as_json,
        finish,
        print_json,
        report_failures,
        require,
        say,
    )
    from haulier.cli.session import Session
    from haulier.journeys.archive.verify import verify as verify_all

    require(bool(references) or everything, "nothing to verify was named", "Give IDs, or --all.")
    session = Session(data=data, limit_rate=limit_rate, silent=as_json)
    with failures_as_json(as_json, "verify", references or ["all"]):
        done = session.run(
            lambda ctx: verify_all(ctx, references or (), everything=everything, deep=deep, key=key)
        )
    if as_json:
        print_json(done)
    else:
        from haulier.cli.render import table

        table(
            ("status", "name", "checked"),
            [(r.status, r.target_name, ", ".join(r.metadata.get("checks", ()))) for r in done],
        )
    if not done:
        say("there is nothing to verify")
    report_failures(done)
    finish(done)


def restore(
    reference: ReferenceArgument,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where to; NAME is made in it.")
    ] = Path(),
    member: Annotated[
        str | None, typer.Option(metavar="PATH", help="Only this path of the archive.")
    ] = None,
    key: KeyOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
    limit_rate: RateOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Bring an archive back: download, verify, unpack.

    With --member only what that one file needs is downloaded.

    Example: haulier restore holiday.tar.gz --member holiday/beach.jpg --out /tmp
    """
    from haulier.cli.output import failures_as_json, finish, print_json, printable, report_failures
    from haulier.cli.session import Session
    from haulier.journeys.archive.restore import restore as bring_back

    session = Session(data=data, limit_rate=limit_rate, silent=as_json)
    with failures_as_json(as_json, "download", [reference], one=True):
        done = session.run(
            lambda ctx: bring_back(
                ctx, reference, out=out, member=member, key=key, overwrite=overwrite
            )
        )
    if as_json:
        print_json(done)
    else:
        print(printable(done.result_path))
    report_failures([done])
    finish([done])


def ls(
    reference: ReferenceArgument,
    key: KeyOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """List what is in an archive.

    Example: haulier ls holiday.tar.gz
    """
    from dataclasses import asdict

    from haulier.cli.output import failures_as_json, print_json
    from haulier.cli.session import Session
    from haulier.journeys.archive.contents import list_members

    session = Session(data=data, silent=as_json)
    with failures_as_json(as_json, "list", [reference]):
        entries = session.run(lambda ctx: list_members(ctx, reference, key))
    if as_json:
        print_json([asdict(entry) for entry in entries])
        return
    from haulier.cli.render import table
    from haulier.core.units import format_size

    rows = []
    for entry in entries:
        path = entry.path if entry.link_target is None else f"{entry.path} -> {entry.link_target}"
        rows.append((entry.type, f"{entry.mode & 0o7777:04o}", format_size(entry.size), path))
    table(("type", "mode", "size", "path"), rows)


def delete(
    reference: ReferenceArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Delete an archive from its store; asks first.

    The source in the completed directory is not touched.

    Example: haulier delete 3f2a91c0 --yes
    """
    from haulier.cli.output import failures_as_json, print_json, printable, require, say
    from haulier.cli.session import Session
    from haulier.journeys.archive.delete import delete as delete_archive
    from haulier.journeys.archive.delete import plan_delete

    require(yes or not as_json, "--json can't ask", "Add --yes to delete without asking.")
    session = Session(data=data, silent=True)

    async def end(ctx: ArchiveContext, wanted: str) -> OperationRecord:
        planned = await plan_delete(ctx, wanted)
        return await delete_archive(ctx, planned.archive)

    with failures_as_json(as_json, "delete", [reference], one=True):
        if not yes:
            # Asked between two sessions: a person may take long to answer.
            planned = session.run(lambda ctx: plan_delete(ctx, reference))
            if not _confirmed(planned):
                say("nothing was deleted")
                raise SystemExit(1)
            upload = planned.archive.operation
            reference = planned.url if upload is None else upload.operation_id
        done = session.run(lambda ctx: end(ctx, reference))
    if as_json:
        print_json(done)
    else:
        print(f"deleted {printable(done.target_path)}")


def _confirmed(planned: DeletePlan) -> bool:
    import sys

    from haulier.cli.output import printable, require
    from haulier.core.units import format_size

    require(
        sys.stdin is not None and sys.stdin.isatty(),
        "there is nobody to ask",
        "Add --yes to delete without asking.",
    )
    size = "gone already" if planned.size_bytes is None else format_size(planned.size_bytes)
    return typer.confirm(f"Delete {printable(planned.url)} ({size})?", err=True)


def import_(
    url: Annotated[
        str | None,
        typer.Argument(
            metavar="[URL]", help="s3://bucket/prefix, https://server/folder, file:///path."
        ),
    ] = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Rebuild the catalog from what is stored.

    Each archive has its index beside it, and the index carries the record of the upload.

    Example: haulier import s3://archive/2026
    """
    from haulier.cli.output import failures_as_json, finish, print_json, report_failures, say
    from haulier.cli.session import Session
    from haulier.journeys.archive.importing import import_archives

    is_remote = url is not None and "://" not in url
    session = Session(data=data, to=url if is_remote else None, silent=as_json)
    with failures_as_json(as_json, "import", [url or "all"]):
        done = session.run(lambda ctx: import_archives(ctx, None if is_remote else url, key=key))
    if as_json:
        print_json(done)
    else:
        from haulier.cli.render import identifier, table

        table(
            ("id", "status", "name"),
            [(identifier(r.operation_id), r.status, r.target_name) for r in done],
        )
    if not done:
        say("nothing new was found")
    report_failures(done)
    finish(done)


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    for command in (verify, restore, ls, delete):
        app.command(epilog=SIZES)(command)
    app.command("import", epilog=SIZES)(import_)
