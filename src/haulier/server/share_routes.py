"""Links to files: made and taken back by who shares, opened by whoever has them."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Header, Query, Request, Response, Security
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.responses import RedirectResponse

from haulier.core.accounts import StoredFile
from haulier.core.grants import Level
from haulier.core.http_ranges import UnsatisfiableRange, is_fresh, range_applies, select_ranges
from haulier.core.jobs import Job
from haulier.core.records import format_time
from haulier.core.shares import Share
from haulier.errors import FileNotFoundError as NoSuchShare
from haulier.errors import FileSizeError, HaulierError, SharePasswordNeeded
from haulier.files.access import Scope
from haulier.files.link_passwords import PASS_LIFETIME_S
from haulier.files.shares import dead_link
from haulier.jobs.pictures import USUAL_SIDE_PX
from haulier.server.identity import CurrentUser, TheServices, Writer
from haulier.server.json_route import JsonRoute
from haulier.server.receiving import ID_PATTERN
from haulier.server.services import Services
from haulier.server.share_pages import dead_page, file_page, password_page

router = APIRouter(tags=["shares"], route_class=JsonRoute)

_MOST_FORM_BYTES = 8192
Password = Annotated[str | None, Header(max_length=1024)]
Cursor = Annotated[str | None, Query(pattern=ID_PATTERN)]
Limit = Annotated[int, Query(ge=1, le=1000)]


async def shared_file(file_id: str, user: CurrentUser, services: TheServices) -> StoredFile:
    """Return the file if the user may share it."""
    return await services.library.get(user, file_id, Level.SHARE)


SharedFile = Annotated[StoredFile, Security(shared_file, scopes=[Scope.WRITE])]


class NewShare(BaseModel):
    """How long, how often and by whom a link can be used; left out, without a limit."""

    model_config = ConfigDict(extra="forbid")

    password: Annotated[str, Field(min_length=6, max_length=1024)] | None = None
    max_downloads: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    expires_at: AwareDatetime | None = None


@router.post("/api/files/{file_id}/shares", status_code=201)
async def create_share(
    given: NewShare, stored: SharedFile, user: Writer, request: Request, services: TheServices
) -> JSONResponse:
    """Make a link to a file; the answer alone has its address."""
    share, token = await services.shares.create(
        user,
        stored,
        password=given.password,
        max_downloads=given.max_downloads,
        expires_at=given.expires_at,
    )
    url = f"{request.base_url}s/{token}"
    return JSONResponse({**_shown(share), "token": token, "url": url}, 201)


@router.get("/api/files/{file_id}/shares")
async def list_shares(stored: SharedFile, services: TheServices) -> dict[str, Any]:
    """List the links to a file, newest first."""
    return {"items": [_shown(one) for one in await services.shares.of_file(stored)]}


@router.get("/api/shares")
async def list_own_shares(
    user: Writer, services: TheServices, cursor: Cursor = None, limit: Limit = 100
) -> dict[str, Any]:
    """List the links that one made, newest first, with the names of their files."""
    found = await services.shares.of_creator(user, cursor, limit + 1)
    items = [
        {**_shown(share), "name": None if stored is None else stored.name}
        for share, stored in found[:limit]
    ]
    return {"items": items, "next_cursor": items[-1]["id"] if len(found) > limit else None}


@router.delete("/api/shares/{share_id}", status_code=204)
async def revoke_share(share_id: str, user: Writer, services: TheServices) -> Response:
    """Take a link back."""
    await services.shares.revoke(user, share_id)
    return Response(status_code=204)


@router.get("/s/{token}", response_class=Response)
async def share_page(token: str, request: Request, services: TheServices) -> Response:
    """Show what a link leads to, or ask for its password."""
    try:
        share, stored = await _usable(services, token)
    except NoSuchShare:
        return dead_page()
    if not _may_pass(services, share, request):
        return password_page()
    return file_page(share, stored, token, await _picture_of(services, stored))


@router.post("/s/{token}", response_class=Response)
async def enter_password(token: str, request: Request, services: TheServices) -> Response:
    """Take the password from the page's form; a cookie stands for it for a quarter of an hour."""
    try:
        share, _ = await _usable(services, token)
    except NoSuchShare:
        return dead_page()
    given = await password_of(request)
    await _count_try(services, share, request)
    passwords = services.shares.passwords
    try:
        await passwords.check(share.password_hash, given)
    except SharePasswordNeeded:
        return password_page(is_wrong=True)
    answer = RedirectResponse(request.url.path, 303, headers={"Cache-Control": "no-store"})
    answer.set_cookie(
        _cookie_of(share),
        passwords.issue(share.share_id, share.password_hash),
        max_age=PASS_LIFETIME_S,
        path=request.url.path,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )
    return answer


