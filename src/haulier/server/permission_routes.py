"""Who may do what with a file or a folder."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response, Security
from pydantic import BaseModel, ConfigDict, Field, model_validator

from haulier.core.accounts import Folder, Role, StoredFile, User
from haulier.core.grants import Grant, Level, told_grantee
from haulier.core.records import format_time
from haulier.errors import ValidationError
from haulier.files.access import Scope
from haulier.files.permissions import Find, Whom, file_named, folder_named
from haulier.server.identity import CurrentUser, Reader, TheServices, Writer
from haulier.server.json_route import JsonRoute
from haulier.server.services import Services

router = APIRouter(tags=["permissions"], route_class=JsonRoute)

Name = Annotated[str, Field(min_length=1, max_length=300)]


class NewPermission(BaseModel):
    """What is granted, and to whom: a user by name or id, a role, or everybody signed in."""

    model_config = ConfigDict(extra="forbid")

    user: Name | None = None
    role: Role | None = None
    everybody: bool = False
    permission: Level = Field(examples=["read"])

    @model_validator(mode="after")
    def _names_one(self) -> NewPermission:
        if (self.user is not None) + (self.role is not None) + self.everybody != 1:
            raise ValueError("name one of `user`, `role` and `everybody`")
        return self


async def file_to_decide(file_id: str, user: CurrentUser, services: TheServices) -> Find:
    """Return what finds the file if the user may decide about it."""
    await services.library.get(user, file_id, Level.OWNER)
    return file_named(file_id)


async def folder_to_decide(folder_id: str, user: CurrentUser, services: TheServices) -> Find:
    """Return what finds the folder if the user may decide about it."""
    await services.folders.get(user, folder_id, Level.OWNER)
    return folder_named(folder_id)


DecidedFile = Annotated[Find, Security(file_to_decide, scopes=[Scope.WRITE])]
DecidedFolder = Annotated[Find, Security(folder_to_decide, scopes=[Scope.WRITE])]
UserName = Annotated[str | None, Query(min_length=1, max_length=300)]


@router.get("/api/files/{file_id}/permissions")
async def file_permissions(file_id: str, user: Reader, services: TheServices) -> dict[str, Any]:
    """List who may do what with a file, by what is granted for it and for the folders around it."""
    return await _list(services, user, file_named(file_id))


@router.get("/api/folders/{folder_id}/permissions")
async def folder_permissions(folder_id: str, user: Reader, services: TheServices) -> dict[str, Any]:
    """List who may do what with a folder and all that lies in it."""
    return await _list(services, user, folder_named(folder_id))


@router.put("/api/files/{file_id}/permissions")
async def grant_file(
    given: NewPermission, wanted: DecidedFile, user: Writer, services: TheServices
) -> dict[str, Any]:
    """Grant somebody a permission for a file, in the place of what they had for it."""
    return await _grant(services, user, wanted, given)


@router.put("/api/folders/{folder_id}/permissions")
async def grant_folder(
    given: NewPermission, wanted: DecidedFolder, user: Writer, services: TheServices
) -> dict[str, Any]:
    """Grant somebody a permission for a folder and all that lies in it, now and later."""
    return await _grant(services, user, wanted, given)


@router.delete("/api/files/{file_id}/permissions", status_code=204)
async def revoke_file(
    wanted: DecidedFile,
    asking: Writer,
    services: TheServices,
    user: UserName = None,
    role: Role | None = None,
    *,
    everybody: bool = False,
) -> Response:
    """Take back what one user, role or everybody was granted for a file; without these, all."""
    await services.permissions.revoke(asking, wanted, _whom(user, role, everybody=everybody))
    return Response(status_code=204)


@router.delete("/api/folders/{folder_id}/permissions", status_code=204)
async def revoke_folder(
    wanted: DecidedFolder,
    asking: Writer,
    services: TheServices,
    user: UserName = None,
    role: Role | None = None,
    *,
    everybody: bool = False,
) -> Response:
    """Take back what one user, role or everybody was granted for a folder; without these, all."""
    await services.permissions.revoke(asking, wanted, _whom(user, role, everybody=everybody))
    return Response(status_code=204)


async def _grant(
    services: Services, user: User, wanted: Find, given: NewPermission
) -> dict[str, Any]:
    whom = Whom(user=given.user, role=given.role, everybody=given.everybody)
    await services.permissions.grant(user, wanted, whom, given.permission)
    return await _list(services, user, wanted)


async def _list(services: Services, user: User, wanted: Find) -> dict[str, Any]:
    resource, grants, people = await services.permissions.of(user, wanted)
    return {
        "items": [
            _owner(resource, people),
            *(_shown(resource, one, people) for one in grants),
        ]
    }


def _whom(user: str | None, role: Role | None, *, everybody: bool) -> Whom | None:
    named = (user is not None) + (role is not None) + everybody
    if named > 1:
        raise ValidationError("name one of `user`, `role` and `everybody`, or none for all")
    return Whom(user=user, role=role, everybody=everybody) if named else None


def _owner(resource: StoredFile | Folder, people: dict[str, User]) -> dict[str, Any]:
    return {
        "user": people[resource.owner_id].name,
        **told_grantee(resource.owner_id),
        "permission": Level.OWNER,
        "inherited_from": None,
        "granted_by": None,
        "created_at": format_time(resource.created_at),
    }


def _shown(resource: StoredFile | Folder, grant: Grant, people: dict[str, User]) -> dict[str, Any]:
    own_id = resource.file_id if isinstance(resource, StoredFile) else resource.folder_id
    known = people.get(grant.grantee)
    return {
        "user": None if known is None else known.name,
        **told_grantee(grant.grantee),
        "permission": grant.level,
        "inherited_from": None if grant.resource_id == own_id else grant.resource_id,
        "granted_by": grant.granted_by,
        "created_at": format_time(grant.created_at),
    }
