"""Signing in and out: tokens for a password, new ones for a refresh token, none any more."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from haulier.core.accounts import User
from haulier.errors import NotSignedIn
from haulier.files.tickets import TICKET_LIFETIME_S
from haulier.files.tokens import TokenKind
from haulier.server.identity import CurrentUser, Person, TheServices, user_of
from haulier.server.json_route import JsonRoute
from haulier.server.services import Services

_ACCESS = timedelta(hours=1)
_REFRESH = timedelta(days=30)

router = APIRouter(prefix="/auth", tags=["accounts"], route_class=JsonRoute)


class SignIn(BaseModel):
    """A name and its password."""

    username: str = Field(min_length=1, max_length=64, examples=["ann"])
    password: str = Field(min_length=1, max_length=1024, examples=["correct horse battery"])


class Refresh(BaseModel):
    """A refresh token."""

    refresh_token: str = Field(min_length=1, max_length=4096, examples=["eyJhbGciOi…"])


class PasswordChange(BaseModel):
    """The password as it is and as it shall be."""

    old_password: str = Field(min_length=1, max_length=1024, examples=["correct horse battery"])
    new_password: str = Field(min_length=1, max_length=1024, examples=["a new long password"])


@router.post("/token")
async def sign_in(
    given: SignIn, request: Request, response: Response, services: TheServices
) -> dict[str, Any]:
    """Exchange a name and a password for tokens."""
    address = request.client.host if request.client is not None else ""
    request.state.audited = {"name": given.username}
    allowance = await services.sign_in_limit.take(address)
    response.headers.update(allowance.headers())
    return _tokens(services, await services.accounts.sign_in(given.username, given.password))


@router.post("/refresh")
async def refresh(given: Refresh, services: TheServices) -> dict[str, Any]:
    """Exchange a refresh token for new tokens."""
    claims = services.tokens.read(given.refresh_token, TokenKind.REFRESH)
    return _tokens(services, await user_of(services, claims))


@router.post("/logout", status_code=204)
async def sign_out(user: Person, services: TheServices) -> Response:
    """Make every token of the user void, on all devices."""
    await services.accounts.sign_out_everywhere(user)
    return Response(status_code=204)


@router.post("/password")
async def change_password(
    given: PasswordChange, user: Person, services: TheServices
) -> dict[str, Any]:
    """Change one's password; every token before it is void, the answer carries new ones."""
    await services.sign_in_limit.take(f"user {user.user_id}")
    try:
        await services.accounts.sign_in(user.name, given.old_password)
    except NotSignedIn:
        raise NotSignedIn("the old password is wrong", hint="Type it again.") from None
    return _tokens(services, await services.accounts.set_password(user, given.new_password))


@router.post("/ticket", status_code=201)
async def ticket(user: Person, services: TheServices) -> dict[str, Any]:
    """Return a ticket that opens one WebSocket or event stream, within a minute."""
    return {"ticket": await services.tickets.issue(user), "expires_in": TICKET_LIFETIME_S}


@router.get("/me")
async def me(current: CurrentUser, services: TheServices) -> dict[str, Any]:
    """Say who is asking."""
    user = await services.accounts.get(current.name)
    return {
        "id": user.user_id,
        "name": user.name,
        "role": user.role,
        "quota": user.quota_bytes,
        "used": user.used_bytes,
        "reserved": user.reserved_bytes,
    }


def _tokens(services: Services, user: User) -> dict[str, Any]:
    return {
        "access_token": services.tokens.issue(user, _ACCESS),
        "refresh_token": services.tokens.issue(user, _REFRESH, kind=TokenKind.REFRESH),
        "token_type": "bearer",
        "expires_in": int(_ACCESS.total_seconds()),
    }
