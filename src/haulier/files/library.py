"""What people do with their stored files: look, rename, tag, move, delete, take back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from haulier.catalog.catalog import Catalog
from haulier.catalog.transaction import Tx
from haulier.core.accounts import StoredFile, User
from haulier.core.file_names import another_name, clean_folder, clean_name
from haulier.core.grants import Level
from haulier.core.records import utc_now
from haulier.errors import FileNotFoundError as NoSuchFile
from haulier.errors import NameTaken
from haulier.files.access import (
    acting_for,
    check_change,
    check_level,
    check_move,
    level_of,
    sight_of,
    topics_of_files,
)
from haulier.files.events import FileEvents
from haulier.files.folders import find_folder
from haulier.files.reception import check_match
from haulier.files.showing import as_shown

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """What is to be changed of a file; None leaves it as it is.

    Args:
        name: another name.
        folder: the folder to move it to; `""` for the top.
        tags: all tags that it is to have.
        more_tags: tags that it is to have beside those that it has.
    """

    name: str | None = None
    folder: str | None = None
    tags: Mapping[str, str] | None = None
    more_tags: Mapping[str, str] | None = None


class Library:
    """Stored files, as their users handle them.

    Every method that names a file raises FileNotFoundError when there is none that the user
    may see, and those that change it FilePermissionError when they may not.

    Args:
        catalog: where files are recorded.
        events: is told what happens to files.
        removable: called, from any thread, once there is content to be removed.
        now: the clock.
    """

    def __init__(
        self,
        catalog: Catalog,
        events: FileEvents,
        *,
        removable: Callable[[], None] = lambda: None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._catalog = catalog
        self._events = events
        self._removable = removable
        self._now = now

    async def get(
        self, user: User, file_id: str, needed: Level = Level.READ, *, in_trash: bool = False
    ) -> StoredFile:
        """Return a file that is not in the trash, or one that is, to do what is `needed`."""
        key = (user, file_id, needed, in_trash)
        return await self._catalog.recall(
            key,
            lambda tx: find(tx, user, file_id, needed, in_trash=in_trash),
            acting=acting_for(user),
        )

    async def list(
        self,
        user: User,
        before: str | None,
        limit: int,
        *,
        shared: bool | None = None,
        folder: str | None = None,
        folder_id: str | None = None,
        name: str | None = None,
    ) -> list[StoredFile]:
        """Return files that the user may see, newest first, from behind the file `before` on.

        Args:
            user: who looks.
            before: the id of a file.
            limit: how many at most.
            shared: only those that others granted, or only the user's own.
            folder: only those directly in this folder of the user's own; `""`: the top.
            folder_id: only those directly in this folder, below `folder` where both are given.
            name: only those of that name, of the user's own where no folder is named.
        """
        called = None if name is None else clean_name(name)
        where = None if folder is None else clean_folder(folder)

        if where is None and folder_id is None and called is None:
            found = await self._catalog.read(
                lambda tx: tx.stored.seen(sight_of(tx, user), before, limit, shared=shared)
            )
            return [*await as_shown(self._catalog, user, found)]

        def work(tx: Tx) -> list[StoredFile]:
            owner_id, path = user.user_id, where
            if folder_id is not None:
                around = find_folder(tx, user, folder_id)
                owner_id, path = around.owner_id, clean_folder(f"{around.path}/{where or ''}")
            return tx.stored.by_owner(owner_id, before, limit, folder=path, name=called)

        return await self._catalog.read(work, acting=acting_for(user))

    async def change(
        self, user: User, file_id: str, change: FileChange, *, if_match: str | None = None
    ) -> StoredFile:
        """Rename, move or tag a file; return it as it is then.

        Raises:
            PreconditionFailed: it is not as `if_match` says.
            NameTaken: there is another file of that name.
            ValidationError: name or folder can't be.
        """

        def work(tx: Tx, stored: StoredFile) -> StoredFile:
            check_match(stored, if_match)
            values = _values_of(change, stored)
            if not values:
                return stored
            name, folder = values.get("name", stored.name), values.get("folder", stored.folder)
            if (folder, name) != (stored.folder, stored.name):
                if folder != stored.folder:
                    level = level_of(tx, user, stored) or Level.READ
                    check_move(tx, user, level, stored.owner_id, stored.folder, folder)
                if tx.stored.find(stored.owner_id, folder, name) is not None:
                    raise NameTaken(f"there is a file {name} already")
                self._make_folder(tx, stored.owner_id, folder)
            before = topics_of_files(tx, [stored])
            changed = tx.stored.change(stored, **values, revision=stored.revision + 1)
            self._events.files_moved(tx, before, [changed])
            return changed

        return await self._on_file(user, file_id, work)

    async def discard(self, user: User, file_id: str, *, if_match: str | None = None) -> None:
        """Put a file into the trash.

        Raises:
            PreconditionFailed: it is not as `if_match` says.
        """

        def work(tx: Tx, stored: StoredFile) -> None:
            check_match(stored, if_match)
            self._events.files_deleted(tx, [tx.stored.change(stored, deleted_at=self._now())])

        await self._on_file(user, file_id, work)

    async def take_back(self, user: User, file_id: str) -> StoredFile:
        """Take a file out of the trash, under another name where its own is taken meanwhile."""

        def work(tx: Tx, stored: StoredFile) -> StoredFile:
            name, number = stored.name, 2
            while tx.stored.find(stored.owner_id, stored.folder, name) is not None:
                name, number = another_name(stored.name, number), number + 1
            self._make_folder(tx, stored.owner_id, stored.folder)
            revision = stored.revision + (name != stored.name)
            back = tx.stored.change(stored, name=name, deleted_at=None, revision=revision)
            self._events.file_created(tx, back)
            return back

        return await self._on_file(user, file_id, work, in_trash=True)

    async def restore_version(self, user: User, file_id: str, version: int) -> StoredFile:
        """Make what a file was in that version its newest version.

        Raises:
            FileNotFoundError: there is no such version.
        """

        def work(tx: Tx, stored: StoredFile) -> StoredFile:
            wanted = version_of(tx, stored, version)
            if wanted.version == stored.version:
                return stored
            restored = tx.stored.add_version(stored, wanted)
            self._events.file_updated(tx, restored)
            return restored

        return await self._on_file(user, file_id, work)

    async def remove(self, user: User, file_id: str) -> None:
        """Remove a file in the trash for good."""
        await self._on_file(user, file_id, self._remove, in_trash=True)

    async def empty_trash(self, user: User, *, at_once: int = 100) -> None:
        """Remove all files in the user's trash for good."""

        def work(tx: Tx) -> int:
            check_change(user)
            tx.users.lock(user.user_id)
            found = tx.stored.by_owner(user.user_id, None, at_once, in_trash=True)
            for stored in found:
                self._remove(tx, stored)
            return len(found)

        while await self._catalog.transaction(work) == at_once:
            pass

    async def remove_old(self, before: datetime, *, at_once: int = 100) -> int:
        """Remove for good what lies in any trash since before that time; return how much."""

        def work(tx: Tx) -> int:
            found = tx.stored.deleted_before(before, at_once)
            for owner_id in sorted({stored.owner_id for stored in found}):
                tx.users.lock(owner_id)
            for stored in found:
                current = tx.stored.get(stored.file_id)
                if current is not None and current.deleted_at is not None:
                    self._remove(tx, current)
            return len(found)

        removed = 0
        while (count := await self._catalog.transaction(work)) == at_once:
            removed += count
        return removed + count

    def _remove(self, tx: Tx, stored: StoredFile) -> None:
        """Forget a file and give back its quota; its bytes are removed after the commit."""
        contents, size_bytes = tx.stored.remove(stored)
        tx.users.release(stored.owner_id, 0, -size_bytes)
        for content_id in contents:
            for job in tx.jobs.cancel_of_subject(content_id, self._now()):
                self._events.job_changed(tx, job)
        tx.after_commit(self._removable)

    def _make_folder(self, tx: Tx, owner_id: str, path: str) -> None:
        self._events.folders_created(tx, tx.folders.make(owner_id, path, self._now()))

    async def _on_file(
        self,
        user: User,
        file_id: str,
        work: Callable[[Tx, StoredFile], T],
        *,
        in_trash: bool = False,
    ) -> T:
        """Do `work` on a file that the user may change, while nobody else changes it."""

        def locked(tx: Tx) -> T:
            seen = find(tx, user, file_id, Level.WRITE, in_trash=in_trash)
            tx.users.lock(seen.owner_id)
            return work(tx, find(tx, user, file_id, Level.WRITE, in_trash=in_trash))

        return await self._catalog.transaction(locked)


