"""Uploads in numbered chunks: the JSON files API (`/api/files/upload`)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response, Security
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from haulier.catalog.transaction import Tx
from haulier.core.accounts import User
from haulier.core.file_names import clean_name
from haulier.core.records import format_time, utc_now
from haulier.core.sessions.session import (
    Order,
    ReceivedChunks,
    SessionStatus,
    UploadSession,
)
from haulier.errors import FileNotFoundError as NoSuchSession
from haulier.errors import FileSizeError, UsageError, ValidationError
from haulier.files.access import Scope, may_continue
from haulier.server.chunk_bodies import read_chunk
from haulier.server.identity import CurrentUser, Reader, TheServices, Writer
from haulier.server.job_routes import job_of
from haulier.server.json_route import JsonRoute
from haulier.server.models import FileUploadRequest
from haulier.server.receiving import destination
from haulier.server.services import Services
from haulier.server.shown import metadata_of
from haulier.transfer.sessions.engine import ChunkReceipt, NewUpload

_MIB = 1 << 20

router = APIRouter(prefix="/api/files/upload", tags=["uploads"], route_class=JsonRoute)


@router.get("")
async def list_uploads(
    user: Reader,
    services: TheServices,
    cursor: Annotated[str | None, Query(pattern="^[0-9a-z]{20,32}$")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:
    """List one's uploads that are under way, begun by whichever protocol, by id."""

    def look(tx: Tx) -> list[tuple[UploadSession, int]]:
        found = tx.sessions.open_of(user.user_id, cursor, limit + 1)
        return [(one, one.offset or tx.sessions.arrived(one).size_bytes) for one in found]

    found = await services.catalog.read(look)
    items = [
        {
            "session_id": one.session_id,
            "name": one.name,
            "folder": one.folder or "",
            "size": one.size_bytes,
            "bytes": received_bytes,
            "order": one.order,
            "created_at": format_time(one.created_at),
            "expires_at": format_time(one.expires_at),
        }
        for one, received_bytes in found[:limit]
    ]
    more = items[-1]["session_id"] if len(found) > limit else None
    return {"items": items, "next_cursor": more}


async def own_chunks(session_id: str, user: CurrentUser, services: TheServices) -> UploadSession:
    """Return the session if it is the user's; what is another's does not exist."""
    session = await services.engine.get(session_id)
    if not may_continue(user, session) or session.order is not Order.CHUNKED:
        raise NoSuchSession("there is no such upload")
    return session


OwnChunks = Annotated[UploadSession, Security(own_chunks, scopes=[Scope.WRITE])]


@router.post("/start", status_code=201)
async def start(given: FileUploadRequest, user: Writer, services: TheServices) -> dict[str, Any]:
    """Begin an upload."""
    _check_size(services, given.name, given.size or 0)
    session = await begin(services, user, given)
    answer = {
        "session_id": session.session_id,
        "chunk_size": session.chunk_size,
        "total_chunks": session.grid.total,
        "expires_at": format_time(session.expires_at),
    }
    if session.status is SessionStatus.COMPLETED:
        answer |= {"status": "completed", "file": await file_of(services, session)}
    return answer


@router.post("/{session_id}/chunk")
async def put_chunk(request: Request, session: OwnChunks, services: TheServices) -> Response:
    """Take one chunk; the last one finishes the file."""
    receipt = await take_chunk(request, session, services)
    if receipt is None:
        return Response(status_code=400)
    number, made = receipt
    answer = {
        "session_id": session.session_id,
        "chunk_number": number,
        "status": "received",
        "received_bytes": made.arrived.size_bytes,
        "received_chunks": made.arrived.chunks,
        "missing_count": made.arrived.missing,
    }
    return await finished(services, made.session, answer, made.repeated)


@router.post("/{session_id}/complete")
async def complete(session: OwnChunks, services: TheServices) -> Response:
    """End an upload whose size was not told at its start."""
    done = await services.engine.complete(session.session_id)
    return await finished(services, done, {"session_id": session.session_id}, repeated=False)


