"""Errors as HTTP answers: RFC 9457 problem details with a stable `code` and a request id."""

from __future__ import annotations

import logging
import random
import re
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from haulier.coordination.limits import Allowance
from haulier.errors import (
    ChunksMissing,
    HaulierError,
    ScopeMissing,
    TooManyRequests,
    ValidationError,
)
from haulier.server.places import TUS, is_below, methods_at

_BEGINNINGS = {"http.response.start", "websocket.http.response.start", "websocket.accept"}
_REQUEST_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)
_log = logging.getLogger("haulier.server")


class RequestIds:
    """Middleware that gives each request an id, its client's where it sent a sound one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        # A made one only names the request, it protects nothing.
        made = f"{random.getrandbits(64):016x}"
        request_id = given if _REQUEST_ID.fullmatch(given) else made
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] in _BEGINNINGS:
                named = [*message.get("headers", []), (b"x-request-id", request_id.encode())]
                allowance: Allowance | None = scope["state"].get("allowance")
                if allowance is not None:
                    told = allowance.headers().items()
                    named += [(name.lower().encode(), value.encode()) for name, value in told]
                message["headers"] = named
            await send(message)

        await self._app(scope, receive, send_with_id)


def problem(request: Request, status: int, code: str, detail: str, **more: Any) -> JSONResponse:
    """Return a problem document; `more` are members of its own."""
    return JSONResponse(
        {
            "type": "about:blank",
            "status": status,
            "code": code,
            "detail": detail,
            "request_id": getattr(request.state, "request_id", ""),
            **more,
        },
        status,
        media_type="application/problem+json",
    )


def error_answer(request: Request, error: HaulierError) -> JSONResponse:
    """Return the answer for an error of haulier's table."""
    more: dict[str, Any] = {"advice": error.hint}
    if isinstance(error, ChunksMissing):
        more["missing"] = error.missing
    status = error.http_status
    if isinstance(error, TooManyRequests) and is_below(request.scope, TUS):
        status = 503  # its clients don't come again after a 429
    answer = problem(request, status, error.code, error.message, **more)
    if status == 401:
        answer.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, ScopeMissing):
        answer.headers["WWW-Authenticate"] = 'Bearer error="insufficient_scope"'
    if error.retry_after_s is not None:
        answer.headers["Retry-After"] = str(round(error.retry_after_s))
    return answer


def _shown(text: str) -> str:
    # What a client sent may be long, and may not be text at all.
    return text[:200].encode("utf-8", "replace").decode()


def install(app: FastAPI) -> None:
    """Make `app` answer every error as a problem document."""

    @app.exception_handler(HaulierError)
    async def ours(request: Request, error: HaulierError) -> JSONResponse:
        if error.http_status >= 500:
            # What is away every request is told, until it is there again.
            trace = None if error.http_status == 503 else error
            _log.error("%s: %s", error.code, error.message, exc_info=trace)
        return error_answer(request, error)

    @app.exception_handler(RequestValidationError)
    async def schema(request: Request, error: RequestValidationError) -> JSONResponse:
        if any(one["type"] == "json_invalid" for one in error.errors()):
            return error_answer(request, ValidationError("the body is no JSON"))
        found = [
            {"where": [_shown(str(part)) for part in one["loc"]], "what": _shown(one["msg"])}
            for one in error.errors()
        ]
        return problem(request, 422, "schema", "The request does not fit the schema.", errors=found)

    @app.exception_handler(HTTPException)
    async def plain(request: Request, error: HTTPException) -> JSONResponse:
        answer = problem(request, error.status_code, "http", str(error.detail))
        answer.headers.update(error.headers or {})
        if error.status_code == 405:
            # Several routes share a path, and the router names the methods of one.
            answer.headers["Allow"] = ", ".join(methods_at(request))
        return answer

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        _log.error("unexpected", exc_info=error)
        return problem(request, 500, "internal", "Something went wrong inside haulier.")
