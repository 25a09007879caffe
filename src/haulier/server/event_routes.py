"""Live events: a WebSocket at `/ws`, or Server-Sent Events at `/api/events`, with one content.

A listener is told what it may see from now on, or from the last event that it names. It is let go
when its token ends, its user is signed out or may see other things than before, and when it is too
slow; it comes back with the id of its last event and misses nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Header, Query, WebSocket, WebSocketDisconnect
from fastapi.requests import HTTPConnection
from fastapi.responses import StreamingResponse

from haulier.coordination.events import Event, Subscription
from haulier.core.accounts import User
from haulier.core.records import utc_now
from haulier.errors import FilePermissionError, HaulierError
from haulier.files.access import Scope, check_scopes, topics_of
from haulier.server.identity import TheServices, count, get_ticket_user, identify
from haulier.server.services import Services

_HEARTBEAT_S = 15
_RETRY_MS = 2000
_SIGNED_OUT, _COME_AGAIN = 1008, 1013
_log = logging.getLogger("haulier.server")

router = APIRouter(tags=["events"])


@dataclass(frozen=True, slots=True)
class _Listener:
    user: User
    until: datetime | None = None


async def get_listener(
    connection: HTTPConnection,
    services: TheServices,
    ticket: Annotated[str | None, Query(max_length=100)] = None,
) -> _Listener:
    """Return who listens, by a ticket (`POST /auth/ticket`) or by a token.

    Raises:
        NotSignedIn: there is neither, or none that is valid.
        ScopeMissing: it is a service token, made for other things.
        TooManyRequests: the user had its share of requests.
    """
    if ticket is not None:
        listener = _Listener(await get_ticket_user(services, ticket))
    else:
        user, claims = await identify(connection)
        if claims is not None:
            check_scopes(claims, [Scope.READ])
        listener = _Listener(user, None if claims is None else claims.expires_at)
    await count(connection, services, listener.user)
    return listener


Listener = Annotated[_Listener, Depends(get_listener)]
LastEventId = Annotated[str | None, Query(max_length=64)]


@router.websocket("/ws")
async def listen(
    socket: WebSocket,
    listener: Listener,
    services: TheServices,
    last_event_id: LastEventId = None,
) -> None:
    """Send events as messages `{id, type, time, data}`; what the client sends is not looked at."""
    _check_origin(socket, services.settings.server.cors_origins)
    topics = topics_of(listener.user)
    async with services.events.subscribe(topics, last_event_id) as news:
        await socket.accept()
        watching = asyncio.create_task(_until_left(socket, news))
        try:
            await socket.close(await _send(socket, services, listener, news))
        except WebSocketDisconnect:
            return
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching


@router.get("/api/events", response_class=StreamingResponse)
async def follow(
    listener: Listener,
    services: TheServices,
    known: Annotated[str | None, Header(alias="Last-Event-ID", max_length=64)] = None,
    last_event_id: LastEventId = None,
) -> StreamingResponse:
    """Send events as a stream (Server-Sent Events), each the message that the WebSocket sends."""
    return StreamingResponse(
        _stream(services, listener, known or last_event_id),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _send(
    socket: WebSocket, services: Services, listener: _Listener, news: Subscription
) -> int:
    """Send events as long as one may listen; return with which code to close then."""
    try:
        async for event in _following(services, listener, news):
            if event is not None:
                await socket.send_text(event.text)
    except HaulierError as exc:
        _log.warning("a listener has to come again: %s", exc.message)
        return _COME_AGAIN
    return _COME_AGAIN if news.is_over else _SIGNED_OUT


async def _stream(
    services: Services, listener: _Listener, last_event_id: str | None
) -> AsyncIterator[str]:
    topics = topics_of(listener.user)
    async with services.events.subscribe(topics, last_event_id) as news:
        yield f"retry: {_RETRY_MS}\n\n"
        try:
            async for event in _following(services, listener, news):
                yield ":\n\n" if event is None else f"id: {event.event_id}\ndata: {event.text}\n\n"
        except HaulierError as exc:
            _log.warning("a listener has to come again: %s", exc.message)


async def _following(
    services: Services, listener: _Listener, news: Subscription
) -> AsyncIterator[Event | None]:
    """Yield events, and None where there was none for a while, as long as one may listen.

    Raises:
        CatalogError: nobody can tell whether one still may.
    """
    clock = asyncio.get_running_loop().time
    checked_at = clock()
    while not news.is_over:
        event = await news.take(_HEARTBEAT_S)
        if event is None and news.is_over:
            return
        if clock() - checked_at >= _HEARTBEAT_S:
            if not await _may_listen(services, listener):
                return
            checked_at = clock()
        yield event


async def _may_listen(services: Services, listener: _Listener) -> bool:
    if listener.until is not None and utc_now() >= listener.until:
        return False
    was, user = listener.user, await services.accounts.signed_in(listener.user.user_id)
    return (
        user is not None
        and not user.disabled
        and user.token_version == was.token_version
        and topics_of(user) == topics_of(was)
    )


async def _until_left(socket: WebSocket, news: Subscription) -> None:
    while (await socket.receive())["type"] != "websocket.disconnect":
        continue
    news.close()


def _check_origin(socket: WebSocket, allowed: str | None) -> None:
    """Make sure that a page of another site listens only if it is one of `CORS_ORIGINS`.

    Raises:
        FilePermissionError: it is none of them.
    """
    origin = socket.headers.get("origin")
    if origin is None or urlsplit(origin).netloc == socket.headers.get("host"):
        return
    if not {origin, "*"} & set((allowed or "").split(",")):
        raise FilePermissionError(
            f"pages of {origin[:200]} may not listen", hint="Add the origin to CORS_ORIGINS."
        )
