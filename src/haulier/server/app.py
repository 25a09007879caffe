"""The application: routes, errors as problem documents, services while it runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Response

from haulier._version import __version__
from haulier.server import (
    auth_routes,
    chunked_routes,
    file_routes,
    resumable_routes,
    tus_routes,
    upload_routes,
)
from haulier.server.identity import TheServices
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
    install(app)
    # Before the files: `upload` is no file's id.
    families = (
        upload_routes,
        chunked_routes,
        tus_routes,
        resumable_routes,
        file_routes,
        auth_routes,
    )
    for family in families:
        app.include_router(family.router)
    app.add_middleware(tus_routes.TusVersions)
    app.add_middleware(RequestIds)

    @app.get("/health/live", tags=["operations"])
    async def live() -> Response:
        """Answer while the process runs."""
        return Response(status_code=204)

    @app.get("/health/ready", tags=["operations"])
    async def ready(services: TheServices) -> Response:
        """Answer when the catalog does."""
        await services.accounts.count()
        return Response(status_code=204)

    return app
