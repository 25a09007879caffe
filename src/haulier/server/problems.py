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

from haulier.errors import ChunksMissing, HaulierError

_REQUEST_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)
_log = logging.getLogger("haulier.server")


class RequestIds:
    """Middleware that gives each request an id, its client's where it sent a sound one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        # A made one only names the request, it protects nothing.
        made = f"{random.getrandbits(64):016x}"
        request_id = given if _REQUEST_ID.fullmatch(given) else made
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", []),
                    (b"x-request-id", request_id.encode()),
                ]
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
    answer = problem(request, error.http_status, error.code, error.message, **more)
    if error.http_status == 401:
        answer.headers["WWW-Authenticate"] = "Bearer"
    if error.retry_after_s is not None:
        answer.headers["Retry-After"] = str(round(error.retry_after_s))
    return answer


def install(app: FastAPI) -> None:
    """Make `app` answer every error as a problem document."""

    @app.exception_handler(HaulierError)
    async def ours(request: Request, error: HaulierError) -> JSONResponse:
        if error.http_status >= 500:
            _log.error("%s: %s", error.code, error.message, exc_info=error)
        return error_answer(request, error)

    @app.exception_handler(RequestValidationError)
    async def schema(request: Request, error: RequestValidationError) -> JSONResponse:
        found = [
            {"where": [str(part) for part in one["loc"]], "what": one["msg"]}
            for one in error.errors()
        ]
        return problem(request, 422, "schema", "The request does not fit the schema.", errors=found)

    @app.exception_handler(HTTPException)
    async def plain(request: Request, error: HTTPException) -> JSONResponse:
        answer = problem(request, error.status_code, "http", str(error.detail))
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        _log.error("unexpected", exc_info=error)
        return problem(request, 500, "internal", "Something went wrong inside haulier.")
