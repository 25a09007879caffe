"""What people do with the folders that their files lie in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from haulier.catalog.catalog import Catalog
from haulier.catalog.transaction import Tx
from haulier.core.accounts import Folder, User
from haulier.core.file_names import clean_folder, clean_name
from haulier.core.grants import Level
from haulier.core.records import utc_now
from haulier.errors import FileNotFoundError as NoSuchFolder
from haulier.errors import NameTaken, ValidationError
from haulier.files.access import (
    acting_for,
    check_change,
    check_level,
    check_move,
    grantees_of,
    level_at,
    topics_of_files,
    topics_of_folders,
)
from haulier.files.events import FileEvents


class Folders:
    """Folders, as their users handle them.

    Every method that names a folder raises FileNotFoundError when there is none that the user
    may see, and those that change it FilePermissionError when they may not.

    Args:
        catalog: where folders are recorded.
        events: is told what happens to them and the files in them.
        now: the clock.
    """

    def __init__(
        self, catalog: Catalog, events: FileEvents, *, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._catalog = catalog
        self._events = events
        self._now = now

    async def get(self, user: User, folder_id: str, needed: Level = Level.READ) -> Folder:
        """Return a folder, to do what is `needed`."""
        return await self._catalog.read(
            lambda tx: find_folder(tx, user, folder_id, needed), acting=acting_for(user)
        )

    async def inside(
        self, user: User, path: str, after: str | None, limit: int, *, around: str | None = None
    ) -> list[Folder]:
        """Return the folders directly in the one at `path`, by name, behind the path `after`.

        The path is one of the user's own, or begins at the folder with the id `around`.
        """

        def work(tx: Tx) -> list[Folder]:
            owner_id, lead = user.user_id, clean_folder(path)
            if around is not None:
                outer = find_folder(tx, user, around)
                owner_id, lead = outer.owner_id, clean_folder(f"{outer.path}/{lead}")
            return tx.folders.inside(owner_id, lead, after, limit)

        return await self._catalog.read(work, acting=acting_for(user))

    async def granted(self, user: User, after: str | None, limit: int) -> list[Folder]:
        """Return the folders of others that were granted to the user, behind the id `after`."""
        return await self._catalog.read(
            lambda tx: tx.folders.granted(user.user_id, grantees_of(user), after, limit),
            acting=acting_for(user),
        )

    async def make(self, user: User, path: str, around: str | None = None) -> Folder:
        """Make a folder and those around it, in the folder with the id `around` if one is named.

        Raises:
            NameTaken: it is there already.
            ValidationError: a name can't be.
        """
        wanted = clean_folder(path)
        if not wanted:
            raise ValidationError("a folder needs a name", hint="Give it in the field `path`.")

        def work(tx: Tx) -> Folder:
            check_change(user)
            owner_id, path = user.user_id, wanted
            if around is not None:
                outer = find_folder(tx, user, around, Level.WRITE)
                owner_id, path = outer.owner_id, clean_folder(f"{outer.path}/{wanted}")
            tx.users.lock(owner_id)
            if tx.folders.at(owner_id, path) is not None:
                raise NameTaken(f"there is a folder {path} already")
            made = tx.folders.make(owner_id, path, self._now())
            self._events.folders_created(tx, made)
            return made[-1]

        return await self._catalog.transaction(work)

    async def move(
        self, user: User, folder_id: str, *, name: str | None = None, parent: str | None = None
    ) -> Folder:
        """Rename a folder, or move it into another (`""`: the top); all in it goes with it.

        Raises:
            NameTaken: there is a folder of that name.
            ValidationError: a name can't be, or it would lie in itself.
        """
        new_name = None if name is None else clean_name(name)
        new_parent = None if parent is None else clean_folder(parent)

        def work(tx: Tx, folder: Folder) -> Folder:
            around, _, last = folder.path.rpartition("/")
            lead = around if new_parent is None else new_parent
            path = clean_folder(f"{lead}/{last if new_name is None else new_name}")
            if path == folder.path:
                return folder
            if f"{path}/".startswith(f"{folder.path}/"):
                raise ValidationError("a folder can't be moved into itself")
            if lead != around:
                level = level_at(tx, user, folder.owner_id, folder.path) or Level.READ
                check_move(tx, user, level, folder.owner_id, around, lead)
            if tx.folders.at(folder.owner_id, path) is not None:
                raise NameTaken(f"there is a folder {path} already")
            self._events.folders_created(tx, tx.folders.make(folder.owner_id, lead, self._now()))
            files_were = topics_of_files(tx, tx.folders.files(folder))
            folders_were = topics_of_folders(tx, tx.folders.within(folder))
            files = tx.stored.get_many(tx.folders.move(folder, path))
            moved = replace(folder, path=path)
            self._events.folders_moved(tx, folders_were, tx.folders.within(moved))
            self._events.files_moved(tx, files_were, list(files.values()))
            return moved

        return await self._catalog.transaction(lambda tx: work(tx, _locked(tx, user, folder_id)))

    async def discard(self, user: User, folder_id: str) -> int:
        """Put all files in a folder into the trash, and forget it; return how many these were."""

        def work(tx: Tx) -> int:
            folder = _locked(tx, user, folder_id)
            there = [one.file_id for one in tx.folders.files(folder)]
            # What goes with a folder is told to those who may see it while that is still known.
            self._events.files_deleted(tx, list(tx.stored.get_many(there).values()))
            self._events.folders_deleted(tx, tx.folders.within(folder))
            return len(tx.folders.remove(folder, self._now()))

        return await self._catalog.transaction(work)


def find_folder(tx: Tx, user: User, folder_id: str, needed: Level = Level.READ) -> Folder:
    """Return a folder that `user` may see; what one may not see does not exist.

    Raises:
        FileNotFoundError: there is none.
        FilePermissionError: they may see it, and not do what is `needed`.
    """
    folder = tx.folders.get(folder_id)
    level = None if folder is None else level_at(tx, user, folder.owner_id, folder.path)
    if folder is None or level is None:
        raise NoSuchFolder("there is no such folder")
    check_level(user, level, needed)
    return folder


def _locked(tx: Tx, user: User, folder_id: str) -> Folder:
    """Return a folder that the user may change, and that nobody else changes meanwhile."""
    seen = find_folder(tx, user, folder_id, Level.WRITE)
    tx.users.lock(seen.owner_id)
    return find_folder(tx, user, folder_id, Level.WRITE)