@router.head("/s/{token}/download", response_class=Response, include_in_schema=False)
@router.get("/s/{token}/download", response_class=Response)
async def download_share(
    token: str,
    request: Request,
    services: TheServices,
    x_share_password: Password = None,
) -> Response:
    """Return the bytes of a link's file, or ranges of them.

    A range that goes on with a download that was counted, for the same client and within a day, is
    not counted again.
    """
    share, stored = await services.shares.open(token)
    request.state.audited_object = stored.file_id
    if not _may_pass(services, share, request):
        if x_share_password is None:
            raise SharePasswordNeeded("this link has a password")
        await _count_try(services, share, request)
        await services.shares.passwords.check(share.password_hash, x_share_password)
    services.scan_policy.check(stored)
    first = _first_byte(request, stored)
    if request.method == "HEAD" and share.is_exhausted:
        raise dead_link()
    if request.method == "GET" and first is not None:
        await services.shares.count(share, _client_of(request), continues=first > 0)
    return services.downloads.answer(stored)


async def _picture_of(services: Services, stored: StoredFile) -> bytes | None:
    """Return the file's small picture, if one is there by now."""
    try:
        services.scan_policy.check(stored)
        found = await services.pictures.picture(stored, USUAL_SIDE_PX)
        return None if isinstance(found, Job) else await asyncio.to_thread(found.read_bytes)
    except (HaulierError, FileNotFoundError):
        return None


async def _usable(services: Services, token: str) -> tuple[Share, StoredFile]:
    share, stored = await services.shares.open(token)
    if share.is_exhausted:
        raise dead_link()
    return share, stored


def _may_pass(services: Services, share: Share, request: Request) -> bool:
    if share.password_hash is None:
        return True
    given = request.cookies.get(_cookie_of(share), "")
    return services.shares.passwords.is_pass(share.share_id, share.password_hash, given)


async def _count_try(services: Services, share: Share, request: Request) -> None:
    await services.sign_in_limit.take(f"share {share.share_id} {address_of(request)}")


def _first_byte(request: Request, stored: StoredFile) -> int | None:
    """Return the first byte of the file that is asked for, or None when none is sent."""
    told = request.headers
    if is_fresh(
        stored.etag, stored.modified_at, told.get("if-none-match"), told.get("if-modified-since")
    ):
        return None
    wanted = told.get("range")
    if not range_applies(stored.etag, stored.modified_at, told.get("if-range")):
        wanted = None
    try:
        spans = select_ranges(wanted, stored.size_bytes)
    except UnsatisfiableRange:
        return None
    return 0 if spans is None else min(span.offset for span in spans)


async def password_of(request: Request) -> str:
    """Return the password in a form.

    Raises:
        FileSizeError: the form has no end.
    """
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _MOST_FORM_BYTES:
            raise FileSizeError(f"the form has at most {_MOST_FORM_BYTES} bytes")
    fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=10)
    return fields.get("password", [""])[0]


def address_of(request: Request) -> str:
    """Return where a request comes from."""
    return request.client.host if request.client is not None else ""


def _client_of(request: Request) -> str:
    return f"{address_of(request)} {request.headers.get('user-agent', '')}"


def _cookie_of(share: Share) -> str:
    return f"haulier_share_{share.share_id}"


def _shown(share: Share) -> dict[str, Any]:
    def told(moment: datetime | None) -> str | None:
        return None if moment is None else format_time(moment)

    return {
        "id": share.share_id,
        "file_id": share.file_id,
        "created_at": format_time(share.created_at),
        "expires_at": told(share.expires_at),
        "revoked_at": told(share.revoked_at),
        "max_downloads": share.max_downloads,
        "downloads": share.downloads,
        "has_password": share.password_hash is not None,
    }
