"""tus 1.0.0 at `/tus/`, spoken over the session engine."""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response, Security
from starlette import types
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Send

from haulier.core.file_names import clean_name
from haulier.core.sessions import tus
from haulier.core.sessions.session import Order, SessionStatus, UploadSession
from haulier.errors import (
    ChecksumMismatch,
    FilePermissionError,
    HaulierError,
    SessionGone,
    UnsupportedContent,
    UnsupportedVersion,
    ValidationError,
)
from haulier.errors import FileNotFoundError as NoSuchSession
from haulier.files.access import Scope, check_upload, may_continue
from haulier.files.reception import ONLY_NEW
from haulier.server.bodies import body_of, length_of
from haulier.server.identity import CurrentUser, TheServices, Writer
from haulier.server.places import TUS, speaks_tus
from haulier.server.problems import error_answer
from haulier.server.receiving import FolderId, destination
from haulier.transfer.sessions.engine import NewUpload
from haulier.transfer.sessions.joining import Joiner

_CHECKSUM_MISMATCH = 460
_log = logging.getLogger("haulier.server")
_ENDED = {SessionStatus.CANCELLED, SessionStatus.EXPIRED, SessionStatus.FAILED}

router = APIRouter(prefix=TUS, tags=["tus"])


class TusVersions:
    """Middleware for `/tus/`: the method's override, and the version on each request and answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: types.Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not speaks_tus(scope):
            await self._app(scope, receive, send)
            return
        override = dict(scope["headers"]).get(b"x-http-method-override", b"")
        if override:
            scope["method"] = override.decode("latin-1").upper()

        async def send_with_version(message: Message) -> None:
            if message["type"] == "http.response.start":
                named = [*message.get("headers", []), (b"tus-resumable", tus.VERSION.encode())]
                if message["status"] == 412:
                    named.append((b"tus-version", tus.VERSION.encode()))
                message["headers"] = named
            await send(message)

        await self._app(scope, receive, send_with_version)


def check_version(request: Request) -> None:
    """Make sure that the client speaks our version.

    Raises:
        UnsupportedVersion: it speaks another one, or does not say.
    """
    if request.headers.get("tus-resumable") != tus.VERSION:
        raise UnsupportedVersion(f"this server speaks tus {tus.VERSION}")


async def own_session(session_id: str, user: CurrentUser, services: TheServices) -> UploadSession:
    """Return the session if it is the user's; what is another's does not exist."""
    session = await services.engine.get(session_id)
    if not may_continue(user, session) or session.order is not Order.SEQUENTIAL:
        raise NoSuchSession("there is no such upload")
    return session


OwnSession = Annotated[UploadSession, Security(own_session, scopes=[Scope.WRITE])]


async def spoken_session(session: OwnSession, request: Request) -> UploadSession:
    """Return the user's session to a client that speaks our version."""
    check_version(request)
    return session


TusSession = Annotated[UploadSession, Depends(spoken_session)]


@router.options("", include_in_schema=False)
@router.options("/")
@router.options("/{session_id}")
async def offer(services: TheServices) -> Response:
    """Say what this server can do."""
    return Response(
        status_code=204,
        headers=tus.offer_headers(services.settings.server.max_file_size),
    )


@router.post("", include_in_schema=False)
@router.post("/", status_code=201)
async def create(
    request: Request, user: Writer, services: TheServices, folder_id: FolderId = None
) -> Response:
    """Begin an upload, with its first bytes where the client sends them along.

    The metadata `folder` says where the file goes, `tags` (a JSON object) what it is tagged with.
    With `If-None-Match: *` the upload is refused where there is a file of its name. With
    `folder_id` the file goes into that folder, which may be another's.
    """
    check_upload(user)
    check_version(request)
    creation = tus.read_creation(request.headers)
    named = tus.parse_metadata(creation.metadata)
    name = clean_name(named.get("filename") or named.get("name") or "upload")
    mime_type = named.get("filetype") or named.get("type")
    if creation.concat is not None and folder_id is not None:
        raise ValidationError("parts are joined in one's own folders alone")
    where = await destination(services, user, named.get("folder"), folder_id)
    tags = tus.read_tags(named.get("tags", ""))
    if creation.parts:
        final = await services.joiner.begin(
            creation.parts,
            owner_id=user.user_id,
            name=name,
            mime_type=mime_type,
            details=creation.details,
        )
        joining = BackgroundTask(_join, services.joiner, final.session_id)
        return Response(status_code=201, headers=location_of(request, final), background=joining)
    session = await services.engine.start(
        NewUpload(
            owner_id=where.owner_id,
            name=name,
            size_bytes=creation.size_bytes,
            order=Order.SEQUENTIAL,
            mime_type=mime_type,
            folder=where.folder,
            tags=tags,
            details={**creation.details, **where.details, **_conditions(request)},
        )
    )
    return await begun(request, services, session)


