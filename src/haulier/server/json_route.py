"""Routes that take JSON."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.types import Message

from haulier.errors import FileSizeError
from haulier.server.bodies import length_of
from haulier.server.identity import get_current_user, identify

_MOST_BYTES = 1 << 20


class JsonRoute(APIRoute):
    """A route that knows who is asking before it reads a body, which it does not read on and on."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle
        asks_who = _asks_who(self.dependant)

        async def answer(request: Request) -> Response:
            if asks_who and get_current_user not in request.app.dependency_overrides:
                await identify(request)
            body = await _read(request)

            async def receive() -> Message:
                return {"type": "http.request", "body": body, "more_body": False}

            return await handle(Request(request.scope, receive))

        return answer


def _asks_who(dependant: Dependant) -> bool:
    return dependant.call is get_current_user or any(map(_asks_who, dependant.dependencies))


async def _read(request: Request) -> bytes:
    body = bytearray()
    announced = length_of(request) or 0
    if announced <= _MOST_BYTES:
        async for piece in request.stream():
            body += piece
            if len(body) > _MOST_BYTES:
                break
    if max(announced, len(body)) > _MOST_BYTES:
        raise FileSizeError(
            f"a JSON body has at most {_MOST_BYTES} bytes", hint="Files are sent in chunks."
        )
    return bytes(body)
