"""Who may do what: every question of authorisation is answered here."""

from __future__ import annotations

from enum import StrEnum

from haulier.catalog.transaction import Tx
from haulier.catalog.visibility import Sight
from haulier.core.accounts import Folder, Role, StoredFile, User
from haulier.core.grants import EVERYBODY, grantee_of_role
from haulier.core.jobs import Job
from haulier.core.sessions.session import UploadSession
from haulier.core.shares import Share
from haulier.errors import FilePermissionError, ScopeMissing
from haulier.files.tokens import Claims, TokenKind


class Scope(StrEnum):
    """What a service token may be made for."""

    READ = "files:read"
    WRITE = "files:write"
    ADMIN = "admin"


ACCOUNT = "account"
"""What concerns the person behind an account; no service token can have it."""


def check_scopes(claims: Claims, needed: list[str]) -> None:
    """Make sure that a service token was made for what is asked; others may what their user may.

    Raises:
        ScopeMissing: it was not.
    """
    if claims.kind is not TokenKind.SERVICE:
        return
    for scope in needed:
        if scope not in claims.scopes:
            raise ScopeMissing(f"the token lacks the scope {scope}")


def check_upload(user: User) -> None:
    """Make sure that `user` may bring files in.

    Raises:
        FilePermissionError: a viewer may not.
    """
    if user.role is Role.VIEWER:
        raise FilePermissionError("a viewer can't upload", hint="Ask an admin for the role user.")


def check_admin(user: User) -> None:
    """Make sure that `user` may administer the server.

    Raises:
        FilePermissionError: only admins may.
    """
    if user.role is not Role.ADMIN:
        raise FilePermissionError("only an admin may do this")


def check_change_of_account(
    admin: User, account: User, *, role: Role | None = None, disabled: bool | None = None
) -> None:
    """Make sure that an admin does not shut themselves out.

    Raises:
        FilePermissionError: they would take their own role, or disable their own account.
    """
    if account.user_id != admin.user_id:
        return
    if disabled or (role is not None and role is not Role.ADMIN):
        raise FilePermissionError(
            "an admin can't take their own rights away", hint="Ask another admin to do it."
        )


def may_see(user: User, stored: StoredFile) -> bool:
    """Tell whether `stored` exists for `user`: it is theirs, or they are an admin."""
    return stored.owner_id == user.user_id or user.role is Role.ADMIN


def grantees_of(user: User) -> tuple[str, ...]:
    """Return by which grantees something is granted to `user`."""
    return (user.user_id, grantee_of_role(user.role), EVERYBODY)


def sight_of(tx: Tx, user: User) -> Sight:
    """Return what `user` sees, for lists and searches (`haulier.catalog.visibility`)."""
    return tx.sight(user.user_id, grantees_of(user), sees_all=user.role is Role.ADMIN)


def may_see_folder(user: User, folder: Folder) -> bool:
    """Tell whether `folder` exists for `user`: it is theirs, or they are an admin."""
    return folder.owner_id == user.user_id or user.role is Role.ADMIN


def check_change(user: User) -> None:
    """Make sure that `user` may change and delete the files and folders that they see.

    Raises:
        FilePermissionError: a viewer may not.
    """
    if user.role is Role.VIEWER:
        raise FilePermissionError(
            "a viewer can't change anything", hint="Ask an admin for the role user."
        )


def check_share(user: User) -> None:
    """Make sure that `user` may share the files that they see, and end what they shared.

    Raises:
        FilePermissionError: a viewer may not.
    """
    if user.role is Role.VIEWER:
        raise FilePermissionError(
            "a viewer can't share anything", hint="Ask an admin for the role user."
        )


def may_revoke(user: User, share: Share, stored: StoredFile | None) -> bool:
    """Tell whether a link exists for `user`: they made it, or may see the file it leads to."""
    if share.creator_id == user.user_id or user.role is Role.ADMIN:
        return True
    return stored is not None and may_see(user, stored)


def may_see_job(user: User, job: Job) -> bool:
    """Tell whether `job` exists for `user`: it is done for them, or they are an admin."""
    return job.owner_id == user.user_id or user.role is Role.ADMIN


_ADMINS = "admins"


def topics_of(user: User) -> frozenset[str]:
    """Return the topics of the events that `user` may see; an event is on one of them or more."""
    own = frozenset({_person(user.user_id)})
    return own | {_ADMINS} if user.role is Role.ADMIN else own


def topics_of_upload(session: UploadSession) -> frozenset[str]:
    """Return the topics of events of an upload under way: it is its owner's alone."""
    return frozenset({_person(session.owner_id)})


def topics_of_file(stored: StoredFile) -> frozenset[str]:
    """Return the topics of events of a file; see `may_see`."""
    return frozenset({_person(stored.owner_id), _ADMINS})


def topics_of_job(job: Job) -> frozenset[str]:
    """Return the topics of events of a job; see `may_see_job`."""
    admins = frozenset({_ADMINS})
    return admins if job.owner_id is None else admins | {_person(job.owner_id)}


def _person(user_id: str) -> str:
    return f"user:{user_id}"