def find(
    tx: Tx, user: User, file_id: str, needed: Level = Level.READ, *, in_trash: bool = False
) -> StoredFile:
    """Return a file that `user` may see; what one may not see does not exist.

    In the trash that is what they are an owner of.

    Raises:
        FileNotFoundError: there is none.
        FilePermissionError: they may see it, and not do what is `needed`.
    """
    stored = tx.stored.get(file_id)
    level = None if stored is None else level_of(tx, user, stored)
    if in_trash and level is not Level.OWNER:
        level = None
    if stored is None or level is None or (stored.deleted_at is not None) != in_trash:
        raise NoSuchFile(
            "there is no such file in the trash" if in_trash else "there is no such file"
        )
    check_level(user, level, needed)
    return stored


def version_of(tx: Tx, stored: StoredFile, version: int) -> StoredFile:
    """Return a file as it is or was in that version.

    Raises:
        FileNotFoundError: there is no such version.
    """
    for one in tx.stored.versions(stored):
        if one.version == version:
            return one
    raise NoSuchFile(f"{stored.name} has no version {version}")


def _values_of(change: FileChange, stored: StoredFile) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if change.name is not None:
        values["name"] = clean_name(change.name)
    if change.folder is not None:
        values["folder"] = clean_folder(change.folder)
    if change.tags is not None:
        values["tags"] = dict(change.tags)
    if change.more_tags is not None:
        values["tags"] = {**stored.tags, **change.more_tags}
    return {name: value for name, value in values.items() if value != getattr(stored, name)}
