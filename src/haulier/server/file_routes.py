"""Stored files: a list, one of them, its bytes and versions, and what is changed of it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Response, Security
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from haulier.core.accounts import StoredFile
from haulier.core.grants import Level
from haulier.files.access import Scope, may_see_job
from haulier.files.library import FileChange, version_of
from haulier.server.identity import CurrentUser, Reader, TheServices, Writer
from haulier.server.job_routes import job_shown
from haulier.server.json_route import JsonRoute
from haulier.server.receiving import ID_PATTERN
from haulier.server.services import Services
from haulier.server.shown import metadata_of, page_of

router = APIRouter(prefix="/api/files", tags=["files"], route_class=JsonRoute)

_MOST_VERSIONS = 2**31 - 1
Number = Annotated[int, Path(ge=1, le=_MOST_VERSIONS)]
WantedVersion = Annotated[int | None, Query(ge=1, le=_MOST_VERSIONS)]
IfMatch = Annotated[str | None, Header(max_length=1024)]
Text = Annotated[str, Field(max_length=255)]


class FileChangeRequest(BaseModel):
    """What is to be changed of a file; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    folder: Annotated[str, Field(max_length=1024)] | None = None
    tags: Annotated[dict[Text, Text], Field(max_length=50)] | None = None


async def visible_file(file_id: str, user: CurrentUser, services: TheServices) -> StoredFile:
    """Return the file if the user may see it; what one may not see does not exist."""
    return await services.library.get(user, file_id)


async def writable_file(file_id: str, user: CurrentUser, services: TheServices) -> StoredFile:
    """Return the file if the user may change it."""
    return await services.library.get(user, file_id, Level.WRITE)


VisibleFile = Annotated[StoredFile, Security(visible_file, scopes=[Scope.READ])]
ChangedFile = Annotated[StoredFile, Security(writable_file, scopes=[Scope.WRITE])]


@router.get("")
async def list_files(
    user: Reader,
    services: TheServices,
    folder: Annotated[str | None, Query(max_length=1024)] = None,
    folder_id: Annotated[str | None, Query(pattern=ID_PATTERN)] = None,
    name: Annotated[str | None, Query(max_length=1024)] = None,
    shared: bool | None = None,
    cursor: Annotated[str | None, Query(pattern=ID_PATTERN)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:
    """List the files that one may see, newest first.

    All, or with `shared` only those that others granted (`true`) or one's own (`false`); or those
    directly in one of one's own folders (`folder`, `""`: the top) or in any that one sees
    (`folder_id`). With `name` one's own of that name, or those in that folder.
    """
    found = await services.library.list(
        user, cursor, limit + 1, shared=shared, folder=folder, folder_id=folder_id, name=name
    )
    return page_of(found, limit)


@router.get("/{file_id}")
async def get_file(stored: VisibleFile) -> JSONResponse:
    """Say what is known of a file."""
    return _shown(stored)


@router.patch("/{file_id}")
async def change_file(
    given: FileChangeRequest,
    stored: ChangedFile,
    user: Writer,
    services: TheServices,
    if_match: IfMatch = None,
) -> JSONResponse:
    """Rename a file, move it to another folder, or give it other tags."""
    change = FileChange(name=given.name, folder=given.folder, tags=given.tags)
    changed = await services.library.change(user, stored.file_id, change, if_match=if_match)
    return _shown(changed)


@router.delete("/{file_id}", status_code=204)
async def delete_file(
    stored: ChangedFile, user: Writer, services: TheServices, if_match: IfMatch = None
) -> Response:
    """Put a file into the trash."""
    await services.library.discard(user, stored.file_id, if_match=if_match)
    return Response(status_code=204)


@router.get("/{file_id}/versions")
async def list_versions(stored: VisibleFile, services: TheServices) -> dict[str, Any]:
    """List what a file is and was, newest first."""
    found = await services.catalog.read(lambda tx: tx.stored.versions(stored))
    return {"items": [metadata_of(one) for one in found], "next_cursor": None}


@router.get("/{file_id}/jobs")
async def list_jobs(
    stored: VisibleFile, user: CurrentUser, services: TheServices
) -> dict[str, Any]:
    """List the jobs about a file as it is now, newest first: of its owner and for admins."""
    found = await services.catalog.read(lambda tx: tx.jobs.of_subject(stored.content_id))
    seen = sorted((one for one in found if may_see_job(user, one)), key=lambda one: one.job_id)
    return {"items": [job_shown(one) for one in reversed(seen)], "next_cursor": None}


@router.post("/{file_id}/versions/{number}/restore")
async def restore_version(
    number: Number, stored: ChangedFile, user: Writer, services: TheServices
) -> JSONResponse:
    """Make an earlier version the newest; those in between stay what they are."""
    return _shown(await services.library.restore_version(user, stored.file_id, number))


@router.head("/{file_id}/download", response_class=Response, include_in_schema=False)
@router.get("/{file_id}/download", response_class=Response)
async def download(
    stored: VisibleFile,
    services: TheServices,
    *,
    inline: bool = False,
    redirect: bool = True,
    version: WantedVersion = None,
) -> Response:
    """Return a file's bytes, or ranges of them; or those of an earlier version.

    With `redirect=false` they come from here, also where `DOWNLOAD_MODE` sends others to the store.
    """
    stored = await as_of(services, stored, version)
    services.scan_policy.check(stored)
    return services.downloads.answer(stored, inline=inline, redirect=redirect)


def _shown(stored: StoredFile) -> JSONResponse:
    return JSONResponse(metadata_of(stored), headers={"ETag": stored.metadata_etag})


async def as_of(services: Services, stored: StoredFile, version: int | None) -> StoredFile:
    """Return the file as it is, or was in a version.

    Raises:
        FileNotFoundError: it never had that version.
    """
    if version is None or version == stored.version:
        return stored
    return await services.catalog.read(lambda tx: version_of(tx, stored, version))
