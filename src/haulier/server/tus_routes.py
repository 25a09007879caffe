"""tus 1.0.0 at `/tus/`, spoken over the session engine."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from haulier.core.file_names import clean_name
from haulier.core.sessions import tus
from haulier.core.sessions.session import Order, SessionStatus, UploadSession
from haulier.errors import ChecksumMismatch, HaulierError, SessionGone
from haulier.errors import FileNotFoundError as NoSuchSession
from haulier.files.access import check_upload
from haulier.server.bodies import body_of, length_of
from haulier.server.downloads import RangeFile
from haulier.server.identity import CurrentUser, TheServices
from haulier.server.problems import error_answer, problem
from haulier.transfer.sessions.engine import NewUpload

PREFIX = "/tus"

_CHECKSUM_MISMATCH = 460
_METHODS = ("GET", "HEAD", "PATCH", "POST", "DELETE", "OPTIONS")
_ENDED = {SessionStatus.CANCELLED, SessionStatus.EXPIRED, SessionStatus.FAILED}

router = APIRouter(prefix=PREFIX, tags=["tus"])


class TusVersions:
    """Middleware for `/tus/`: the method's override, and the version on each request and answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(f"{PREFIX}/"):
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        override = headers.get(b"x-http-method-override", b"").decode("latin-1").upper()
        if override in _METHODS:
            scope["method"] = override
        version = headers.get(b"tus-resumable", b"").decode("latin-1")
        if scope["method"] not in {"OPTIONS", "GET"} and version != tus.VERSION:
            refusal = problem(
                Request(scope), 412, "tus-version", f"This server speaks tus {tus.VERSION}."
            )
            refusal.headers["Tus-Version"] = tus.VERSION
            refusal.headers["Tus-Resumable"] = tus.VERSION
            await refusal(scope, receive, send)
            return

        async def send_with_version(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                named = list(message.get("headers", []))  # type: ignore[call-overload]  # ASGI's dicts are loose
                message["headers"] = [*named, (b"tus-resumable", tus.VERSION.encode())]
            await send(message)

        await self._app(scope, receive, send_with_version)  # type: ignore[arg-type]  # as above


async def own_session(session_id: str, user: CurrentUser, services: TheServices) -> UploadSession:
    """Return the session if it is the user's; what is another's does not exist."""
    session = await services.engine.get(session_id)
    if session.owner_id != user.user_id or session.order is not Order.SEQUENTIAL:
        raise NoSuchSession("there is no such upload")
    return session


OwnSession = Annotated[UploadSession, Depends(own_session)]


@router.options("/")
@router.options("/{session_id}")
async def offer(services: TheServices) -> Response:
    """Say what this server can do."""
    return Response(
        status_code=204, headers=tus.offer_headers(services.settings.server.max_file_size)
    )


@router.post("/", status_code=201)
async def create(request: Request, user: CurrentUser, services: TheServices) -> Response:
    """Begin an upload, with its first bytes where the client sends them along."""
    check_upload(user)
    creation = tus.read_creation(request.headers)
    named = tus.parse_metadata(creation.metadata)
    session = await services.engine.start(
        NewUpload(
            owner_id=user.user_id,
            name=clean_name(named.get("filename") or named.get("name") or "upload"),
            size_bytes=creation.size_bytes,
            order=Order.SEQUENTIAL,
            mime_type=named.get("filetype") or named.get("type"),
            details={"metadata": creation.metadata},
        )
    )
    # Relative to the request: right behind any proxy, whatever it calls this place.
    location = {"Location": session.session_id}
    if request.headers.get("content-type") != tus.OFFSET_OCTETS:
        expires = tus.expires_header(session.expires_at)
        return Response(status_code=201, headers={**location, **expires})
    answer = await _append(request, services, session, 0, None)
    answer.headers.update(location)
    if answer.status_code == 204:
        answer.status_code = 201
    return answer


@router.head("/{session_id}")
async def state(session: OwnSession) -> Response:
    """Say how far the upload came."""
    refuse_ended(session)
    headers = tus.state_headers(session)
    if session.status is SessionStatus.RECEIVING:
        headers |= tus.expires_header(session.expires_at)
    return Response(headers=headers)


@router.patch("/{session_id}", status_code=204)
async def append(request: Request, session: OwnSession, services: TheServices) -> Response:
    """Take more bytes."""
    if request.headers.get("content-type") != tus.OFFSET_OCTETS:
        return problem(request, 415, "tus-type", f"The body's type is {tus.OFFSET_OCTETS}.")
    offset = tus.read_number(request.headers, "upload-offset")
    if offset is None:
        return problem(request, 400, "validation", "Upload-Offset is missing.")
    size_bytes = tus.read_number(request.headers, "upload-length")
    return await _append(request, services, session, offset, size_bytes)


@router.delete("/{session_id}", status_code=204)
async def terminate(session: OwnSession, services: TheServices) -> Response:
    """End the upload and forget its bytes; a completed file stays."""
    refuse_ended(session)
    await services.engine.cancel(session.session_id)
    return Response(status_code=204)


@router.get("/{session_id}", response_class=Response)
async def content(session: OwnSession, services: TheServices) -> Response:
    """Return the file of a completed upload."""
    refuse_ended(session)
    file_id = session.file_id
    if session.status is not SessionStatus.COMPLETED or file_id is None:
        raise NoSuchSession("the upload is not complete")
    stored = await services.catalog.read(lambda tx: tx.stored.get(file_id))
    if stored is None:
        raise NoSuchSession("the file was deleted")
    return RangeFile(stored, services.stage)


async def _append(
    request: Request,
    services: TheServices,
    session: UploadSession,
    offset: int,
    size_bytes: int | None,
) -> Response:
    checksum = request.headers.get("upload-checksum")
    try:
        current = await services.engine.append(
            session.session_id,
            offset,
            body_of(request),
            length=length_of(request),
            size_bytes=size_bytes,
            checks=() if checksum is None else (tus.read_checksum(checksum),),
        )
    except (ClientDisconnect, ConnectionResetError):
        return Response(status_code=400)  # nobody reads it; what arrived is kept
    except ChecksumMismatch as exc:
        answer = error_answer(request, exc)
        answer.status_code = _CHECKSUM_MISMATCH
        return answer
    except HaulierError as exc:
        answer = error_answer(request, exc)
        if exc.http_status == 409:
            known = await services.engine.get(session.session_id)
            answer.headers["Upload-Offset"] = str(known.offset)
        return answer
    headers = {"Upload-Offset": str(current.offset)}
    if current.status is SessionStatus.RECEIVING:
        headers |= tus.expires_header(current.expires_at)
    waiting = None
    if current.status is SessionStatus.VERIFYING:
        waiting = BackgroundTask(services.finisher.verify, current.session_id)
    return Response(status_code=204, headers=headers, background=waiting)


def refuse_ended(session: UploadSession) -> None:
    """Make sure that the session has not been ended without a file.

    Raises:
        SessionGone: it has.
    """
    if session.status in _ENDED:
        raise SessionGone(f"the upload of {session.name} is {session.status}")
