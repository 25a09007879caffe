"""gc, doctor, db upgrade, s3 setup, archive-old: keeping house."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from haulier.cli.options import SIZES, DataOption, JsonOption, ToOption

if TYPE_CHECKING:
    from haulier.core.records import OperationRecord
    from haulier.journeys.archive.context import ArchiveContext
    from haulier.journeys.archive.gc import Garbage

database = typer.Typer(help="The catalog's database.", no_args_is_help=True)
s3 = typer.Typer(help="The bucket.", no_args_is_help=True)


def gc(
    older_than: Annotated[
        str, typer.Option(metavar="TIME", help="Only what is older: 24h, 7d.")
    ] = "24h",
    yes: Annotated[bool, typer.Option("--yes", help="End what is of unknown origin too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list.")] = False,
    to: ToOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Find and end what interrupted runs left behind.

    That is: multipart uploads nobody will finish, stale temporary files, and indexes whose
    archive is gone. What an upload can still go on with is never touched.

    Example: haulier gc --dry-run
    """
    from haulier.cli.output import failures_as_json, finish, print_json, report_failures, say
    from haulier.cli.session import Session
    from haulier.core.units import parse_duration
    from haulier.journeys.archive.gc import collect, find_garbage

    age = parse_duration(older_than)
    session = Session(data=data, to=to, silent=True)
    archive = session.settings.archive
    directories = [str(archive.completed), str(archive.local_dir)]

    async def work(ctx: ArchiveContext) -> tuple[list[Garbage], list[OperationRecord]]:
        found = await find_garbage(ctx, older_than=age, directories=directories)
        chosen = [item for item in found if item.known or yes]
        if dry_run:
            return found, [_planned(item) for item in chosen]
        return [item for item in found if item not in chosen], await collect(ctx, chosen)

    with failures_as_json(as_json, "gc", [to or "all"]):
        left, done = session.run(work)
    if as_json:
        print_json(done)
    else:
        from haulier.cli.render import table

        rows: list[tuple[object, ...]] = [
            (r.status, r.metadata["kind"], r.target_path) for r in done
        ]
        rows += [("left", item.kind, item.key) for item in left if not (item.known or yes)]
        table(("status", "kind", "what"), rows)
    unknown = sum(not item.known for item in left)
    if unknown and not yes:
        say(f"{unknown} of unknown origin were left; they end with --yes")
    if not left and not done:
        say("there is nothing to clean up")
    report_failures(done)
    finish(done)


def _planned(item: Garbage) -> OperationRecord:
    from haulier.core.records import OperationRecord

    return OperationRecord(
        operation_type="gc",
        target_path=item.key,
        target_name=item.key.rsplit("/", 1)[-1],
        metadata={"kind": item.kind, "dry_run": True},
    )


def doctor(to: ToOption = None, as_json: JsonOption = False, data: DataOption = None) -> None:
    """Say what is configured, reachable and missing.

    What is not as it should be comes with the way to mend it.

    Example: haulier doctor
    """
    from dataclasses import asdict

    from haulier.cli.output import print_json
    from haulier.cli.render import table
    from haulier.cli.running import run
    from haulier.journeys.archive.doctor import examine
    from haulier.settings import Settings

    settings = Settings.load(data=data)
    findings = run(lambda: examine(settings, to=to))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        rows = []
        for finding in findings:
            fix = "" if finding.fix is None else f". {finding.fix}"
            rows.append((finding.state, finding.name, finding.detail.rstrip(".") + fix))
        table(("state", "what", "found"), rows)
    if any(finding.state == "problem" for finding in findings):
        raise SystemExit(1)


@database.command(epilog=SIZES)
def upgrade(data: DataOption = None) -> None:
    """Bring the catalog to the schema of this version.

    Example: haulier db upgrade
    """
    from haulier.catalog.schema import upgrade as upgrade_schema
    from haulier.cli.output import say
    from haulier.settings import Settings

    revision = upgrade_schema(Settings.load(data=data).catalog_url)
    say(f"the catalog has schema {revision}, which is the one this version needs")


@database.command(epilog=SIZES)
def secure(
    service: Annotated[
        str, typer.Option(metavar="ROLE", help="The role of DATABASE_URL, which sees all rows.")
    ],
    user: Annotated[
        str, typer.Option(metavar="ROLE", help="That of DATABASE_USER_URL: a user's own rows.")
    ],
    data: DataOption = None,
) -> None:
    """Let haulier log in to PostgreSQL by two roles that don't own the catalog.

    Both are made before (CREATE ROLE … LOGIN PASSWORD …). It is run as the owner, as `haulier db
    upgrade` is, and may be run again.

    Example: haulier db secure --service haulier_service --user haulier_user
    """
    from haulier.catalog.row_roles import secure as let_in
    from haulier.cli.output import say
    from haulier.settings import Settings

    let_in(Settings.load(data=data).catalog_url, service=service, user=user)
    say(f"{service} sees all rows, {user} those of the user in whose name it asks")


@s3.command(epilog=SIZES)
def setup(
    archive_after: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Move archives to a cold class when so old: 90d."),
    ] = None,
    cors: Annotated[
        list[str] | None,
        typer.Option(metavar="ORIGIN", help="Let pages of this web origin read objects."),
    ] = None,
    storage_class: Annotated[str, typer.Option(metavar="NAME", help="The cold class.")] = "GLACIER",
    to: ToOption = None,
    data: DataOption = None,
) -> None:
    """Make the bucket and give it haulier's rules.

    Uploads left open for a week are ended by the store itself; old archives move to a colder
    class, and their indexes stay where they can be read at once; web pages of the origins named
    may read objects.

    Example: haulier s3 setup --archive-after 90d
    """
    from haulier.cli.output import say
    from haulier.cli.session import Session
    from haulier.core.units import parse_duration
    from haulier.journeys.archive.cold import setup_bucket

    after = None if archive_after is None else parse_duration(archive_after)
    session = Session(data=data, to=to, silent=True, probe=False)
    done = session.run(
        lambda ctx: setup_bucket(
            ctx, archive_after=after, cors=cors or (), storage_class=storage_class
        )
    )
    made = "was made and" if done.metadata.get("created") else "was there and"
    say(f"the bucket {done.target_name} {made} has its rules")


def archive_old(
    older_than: Annotated[str, typer.Option(metavar="TIME", help="Uploads older than: 90d.")],
    storage_class: Annotated[
        str, typer.Option(metavar="NAME", help="The class to move to.")
    ] = "GLACIER",
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Move old uploads to a colder storage class.

    Example: haulier archive-old --older-than 90d
    """
    from haulier.cli.output import failures_as_json, finish, print_json, report_failures, say
    from haulier.cli.session import Session
    from haulier.core.units import parse_duration
    from haulier.journeys.archive.cold import archive_old as move_old

    age = parse_duration(older_than)
    session = Session(data=data, silent=as_json)
    with failures_as_json(as_json, "archive", ["all"]):
        done = session.run(lambda ctx: move_old(ctx, age, storage_class))
    if as_json:
        print_json(done)
    else:
        from haulier.cli.render import table

        table(("status", "name"), [(r.status, r.target_name) for r in done])
    if not done:
        say("there is nothing so old in another class")
    report_failures(done)
    finish(done)


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command(epilog=SIZES)(gc)
    app.command(epilog=SIZES)(doctor)
    app.command("archive-old", epilog=SIZES)(archive_old)
    app.add_typer(database, name="db")
    app.add_typer(s3, name="s3")
