"""What the API tells of who may see a file: permissions, and links."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

_ID = "01k9fj2q7vdm3c8x5t0h4n6bwz"
_TIME = "2026-03-01T12:00:00Z"


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


def _like(**example: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"example": example})


_SHARE = {
    "id": _ID, "file_id": _ID, "created_at": _TIME, "expires_at": "2026-04-01T12:00:00Z",
    "revoked_at": None, "max_downloads": 5, "downloads": 0, "has_password": False,
}  # fmt: skip

_PERMISSION = {
    "user": "bob", "user_id": _ID, "role": None, "everybody": False, "permission": "read",
    "inherited_from": None, "granted_by": _ID, "created_at": _TIME,
}  # fmt: skip


_UPLOAD_LINK = {
    "id": _ID, "folder_id": _ID, "title": "Photos of the trip", "created_at": _TIME,
    "expires_at": None, "revoked_at": None, "max_files": 20, "max_bytes": None, "files": 2,
    "bytes": 2097152, "has_password": False,
}  # fmt: skip


class FilePermission(_Answer):
    """What a user, a role or everybody may do with a file or folder, and where that comes from."""

    model_config = _like(**_PERMISSION)

    user: str | None = Field(description="the name of the user meant")
    user_id: str | None
    role: str | None
    everybody: bool = Field(description="whoever is signed in")
    permission: Literal["read", "write", "share", "owner"]
    inherited_from: str | None = Field(description="the folder it was granted for")
    granted_by: str | None = Field(description="the id of the user who did; of its owner, nobody")
    created_at: str


class PermissionList(_Answer):
    """Who may do what: the owner first."""

    model_config = _like(items=[_PERMISSION])

    items: list[FilePermission]


class UploadLinkState(_Answer):
    """A link by which files are brought into a folder; its address is told once."""

    model_config = _like(**_UPLOAD_LINK)

    id: str
    folder_id: str
    title: str
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    max_files: int | None
    max_bytes: int | None
    files: int = Field(description="how many came or are on their way")
    bytes: int
    has_password: bool
    token: str | None = None
    url: str | None = None


class UploadLinkList(_Answer):
    """The links into a folder, newest first."""

    model_config = _like(items=[_UPLOAD_LINK])

    items: list[UploadLinkState]


class OwnUploadLink(UploadLinkState):
    """A link into a folder that one made, and the folder's path."""

    model_config = _like(**_UPLOAD_LINK, folder="holiday/2026")

    folder: str | None = Field(description="null: it is gone, or not to be seen any more")


class OwnUploadLinks(_Answer):
    """The links into folders that one made, newest first."""

    model_config = _like(items=[{**_UPLOAD_LINK, "folder": "holiday/2026"}], next_cursor=None)

    items: list[OwnUploadLink]
    next_cursor: str | None


class ReceivedFile(_Answer):
    """A file that arrived, under the name that it has now."""

    model_config = _like(name="clip.mp4", size=1048576)

    name: str
    size: int


class FileShareLink(_Answer):
    """A link to a file; its address is told once, by the answer that makes it."""

    model_config = _like(**_SHARE)

    id: str
    file_id: str
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    max_downloads: int | None
    downloads: int
    has_password: bool
    token: str | None = None
    url: str | None = None


class ShareList(_Answer):
    """The links to a file, newest first."""

    model_config = _like(items=[_SHARE])

    items: list[FileShareLink]


class OwnShare(FileShareLink):
    """A link to a file that one made, and the file's name."""

    model_config = _like(**_SHARE, name="clip.mp4")

    name: str | None = Field(description="null: it is gone, or not to be seen any more")


class OwnShares(_Answer):
    """The links to files that one made, newest first."""

    model_config = _like(items=[{**_SHARE, "name": "clip.mp4"}], next_cursor=None)

    items: list[OwnShare]
    next_cursor: str | None
