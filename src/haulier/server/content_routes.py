"""`PUT /api/content/PATH`, for plain clients."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from haulier.core.file_names import clean_name
from haulier.core.sessions.session import Order, SessionStatus
from haulier.files.access import check_upload
from haulier.files.reception import IF_MATCH, ONLY_NEW
from haulier.server.bodies import body_of, length_of
from haulier.server.identity import TheServices, Writer
from haulier.server.receiving import FolderId, destination
from haulier.server.shown import metadata_of
from haulier.transfer.sessions.engine import NewUpload

router = APIRouter(prefix="/api/content", tags=["uploads"])


@router.put("/{path:path}", status_code=201)
async def put_content(
    path: str, request: Request, user: Writer, services: TheServices, folder_id: FolderId = None
) -> Response:
    """Keep the request's body as a file; its folder and name are the path.

    Where a file of that name lies already this is a new version of it; with `If-None-Match: *`
    it is refused then, and with `If-Match` when that file is not the one meant. With `folder_id`
    the path begins in that folder, which may be another's.
    """
    check_upload(user)
    details = {}
    if request.headers.get("if-none-match", "").strip() == "*":
        details[ONLY_NEW] = ""
    if "if-match" in request.headers:
        details[IF_MATCH] = request.headers["if-match"]
    folder, _, name = path.rpartition("/")
    where = await destination(services, user, folder, folder_id)
    length = length_of(request)
    session = await services.engine.start(
        NewUpload(
            owner_id=where.owner_id,
            name=clean_name(name),
            folder=where.folder,
            size_bytes=length,
            order=Order.SEQUENTIAL,
            mime_type=request.headers.get("content-type"),
            details={**where.details, **details},
        )
    )
    try:
        if length != 0:
            session = await services.engine.append(
                session.session_id, 0, body_of(request), length=length
            )
        if session.status is not SessionStatus.COMPLETED:
            session = await services.engine.complete(session.session_id)
    except (ClientDisconnect, ConnectionResetError):
        await services.engine.cancel(session.session_id)
        return Response(status_code=400)
    except BaseException:
        # Nobody can go on with it: its client knows no session.
        await services.engine.cancel(session.session_id)
        raise
    stored = await services.catalog.read(lambda tx: tx.stored.of_content(session.file_id or ""))
    assert stored is not None
    return JSONResponse(
        metadata_of(stored),
        201 if stored.version == 1 else 200,
        headers={"ETag": stored.etag, "Location": f"/api/files/{stored.file_id}"},
    )
