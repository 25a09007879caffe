"""Records of what people let others do with their files and folders."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from haulier.core.accounts import Role

EVERYBODY = "everybody"
"""The grantee that stands for whoever is signed in."""

_ROLE = "role:"


class Level(StrEnum):
    """What one may do with a file; each holds those before it."""

    READ = "read"
    WRITE = "write"
    SHARE = "share"
    OWNER = "owner"

    @property
    def rank(self) -> int:
        """How much it is, to compare by."""
        return _LEVELS.index(self)


_LEVELS = list(Level)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What somebody may do with a file, or with a folder and all that lies in it.

    Args:
        resource_id: of the file or the folder.
        is_folder: which of these it is.
        grantee: a user's id, `role:…`, or `everybody`.
        level: what is granted.
        granted_by: the id of the user who did.
    """

    resource_id: str
    is_folder: bool
    grantee: str
    level: Level
    granted_by: str
    created_at: datetime


def grantee_of_role(role: Role) -> str:
    """Return the grantee that stands for all who have that role."""
    return f"{_ROLE}{role}"


def role_of_grantee(grantee: str) -> Role | None:
    """Return the role that a grantee stands for; None where it stands for something else."""
    return Role(grantee.removeprefix(_ROLE)) if grantee.startswith(_ROLE) else None


def told_grantee(grantee: str) -> dict[str, str | bool | None]:
    """Return a grantee as the API tells it: `user_id`, `role` or `everybody`."""
    role, everybody = role_of_grantee(grantee), grantee == EVERYBODY
    user_id = None if role is not None or everybody else grantee
    return {"user_id": user_id, "role": role, "everybody": everybody}


def highest(levels: Iterable[Level]) -> Level | None:
    """Return the most that these allow together; None of none."""
    return max(levels, key=lambda level: level.rank, default=None)
