"""Who may do what with a file or a folder: looked at, granted and taken back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from haulier.catalog.catalog import Catalog
from haulier.catalog.transaction import Tx
from haulier.core.accounts import Folder, Role, StoredFile, User
from haulier.core.grants import EVERYBODY, Grant, Level, grantee_of_role
from haulier.core.records import utc_now
from haulier.errors import FileNotFoundError as NoSuchGrant
from haulier.errors import ValidationError
from haulier.files.events import FileEvents
from haulier.files.folders import find_folder
from haulier.files.library import find

T = TypeVar("T")
Find = Callable[[Tx, User, Level], StoredFile | Folder]


def file_named(file_id: str) -> Find:
    """Return what finds that file, for `Permissions`."""
    return lambda tx, user, needed: find(tx, user, file_id, needed)


def folder_named(folder_id: str) -> Find:
    """Return what finds that folder, for `Permissions`."""
    return lambda tx, user, needed: find_folder(tx, user, folder_id, needed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Whom:
    """To whom something is granted: one of these.

    Args:
        user: a name, or an id.
        role: all who have it.
        everybody: whoever is signed in.
    """

    user: str | None = None
    role: Role | None = None
    everybody: bool = False


class Permissions:
    """What was granted, as those see it who may share or decide.

    Every method raises FileNotFoundError when there is no such file or folder that the user may
    see, and FilePermissionError when what they may do with it is not enough.

    Args:
        catalog: where grants are recorded.
        events: is told of each change.
        now: the clock.
    """

    def __init__(
        self, catalog: Catalog, events: FileEvents, *, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._catalog = catalog
        self._events = events
        self._now = now

    async def of(
        self, user: User, wanted: Find
    ) -> tuple[StoredFile | Folder, list[Grant], dict[str, User]]:
        """Return a file or folder, what is granted for it and around it, and the users named."""

        def work(tx: Tx) -> tuple[StoredFile | Folder, list[Grant], dict[str, User]]:
            resource = wanted(tx, user, Level.SHARE)
            found = _grants_of(tx, resource)
            ids = {resource.owner_id, *(one.grantee for one in found)}
            people = {user_id: tx.users.get(user_id) for user_id in ids}
            return resource, found, {one.user_id: one for one in people.values() if one is not None}

        return await self._catalog.read(work)

    async def grant(self, user: User, wanted: Find, whom: Whom, level: Level) -> None:
        """Grant something for a file or folder, in the place of what was granted there before.

        Raises:
            ValidationError: there is no such user, or it is the owner.
        """

        def work(tx: Tx, resource: StoredFile | Folder) -> None:
            grantee = _grantee_of(tx, whom)
            if grantee == resource.owner_id:
                raise ValidationError("its owner may do everything already")
            grant = Grant(
                resource_id=_id_of(resource),
                is_folder=isinstance(resource, Folder),
                grantee=grantee,
                level=level,
                granted_by=user.user_id,
                created_at=self._now(),
            )
            tx.grants.put(grant)
            self._changed(tx, user, resource, grantee, level)

        await self._on(user, wanted, work)

    async def revoke(self, user: User, wanted: Find, whom: Whom | None) -> None:
        """Take back what was granted for just this file or folder to somebody, or to all (None).

        What is granted for a folder around it stays.

        Raises:
            FileNotFoundError: nothing was granted to them here.
        """

        def work(tx: Tx, resource: StoredFile | Folder) -> None:
            here = [one for one in _grants_of(tx, resource) if one.resource_id == _id_of(resource)]
            if whom is not None:
                grantee = _grantee_of(tx, whom)
                here = [one for one in here if one.grantee == grantee]
                if not here:
                    raise NoSuchGrant("nothing is granted to them here")
            for one in here:
                tx.grants.remove(one.resource_id, one.grantee)
                self._changed(tx, user, resource, one.grantee, None)

        await self._on(user, wanted, work)

    async def _on(
        self, user: User, wanted: Find, work: Callable[[Tx, StoredFile | Folder], T]
    ) -> T:
        """Do `work` on what the user may decide about, while nobody moves it."""

        def locked(tx: Tx) -> T:
            tx.users.lock(wanted(tx, user, Level.OWNER).owner_id)
            return work(tx, wanted(tx, user, Level.OWNER))

        return await self._catalog.transaction(locked)

    def _changed(
        self,
        tx: Tx,
        user: User,
        resource: StoredFile | Folder,
        grantee: str,
        level: Level | None,
    ) -> None:
        files = [resource] if isinstance(resource, StoredFile) else tx.folders.files(resource)
        tx.changes.add(grantee, [one.file_id for one in files])
        self._events.permission_changed(tx, resource, grantee, level, user.user_id)


def _grants_of(tx: Tx, resource: StoredFile | Folder) -> list[Grant]:
    if isinstance(resource, StoredFile):
        return tx.grants.of_file(resource)
    return tx.grants.at(resource.owner_id, resource.path)


def _id_of(resource: StoredFile | Folder) -> str:
    return resource.file_id if isinstance(resource, StoredFile) else resource.folder_id


def _grantee_of(tx: Tx, whom: Whom) -> str:
    if whom.everybody:
        return EVERYBODY
    if whom.role is not None:
        return grantee_of_role(whom.role)
    found = tx.users.by_name(whom.user or "") or tx.users.get(whom.user or "")
    if found is None:
        raise ValidationError(f"there is no user {whom.user}")
    return found.user_id
