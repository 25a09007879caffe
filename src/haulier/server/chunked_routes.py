"""The chunked API (`/upload/chunked`): the same sessions in other words."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from haulier.core.sessions.session import SessionStatus, UploadSession
from haulier.errors import ChunksMissing
from haulier.server.identity import TheServices, Writer
from haulier.server.job_routes import job_of
from haulier.server.json_route import JsonRoute
from haulier.server.models import FileUploadRequest
from haulier.server.problems import problem
from haulier.server.upload_routes import (
    OwnChunks,
    begin,
    file_of,
    percent_of,
    take_chunk,
)

router = APIRouter(prefix="/upload/chunked", tags=["uploads"], route_class=JsonRoute)


class ChunkedInit(BaseModel):
    """What is said of a file before it is sent."""

    file_name: str = Field(min_length=1, max_length=1024, examples=["clip.mp4"])
    file_size: int = Field(ge=0, examples=[3145728])
    mode: str = Field("recap", min_length=1, max_length=64)
    mime_type: str | None = Field(default=None, max_length=255)
    checksum: str | None = Field(default=None, max_length=200)


@router.post("/init", status_code=201)
async def init(given: ChunkedInit, user: Writer, services: TheServices) -> dict[str, Any]:
    """Begin an upload; `file_id` is that of the upload until it is complete."""
    session = await begin(
        services,
        user,
        FileUploadRequest(
            name=given.file_name,
            size=given.file_size,
            mime_type=given.mime_type,
            checksum=given.checksum,
            tags={"mode": given.mode},
        ),
    )
    return {
        "file_id": session.session_id,
        "chunk_size": session.chunk_size,
        "total_chunks": session.grid.total,
    }


@router.post("/{session_id}/chunk")
async def chunk(request: Request, session: OwnChunks, services: TheServices) -> Response:
    """Take one chunk."""
    receipt = await take_chunk(request, session, services)
    if receipt is None:
        return Response(status_code=400)
    number, made = receipt
    size_bytes = session.size_bytes or 1
    progress = round(made.arrived.size_bytes / size_bytes, 4)
    return JSONResponse({"chunk_number": number, "status": "received", "progress": progress})


@router.post("/{session_id}/complete")
async def complete(request: Request, session: OwnChunks, services: TheServices) -> Response:
    """Say that everything was sent; what is missing is named."""
    try:
        done = await services.engine.complete(session.session_id)
    except ChunksMissing as exc:
        missing = [n for first, last in exc.missing for n in range(first, last + 1)]
        return problem(request, 409, exc.code, exc.message, missing=missing, advice=exc.hint)
    job_id = await job_of(services, done)
    if done.status is SessionStatus.VERIFYING:
        waiting = {"file_id": done.session_id, "status": "verifying", "job_id": job_id}
        return JSONResponse(waiting, 202)
    stored = await file_of(services, done)
    return JSONResponse(
        {
            "file_id": stored["id"],
            "status": "completed",
            "checksum": _checksum_of(stored, session),
            "job_id": job_id,
        }
    )


@router.get("/{session_id}/status")
async def status(session: OwnChunks, services: TheServices) -> dict[str, Any]:
    """Say what has arrived: what a client needs to go on."""
    received = await services.engine.received(session)
    return {
        "uploaded_chunks": [n for a, b in received.numbers.runs for n in range(a, b + 1)],
        "missing": [n for a, b in received.missing() for n in range(a, b + 1)],
        "bytes": received.size_bytes,
        "percent": percent_of(session, received),
    }


def _checksum_of(stored: dict[str, Any], session: UploadSession) -> str:
    """Return the SHA-256 when the client named one, else the CRC-32: the same at each asking."""
    wanted = session.wanted_checksum or ""
    return wanted if wanted.startswith("sha256:") else str(stored["crc32"])
