"""Which family of routes a request is for."""

from __future__ import annotations

import re

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.types import Scope

TUS = "/tus"
RESUMABLE = "/resumable"
RECEIVING = "/u"


def path_of(scope: Scope) -> str:
    """Return the request's path as our routes name it, wherever we are mounted."""
    return str(scope["path"]).removeprefix(scope.get("root_path", ""))


def is_below(scope: Scope, prefix: str) -> bool:
    """Tell whether the request's path is `prefix` or lies below it."""
    path = path_of(scope)
    return path == prefix or path.startswith(f"{prefix}/")


def speaks_tus(scope: Scope) -> bool:
    """Tell whether the request is for one of the places where tus is spoken."""
    path = str(scope["path"]).removeprefix(scope.get("root_path", ""))
    return is_below(scope, TUS) or re.match(r"/u/[^/]+/tus(/|$)", path) is not None


def methods_at(request: Request) -> list[str]:
    """Return the methods that the routes at the request's path know."""
    path = path_of(request.scope)
    routes: list[APIRoute] = request.app.state.routes
    # Where the paths of several routes fit, the first is meant.
    meant = next((route.path for route in routes if route.path_regex.match(path)), None)
    here = [route for route in routes if route.path == meant]
    return sorted({method for route in here for method in route.methods or ()})


def carries_chunk(request: Request) -> bool:
    """Tell whether the request brings bytes of an upload that was begun before."""
    if request.method == "PATCH":
        return speaks_tus(request.scope) or is_below(request.scope, RESUMABLE)
    return request.method == "POST" and request.scope["path"].endswith("/chunk")
