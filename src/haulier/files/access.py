"""Who may do what: every question of authorisation is answered here.

A file is its owner's, and an admin's. Others have what was granted to them, to their role or to
everybody, for the file or a folder around it: the highest of these counts. Without any, the file
does not exist for them. What a role can't do at all, no grant allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

from haulier.catalog.grant_rows import Placed
from haulier.catalog.row_security import Acting
from haulier.catalog.transaction import Tx
from haulier.catalog.visibility import Sight
from haulier.core.accounts import Folder, Role, StoredFile, User
from haulier.core.grants import EVERYBODY, Grant, Level, grantee_of_role, highest
from haulier.core.jobs import Job
from haulier.core.sessions.session import UploadSession
from haulier.core.shares import Share
from haulier.core.upload_links import UploadLink
from haulier.errors import FileNotFoundError as NoSuchFolder
from haulier.errors import FilePermissionError, ScopeMissing
from haulier.files.tokens import Claims, TokenKind


class Scope(StrEnum):
    """What a service token may be made for."""

    READ = "files:read"
    WRITE = "files:write"
    ADMIN = "admin"


ACCOUNT = "account"
"""What concerns the person behind an account; no service token can have it."""

UPLOADER = "uploader"
"""In an upload session's details: who sends it, where its file will be another's."""

UPLOAD_LINK = "upload_link"
"""In an upload session's details: the link by which somebody without an account sends it."""

_VERBS = {Level.WRITE: "change", Level.SHARE: "share", Level.OWNER: "decide about"}


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


def level_of(tx: Tx, user: User, stored: StoredFile) -> Level | None:
    """Return what `user` may do with a file, as far as its owner goes; None: it does not exist."""
    if _owns(user, stored.owner_id):
        return Level.OWNER
    return _level_by(user, tx.grants.of_file(stored))


def level_at(tx: Tx, user: User, owner_id: str, folder: str) -> Level | None:
    """Return the same for all that lies in a folder, by its path."""
    if _owns(user, owner_id):
        return Level.OWNER
    return _level_by(user, tx.grants.at(owner_id, folder))


def check_level(user: User, level: Level, needed: Level) -> None:
    """Make sure that `level` is enough, and that the role of `user` allows it.

    Raises:
        FilePermissionError: it is less, or `user` is a viewer, who may read alone.
    """
    if needed is Level.READ:
        return
    verb = _VERBS[needed]
    if user.role is Role.VIEWER:
        raise FilePermissionError(
            f"a viewer can't {verb} anything", hint="Ask an admin for the role user."
        )
    if level.rank < needed.rank:
        raise FilePermissionError(
            f"to {verb} this takes the permission {needed}; yours is {level}",
            hint="Ask its owner for more.",
        )


def check_move(tx: Tx, user: User, level: Level, owner_id: str, lay: str, folder: str) -> None:
    """Make sure that `user`, who has `level` on something in the folder `lay`, may move it.

    One may write at both places. Whoever is less than an owner gives nobody more than they had.

    Raises:
        FileNotFoundError: one may not see the other folder.
        FilePermissionError: one may not write there, or somebody would win by it.
    """
    there = level_at(tx, user, owner_id, folder)
    if there is None:
        raise NoSuchFolder("there is no such folder")
    check_level(user, there, Level.WRITE)
    if level is Level.OWNER:
        return
    before, after = (_ranks(tx.grants.at(owner_id, path)) for path in (lay, folder))
    if any(rank > before.get(grantee, -1) for grantee, rank in after.items()):
        raise FilePermissionError(
            "others may do more there than they may here", hint="Ask its owner to move it."
        )


def grantees_of(user: User) -> tuple[str, ...]:
    """Return by which grantees something is granted to `user`."""
    return (user.user_id, grantee_of_role(user.role), EVERYBODY)


def sight_of(tx: Tx, user: User) -> Sight:
    """Return what `user` sees, for lists and searches (`haulier.catalog.visibility`)."""
    return tx.sight(user.user_id, grantees_of(user), sees_all=user.role is Role.ADMIN)


def acting_for(user: User) -> Acting | None:
    """Return in whose name the catalog is read for `user`; None for admins, who see all of it."""
    if user.role is Role.ADMIN:
        return None
    return Acting(user_id=user.user_id, grantees=grantees_of(user))


def check_change(user: User) -> None:
    """Make sure that `user` may change and delete the files and folders that they see.

    Raises:
        FilePermissionError: a viewer may not.
    """
    if user.role is Role.VIEWER:
        raise FilePermissionError(
            "a viewer can't change anything", hint="Ask an admin for the role user."
        )


def may_share(tx: Tx, user: User, stored: StoredFile) -> bool:
    """Tell whether links to a file that `user` made are good: they may still share it."""
    level = level_of(tx, user, stored)
    return user.role is not Role.VIEWER and level is not None and level.rank >= Level.SHARE.rank


