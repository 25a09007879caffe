"""What requests changed or fetched, in the audit log before they are answered."""

from __future__ import annotations

import logging
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from haulier.errors import HaulierError
from haulier.server.places import carries_chunk
from haulier.server.services import Services

_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_DOWNLOADS = ("/download", "/files/zip", "/tus/{session_id}", "/l/{token}")
_OPENED_BY_LINK = ("/s/", "/l/", "/u/")
_IDS = (
    *("file_id", "folder_id", "session_id", "share_id", "link_id"),
    *("user_id", "job_id", "webhook_id"),
)
_log = logging.getLogger("haulier.audit")


class Audited:
    """Middleware that records who changed or fetched what; it goes inside `Observed`.

    An entry is committed before the answer begins, so that a kill leaves out nothing that a client
    was told was done; what the catalog itself refuses to take goes to the log as an error. Chunks
    are not recorded one by one, the file that they become is (`Reception`). Of a download in ranges
    the one from the beginning counts.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _may_matter(Request(scope)):
            await self._app(scope, receive, send)
            return

        async def audited_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                await _record(scope, message["status"])
            await send(message)

        await self._app(scope, receive, audited_send)


def _may_matter(request: Request) -> bool:
    if request.method == "GET":
        return request.headers.get("range", "bytes=0-").startswith("bytes=0-")
    return request.method in _CHANGING and not carries_chunk(request)


def _matters_of_stranger(template: str, status: int) -> bool:
    """Tell whether to record what somebody did who is not signed in.

    That is trying to sign in, until the limit refuses it, and what a link opened; who tries door
    after door must not be able to fill the log.
    """
    if template == "/auth/token":
        return status != 429
    return template.startswith(_OPENED_BY_LINK) and status < 400


async def _record(scope: Scope, status: int) -> None:
    route: Any = scope.get("route")
    template = getattr(route, "path", None)
    state = scope.get("state", {})
    if template is None or (scope["method"] == "GET" and not template.endswith(_DOWNLOADS)):
        return
    if state.get("user") is None and not _matters_of_stranger(template, status):
        return
    services: Services = scope["app"].state.services
    told = scope.get("path_params", {})
    named = next((str(told[name]) for name in _IDS if name in told), None)
    try:
        await services.audit.record(
            f"{scope['method']} {template}",
            actor=state.get("user"),
            object_id=state.get("audited_object", named),
            status=status,
            address=(scope.get("client") or (None,))[0],
            request_id=state.get("request_id"),
            details=state.get("audited", {}),
        )
    except HaulierError as error:
        # What was asked for is done already: to fail now would tell the client otherwise.
        _log.error("an entry could not be written: %s", error.message)
