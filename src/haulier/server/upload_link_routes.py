"""Upload links: made and taken back by who shares a folder, used by whoever has them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response, Security
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.requests import ClientDisconnect
from starlette.responses import RedirectResponse

from haulier.core.accounts import Folder
from haulier.core.file_names import clean_name
from haulier.core.grants import Level
from haulier.core.records import format_time
from haulier.core.sessions import tus
from haulier.core.sessions.session import Order, SessionStatus, UploadSession
from haulier.core.upload_links import UploadLink
from haulier.errors import FileNotFoundError as NoSuchLink
from haulier.errors import HaulierError, SharePasswordNeeded, ValidationError
from haulier.files.access import UPLOAD_LINK, Scope
from haulier.files.destinations import FOLDER_ID
from haulier.files.link_passwords import PASS_LIFETIME_S
from haulier.server import tus_routes
from haulier.server.bodies import body_of, length_of
from haulier.server.form_files import files_of
from haulier.server.identity import CurrentUser, TheServices, Writer
from haulier.server.json_route import JsonRoute
from haulier.server.places import RECEIVING
from haulier.server.services import Services
from haulier.server.share_pages import arrived_page, dead_page, password_page, upload_page
from haulier.server.share_routes import Cursor, Limit, address_of, password_of
from haulier.transfer.sessions.engine import NewUpload
from haulier.transfer.sessions.receiving import Body

router = APIRouter(tags=["upload links"], route_class=JsonRoute)

_MOST_FILES = 2**31 - 1
_MOST_BYTES = 1 << 53


async def shared_folder(folder_id: str, user: CurrentUser, services: TheServices) -> Folder:
    """Return the folder if the user may share it."""
    return await services.folders.get(user, folder_id, Level.SHARE)


SharedFolder = Annotated[Folder, Security(shared_folder, scopes=[Scope.WRITE])]


class NewUploadLink(BaseModel):
    """What a link takes; left out, without a limit."""

    model_config = ConfigDict(extra="forbid")

    title: Annotated[str, Field(max_length=255)] = ""
    password: Annotated[str, Field(min_length=6, max_length=1024)] | None = None
    max_files: Annotated[int, Field(ge=1, le=_MOST_FILES)] | None = None
    max_bytes: Annotated[int, Field(ge=1, le=_MOST_BYTES)] | None = None
    expires_at: AwareDatetime | None = None


@router.post("/api/folders/{folder_id}/upload-links", status_code=201)
async def create_upload_link(
    given: NewUploadLink,
    folder: SharedFolder,
    user: Writer,
    request: Request,
    services: TheServices,
) -> JSONResponse:
    """Make a link by which others bring files into a folder; the answer alone has its address."""
    link, token = await services.upload_links.create(
        user,
        folder.folder_id,
        title=given.title,
        password=given.password,
        max_files=given.max_files,
        max_bytes=given.max_bytes,
        expires_at=given.expires_at,
    )
    url = f"{request.base_url}{RECEIVING.lstrip('/')}/{token}"
    return JSONResponse({**_shown(link), "token": token, "url": url}, 201)


@router.get("/api/folders/{folder_id}/upload-links")
async def list_upload_links(
    folder: SharedFolder, user: Writer, services: TheServices
) -> dict[str, Any]:
    """List the links into a folder, newest first."""
    found = await services.upload_links.of_folder(user, folder.folder_id)
    return {"items": [_shown(one) for one in found]}


@router.get("/api/upload-links")
async def list_own_upload_links(
    user: Writer, services: TheServices, cursor: Cursor = None, limit: Limit = 100
) -> dict[str, Any]:
    """List the links that one made, newest first, with the paths of their folders."""
    found = await services.upload_links.of_creator(user, cursor, limit + 1)
    items = [
        {**_shown(link), "folder": None if folder is None else folder.path}
        for link, folder in found[:limit]
    ]
    return {"items": items, "next_cursor": items[-1]["id"] if len(found) > limit else None}


@router.delete("/api/upload-links/{link_id}", status_code=204)
async def revoke_upload_link(link_id: str, user: Writer, services: TheServices) -> Response:
    """Take a link back; what is on its way by it does not become a file."""
    await services.upload_links.revoke(user, link_id)
    return Response(status_code=204)


@router.get("/u/{token}", response_class=Response)
async def upload_link_page(token: str, request: Request, services: TheServices) -> Response:
    """Show a form for files, or ask for the password."""
    try:
        link, _ = await services.upload_links.open(token)
    except NoSuchLink:
        return dead_page()
    if not _may_pass(services, link, request):
        return password_page()
    return upload_page(link, token, scripted=services.settings.server.web_app)


@router.post("/u/{token}", response_class=Response)
async def enter_upload_password(token: str, request: Request, services: TheServices) -> Response:
    """Take the password from the page's form; a cookie stands for it for a quarter of an hour."""
    try:
        link, _ = await services.upload_links.open(token)
    except NoSuchLink:
        return dead_page()
    given = await password_of(request)
    await _count(services, link, request, "try")
    passwords = services.upload_links.passwords
    try:
        await passwords.check(link.password_hash, given)
    except SharePasswordNeeded:
        return password_page(is_wrong=True)
    answer = RedirectResponse(request.url.path, 303, headers={"Cache-Control": "no-store"})
    answer.set_cookie(
        _cookie_of(link),
        passwords.issue(link.link_id, link.password_hash),
        max_age=PASS_LIFETIME_S,
        path=request.url.path,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )
    return answer


