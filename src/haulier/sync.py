"""Blocking twins of the public functions, for programs without an event loop.

Each runs its async twin to the end in a loop of its own; call the twin itself where a loop runs.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from haulier.journeys.archive import api

P = ParamSpec("P")
T = TypeVar("T")

__all__ = ["restore", "upload"]


def _blocking(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return asyncio.run(function(*args, **kwargs))

    return call


upload = _blocking(api.upload)
restore = _blocking(api.restore)
