"""What people do with their stored files: look, rename, tag, move, delete, take back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from haulier.catalog.catalog import Catalog
from haulier.catalog.change_rows import Change
from haulier.catalog.transaction import Tx
from haulier.core.accounts import StoredFile, User
from haulier.core.file_names import another_name, clean_folder, clean_name
from haulier.core.records import utc_now
from haulier.errors import ChangesGone, NameTaken
from haulier.errors import FileNotFoundError as NoSuchFile
from haulier.files.access import check_change, may_see
from haulier.files.events import FileEvents
from haulier.files.reception import check_match

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

    async def get(self, user: User, file_id: str, *, in_trash: bool = False) -> StoredFile:
        """Return a file that is not in the trash, or one that is."""
        key = (user, file_id, in_trash)
        return await self._catalog.recall(
            key, lambda tx: find(tx, user, file_id, in_trash=in_trash)
        )

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
                if tx.stored.find(stored.owner_id, folder, name) is not None:
                    raise NameTaken(f"there is a file {name} already")
                tx.folders.make(stored.owner_id, folder, self._now())
            return self._told(tx, tx.stored.change(stored, **values, revision=stored.revision + 1))

        return await self._on_file(user, file_id, work)

    async def discard(self, user: User, file_id: str, *, if_match: str | None = None) -> None:
        """Put a file into the trash.

        Raises:
            PreconditionFailed: it is not as `if_match` says.
        """

        def work(tx: Tx, stored: StoredFile) -> None:
            check_match(stored, if_match)
            self._events.file_deleted(tx, tx.stored.change(stored, deleted_at=self._now()))

        await self._on_file(user, file_id, work)

    async def take_back(self, user: User, file_id: str) -> StoredFile:
        """Take a file out of the trash, under another name where its own is taken meanwhile."""

        def work(tx: Tx, stored: StoredFile) -> StoredFile:
            name, number = stored.name, 2
            while tx.stored.find(stored.owner_id, stored.folder, name) is not None:
                name, number = another_name(stored.name, number), number + 1
            tx.folders.make(stored.owner_id, stored.folder, self._now())
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
            return self._told(tx, tx.stored.add_version(stored, wanted))

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

    def _told(self, tx: Tx, stored: StoredFile) -> StoredFile:
        self._events.file_updated(tx, stored)
        return stored

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
            seen = find(tx, user, file_id, in_trash=in_trash)
            check_change(user)
            tx.users.lock(seen.owner_id)
            return work(tx, find(tx, user, file_id, in_trash=in_trash))

        return await self._catalog.transaction(locked)


def find(tx: Tx, user: User, file_id: str, *, in_trash: bool = False) -> StoredFile:
    """Return a file that `user` may see; what one may not see does not exist.

    Raises:
        FileNotFoundError: there is none.
    """
    stored = tx.stored.get(file_id)
    if stored is None or not may_see(user, stored) or (stored.deleted_at is not None) != in_trash:
        raise NoSuchFile(
            "there is no such file in the trash" if in_trash else "there is no such file"
        )
    return stored


def changes_since(
    tx: Tx, user: User, number: int, limit: int
) -> tuple[list[tuple[Change, StoredFile | None]], bool]:
    """Return changes of a user's files behind that number, and whether there are more.

    With each the file as it is now, or None when it is deleted.

    Raises:
        ChangesGone: there was no such change: the catalog is an older one than was asked before.
    """
    if number > tx.changes.last(user.user_id):
        raise ChangesGone("what changed since then is not known any more")
    found = tx.changes.since(user.user_id, number, limit + 1)
    shown = found[:limit]
    stored = tx.stored.get_many([one.file_id for one in shown if not one.is_deleted])
    return [(one, stored.get(one.file_id)) for one in shown], len(found) > limit


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
