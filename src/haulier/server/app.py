"""The application: routes, errors as problem documents, services while it runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.middleware.cors import CORSMiddleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from haulier._version import __version__
from haulier.server import (
    audit_routes,
    auth_routes,
    chunked_routes,
    config_routes,
    content_routes,
    event_routes,
    file_routes,
    folder_routes,
    job_routes,
    link_routes,
    operations_routes,
    permission_routes,
    picture_routes,
    recording_routes,
    resumable_routes,
    search_routes,
    selection_routes,
    share_routes,
    trash_routes,
    tus_routes,
    upload_link_routes,
    upload_routes,
    user_routes,
    web_app,
    webhook_routes,
    zip_routes,
)
from haulier.server.auditing import Audited
from haulier.server.metrics import Metrics
from haulier.server.observing import Observed
from haulier.server.openapi import describe
from haulier.server.problems import RequestIds, install
from haulier.server.services import Services, open_services
from haulier.server.shortcuts import install_shortcuts
from haulier.settings import Settings

# What the clients of tus, resumable HTTP and chunks send and read in browsers.
_TAKEN_HEADERS = (
    "Authorization", "Content-Type", "Content-Digest", "Content-Disposition", "Content-Range",
    "If-Match", "If-None-Match", "If-Range", "Range", "Repr-Digest", "Tus-Resumable",
    "Upload-Checksum", "Upload-Complete", "Upload-Concat", "Upload-Defer-Length",
    "Upload-Draft-Interop-Version", "Upload-Length", "Upload-Metadata", "Upload-Offset",
    "X-Chunk-Checksum", "X-Chunk-Number", "X-HTTP-Method-Override", "X-Request-ID",
    "X-Requested-With", "X-Share-Password",
)  # fmt: skip
_SHOWN_HEADERS = (
    "Accept-Ranges", "Content-Disposition", "Content-Range", "ETag", "Link", "Location",
    "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "Repr-Digest", "Retry-After",
    "Tus-Checksum-Algorithm", "Tus-Extension", "Tus-Max-Size", "Tus-Resumable", "Tus-Version",
    "Upload-Checksum", "Upload-Complete", "Upload-Concat", "Upload-Defer-Length", "Upload-Expires",
    "Upload-Length", "Upload-Limit", "Upload-Metadata", "Upload-Offset", "X-Request-ID",
)  # fmt: skip


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
        audit_routes,
        share_routes,
        link_routes,
        permission_routes,
        upload_link_routes,
        user_routes,
        webhook_routes,
        chunked_routes,
        recording_routes,
        tus_routes,
        resumable_routes,
        content_routes,
        selection_routes,
        zip_routes,
        search_routes,
        config_routes,
        picture_routes,
        file_routes,
        folder_routes,
        trash_routes,
        job_routes,
        auth_routes,
        event_routes,
        operations_routes,
    )
    routers = [family.router for family in families]
    if settings.server.web_app:
        routers.append(web_app.make_router())
    for router in routers:
        app.include_router(router)
    routes = [route for router in routers for route in router.routes]
    app.state.routes = [route for route in routes if isinstance(route, APIRoute)]
    describe(app)
    install_shortcuts(app)
    app.add_middleware(tus_routes.TusVersions)
    if origins := settings.server.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins.split(","),
            allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
            allow_headers=_TAKEN_HEADERS,
            expose_headers=_SHOWN_HEADERS,
            max_age=86400,
        )
    app.add_middleware(Audited)
    app.add_middleware(Observed, metrics=app.state.metrics)
    app.add_middleware(RequestIds)
    if proxies := settings.server.trusted_proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=proxies.split(","))
    return app
