"""The HTTP faces of upload sessions and stored files.

`create_app` is the whole server as an ASGI application, to be run by itself or mounted in one of
your own; `get_current_user` is the dependency that says who is asking, for you to override.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from haulier.server.app import create_app
    from haulier.server.identity import get_current_user

_HOMES = {
    "create_app": "haulier.server.app",
    "get_current_user": "haulier.server.identity",
}

__all__ = ["create_app", "get_current_user"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'haulier.server' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
