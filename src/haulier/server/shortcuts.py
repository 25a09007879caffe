"""Short ways to the routes that are asked for all the time.

FastAPI tries one route after the other, and works out anew what each request's route depends on:
about a millisecond, which a player would pay for each range of a film and an upload for each of its
pieces. Here the same functions are called by name. Requests with a query go the ordinary way, and
so does everything in an application that puts dependencies of its own in place of ours.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import SecurityScopes
from starlette import types
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Send

from haulier.core.accounts import User
from haulier.files.access import Scope
from haulier.server import file_routes, tus_routes, upload_routes
from haulier.server.identity import get_current_user, get_services, note_user
from haulier.server.places import path_of
from haulier.server.services import Services

Answer = Callable[[Request, Services], Awaitable[Response]]


class Shortcut(BaseRoute):
    """A route of FastAPI's, answered without it.

    Args:
        route: the ordinary one.
        answer: does the same.
    """

    def __init__(self, route: APIRoute, answer: Answer) -> None:
        self.path = route.path
        self.methods = frozenset(route.methods or ())
        self._route = route
        self._answer = answer

    def matches(self, scope: types.Scope) -> tuple[Match, types.Scope]:
        """Tell whether a request is for this route, and needs nothing that only FastAPI does."""
        route = self._route
        if (
            scope["type"] != "http"
            or scope["method"] not in self.methods
            or scope["query_string"]
            or scope["app"].dependency_overrides
        ):
            return Match.NONE, {}
        found = route.path_regex.match(path_of(scope))
        if found is None:
            return Match.NONE, {}
        told = {"endpoint": route.endpoint, "path_params": found.groupdict(), "route": route}
        return Match.FULL, told

    async def handle(self, scope: types.Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        request = Request(scope, receive, send)
        response = await self._answer(request, await get_services(request))
        await response(scope, receive, send)


def install_shortcuts(app: FastAPI) -> None:
    """Put the short ways before the ordinary ones of `app`."""
    answers: dict[object, Answer] = {
        file_routes.download: _download,
        upload_routes.put_chunk: _put_chunk,
        tus_routes.append: _append,
        tus_routes.state: _state,
    }
    routes: list[APIRoute] = app.state.routes
    app.router.routes[:0] = [
        Shortcut(route, answers[route.endpoint]) for route in routes if route.endpoint in answers
    ]


async def _download(request: Request, services: Services) -> Response:
    user = await _user(request, services, Scope.READ)
    stored = await file_routes.visible_file(request.path_params["file_id"], user, services)
    return await file_routes.download(stored, services)


async def _put_chunk(request: Request, services: Services) -> Response:
    user = await _user(request, services, Scope.WRITE)
    session_id = request.path_params["session_id"]
    session = await upload_routes.own_chunks(session_id, user, services)
    return await upload_routes.put_chunk(request, session, services)


async def _append(request: Request, services: Services) -> Response:
    user = await _user(request, services, Scope.WRITE)
    session_id = request.path_params["session_id"]
    session = await tus_routes.own_session(session_id, user, services)
    session = await tus_routes.spoken_session(session, request)
    return await tus_routes.append(request, session, services)


async def _state(request: Request, services: Services) -> Response:
    user = await _user(request, services, Scope.WRITE)
    session_id = request.path_params["session_id"]
    session = await tus_routes.own_session(session_id, user, services)
    session = await tus_routes.spoken_session(session, request)
    return await tus_routes.state(session, services)


async def _user(request: Request, services: Services, scope: Scope) -> User:
    user = await get_current_user(SecurityScopes([scope]), request, services, None)
    return await note_user(request, user)
