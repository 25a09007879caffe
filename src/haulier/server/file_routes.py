"""Stored files: a list, one of them, its bytes; and `PUT /api/content/NAME` for plain clients."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response, Security
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from haulier.core.accounts import StoredFile
from haulier.core.file_names import clean_folder, clean_name
from haulier.core.records import format_time
from haulier.core.sessions.session import Order
from haulier.errors import FileNotFoundError as NoSuchFile
from haulier.files.access import Scope, check_upload, may_see
from haulier.files.reception import ONLY_NEW
from haulier.server.bodies import body_of, length_of
from haulier.server.identity import CurrentUser, Reader, TheServices, Writer
from haulier.transfer.sessions.engine import NewUpload

router = APIRouter(prefix="/api", tags=["files"])


async def visible_file(file_id: str, user: CurrentUser, services: TheServices) -> StoredFile:
    """Return the file if the user may see it; what one may not see does not exist."""
    stored = await services.catalog.read(lambda tx: tx.stored.get(file_id))
    if stored is None or not may_see(user, stored):
        raise NoSuchFile("there is no such file")
    return stored


VisibleFile = Annotated[StoredFile, Security(visible_file, scopes=[Scope.READ])]


@router.get("/files")
async def list_files(
    user: Reader,
    services: TheServices,
    cursor: Annotated[str | None, Query(pattern="^[0-9a-z]{20,32}$")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:
    """List one's files, newest first."""
    found = await services.catalog.read(
        lambda tx: tx.stored.by_owner(user.user_id, cursor, limit + 1)
    )
    return _page(found, limit)


@router.get("/files/search")
async def search_files(
    user: Reader,
    services: TheServices,
    q: Annotated[str, Query(min_length=1, max_length=255)],
    cursor: Annotated[str | None, Query(pattern="^[0-9a-z]{20,32}$")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:
    """Find one's files by a part of their name, newest first."""
    found = await services.catalog.read(
        lambda tx: tx.stored.search(user.user_id, q, cursor, limit + 1)
    )
    return _page(found, limit)


@router.get("/files/{file_id}")
async def get_file(stored: VisibleFile) -> JSONResponse:
    """Say what is known of a file."""
    return JSONResponse(metadata_of(stored), headers={"ETag": stored.etag})


@router.head("/files/{file_id}/download", response_class=Response, include_in_schema=False)
@router.get("/files/{file_id}/download", response_class=Response)
async def download(stored: VisibleFile, services: TheServices, *, inline: bool = False) -> Response:
    """Return a file's bytes, or ranges of them."""
    services.scan_policy.check(stored)
    return services.downloads.answer(stored, inline=inline)


@router.get("/files/{file_id}/thumbnail", response_class=Response)
async def thumbnail(stored: VisibleFile, services: TheServices) -> Response:
    """Return a small picture of an image, video, PDF or sound: WebP, at most 320 by 320 pixels."""
    services.scan_policy.check(stored)
    path = services.file_jobs.thumbnail_path(stored.file_id)
    try:
        picture = await asyncio.to_thread(path.read_bytes)
    except FileNotFoundError:
        raise NoSuchFile(
            f"there is no picture of {stored.name}",
            hint="Pictures are made of images, videos, PDFs and sound, soon after the upload.",
        ) from None
    headers = {"Cache-Control": "private, max-age=3600", "X-Content-Type-Options": "nosniff"}
    return Response(picture, media_type="image/webp", headers=headers)


@router.put("/content/{path:path}", status_code=201)
async def put_content(path: str, request: Request, user: Writer, services: TheServices) -> Response:
    """Keep the request's body as a file; its folder and name are the path.

    With `If-None-Match: *` it is refused where a file of that name lies already.
    """
    check_upload(user)
    only_new = request.headers.get("if-none-match", "").strip() == "*"
    folder, _, name = path.rpartition("/")
    length = length_of(request)
    session = await services.engine.start(
        NewUpload(
            owner_id=user.user_id,
            name=clean_name(name),
            folder=clean_folder(folder),
            size_bytes=length,
            order=Order.SEQUENTIAL,
            mime_type=request.headers.get("content-type"),
            details={ONLY_NEW: ""} if only_new else {},
        )
    )
    try:
        if length != 0:
            session = await services.engine.append(
                session.session_id, 0, body_of(request), length=length
            )
        session = await services.engine.complete(session.session_id)
    except (ClientDisconnect, ConnectionResetError):
        await services.engine.cancel(session.session_id)
        return Response(status_code=400)
    except BaseException:
        # Nobody can go on with it: its client knows no session.
        await services.engine.cancel(session.session_id)
        raise
    stored = await services.catalog.read(lambda tx: tx.stored.get(session.file_id or ""))
    assert stored is not None
    return JSONResponse(
        metadata_of(stored),
        201,
        headers={"ETag": stored.etag, "Location": f"/api/files/{stored.file_id}"},
    )


def _page(found: list[StoredFile], limit: int) -> dict[str, Any]:
    """Return `limit` of the files that were found, which may be one more."""
    items = found[:limit]
    more = items[-1].file_id if len(found) > limit else None
    return {"items": [metadata_of(one) for one in items], "next_cursor": more}


def metadata_of(stored: StoredFile) -> dict[str, Any]:
    """Return a file's `FileMetadata`, as the API shows it."""
    row = asdict(stored)
    return {
        "id": stored.file_id,
        "name": stored.name,
        "folder": stored.folder,
        "size": stored.size_bytes,
        "mime_type": stored.mime_type,
        "owner": stored.owner_id,
        "version": stored.version,
        "created_at": format_time(stored.created_at),
        "modified_at": format_time(stored.modified_at),
        "checksum": f"crc64nvme:{stored.crc64nvme}",
        "crc32": f"crc32:{stored.crc32}",
        "sha256": None if stored.sha256 is None else f"sha256:{stored.sha256}",
        "tags": row["tags"],
        "scan_state": stored.scan_state,
        "scan_detail": stored.scan_detail,
    }