async def begun(request: Request, services: TheServices, session: UploadSession) -> Response:
    """Return the answer to the beginning of a session, with its first bytes if any were sent."""
    location = location_of(request, session)
    if media_type_of(request) != tus.OFFSET_OCTETS:
        expires = tus.expires_header(session.expires_at)
        return Response(status_code=201, headers={**location, **expires})
    try:
        answer = await _append(request, services, session, 0, None)
    except (ClientDisconnect, ConnectionResetError):
        # Nobody can go on with it: its client does not know where it is.
        await services.engine.cancel(session.session_id)
        return Response(status_code=400)
    answer.headers.update(location)
    if answer.status_code == 204:
        answer.status_code = 201
    return answer


@router.head("/{session_id}")
async def state(session: TusSession, services: TheServices) -> Response:
    """Say how far the upload came; a request that still sends bytes for it is ended."""
    refuse_ended(session)
    if session.status is SessionStatus.RECEIVING:
        session = await services.engine.settled(session.session_id)
    headers = tus.state_headers(session)
    if not session.parts:
        headers |= tus.checksum_header(session)
    if session.status is SessionStatus.RECEIVING:
        headers |= tus.expires_header(session.expires_at)
    return Response(headers=headers)


@router.patch("/{session_id}", status_code=204)
async def append(request: Request, session: TusSession, services: TheServices) -> Response:
    """Take more bytes.

    With `If-None-Match: *` the upload becomes no file where there is one of its name by then.
    """
    if session.parts:
        raise FilePermissionError("a final upload takes no bytes", hint="Send them to its parts.")
    if media_type_of(request) != tus.OFFSET_OCTETS:
        raise UnsupportedContent(f"the body's type is {tus.OFFSET_OCTETS}")
    offset = tus.read_number(request.headers, "upload-offset")
    if offset is None:
        raise ValidationError("Upload-Offset is missing")
    size_bytes = tus.read_number(request.headers, "upload-length")
    if conditions := _conditions(request):
        await services.engine.require(session.session_id, conditions)
    try:
        return await _append(request, services, session, offset, size_bytes)
    except (ClientDisconnect, ConnectionResetError):
        return Response(status_code=400)  # nobody reads it; what arrived is kept


@router.delete("/{session_id}", status_code=204)
async def terminate(session: TusSession, services: TheServices) -> Response:
    """End the upload and forget its bytes; of a completed one the file stays."""
    refuse_ended(session)
    await services.engine.cancel(session.session_id)
    if session.status is SessionStatus.COMPLETED:
        await services.engine.forget(session.session_id)
    return Response(status_code=204)


@router.get("/{session_id}", response_class=Response)
async def content(session: OwnSession, user: CurrentUser, services: TheServices) -> Response:
    """Return the file of a completed upload."""
    refuse_ended(session)
    file_id = session.file_id
    if session.status is not SessionStatus.COMPLETED or file_id is None:
        raise NoSuchSession("the upload is not complete")
    stored = await services.catalog.read(lambda tx: tx.stored.of_content(file_id))
    if stored is None or stored.deleted_at is not None:
        raise NoSuchSession("the file was deleted")
    # Who uploaded it may not see it for ever, where it is another's.
    await services.library.get(user, stored.file_id)
    services.scan_policy.check(stored)
    return services.downloads.answer(stored)


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
    return Response(status_code=204, headers=headers)


def _conditions(request: Request) -> dict[str, str]:
    is_only_new = request.headers.get("if-none-match", "").strip() == "*"
    return {ONLY_NEW: ""} if is_only_new else {}


async def _join(joiner: Joiner, session_id: str) -> None:
    try:
        await joiner.join(session_id)
    except HaulierError as exc:
        _log.error("joining %s has to wait for the sweeper: %s", session_id, exc.message)


def location_of(request: Request, session: UploadSession) -> dict[str, str]:
    """Return `Location`, relative: right behind any proxy, whatever it calls this place."""
    path = request.url.path
    lead = "" if path.endswith("/") else path.rsplit("/", 1)[-1] + "/"
    return {"Location": f"{lead}{session.session_id}"}


def media_type_of(request: Request) -> str:
    """Return the type of the body, without parameters."""
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


def refuse_ended(session: UploadSession) -> None:
    """Make sure that the session has not been ended without a file.

    Raises:
        SessionGone: it has.
    """
    if session.status in _ENDED:
        raise SessionGone(f"the upload of {session.name} is {session.status}")
