"""Who may do what: every question of authorisation is answered here."""

from __future__ import annotations

from haulier.core.accounts import Role, StoredFile, User
from haulier.errors import FilePermissionError


def check_upload(user: User) -> None:
    """Make sure that `user` may bring files in.

    Raises:
        FilePermissionError: a viewer may not.
    """
    if user.role is Role.VIEWER:
        raise FilePermissionError("a viewer can't upload", hint="Ask an admin for the role user.")


def may_see(user: User, stored: StoredFile) -> bool:
    """Tell whether `stored` exists for `user`: it is theirs, or they are an admin."""
    return stored.owner_id == user.user_id or user.role is Role.ADMIN