def may_receive(tx: Tx, user: User, folder: Folder) -> bool:
    """Tell whether upload links into a folder that `user` made are good: they may share it."""
    if user.disabled or user.role is Role.VIEWER:
        return False
    level = level_at(tx, user, folder.owner_id, folder.path)
    return level is not None and level.rank >= Level.SHARE.rank


def level_for_link(tx: Tx, user: User, link: UploadLink, folder: Folder | None) -> Level | None:
    """Return what `user` may do with an upload link; None: it does not exist. It is its maker's."""
    if link.creator_id == user.user_id or user.role is Role.ADMIN:
        return Level.SHARE
    return None if folder is None else level_at(tx, user, folder.owner_id, folder.path)


def may_revoke(tx: Tx, user: User, share: Share, stored: StoredFile | None) -> bool:
    """Tell whether a link exists for `user`: they made it, or may see the file it leads to."""
    if share.creator_id == user.user_id or user.role is Role.ADMIN:
        return True
    return stored is not None and level_of(tx, user, stored) is not None


def check_revoke(tx: Tx, user: User, share: Share, stored: StoredFile | None) -> None:
    """Make sure that `user` may end a link that exists for them: their own, or one to share.

    Raises:
        FilePermissionError: they may not.
    """
    level = None if stored is None else level_of(tx, user, stored)
    own = share.creator_id == user.user_id
    check_level(user, Level.SHARE if own else level or Level.READ, Level.SHARE)


def may_see_job(user: User, job: Job) -> bool:
    """Tell whether `job` exists for `user`: it is done for them, or they are an admin."""
    return job.owner_id == user.user_id or user.role is Role.ADMIN


_ADMINS = "admins"


def topics_of(user: User) -> frozenset[str]:
    """Return the topics of the events that `user` may see; an event is on one of them or more."""
    own = frozenset(map(_topic, grantees_of(user)))
    return own | {_ADMINS} if user.role is Role.ADMIN else own


def topics_of_upload(session: UploadSession) -> frozenset[str]:
    """Return the topics of events of an upload under way: it is for whoever uploads alone."""
    return frozenset({_topic(uploader_of(session) or session.owner_id)})


def topics_of_files(tx: Tx, files: Sequence[Placed]) -> dict[str, frozenset[str]]:
    """Return by id the topics of events of files; see `level_of`."""
    granted: dict[str, set[str]] = {}
    for grantee, file_ids in tx.grants.grantees_of(files).items():
        for file_id in file_ids:
            granted.setdefault(file_id, set()).add(grantee)
    return {
        one.file_id: topics_of_owner(one.owner_id, *granted.get(one.file_id, ())) for one in files
    }


def topics_of_folders(tx: Tx, folders: Sequence[Folder]) -> dict[str, frozenset[str]]:
    """Return by id the topics of events of folders of one owner; see `level_at`."""
    if not folders:
        return {}
    owner_id = folders[0].owner_id
    granted = tx.grants.grantees_at(owner_id, [one.path for one in folders])
    return {one.folder_id: topics_of_owner(owner_id, *granted[one.path]) for one in folders}


def topics_of_owner(owner_id: str, *others: str) -> frozenset[str]:
    """Return the topics of what an owner, admins and those others learn of a file or folder."""
    return frozenset({_ADMINS, *map(_topic, (owner_id, *others))})


def topics_of_server() -> frozenset[str]:
    """Return the topics of events of the server itself: they are for admins."""
    return frozenset({_ADMINS})


def topics_of_job(job: Job) -> frozenset[str]:
    """Return the topics of events of a job; see `may_see_job`."""
    admins = frozenset({_ADMINS})
    return admins if job.owner_id is None else admins | {_topic(job.owner_id)}


def uploader_of(session: UploadSession) -> str | None:
    """Return the id of the user who sends an upload; None where it is somebody with a link."""
    if UPLOAD_LINK in session.details:
        return None
    return session.details.get(UPLOADER, session.owner_id)


def may_continue(user: User, session: UploadSession) -> bool:
    """Tell whether an upload under way exists for `user`: they began it."""
    return uploader_of(session) == user.user_id


def _owns(user: User, owner_id: str) -> bool:
    return owner_id == user.user_id or user.role is Role.ADMIN


def _level_by(user: User, grants: Iterable[Grant]) -> Level | None:
    mine = grantees_of(user)
    return highest(grant.level for grant in grants if grant.grantee in mine)


def _ranks(grants: Iterable[Grant]) -> dict[str, int]:
    ranks: dict[str, int] = {}
    for grant in grants:
        ranks[grant.grantee] = max(grant.level.rank, ranks.get(grant.grantee, -1))
    return ranks


def _topic(grantee: str) -> str:
    return f"to:{grantee}"