async def usable_link(
    token: str,
    request: Request,
    services: TheServices,
    x_share_password: Annotated[str | None, Header(max_length=1024)] = None,
) -> tuple[UploadLink, Folder]:
    """Return the link and its folder to somebody who has its password, if it has one."""
    link, folder = await services.upload_links.open(token)
    if not _may_pass(services, link, request):
        if x_share_password is None:
            raise SharePasswordNeeded("this link has a password")
        await _count(services, link, request, "try")
        await services.upload_links.passwords.check(link.password_hash, x_share_password)
    request.state.audited_object = folder.folder_id
    return link, folder


UsableLink = Annotated[tuple[UploadLink, Folder], Depends(usable_link)]


@router.post("/u/{token}/files", response_class=Response)
async def send_form(
    token: str, opened: UsableLink, request: Request, services: TheServices
) -> Response:
    """Take the files of the page's form."""
    link, folder = opened
    await _count(services, link, request, "upload")
    arrived: list[str] = []
    try:
        async for file in files_of(request):
            session = await _receive(
                services, _new(link, folder, file.name, None, file.mime_type), file.body
            )
            if session is None:
                return Response(status_code=400)
            arrived.append(session.name)
    except HaulierError as exc:
        if exc.http_status >= 500:
            raise
        return arrived_page(token, arrived, problem=exc.message, status=exc.http_status)
    return arrived_page(token, arrived)


@router.put("/u/{token}/files/{name}", status_code=201)
async def send_file(
    name: str, opened: UsableLink, request: Request, services: TheServices
) -> Response:
    """Take the request's body as a file; one of its name that is there stays as it is."""
    link, folder = opened
    await _count(services, link, request, "upload")
    length = length_of(request)
    new = _new(link, folder, name, length, request.headers.get("content-type"))
    session = await _receive(services, new, body_of(request), length)
    if session is None:
        return Response(status_code=400)
    return JSONResponse({"name": session.name, "size": session.size_bytes}, 201)


@router.options("/u/{token}/tus")
@router.options("/u/{token}/tus/")
async def offer(token: str, services: TheServices) -> Response:  # noqa: ARG001 - told to all alike
    """Say what tus can do here; parts can't be joined."""
    headers = tus.offer_headers(services.settings.server.max_file_size)
    offered = headers["Tus-Extension"].split(",")
    kept = [one for one in offered if not one.startswith("concatenation")]
    return Response(status_code=204, headers={**headers, "Tus-Extension": ",".join(kept)})


