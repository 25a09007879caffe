"""A selection of files as one ZIP archive: by a header, or by a link that is good once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from haulier.catalog.transaction import Tx
from haulier.core.accounts import StoredFile, User
from haulier.core.records import format_time, utc_now
from haulier.core.sessions.chunks import Span
from haulier.core.zip_stream import (
    ZipEntry,
    directory,
    length_of_zip,
    local_header,
    unique_paths,
)
from haulier.errors import FileNotFoundError as NoSuchLink
from haulier.errors import ValidationError
from haulier.files.access import acting_for
from haulier.files.library import find
from haulier.files.tickets import TICKET_LIFETIME_S
from haulier.server.identity import Reader, TheServices, user_of
from haulier.server.json_route import JsonRoute
from haulier.server.selection_routes import MOST_FILES, FileId
from haulier.server.services import Services

router = APIRouter(tags=["files"], route_class=JsonRoute)


class NewArchive(BaseModel):
    """The files of an archive."""

    model_config = ConfigDict(extra="forbid")

    ids: Annotated[list[FileId], Field(min_length=1, max_length=MOST_FILES)] = Field(
        examples=[["01k9fj2q7vdm3c8x5t0h4n6bwz"]]
    )


@router.get("/api/files/zip", response_class=StreamingResponse)
async def zip_files(
    user: Reader,
    services: TheServices,
    ids: Annotated[list[str], Query(min_length=1, max_length=MOST_FILES)],
) -> StreamingResponse:
    """Return files as one ZIP archive; `ids` may come several times, or apart by commas."""
    wanted = list(dict.fromkeys(one for some in ids for one in some.split(",") if one))
    if not 1 <= len(wanted) <= MOST_FILES:
        raise ValidationError(f"an archive has 1 to {MOST_FILES} files")
    return _answer(services, await _chosen(services, user, wanted))


@router.post("/api/files/zip", status_code=201)
async def create_zip_link(
    given: NewArchive, user: Reader, request: Request, services: TheServices
) -> dict[str, Any]:
    """Return an address of an archive of these files that needs no header: once, within a minute.

    What can't be archived is refused here already.
    """
    wanted = list(dict.fromkeys(given.ids))
    await _chosen(services, user, wanted)
    ticket = await services.tickets.issue_for_files(user, wanted)
    until = utc_now() + timedelta(seconds=TICKET_LIFETIME_S)
    return {"url": f"{request.base_url}z/{ticket}", "expires_at": format_time(until)}


@router.get("/z/{ticket}", response_class=StreamingResponse)
async def follow_zip_link(ticket: str, services: TheServices) -> StreamingResponse:
    """Return the archive of a link, once."""
    redeemed = await services.tickets.redeem_for_files(ticket)
    if redeemed is None:
        raise NoSuchLink("this link leads nowhere, or not any more", hint="Ask for a new one.")
    claims, wanted = redeemed
    user = await user_of(services, claims)
    return _answer(services, await _chosen(services, user, wanted))


async def _chosen(services: Services, user: User, file_ids: Sequence[str]) -> list[StoredFile]:
    """Return files that the user may see and that may be served."""

    def look(tx: Tx) -> list[StoredFile]:
        return [find(tx, user, file_id) for file_id in file_ids]

    chosen = await services.catalog.read(look, acting=acting_for(user))
    for stored in chosen:
        services.scan_policy.check(stored)
    return chosen


def _answer(services: Services, chosen: list[StoredFile]) -> StreamingResponse:
    paths = unique_paths((stored.folder, stored.name) for stored in chosen)
    entries = [_entry(stored, path) for stored, path in zip(chosen, paths, strict=True)]
    headers = {
        "Content-Length": str(length_of_zip(entries)),
        "Content-Disposition": 'attachment; filename="files.zip"',
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-store",
    }
    pieces = _archive(services, chosen, entries)
    return StreamingResponse(pieces, media_type="application/zip", headers=headers)


def _entry(stored: StoredFile, path: str) -> ZipEntry:
    return ZipEntry(
        path=path,
        size_bytes=stored.size_bytes,
        crc32=int(stored.crc32, 16),
        modified_at=stored.modified_at,
    )


async def _archive(
    services: Services, chosen: list[StoredFile], entries: list[ZipEntry]
) -> AsyncIterator[memoryview | bytes]:
    for stored, entry in zip(chosen, entries, strict=True):
        yield local_header(entry)
        if stored.size_bytes:
            span = Span(0, stored.size_bytes)
            async with services.stage.read(stored.content_id, span) as pieces:
                async for piece in pieces:
                    yield memoryview(piece)
    yield directory(entries)
