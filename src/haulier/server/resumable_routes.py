"""Resumable uploads for HTTP at `/resumable/`, spoken over the session engine.

A client learns the upload's URL from a 104 answer while it still sends; under a server that can't
send these by "careful creation": an empty request with `Upload-Complete: ?0` is answered 201 with
`Location`.
"""

from __future__ import annotations

from email.message import Message

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from haulier.core.file_names import clean_name
from haulier.core.sessions import resumable, tus
from haulier.core.sessions.session import Order, SessionStatus, UploadSession
from haulier.errors import (
    InconsistentLength,
    SessionConflict,
    UnsupportedContent,
    UploadComplete,
)
from haulier.files.access import check_upload
from haulier.server.bodies import body_of, length_of
from haulier.server.chunk_bodies import checks_of_headers, digests_in
from haulier.server.direct import send_interim
from haulier.server.identity import TheServices, Writer
from haulier.server.job_routes import job_of
from haulier.server.places import RESUMABLE
from haulier.server.problems import error_answer
from haulier.server.receiving import FolderId, destination
from haulier.server.services import Services
from haulier.server.tus_routes import OwnSession, location_of, media_type_of, refuse_ended
from haulier.server.upload_routes import file_of
from haulier.transfer.sessions.engine import NewUpload

router = APIRouter(prefix=RESUMABLE, tags=["resumable uploads"])


@router.options("", include_in_schema=False)
@router.options("/")
@router.options("/{session_id}")
async def offer(services: TheServices) -> Response:
    """Say what this server takes."""
    limits = resumable.limit_headers(services.settings.server.max_file_size)
    return Response(status_code=204, headers={**limits, "Accept-Patch": resumable.PARTIAL_UPLOAD})


@router.post("", include_in_schema=False)
@router.post("/", status_code=201)
async def create(
    request: Request, user: Writer, services: TheServices, folder_id: FolderId = None
) -> Response:
    """Begin an upload; with `Upload-Complete: ?1` the body is all of it.

    With `folder_id` the file goes into that folder, which may be another's.
    """
    check_upload(user)
    if request.headers.get("content-encoding", "identity") != "identity":
        raise UnsupportedContent("files are kept as they are; send this one without an encoding")
    length = length_of(request)
    try:
        piece = resumable.read_creation(request.headers, length)
    except InconsistentLength as exc:
        return _typed(error_answer(request, exc), resumable.INCONSISTENT_LENGTH)
    where = await destination(services, user, None, folder_id)
    session = await services.engine.start(
        NewUpload(
            owner_id=where.owner_id,
            folder=where.folder,
            details=where.details,
            name=_name_of(request),
            size_bytes=piece.size_bytes,
            order=Order.SEQUENTIAL,
            mime_type=request.headers.get("content-type"),
            wanted_checksum=next(iter(digests_in(request, "Repr-Digest")), None),
        )
    )
    location = location_of(request, session)
    interim = resumable.interim_headers(piece, location, services.settings.server.max_file_size)
    if interim is not None:
        send_interim(dict(request.scope), 104, interim)
    answer = await _take(request, services, session, piece, length)
    answer.headers.update(location)
    return answer


@router.get("/{session_id}", status_code=204, include_in_schema=False)
@router.head("/{session_id}", status_code=204)
async def state(session: OwnSession, services: TheServices) -> Response:
    """Say how far the upload came; a request that still sends bytes for it is ended."""
    refuse_ended(session)
    if session.status is SessionStatus.RECEIVING:
        session = await services.engine.settled(session.session_id)
    return Response(status_code=204, headers=_state(services, session))


@router.patch("/{session_id}")
async def append(request: Request, session: OwnSession, services: TheServices) -> Response:
    """Take more bytes."""
    refuse_ended(session)
    length = length_of(request)
    try:
        piece = resumable.read_append(request.headers, length)
        if resumable.is_complete(session) and (length or piece.offset != session.offset):
            done = UploadComplete(f"the upload of {session.name} is complete")
            return _typed(error_answer(request, done), resumable.COMPLETED_UPLOAD)
        resumable.check_length(piece, session)
    except InconsistentLength as exc:
        return _typed(error_answer(request, exc), resumable.INCONSISTENT_LENGTH)
    if resumable.wants_media_type(piece) and media_type_of(request) != resumable.PARTIAL_UPLOAD:
        error = UnsupportedContent(f"the body's type is {resumable.PARTIAL_UPLOAD}")
        answer = error_answer(request, error)
        answer.headers["Accept-Patch"] = resumable.PARTIAL_UPLOAD
        return answer
    return await _take(request, services, session, piece, length)


@router.delete("/{session_id}", status_code=204)
async def cancel(session: OwnSession, services: TheServices) -> Response:
    """End the upload and forget its bytes."""
    refuse_ended(session)
    await services.engine.cancel(session.session_id)
    return Response(status_code=204)


async def _take(
    request: Request,
    services: Services,
    session: UploadSession,
    piece: resumable.Piece,
    length: int | None,
) -> Response:
    engine = services.engine
    try:
        current = await engine.append(
            session.session_id,
            piece.offset,
            body_of(request),
            length=length,
            size_bytes=piece.size_bytes,
            checks=checks_of_headers(request),
        )
        if piece.complete and current.status is SessionStatus.RECEIVING:
            current = await engine.complete(current.session_id)
    except (ClientDisconnect, ConnectionResetError):
        return Response(status_code=400)
    except SessionConflict as exc:
        known = await engine.get(session.session_id)
        answer = _typed(
            error_answer(request, exc),
            resumable.MISMATCHING_OFFSET,
            **{"expected-offset": known.offset, "provided-offset": piece.offset},
        )
        answer.headers.update(_state(services, known))
        return answer
    headers = _state(services, current)
    if current.status is SessionStatus.COMPLETED:
        return JSONResponse(await file_of(services, current), 201, headers=headers)
    if current.status is SessionStatus.VERIFYING:
        waiting = {"status": "verifying", "job_id": await job_of(services, current)}
        return JSONResponse(waiting, 202, headers=headers)
    return Response(status_code=201 if request.method == "POST" else 204, headers=headers)


def _state(services: Services, session: UploadSession) -> dict[str, str]:
    headers = resumable.state_headers(session, services.settings.server.max_file_size)
    if session.status is SessionStatus.RECEIVING:
        headers |= tus.expires_header(session.expires_at)
    return headers


def _typed(answer: JSONResponse, type_url: str, **members: int) -> JSONResponse:
    """Return a problem document with the type that the standard gives it."""
    import json

    body = {**json.loads(bytes(answer.body)), "type": type_url, **members}
    typed = JSONResponse(body, answer.status_code, media_type="application/problem+json")
    typed.headers.update({k: v for k, v in answer.headers.items() if k != "content-length"})
    return typed


def _name_of(request: Request) -> str:
    disposition = Message()
    disposition["Content-Disposition"] = request.headers.get("content-disposition", "")
    given = disposition.get_filename()
    if not given:
        named = tus.parse_metadata(request.headers.get("upload-metadata", ""))
        given = named.get("filename") or named.get("name")
    return clean_name(given or "upload")
