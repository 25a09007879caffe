"""Each request told once, when it has ended: to the log and to the metrics."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from haulier.server.metrics import Metrics
from haulier.server.zero_copy import MESSAGE

_UNKNOWN = "unmatched"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# What a client that went away before an answer began is counted as; nginx's number for it.
_CLIENT_LEFT = 499
_log = logging.getLogger("haulier.access")


class Observed:
    """Middleware that logs and counts requests; it goes inside `RequestIds`.

    Paths are logged without their queries, and those with a secret in them as their template:
    what opens a file is not for the log.

    Args:
        app: what answers.
        metrics: where requests are counted.
        clock: seconds that only ever grow.
    """

    def __init__(
        self, app: ASGIApp, *, metrics: Metrics, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, sent_bytes = self._clock(), 0, 0

        async def observed_send(message: Message) -> None:
            nonlocal status, sent_bytes
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                sent_bytes += len(message.get("body", b""))
            elif message["type"] == MESSAGE:
                sent_bytes += message["count"]
            await send(message)

        state = scope.setdefault("state", {})
        self._metrics.began()
        with structlog.contextvars.bound_contextvars(request_id=state.get("request_id")):
            try:
                await self._app(scope, receive, observed_send)
            finally:
                self._tell(scope, status, self._clock() - began, sent_bytes)

    def _tell(self, scope: Scope, status: int, seconds: float, sent_bytes: int) -> None:
        route = _route(scope)
        method = scope["method"] if scope["method"] in _METHODS else "other"
        answered = status or _CLIENT_LEFT
        received_bytes = scope["state"].get("received_bytes", 0)
        self._metrics.ended(
            method,
            route,
            answered,
            seconds=seconds,
            received_bytes=received_bytes,
            sent_bytes=sent_bytes,
        )
        if not _log.isEnabledFor(logging.INFO):
            return
        told = {
            "method": method,
            "path": route if "{token}" in route else scope["path"],
            "status": answered,
            "seconds": round(seconds, 4),
            "received_bytes": received_bytes,
            "sent_bytes": sent_bytes,
            "user": scope["state"].get("user"),
            "client": (scope.get("client") or (None,))[0],
        }
        _log.info("request", extra=told)


def _route(scope: Scope) -> str:
    route: Any = scope.get("route")
    return getattr(route, "path", _UNKNOWN)
