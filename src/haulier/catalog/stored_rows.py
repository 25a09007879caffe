"""Stored files and their versions in the catalog.

A file's row says what it is now. What its content was before are rows of their own; a content may
be that of several versions of one file, and what was found in it is written to all of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, insert, select, true, update

from haulier.catalog.change_rows import ChangeRows
from haulier.catalog.grant_rows import GrantRows
from haulier.catalog.search_index import SearchIndex
from haulier.catalog.seen_files import newest_seen
from haulier.catalog.stored_tables import file_versions, removals, stored_files
from haulier.catalog.upsert import chunks, insert_missing
from haulier.catalog.visibility import Sight, visible
from haulier.core.accounts import ScanState, StoredFile

# What belongs to a content, and is kept of the former ones.
_OF_CONTENT = (
    *("version", "content_id", "size_bytes", "mime_type", "crc64nvme", "crc32", "sha256"),
    *("modified_at", "scan_state", "scan_detail"),
)
_FILE = stored_files.c
# Made once: what is asked for all the time.
_ONE = select(stored_files).where(_FILE.file_id == bindparam("file"))


class StoredRows:
    """What can be done with stored files inside one transaction (`Tx.stored`).

    Whoever changes which names are taken, or what lies in the trash, has locked the owner
    (`UserRows.lock`) before. Every change is recorded for `Tx.changes` and `Tx.search` as well.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._changes = ChangeRows(connection)
        self._search = SearchIndex(connection)

    def add(self, stored: StoredFile) -> None:
        """Record a new file."""
        self._connection.execute(insert(stored_files).values(**dataclasses.asdict(stored)))
        self._search.put([stored])
        self._changes.tell([stored], is_new=True)

    def get(self, file_id: str) -> StoredFile | None:
        """Return the file with that id, also one in the trash."""
        row = self._connection.execute(_ONE, {"file": file_id}).mappings().one_or_none()
        return None if row is None else stored_of(row)

    def get_many(
        self, file_ids: Collection[str], sight: Sight | None = None
    ) -> dict[str, StoredFile]:
        """Return those of these files that there are, also those in the trash.

        Where somebody looks (`sight`), only those that they see.
        """
        found = {}
        seen = true() if sight is None else visible(sight)
        for some in chunks(list(file_ids)):
            for one in self._list(select(stored_files).where(_FILE.file_id.in_(some), seen)):
                found[one.file_id] = one
        return found

    def of_content(self, content_id: str) -> StoredFile | None:
        """Return the file with that content, as it is or was with it."""
        current = self._list(select(stored_files).where(_FILE.content_id == content_id).limit(1))
        if current:
            return current[0]
        former = (
            select(file_versions)
            .where(file_versions.c.content_id == content_id)
            .order_by(file_versions.c.version.desc())
            .limit(1)
        )
        row = self._connection.execute(former).mappings().one_or_none()
        if row is None:
            return None
        stored = self.get(row["file_id"])
        return None if stored is None else _as_it_was(stored, row)

    def find(self, owner_id: str, folder: str, name: str) -> StoredFile | None:
        """Return the file of that name in a folder of an owner, not one in the trash."""
        statement = select(stored_files).where(
            _FILE.owner_id == owner_id,
            _FILE.folder == folder,
            _FILE.name == name,
            _FILE.deleted_at.is_(None),
        )
        found = self._list(statement.order_by(_FILE.file_id.desc()).limit(1))
        return found[0] if found else None

    def by_owner(
        self,
        owner_id: str,
        before: str | None,
        limit: int,
        *,
        folder: str | None = None,
        name: str | None = None,
        in_trash: bool = False,
    ) -> list[StoredFile]:
        """Return files of an owner, newest first, from behind the file `before` on.

        With `folder` those that lie in it, but not deeper; with `name` those that are called so.
        """
        is_there = _FILE.deleted_at.is_not(None) if in_trash else _FILE.deleted_at.is_(None)
        statement = select(stored_files).where(_FILE.owner_id == owner_id, is_there)
        if folder is not None:
            statement = statement.where(_FILE.folder == folder)
        if name is not None:
            statement = statement.where(_FILE.name == name)
        if before is not None:
            statement = statement.where(_FILE.file_id < before)
        return self._list(statement.order_by(_FILE.file_id.desc()).limit(limit))

    def seen(
        self, sight: Sight, before: str | None, limit: int, *, shared: bool | None = None
    ) -> list[StoredFile]:
        """Return the files that somebody sees, newest first, from behind the file `before` on.

        With `shared` only those of others that were granted, or only one's own.
        """
        file_ids = newest_seen(self._connection, sight, before, limit, shared=shared)
        found = self.get_many(file_ids)
        return [found[file_id] for file_id in file_ids]

    def deleted_before(self, moment: datetime, limit: int) -> list[StoredFile]:
        """Return files that lie in a trash since before that time, the oldest first."""
        statement = select(stored_files).where(_FILE.deleted_at < moment)
        return self._list(statement.order_by(_FILE.deleted_at).limit(limit))

    def change(self, stored: StoredFile, **values: Any) -> StoredFile:
        """Change fields of a file; return it as it is now."""
        changed = dataclasses.replace(stored, **values)
        self._connection.execute(
            update(stored_files).where(_FILE.file_id == stored.file_id).values(**values)
        )
        self._search.put([changed])
        before = [] if changed.folder == stored.folder else [stored]
        gone = changed.deleted_at is not None
        self._changes.tell([changed], before=before, is_deleted=gone)
        return changed

    def add_version(self, stored: StoredFile, newer: StoredFile) -> StoredFile:
        """Give a file the content and tags of `newer`; what it was becomes a former version.

        Returns the file as it is now.
        """
        was = {name: getattr(stored, name) for name in _OF_CONTENT}
        self._connection.execute(insert(file_versions).values(file_id=stored.file_id, **was))
        is_now = {name: getattr(newer, name) for name in _OF_CONTENT}
        is_now |= {"version": stored.version + 1, "tags": newer.tags, "revision": 0}
        return self.change(stored, **is_now)

    def versions(self, stored: StoredFile) -> list[StoredFile]:
        """Return the file with each content it has and had, newest first."""
        former = (
            select(file_versions)
            .where(file_versions.c.file_id == stored.file_id)
            .order_by(file_versions.c.version.desc())
        )
        rows = self._connection.execute(former).mappings()
        return [stored, *(_as_it_was(stored, row) for row in rows)]

    def remove(self, stored: StoredFile) -> tuple[list[str], int]:
        """Forget a file; return its contents, and how many bytes these have together.

        The contents wait for their removal (`removals`).
        """
        sizes = {one.content_id: one.size_bytes for one in self.versions(stored)}
        gone = delete(stored_files).where(_FILE.file_id == stored.file_id)
        if self._connection.execute(gone).rowcount == 0:
            return [], 0
        former = delete(file_versions).where(file_versions.c.file_id == stored.file_id)
        self._connection.execute(former)
        self._search.forget(stored.file_id)
        rows = [{"content_id": one} for one in sizes]
        insert_missing(self._connection, removals, rows)
        self._changes.tell([stored], is_deleted=True)
        GrantRows(self._connection).forget([stored.file_id])
        return list(sizes), sum(sizes.values())

    def removals(self, after: str, limit: int) -> list[str]:
        """Return contents that wait for their removal, by id, from behind `after` on."""
        waiting = select(removals.c.content_id).where(removals.c.content_id > after)
        return list(self._connection.scalars(waiting.order_by(removals.c.content_id).limit(limit)))

    def removed(self, content_id: str) -> None:
        """Record that nothing is left of a content."""
        self._connection.execute(delete(removals).where(removals.c.content_id == content_id))

    def set_scan(self, content_id: str, state: ScanState, detail: str | None) -> None:
        """Record what a scan said; that a content is infected is never taken back."""
        for table in (stored_files, file_versions):
            self._connection.execute(
                update(table)
                .where(table.c.content_id == content_id, table.c.scan_state != ScanState.INFECTED)
                .values(scan_state=state, scan_detail=detail)
            )
        self._search.put(self._tell_of(content_id))

    def set_sha256(self, content_id: str, sha256: str) -> None:
        """Record a content's SHA-256, in hexadecimal."""
        for table in (stored_files, file_versions):
            self._connection.execute(
                update(table).where(table.c.content_id == content_id).values(sha256=sha256)
            )
        self._tell_of(content_id)

    def _tell_of(self, content_id: str) -> list[StoredFile]:
        found = self._list(select(stored_files).where(_FILE.content_id == content_id))
        for one in found:
            self._changes.tell([one], is_deleted=one.deleted_at is not None)
        return found

    def _list(self, statement: Select[Any]) -> list[StoredFile]:
        return [stored_of(row) for row in self._connection.execute(statement).mappings()]


def stored_of(row: Any) -> StoredFile:
    """Return the record of a row of `stored_files`."""
    return StoredFile(**{**row, "scan_state": ScanState(row["scan_state"])})


def _as_it_was(stored: StoredFile, row: Any) -> StoredFile:
    was = {name: row[name] for name in _OF_CONTENT}
    was["scan_state"] = ScanState(row["scan_state"])
    return dataclasses.replace(stored, **was, revision=0)
