"""Many files at once: what changed of them, and one action on many."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from haulier.core.accounts import User
from haulier.errors import HaulierError, ValidationError
from haulier.files.access import acting_for, check_change
from haulier.files.changes import CURSOR_PATTERN, Cursor, changes_since
from haulier.files.library import FileChange
from haulier.server.identity import Reader, TheServices, Writer
from haulier.server.json_route import JsonRoute
from haulier.server.services import Services
from haulier.server.shown import metadata_of

router = APIRouter(prefix="/api/files", tags=["files"], route_class=JsonRoute)

MOST_FILES = 1000
FileId = Annotated[str, Field(pattern="^[0-9a-z]{20,32}$")]
Text = Annotated[str, Field(max_length=255)]


class BulkRequest(BaseModel):
    """One action on many files: `delete`, `move` (to `folder`) or `tag` (adds `tags`)."""

    model_config = ConfigDict(extra="forbid")

    action: Literal["delete", "move", "tag"] = Field(examples=["delete"])
    ids: Annotated[list[FileId], Field(min_length=1, max_length=MOST_FILES)] = Field(
        examples=[["01k9fj2q7vdm3c8x5t0h4n6bwz"]]
    )
    folder: Annotated[str, Field(max_length=1024)] | None = None
    tags: Annotated[dict[Text, Text], Field(max_length=50)] | None = None


@router.get("/changes")
async def changes(
    user: Reader,
    services: TheServices,
    since: Annotated[str, Query(max_length=80, pattern=CURSOR_PATTERN)] = "0",
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
) -> dict[str, Any]:
    """Tell what changed of the files one may see since a cursor, which the answer before gave.

    Of each file its last change: as it is now, or that it is deleted, or may not be seen any more.
    Nothing is ever missed; `more` says whether to ask again at once.
    """
    cursor = Cursor.parse(since)
    found = await services.catalog.read(
        lambda tx: changes_since(tx, user, cursor, limit), acting=acting_for(user)
    )
    items = [
        {
            "id": file_id,
            "change": "deleted" if stored is None else "updated",
            "file": None if stored is None else metadata_of(stored),
        }
        for file_id, stored in found.files.items()
    ]
    return {"items": items, "next_cursor": str(found.cursor), "more": found.more}


@router.post("/bulk")
async def bulk(given: BulkRequest, user: Writer, services: TheServices) -> dict[str, Any]:
    """Delete, move or tag many files; what became of each is told, and one does not stop others."""
    check_change(user)
    if given.action == "move" and given.folder is None:
        raise ValidationError("to move files takes the field `folder`")
    if given.action == "tag" and given.tags is None:
        raise ValidationError("to tag files takes the field `tags`")
    outcomes = [await _outcome(services, user, given, one) for one in dict.fromkeys(given.ids)]
    return {"items": outcomes}


async def _outcome(
    services: Services, user: User, given: BulkRequest, file_id: str
) -> dict[str, Any]:
    try:
        if given.action == "delete":
            await services.library.discard(user, file_id)
            return {"id": file_id, "status": 204}
        change = FileChange(folder=given.folder)
        if given.action == "tag":
            change = FileChange(more_tags=given.tags)
        changed = await services.library.change(user, file_id, change)
        return {"id": file_id, "status": 200, "file": metadata_of(changed)}
    except HaulierError as exc:
        status = exc.http_status
        if status >= 500:
            raise
        return {"id": file_id, "status": status, "code": exc.code, "detail": exc.message}
