"""Which family of routes a request is for."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import Scope

TUS = "/tus"
RESUMABLE = "/resumable"


def is_below(scope: Scope, prefix: str) -> bool:
    """Tell whether the request's path is `prefix` or lies below it, wherever we are mounted."""
    path = str(scope["path"]).removeprefix(scope.get("root_path", ""))
    return path == prefix or path.startswith(f"{prefix}/")


def carries_chunk(request: Request) -> bool:
    """Tell whether the request brings bytes of an upload that was begun before."""
    if request.method == "PATCH":
        return is_below(request.scope, TUS) or is_below(request.scope, RESUMABLE)
    return request.method == "POST" and request.scope["path"].endswith("/chunk")
