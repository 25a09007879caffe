"""Which family of routes a request is for."""

from __future__ import annotations

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.types import Scope

TUS = "/tus"
RESUMABLE = "/resumable"


def path_of(scope: Scope) -> str:
    """Return the request's path as our routes name it, wherever we are mounted."""
    return str(scope["path"]).removeprefix(scope.get("root_path", ""))


def is_below(scope: Scope, prefix: str) -> bool:
    """Tell whether the request's path is `prefix` or lies below it."""
    path = path_of(scope)
    return path == prefix or path.startswith(f"{prefix}/")


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
        return is_below(request.scope, TUS) or is_below(request.scope, RESUMABLE)
    return request.method == "POST" and request.scope["path"].endswith("/chunk")
