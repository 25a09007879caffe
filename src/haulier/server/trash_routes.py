"""The trash: what lies in it, and the two ways out of it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response, Security
from fastapi.responses import JSONResponse

from haulier.core.accounts import StoredFile
from haulier.files.access import Scope, acting_for
from haulier.server.identity import CurrentUser, Reader, TheServices, Writer
from haulier.server.shown import metadata_of, page_of

router = APIRouter(prefix="/api/trash", tags=["trash"])


async def trashed_file(file_id: str, user: CurrentUser, services: TheServices) -> StoredFile:
    """Return the file in the trash if the user may see it; otherwise it does not exist."""
    return await services.library.get(user, file_id, in_trash=True)


TrashedFile = Annotated[StoredFile, Security(trashed_file, scopes=[Scope.WRITE])]


@router.get("")
async def list_trash(
    user: Reader,
    services: TheServices,
    cursor: Annotated[str | None, Query(pattern="^[0-9a-z]{20,32}$")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:
    """List one's files in the trash, the newest first."""
    found = await services.catalog.read(
        lambda tx: tx.stored.by_owner(user.user_id, cursor, limit + 1, in_trash=True),
        acting=acting_for(user),
    )
    return page_of(found, limit)


@router.post("/{file_id}/restore")
async def take_back(stored: TrashedFile, user: Writer, services: TheServices) -> JSONResponse:
    """Take a file out of the trash; where its name is taken meanwhile it gets another one."""
    back = await services.library.take_back(user, stored.file_id)
    return JSONResponse(metadata_of(back), headers={"ETag": back.metadata_etag})


@router.delete("/{file_id}", status_code=204)
async def remove(stored: TrashedFile, user: Writer, services: TheServices) -> Response:
    """Remove a file in the trash for good, with all its versions."""
    await services.library.remove(user, stored.file_id)
    return Response(status_code=204)


@router.delete("", status_code=204)
async def empty(user: Writer, services: TheServices) -> Response:
    """Remove everything in one's trash for good."""
    await services.library.empty_trash(user)
    return Response(status_code=204)