@router.post("/u/{token}/tus", include_in_schema=False)
@router.post("/u/{token}/tus/", status_code=201)
async def begin(opened: UsableLink, request: Request, services: TheServices) -> Response:
    """Begin an upload by tus."""
    link, folder = opened
    tus_routes.check_version(request)
    await _count(services, link, request, "upload")
    creation = tus.read_creation(request.headers)
    if creation.concat is not None:
        raise ValidationError("parts can't be joined here", hint="Send the file in one upload.")
    named = tus.parse_metadata(creation.metadata)
    name = named.get("filename") or named.get("name") or "upload"
    mime_type = named.get("filetype") or named.get("type")
    new = _new(link, folder, name, creation.size_bytes, mime_type, creation.details)
    return await tus_routes.begun(request, services, await services.engine.start(new))


async def link_session(
    session_id: str, opened: UsableLink, request: Request, services: TheServices
) -> UploadSession:
    """Return the session if it was begun by this link."""
    session = await services.engine.get(session_id)
    if session.details.get(UPLOAD_LINK) != opened[0].link_id:
        raise NoSuchLink("there is no such upload")
    tus_routes.check_version(request)
    return session


LinkSession = Annotated[UploadSession, Depends(link_session)]


@router.head("/u/{token}/tus/{session_id}")
async def state(session: LinkSession, services: TheServices) -> Response:
    """Say how far the upload came."""
    return await tus_routes.state(session, services)


@router.patch("/u/{token}/tus/{session_id}", status_code=204)
async def append(request: Request, session: LinkSession, services: TheServices) -> Response:
    """Take more bytes."""
    return await tus_routes.append(request, session, services)


@router.delete("/u/{token}/tus/{session_id}", status_code=204)
async def terminate(session: LinkSession, services: TheServices) -> Response:
    """End the upload and forget its bytes; of a completed one the file stays."""
    return await tus_routes.terminate(session, services)


def _new(
    link: UploadLink,
    folder: Folder,
    name: str,
    size_bytes: int | None,
    mime_type: str | None,
    details: dict[str, str] | None = None,
) -> NewUpload:
    return NewUpload(
        owner_id=folder.owner_id,
        name=clean_name(name),
        folder=folder.path,
        size_bytes=size_bytes,
        order=Order.SEQUENTIAL,
        mime_type=mime_type,
        details={**(details or {}), UPLOAD_LINK: link.link_id, FOLDER_ID: folder.folder_id},
    )


async def _receive(
    services: Services, new: NewUpload, body: Body, length: int | None = None
) -> UploadSession | None:
    """Receive a file at once; None when its client went away meanwhile."""
    session = await services.engine.start(new)
    try:
        if length != 0:
            session = await services.engine.append(session.session_id, 0, body, length=length)
        if session.status is SessionStatus.COMPLETED:
            return session
        return await services.engine.complete(session.session_id)
    except (ClientDisconnect, ConnectionResetError):
        await services.engine.cancel(session.session_id)
        return None
    except BaseException:
        # Nobody can go on with it: its client knows no session.
        await services.engine.cancel(session.session_id)
        raise


def _may_pass(services: Services, link: UploadLink, request: Request) -> bool:
    if link.password_hash is None:
        return True
    given = request.cookies.get(_cookie_of(link), "")
    return services.upload_links.passwords.is_pass(link.link_id, link.password_hash, given)


async def _count(services: Services, link: UploadLink, request: Request, what: str) -> None:
    limit = services.sign_in_limit if what == "try" else services.api_limit
    await limit.take(f"{what} {link.link_id} {address_of(request)}")


def _cookie_of(link: UploadLink) -> str:
    return f"haulier_upload_{link.link_id}"


def _shown(link: UploadLink) -> dict[str, Any]:
    def told(moment: datetime | None) -> str | None:
        return None if moment is None else format_time(moment)

    return {
        "id": link.link_id,
        "folder_id": link.folder_id,
        "title": link.title,
        "created_at": format_time(link.created_at),
        "expires_at": told(link.expires_at),
        "revoked_at": told(link.revoked_at),
        "max_files": link.max_files,
        "max_bytes": link.max_bytes,
        "files": link.files,
        "bytes": link.size_bytes,
        "has_password": link.password_hash is not None,
    }
