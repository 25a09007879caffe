"""Request bodies as the session engine takes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from fastapi import Request
from starlette.requests import ClientDisconnect

from haulier.errors import ValidationError
from haulier.server.direct import direct_body
from haulier.transfer.sessions.receiving import Body

STALL_S = 60


def body_of(request: Request, *, stall_s: float = STALL_S) -> Body:
    """Return the request's body; a client that sends nothing for `stall_s` seconds is cut off."""
    return _paced(request, stall_s)


def length_of(request: Request) -> int | None:
    """Return the announced length of the body, or None when it comes in chunks.

    Raises:
        ValidationError: the header is not a number.
    """
    value = request.headers.get("content-length")
    if value is None:
        return None
    if not (value.isascii() and value.isdigit()):
        raise ValidationError("Content-Length is not a number")
    return int(value)


async def _stream(request: Request) -> AsyncGenerator[memoryview, None]:
    async for piece in request.stream():
        if piece:
            yield memoryview(piece)


async def _paced(request: Request, stall_s: float) -> Body:
    # Not before the first piece is asked for: a client that waits for 100 Continue sends then.
    body = direct_body(dict(request.scope)) or _stream(request)
    state = request.scope["state"]
    state["received_bytes"] = 0  # for log and metrics
    try:
        while True:
            try:
                async with asyncio.timeout(stall_s):
                    piece = await anext(body)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise ClientDisconnect from None
            state["received_bytes"] += len(piece)
            yield piece
    finally:
        await body.aclose()
