"""backup, restore-server: a server's files and catalog, copied elsewhere and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from haulier.cli.options import SIZES, DataOption

if TYPE_CHECKING:
    from collections.abc import Iterable

    from haulier.journeys.backup.layout import Manifest
    from haulier.journeys.backup.making import BackupReport

BackupArgument = Annotated[Path, typer.Argument(metavar="DIR", help="Where the backup is.")]


def backup(
    directory: BackupArgument,
    verify: Annotated[
        bool, typer.Option("--verify", help="Make none; read all of the one that is there.")
    ] = False,
    data: DataOption = None,
) -> None:
    """Copy the server's catalog and files, while it runs.

    With the same DIR again only what is new is copied. Exits with 1 when something is missing or
    damaged. What lies in a bucket stays there alone.

    Example: haulier backup /mnt/backup/haulier
    """
    from haulier.cli.output import say
    from haulier.core.units import format_size
    from haulier.journeys.backup.restoring import find_damage

    if verify:
        wrong = find_damage(directory)
        if not wrong:
            say("the backup is as it was written")
        _complain(wrong)
        return
    report = _make(directory, data)
    say(
        f"{report.files} files and versions, {format_size(report.size_bytes)}; "
        f"{format_size(report.copied_bytes)} copied"
    )
    _complain(
        [
            *(f"the bytes of {name} are missing" for name in report.missing),
            *(f"the bytes of {name} are not those that were stored" for name in report.damaged),
        ]
    )


def restore_server(directory: BackupArgument, data: DataOption = None) -> None:
    """Make a server of a backup.

    The data directory has to be empty; everything is checked while it is copied. Uploads that
    were under way have to be sent anew.

    Example: haulier restore-server /mnt/backup/haulier --data /srv/haulier
    """
    from haulier.cli.output import say
    from haulier.cli.running import run

    async def work() -> Manifest:
        from haulier.journeys.backup.restoring import restore_server as restore
        from haulier.settings import Settings

        settings = Settings.load(data=data)
        return await restore(directory, settings.general.data, settings.catalog_url)

    manifest = run(work)
    say(f"{manifest.files} files and versions as they were at {manifest.made_at}")
    if manifest.bucket is not None:
        say(f"the bytes of files are expected in the bucket {manifest.bucket}")


def _make(directory: Path, data: Path | None) -> BackupReport:
    from haulier.journeys.backup.making import back_up
    from haulier.settings import Settings

    settings = Settings.load(data=data)
    return back_up(
        settings.general.data, settings.catalog_url, directory, bucket=settings.s3.bucket
    )


def _complain(wrong: Iterable[str]) -> None:
    from haulier.cli.output import say

    wrong = list(wrong)
    for words in wrong:
        say(words)
    if wrong:
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command(epilog=SIZES)(backup)
    app.command("restore-server", epilog=SIZES)(restore_server)