@router.get("/{session_id}")
async def progress(session: OwnChunks, services: TheServices) -> dict[str, Any]:
    """Say what has arrived and what is missing."""
    received = await services.engine.received(session)
    elapsed_s = max(0.001, (utc_now() - session.created_at).total_seconds())
    return {
        "session_id": session.session_id,
        "name": session.name,
        "size": session.size_bytes,
        "chunk_size": session.chunk_size,
        "total_chunks": session.grid.total,
        "received": received.numbers.runs,
        "missing": received.missing(),
        "bytes": received.size_bytes,
        "percent": percent_of(session, received),
        "rate_bps": round(received.size_bytes / elapsed_s),
        "expires_at": format_time(session.expires_at),
        "status": session.status,
    }


@router.delete("/{session_id}", status_code=204)
async def cancel(session: OwnChunks, services: TheServices) -> Response:
    """End an upload and forget its bytes."""
    await services.engine.cancel(session.session_id)
    return Response(status_code=204)


async def begin(services: Services, user: User, given: FileUploadRequest) -> UploadSession:
    """Begin a session of numbered chunks for `user`."""
    where = await destination(services, user, given.folder, given.folder_id)
    try:
        return await services.engine.start(
            NewUpload(
                owner_id=where.owner_id,
                name=clean_name(given.name),
                size_bytes=given.size,
                order=Order.CHUNKED,
                chunk_size=given.chunk_size,
                mime_type=given.mime_type,
                wanted_checksum=given.checksum,
                folder=where.folder,
                details=where.details,
                tags=given.tags,
            )
        )
    except UsageError as exc:
        raise ValidationError(exc.message, hint=exc.hint) from exc


def _check_size(services: Services, name: str, size_bytes: int) -> None:
    most_bytes = services.settings.server.upload_max_file_mb * _MIB
    if size_bytes > most_bytes:
        raise FileSizeError(
            f"{name} has {size_bytes} bytes or more; at most {most_bytes} are allowed here",
            hint="Larger files go by tus, or ask for a higher UPLOAD_MAX_FILE_MB.",
        )


async def take_chunk(
    request: Request, session: UploadSession, services: Services
) -> tuple[int, ChunkReceipt] | None:
    """Receive the request's chunk; None when its client went away meanwhile."""
    try:
        sent = await read_chunk(request, session)
        if session.size_bytes is None:
            _check_size(services, session.name, (sent.number - 1) * session.chunk_size + 1)
        receipt = await services.engine.put_chunk(
            session.session_id, sent.number, sent.body, length=sent.length, checks=sent.checks
        )
    except (ClientDisconnect, ConnectionResetError):
        return None
    return sent.number, receipt


async def finished(
    services: Services, session: UploadSession, answer: dict[str, Any], repeated: bool
) -> Response:
    """Return the answer to a chunk, or that of the whole file when it is there."""
    if session.status is SessionStatus.COMPLETED:
        whole = {**answer, "status": "completed", "file": await file_of(services, session)}
        return JSONResponse(whole, 200 if repeated else 201)
    if session.status is SessionStatus.VERIFYING:
        waiting = {"status": "verifying", "job_id": await job_of(services, session)}
        return JSONResponse({**answer, **waiting}, 202)
    return JSONResponse(answer)


async def file_of(services: Services, session: UploadSession) -> dict[str, Any]:
    """Return the metadata of the file that a completed session became."""
    stored = await services.catalog.read(lambda tx: tx.stored.of_content(session.file_id or ""))
    if stored is None:
        raise NoSuchSession("the file was deleted")
    return metadata_of(stored)


def percent_of(session: UploadSession, received: ReceivedChunks) -> float | None:
    """Return how much of a session arrived; None while its size is not known."""
    if session.size_bytes is None:
        return None
    return round(100 * received.size_bytes / session.size_bytes, 2) if session.size_bytes else 100.0
