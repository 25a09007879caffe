"""Folders: a list, one of them, and what is done with them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response, Security
from pydantic import BaseModel, ConfigDict, Field

from haulier.core.accounts import Folder
from haulier.core.grants import Level
from haulier.files.access import Scope
from haulier.server.identity import CurrentUser, Reader, TheServices, Writer
from haulier.server.json_route import JsonRoute
from haulier.server.receiving import ID_PATTERN
from haulier.server.shown import folder_of

router = APIRouter(prefix="/api/folders", tags=["folders"], route_class=JsonRoute)

Path = Annotated[str, Field(max_length=1024)]


class NewFolder(BaseModel):
    """A folder that is to be made: one's own, or below one in which one may write."""

    model_config = ConfigDict(extra="forbid")

    path: Path = Field(min_length=1, examples=["holiday/2026"])
    parent_id: Annotated[str, Field(pattern=ID_PATTERN)] | None = None


class FolderChange(BaseModel):
    """What is to be changed of a folder; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    parent: Path | None = None


async def visible_folder(folder_id: str, user: CurrentUser, services: TheServices) -> Folder:
    """Return the folder if the user may see it; what one may not see does not exist."""
    return await services.folders.get(user, folder_id)


async def writable_folder(folder_id: str, user: CurrentUser, services: TheServices) -> Folder:
    """Return the folder if the user may change it."""
    return await services.folders.get(user, folder_id, Level.WRITE)


VisibleFolder = Annotated[Folder, Security(visible_folder, scopes=[Scope.READ])]
ChangedFolder = Annotated[Folder, Security(writable_folder, scopes=[Scope.WRITE])]


@router.get("")
async def list_folders(
    user: Reader,
    services: TheServices,
    parent: Annotated[str, Query(max_length=1024)] = "",
    parent_id: Annotated[str | None, Query(pattern=ID_PATTERN)] = None,
    *,
    shared: bool = False,
    cursor: Annotated[str | None, Query(max_length=1024)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:
    """List one's folders directly in another, or at the top, by name.

    With `parent_id` those in any folder that one may see; with `shared` those that others granted.
    """
    if shared:
        found = await services.folders.granted(user, cursor, limit + 1)
    else:
        found = await services.folders.inside(user, parent, cursor, limit + 1, around=parent_id)
    items = found[:limit]
    more = None
    if len(found) > limit:
        more = items[-1].folder_id if shared else items[-1].path
    return {"items": [folder_of(one) for one in items], "next_cursor": more}


@router.post("", status_code=201)
async def make_folder(given: NewFolder, user: Writer, services: TheServices) -> dict[str, Any]:
    """Make a folder, and those around it."""
    return folder_of(await services.folders.make(user, given.path, given.parent_id))


@router.get("/{folder_id}")
async def get_folder(folder: VisibleFolder) -> dict[str, Any]:
    """Say what is known of a folder."""
    return folder_of(folder)


@router.patch("/{folder_id}")
async def change_folder(
    given: FolderChange, folder: ChangedFolder, user: Writer, services: TheServices
) -> dict[str, Any]:
    """Rename a folder, or move it into another; all that lies in it goes with it."""
    moved = await services.folders.move(
        user, folder.folder_id, name=given.name, parent=given.parent
    )
    return folder_of(moved)


@router.delete("/{folder_id}", status_code=204)
async def delete_folder(folder: ChangedFolder, user: Writer, services: TheServices) -> Response:
    """Put all files in a folder into the trash, and forget the folder."""
    await services.folders.discard(user, folder.folder_id)
    return Response(status_code=204)
