"""Who is asking."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query, Request, Security
from fastapi.requests import HTTPConnection
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes
from fastapi.security.utils import get_authorization_scheme_param

from haulier.core.accounts import User
from haulier.errors import NotSignedIn, TooManyRequests
from haulier.files.access import ACCOUNT, Scope, check_scopes
from haulier.files.tokens import Claims, TokenKind
from haulier.server.places import carries_chunk
from haulier.server.services import Services

_bearer = HTTPBearer(
    auto_error=False, description="A token of `/auth/token` or `haulier token create`"
)


async def get_services(connection: HTTPConnection) -> Services:
    """Return what the routes work with."""
    services: Services = connection.app.state.services
    return services


async def get_current_user(
    needed: SecurityScopes,
    request: Request,
    services: Annotated[Services, Depends(get_services)],
    _: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],  # for the OpenAPI page
) -> User:
    """Return the user whose token came with the request, which is counted against its limit.

    An application that mounts the routers may put another dependency in its place.

    Raises:
        NotSignedIn: there is no token, or none that is valid.
        ScopeMissing: it is a service token, made for other things.
        TooManyRequests: the user had its share of requests.
    """
    user, claims = await identify(request)
    if claims is not None:
        check_scopes(claims, needed.scopes)
    if not carries_chunk(request):
        await count(request, services, user)
    return user


async def identify(connection: HTTPConnection) -> tuple[User, Claims | None]:
    """Return the user whose token came with it, and the token's claims if it is one of ours.

    Raises:
        NotSignedIn: there is no token, or none that is valid.
    """
    # Several dependencies ask.
    known: tuple[User, Claims | None] | None = getattr(connection.state, "identity", None)
    if known is not None:
        return known
    scheme, token = get_authorization_scheme_param(connection.headers.get("authorization"))
    if scheme.lower() != "bearer" or not token:
        raise NotSignedIn("this needs a token: `Authorization: Bearer …`")
    services = await get_services(connection)
    if services.outside is not None and services.outside.is_addressed(token):
        outside = await services.outside.read(token)
        found: tuple[User, Claims | None] = await services.accounts.of_outside(outside), None
    else:
        claims = services.tokens.read(token, TokenKind.ACCESS, TokenKind.DEVICE, TokenKind.SERVICE)
        found = await user_of(services, claims), claims
    connection.state.identity = found
    connection.state.user = found[0].name  # for the log
    return found


async def get_ticket_user(
    services: Annotated[Services, Depends(get_services)],
    ticket: Annotated[str, Query(max_length=100)],
) -> User:
    """Return the user whose ticket (`POST /auth/ticket`) is in the query, and use it up.

    For WebSockets and event streams, to which a browser can't add a header.

    Raises:
        NotSignedIn: it is none, was used, or is too old.
    """
    claims = await services.tickets.redeem(ticket)
    if claims is None:
        raise NotSignedIn("the ticket is not valid any more", hint="Ask for a new one.")
    return await user_of(services, claims)


async def user_of(services: Services, claims: Claims) -> User:
    """Return the user of a token that was read.

    Raises:
        NotSignedIn: the token was made void, or its user disabled.
    """
    user = await services.accounts.signed_in(claims.user_id)
    if user is None or user.disabled or user.token_version != claims.version:
        raise NotSignedIn("the token is not valid any more")
    return user


async def count(connection: HTTPConnection, services: Services, user: User) -> None:
    """Count a request or handshake of `user` against its limit, once.

    Raises:
        TooManyRequests: the user had its share of requests.
    """
    # Dependencies may ask who it is more than once.
    if hasattr(connection.state, "allowance"):
        return
    try:
        connection.state.allowance = await services.api_limit.take(user.user_id)
    except TooManyRequests as exc:
        connection.state.allowance = services.api_limit.spent(exc.retry_after_s or 1)
        raise


async def note_user(request: Request, user: Annotated[User, Depends(get_current_user)]) -> User:
    # For the logs, also where an application says itself who is asking.
    request.state.user = user.name
    return user


TheServices = Annotated[Services, Depends(get_services)]
CurrentUser = Annotated[User, Depends(note_user)]
Reader = Annotated[User, Security(note_user, scopes=[Scope.READ])]
Writer = Annotated[User, Security(note_user, scopes=[Scope.WRITE])]
Person = Annotated[User, Security(note_user, scopes=[ACCOUNT])]
Administrator = Annotated[User, Security(note_user, scopes=[Scope.ADMIN])]
