"""verify, restore, ls, delete, import: what is in the store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from haulier.cli.uploading import DataOption, JsonOption, RateOption

ReferenceArgument = Annotated[str, typer.Argument(metavar="ID|KEY", help="Or a full URL.")]
KeyOption = Annotated[
    str | None,
    typer.Option("--key-file", metavar="KEY", help="The key's file, or keyring:NAME."),
]


def verify(
    references: Annotated[list[str] | None, typer.Argument(metavar="[ID|KEY]…")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every upload.")] = False,
    deep: Annotated[bool, typer.Option(help="Read back and compare every byte.")] = False,
    key: KeyOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Ask the store again whether it has what was sent.

    Example: haulier verify --all
    """
    from haulier.cli.output import finish, print_json, report_failures, require

    require(bool(references) or everything, "nothing to verify was named", "Give IDs, or --all.")

    async def work(ctx: Any) -> list[Any]:
        from haulier.journeys.archive.verify import verify as verify_all

        return list(
            await verify_all(ctx, references or (), everything=everything, deep=deep, key=key)
        )

    done = _with_context(work, data=data, silent=as_json)
    if as_json:
        print_json(done)
    else:
        from haulier.cli.render import table

        table(
            ("status", "name", "checked"),
            [(r.status, r.target_name, ", ".join(r.metadata.get("checks", ()))) for r in done],
        )
        report_failures(done)
    finish(done)


def restore(
    reference: ReferenceArgument,
    out: Annotated[Path, typer.Option(help="Where to; NAME is made in it.")] = Path(),
    member: Annotated[str | None, typer.Option(help="Only this path of the archive.")] = None,
    key: KeyOption = None,
    overwrite: Annotated[bool, typer.Option(help="Replace what is there.")] = False,
    limit_rate: RateOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Bring an archive back: download, verify, unpack.

    Example: haulier restore holiday.tar.gz --member holiday/beach.jpg --out /tmp
    """
    from haulier.cli.output import print_json, printable

    async def work(ctx: Any) -> Any:
        from haulier.journeys.archive.restore import restore as bring_back

        return await bring_back(
            ctx, reference, out=out, member=member, key=key, overwrite=overwrite
        )

    done = _with_context(work, data=data, silent=as_json, limit_rate=limit_rate)
    if as_json:
        print_json(done)
    else:
        print(printable(done.result_path))


def ls(
    reference: ReferenceArgument,
    key: KeyOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """What is in an archive.

    Example: haulier ls holiday.tar.gz
    """
    import dataclasses

    from haulier.cli.output import print_json
    from haulier.cli.render import table
    from haulier.core.units import format_size

    async def work(ctx: Any) -> list[Any]:
        from haulier.journeys.archive.contents import list_members

        return list(await list_members(ctx, reference, key))

    entries = _with_context(work, data=data, silent=True)
    if as_json:
        print_json([dataclasses.asdict(entry) for entry in entries])
        return
    table(
        ("type", "mode", "size", "path"),
        [(e.type, f"{e.mode:04o}", format_size(e.size), e.path) for e in entries],
    )


def delete(
    reference: ReferenceArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Delete an archive from its store; asks first.

    Example: haulier delete 3f2a91c0 --yes
    """
    from haulier.cli.output import print_json, printable, say

    async def work(ctx: Any) -> Any:
        from haulier.journeys.archive.delete import delete as delete_archive
        from haulier.journeys.archive.delete import plan_delete

        planned = await plan_delete(ctx, reference)
        if not yes and not _confirmed(f"delete {printable(planned.archive.url)}?"):
            return None
        return await delete_archive(ctx, planned.archive)

    done = _with_context(work, data=data, silent=True)
    if done is None:
        say("nothing was deleted")
        raise SystemExit(1)
    if as_json:
        print_json(done)
    else:
        print(f"deleted {printable(done.target_path)}")


def _confirmed(question: str) -> bool:
    import sys

    from haulier.cli.output import require

    require(sys.stdin.isatty(), "there is nobody to ask", "Add --yes to delete without asking.")
    return typer.confirm(question, err=True)


def import_(
    url: Annotated[str | None, typer.Argument(metavar="[s3://…]")] = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Rebuild the catalog from what lies in a bucket.

    Example: haulier import s3://archive/2026
    """
    from haulier.cli.output import finish, print_json, printable

    async def work(ctx: Any) -> list[Any]:
        from haulier.journeys.archive.importing import import_archives

        return list(await import_archives(ctx, url))

    done = _with_context(work, data=data, silent=as_json)
    if as_json:
        print_json(done)
    else:
        for record in done:
            print(f"{record.operation_id}  {printable(record.target_name)}")
        print(f"{len(done)} uploads imported")
    finish(done)


def _with_context(
    work: Any, *, data: Path | None, silent: bool, limit_rate: str | None = None
) -> Any:
    from haulier.cli.output import run
    from haulier.cli.session import Session

    async def act() -> Any:
        async with Session(data=data, silent=silent, limit_rate=limit_rate).open() as ctx:
            return await work(ctx)

    return run(act)


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    for command in (verify, restore, ls, delete):
        app.command()(command)
    app.command("import")(import_)
