"""Bots of the MAX messenger: messages, files of any size, polling and webhooks."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from haulier.max.client import MaxClient
    from haulier.max.files import FileManager

_HOMES = {"FileManager": "haulier.max.files", "MaxClient": "haulier.max.client"}

__all__ = ["FileManager", "MaxClient"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'haulier.max' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
