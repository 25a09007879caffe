"""gc, doctor, db upgrade, s3 setup, archive-old: keeping house."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from haulier.cli.objects import _with_context
from haulier.cli.uploading import DataOption, JsonOption

database = typer.Typer(help="The catalog's database.", no_args_is_help=True)
s3 = typer.Typer(help="The bucket.", no_args_is_help=True)


def gc(
    older_than: Annotated[str, typer.Option(help="Only what is older.")] = "24h",
    yes: Annotated[bool, typer.Option("--yes", help="End uploads of unknown origin too.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Only list.")] = False,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Find and end orphaned multipart uploads and stale temporary files.

    Example: haulier gc --dry-run
    """
    from haulier.cli.output import finish, print_json, printable, say
    from haulier.core.units import parse_duration

    age = parse_duration(older_than)

    async def work(ctx: Any) -> tuple[list[Any], list[Any]]:
        from haulier.journeys.archive.gc import collect, find_garbage

        found = await find_garbage(ctx, older_than=age)
        chosen = [] if dry_run else [item for item in found if item.known or yes]
        return found, list(await collect(ctx, chosen)) if chosen else []

    found, done = _with_context(work, data=data, silent=True)
    if as_json:
        print_json(done)
        finish(done)
        return
    ended = {record.target_path for record in done}
    for item in found:
        where = item.key or item.path
        state = "ended" if where in ended or done else "found"
        print(f"{state}  {item.kind}  {printable(where)}")
    left = [item for item in found if not item.known and not yes]
    if left:
        say(f"{len(left)} of unknown origin were left; add --yes to end them too")
    if not found:
        say("nothing to clean up")
    finish(done)


def doctor(as_json: JsonOption = False, data: DataOption = None) -> None:
    """Say what is configured, reachable and missing, with the fix.

    Example: haulier doctor
    """
    import dataclasses

    from haulier.cli.output import print_json, run
    from haulier.cli.render import table

    async def work() -> list[Any]:
        from haulier.journeys.archive.doctor import examine
        from haulier.settings import Settings

        return list(await examine(Settings.load(data=data)))

    findings = run(work)
    if as_json:
        print_json([dataclasses.asdict(finding) for finding in findings])
    else:
        table(
            ("state", "what", "detail", "fix"),
            [(f.state, f.name, f.detail, f.fix or "") for f in findings],
        )
    if any(finding.state == "problem" for finding in findings):
        raise SystemExit(1)


@database.command()
def upgrade(data: DataOption = None) -> None:
    """Bring the catalog to the schema of this version.

    Example: haulier db upgrade
    """
    from haulier.catalog.schema import upgrade as upgrade_schema
    from haulier.cli.output import say
    from haulier.settings import Settings

    upgrade_schema(Settings.load(data=data).catalog_url)
    say("the catalog is up to date")


@s3.command()
def setup(
    archive_after: Annotated[
        str | None, typer.Option(help="Move objects to a cold class after, e.g., 90d.")
    ] = None,
    cors: Annotated[
        list[str] | None, typer.Option(metavar="ORIGIN", help="Let this web origin in.")
    ] = None,
    storage_class: Annotated[str, typer.Option(help="The cold class.")] = "GLACIER",
    data: DataOption = None,
) -> None:
    """Make the bucket, end forgotten uploads by rule, archive old objects, allow origins.

    Example: haulier s3 setup --archive-after 90d
    """
    from haulier.cli.output import say
    from haulier.core.units import parse_duration

    async def work(ctx: Any) -> Any:
        from haulier.journeys.archive.cold import setup_bucket

        after = parse_duration(archive_after) if archive_after else None
        return await setup_bucket(
            ctx, archive_after=after, cors=cors or (), storage_class=storage_class
        )

    _with_context(work, data=data, silent=True)
    say("the bucket is set up")


def archive_old(
    older_than: Annotated[str, typer.Option(help="Uploads older than, e.g., 90d.")],
    storage_class: Annotated[str, typer.Option(help="The class to copy to.")] = "GLACIER",
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Copy old uploads to a colder storage class.

    Example: haulier archive-old --older-than 90d
    """
    from haulier.cli.output import finish, print_json, printable
    from haulier.core.units import parse_duration

    async def work(ctx: Any) -> list[Any]:
        from haulier.journeys.archive.cold import archive_old as copy_old

        return list(await copy_old(ctx, parse_duration(older_than), storage_class))

    done = _with_context(work, data=data, silent=as_json)
    if as_json:
        print_json(done)
    else:
        for record in done:
            print(f"{record.status}  {printable(record.target_name)}")
    finish(done)


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command()(gc)
    app.command()(doctor)
    app.command("archive-old")(archive_old)
    app.add_typer(database, name="db")
    app.add_typer(s3, name="s3")
