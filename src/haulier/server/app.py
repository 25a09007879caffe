"""The application: routes, errors as problem documents, services while it runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from haulier._version import __version__
from haulier.server import (
    auth_routes,
    chunked_routes,
    file_routes,
    job_routes,
    operations_routes,
    resumable_routes,
    tus_routes,
    upload_routes,
)
from haulier.server.metrics import Metrics
from haulier.server.observing import Observed
from haulier.server.problems import RequestIds, install
from haulier.server.services import Services, open_services
from haulier.settings import Settings


def create_app(settings: Settings, services: Services | None = None) -> FastAPI:
    """Return the server as an ASGI application.

    Args:
        settings: of the server.
        services: open ones; left out, the application opens its own when it starts up.
    """

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        async with open_services(settings) as opened:
            app.state.services = opened
            yield

    app = FastAPI(title="haulier", version=__version__, lifespan=running)
    app.state.services = services
    app.state.metrics = Metrics()
    install(app)
    # Before the files: `upload` is no file's id.
    families = (
        upload_routes,
        chunked_routes,
        tus_routes,
        resumable_routes,
        file_routes,
        job_routes,
        auth_routes,
        operations_routes,
    )
    for family in families:
        app.include_router(family.router)
    app.add_middleware(tus_routes.TusVersions)
    app.add_middleware(Observed, metrics=app.state.metrics)
    app.add_middleware(RequestIds)

    return app
