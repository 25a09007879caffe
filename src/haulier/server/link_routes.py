"""Signed, short-lived links, for players and `<img>`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from haulier.core.records import format_time
from haulier.files.links import LONGEST_S
from haulier.server.file_routes import VisibleFile
from haulier.server.identity import Reader, TheServices
from haulier.server.json_route import JsonRoute

router = APIRouter(tags=["files"], route_class=JsonRoute)


class NewLink(BaseModel):
    """For how many seconds a link is to be good."""

    model_config = ConfigDict(extra="forbid")

    expires_in: int = Field(default=LONGEST_S, ge=1, le=LONGEST_S)


_AN_HOUR = NewLink()


@router.post("/api/files/{file_id}/link", status_code=201)
async def create_link(
    stored: VisibleFile,
    user: Reader,
    request: Request,
    services: TheServices,
    given: NewLink = _AN_HOUR,
) -> dict[str, Any]:
    """Return an address of a file that needs no header, for at most an hour."""
    token, expires_at = services.links.sign(user, stored, given.expires_in)
    return {"url": f"{request.base_url}l/{token}", "expires_at": format_time(expires_at)}


@router.head("/l/{token}", response_class=Response, include_in_schema=False)
@router.get("/l/{token}", response_class=Response)
async def follow_link(
    token: str,
    request: Request,
    services: TheServices,
    *,
    inline: bool = True,
    redirect: bool = True,
) -> Response:
    """Return the bytes of a link's file, or ranges of them; shown in place where that is safe.

    With `redirect=false` they come from here, also where `DOWNLOAD_MODE` sends others to the store.
    """
    stored = await services.links.open(token)
    request.state.audited_object = stored.file_id
    services.scan_policy.check(stored)
    return services.downloads.answer(stored, inline=inline, redirect=redirect)
