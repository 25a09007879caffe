"""Who is asking."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from haulier.core.accounts import User
from haulier.errors import NotSignedIn
from haulier.files.tokens import Claims, TokenKind
from haulier.server.services import Services

_bearer = HTTPBearer(
    auto_error=False, description="A token of `/auth/token` or `haulier token create`"
)


async def get_services(request: Request) -> Services:
    """Return what the routes work with."""
    services: Services = request.app.state.services
    return services


async def get_current_user(
    request: Request,
    services: Annotated[Services, Depends(get_services)],
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> User:
    """Return the user whose token came with the request.

    An application that mounts the routers may put another dependency in its place.

    Raises:
        NotSignedIn: there is no token, or none that is valid.
    """
    if credentials is None:
        raise NotSignedIn("this needs a token: `Authorization: Bearer …`")
    claims = services.tokens.read(
        credentials.credentials, TokenKind.ACCESS, TokenKind.DEVICE, TokenKind.SERVICE
    )
    user = await user_of(services, claims)
    request.state.user = user.name  # for the log
    return user


async def user_of(services: Services, claims: Claims) -> User:
    """Return the user of a token that was read.

    Raises:
        NotSignedIn: the token was made void, or its user disabled.
    """
    user = await services.catalog.read(lambda tx: tx.users.get(claims.user_id))
    if user is None or user.disabled or user.token_version != claims.version:
        raise NotSignedIn("the token is not valid any more")
    return user


TheServices = Annotated[Services, Depends(get_services)]
CurrentUser = Annotated[User, Depends(get_current_user)]
