"""worker: does the jobs of servers that name a broker."""

from __future__ import annotations

from typing import Annotated

import typer

from haulier.cli.options import SIZES, DataOption


def worker(
    at_once: Annotated[
        int, typer.Option("--jobs", min=1, max=64, metavar="N", help="How many jobs at once.")
    ] = 2,
    data: DataOption = None,
) -> None:
    """Do the jobs of servers that name a broker.

    Files are verified, scanned, hashed and pictured, and recordings worked on, until it is told
    to stop.

    The broker (CELERY_BROKER_URL, else REDIS_URL) tells it of jobs; what it was not told of it
    finds in the catalog. Any number of workers may run, on any hosts. What one has begun when it
    stops is done by another.

    Example: haulier worker --jobs 4
    """
    from haulier.errors import ConfigurationError
    from haulier.settings import Settings

    settings = Settings.load(data=data)
    broker, redis = settings.general.celery_broker_url, settings.general.redis_url
    if broker is None or redis is None:
        raise ConfigurationError(
            "workers are told of jobs by a broker and tell of them by Redis; one is not named",
            hint="Set REDIS_URL for servers and workers, and CELERY_BROKER_URL for another broker.",
        )
    if settings.has_catalog_file:
        raise ConfigurationError(
            "workers share the server's catalog, which has to be in PostgreSQL for that",
            hint="Set DATABASE_URL to postgresql://…",
        )
    from haulier.server.logs import configure_logs
    from haulier.server.working import work

    configure_logs(settings.general.log_level)
    work(
        settings,
        broker.get_secret_value(),
        at_once=at_once,
        ready=lambda: print("ready for jobs", flush=True),
    )


def register(app: typer.Typer) -> None:
    """Add this command to `app`."""
    app.command(epilog=SIZES)(worker)
