"""For admins: the accounts of the server."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from haulier.core.accounts import Role, User
from haulier.core.records import format_time
from haulier.files.access import check_change_of_account
from haulier.server.audit_routes import admin_only
from haulier.server.identity import Administrator, TheServices
from haulier.server.json_route import JsonRoute

router = APIRouter(
    prefix="/api/admin/users",
    tags=["administration"],
    route_class=JsonRoute,
    dependencies=[Depends(admin_only)],
)

Quota = Annotated[int, Field(ge=0, le=1 << 53)]
Password = Annotated[str, Field(min_length=10, max_length=1024)]


class NewUser(BaseModel):
    """An account to be made; without a password only tokens open it."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=64, examples=["ann"])
    role: Role = Role.USER
    password: Password | None = None
    quota: Quota | None = None


class UserChange(BaseModel):
    """What is to be changed of an account; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    role: Role | None = None
    password: Password | None = None
    quota: Quota | None = None
    disabled: bool | None = None


@router.post("", status_code=201)
async def add_user(given: NewUser, services: TheServices) -> JSONResponse:
    """Make an account."""
    user = await services.accounts.add(
        given.name, given.role, password=given.password, quota_bytes=given.quota
    )
    where = {"Location": f"/api/admin/users/{user.user_id}"}
    return JSONResponse(_shown(user), 201, headers=where)


@router.get("")
async def list_users(
    services: TheServices,
    cursor: Annotated[str | None, Query(pattern="^[0-9a-z]{20,32}$")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:
    """List the accounts, oldest first."""
    found = await services.accounts.list(cursor, limit + 1)
    more = found[limit - 1].user_id if len(found) > limit else None
    return {"items": [_shown(user) for user in found[:limit]], "next_cursor": more}


@router.get("/{user_id}")
async def get_user(user_id: str, services: TheServices) -> dict[str, Any]:
    """Say what is known of an account."""
    return _shown(await services.accounts.with_id(user_id))


@router.patch("/{user_id}")
async def change_user(
    user_id: str, given: UserChange, admin: Administrator, services: TheServices
) -> dict[str, Any]:
    """Change an account: its role, its quota (null: no limit), its password; disable it.

    Disabling it and changing its password make its tokens void.
    """
    user = await services.accounts.with_id(user_id)
    check_change_of_account(admin, user, role=given.role, disabled=given.disabled)
    changes: dict[str, Any] = {}
    if given.role is not None:
        changes["role"] = given.role
    if given.disabled is not None:
        changes["disabled"] = given.disabled
    if "quota" in given.model_fields_set:
        changes["quota_bytes"] = given.quota
    return _shown(await services.accounts.change(user, password=given.password, **changes))


@router.delete("/{user_id}", status_code=204)
async def disable_user(user_id: str, admin: Administrator, services: TheServices) -> Response:
    """Disable an account; its files stay, and it can be enabled again."""
    user = await services.accounts.with_id(user_id)
    check_change_of_account(admin, user, disabled=True)
    await services.accounts.change(user, disabled=True)
    return Response(status_code=204)


def _shown(user: User) -> dict[str, Any]:
    return {
        "id": user.user_id,
        "name": user.name,
        "role": user.role,
        "disabled": user.disabled,
        "quota": user.quota_bytes,
        "used": user.used_bytes,
        "reserved": user.reserved_bytes,
        "created_at": format_time(user.created_at),
    }
