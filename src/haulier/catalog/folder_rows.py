"""Folders of stored files in the catalog.

A folder's row has its whole path, and so has each file in it: lists and searches need no tree.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    String,
    delete,
    func,
    literal,
    select,
    type_coerce,
    update,
)

from haulier.catalog.change_rows import ChangeRows
from haulier.catalog.grant_rows import GrantRows, Placed
from haulier.catalog.grant_tables import grants
from haulier.catalog.patterns import starts_with, under
from haulier.catalog.search_index import SearchIndex
from haulier.catalog.stored_rows import StoredRows
from haulier.catalog.stored_tables import folders, stored_files
from haulier.catalog.types import encode_text
from haulier.catalog.upsert import chunks, insert_missing
from haulier.core.accounts import Folder
from haulier.core.file_names import ancestors
from haulier.core.records import new_file_id

_FILE = stored_files.c


class _Placed(NamedTuple):
    file_id: str
    owner_id: str
    folder: str


class FolderRows:
    """What can be done with folders inside one transaction (`Tx.folders`).

    Whoever changes them has locked the owner (`UserRows.lock`) before.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def make(self, owner_id: str, path: str, now: datetime) -> list[Folder]:
        """Record a folder and those around it, where they are not there yet; return the new."""
        paths = ancestors(path)
        if not paths:
            return []
        known = select(folders.c.path).where(
            folders.c.owner_id == owner_id, folders.c.path.in_(paths)
        )
        missing = set(paths) - set(self._connection.scalars(known))
        made = [
            Folder(folder_id=new_file_id(), owner_id=owner_id, path=one, created_at=now)
            for one in sorted(missing)
        ]
        insert_missing(self._connection, folders, [asdict(one) for one in made])
        return made

    def get(self, folder_id: str) -> Folder | None:
        """Return the folder with that id."""
        return self._one(select(folders).where(folders.c.folder_id == folder_id))

    def at(self, owner_id: str, path: str) -> Folder | None:
        """Return the folder at a path of an owner."""
        here = (folders.c.owner_id == owner_id, folders.c.path == path)
        return self._one(select(folders).where(*here))

    def inside(self, owner_id: str, path: str, after: str | None, limit: int) -> list[Folder]:
        """Return the folders directly in one of an owner (`""`: the top), by name.

        From behind the path `after` on.
        """
        columns = folders.c
        statement = select(folders).where(columns.owner_id == owner_id)
        lead = f"{path}/" if path else ""
        if lead:
            statement = statement.where(starts_with(columns.path, lead))
        rest = func.substr(columns.path, len(encode_text(lead)) + 1, type_=String())
        statement = statement.where(~rest.contains("/"))
        if after is not None:
            statement = statement.where(columns.path > after)
        found = self._connection.execute(statement.order_by(columns.path).limit(limit)).mappings()
        return [Folder(**row) for row in found]

    def move(self, folder: Folder, path: str) -> list[str]:
        """Give a folder another path, and all that lies in it; return the ids of these files."""
        before = self.files(folder)
        for table, column in ((stored_files, _FILE.folder), (folders, folders.c.path)):
            rest = func.substr(column, len(encode_text(folder.path)) + 1, type_=column.type)
            conditions = [table.c.owner_id == folder.owner_id, under(column, folder.path)]
            values: dict[Any, Any] = {
                column.name: type_coerce(literal(path, column.type).concat(rest), column.type)
            }
            if table is stored_files:
                conditions.append(_FILE.deleted_at.is_(None))
                values["revision"] = _FILE.revision + 1
            self._connection.execute(update(table).where(*conditions).values(values))
        after = self.files(replace(folder, path=path))
        ChangeRows(self._connection).tell(after, before=before)
        self._index([one.file_id for one in after])
        return [one.file_id for one in after]

    def remove(self, folder: Folder, now: datetime) -> list[str]:
        """Put all files in a folder into the trash and forget it; return the files' ids."""
        there = self.files(folder)
        gone = [one.file_id for one in there]
        for some in chunks(gone):
            self._connection.execute(
                update(stored_files).where(_FILE.file_id.in_(some)).values(deleted_at=now)
            )
        ChangeRows(self._connection).tell(there, is_deleted=True)
        self._index(gone)
        forgotten = [one.folder_id for one in self.within(folder)]
        GrantRows(self._connection).forget(forgotten)
        self._connection.execute(delete(folders).where(*_within(folder)))
        return gone

    def within(self, folder: Folder) -> list[Folder]:
        """Return a folder and all that lie in it, however deep, by path."""
        statement = select(folders).where(*_within(folder)).order_by(folders.c.path)
        return [Folder(**row) for row in self._connection.execute(statement).mappings()]

    def files(self, folder: Folder) -> list[Placed]:
        """Return the files in a folder, however deep, that are not in the trash."""
        found = select(_FILE.file_id, _FILE.owner_id, _FILE.folder).where(
            _FILE.owner_id == folder.owner_id,
            under(_FILE.folder, folder.path),
            _FILE.deleted_at.is_(None),
        )
        return [_Placed(*row) for row in self._connection.execute(found)]

    def granted(
        self, user_id: str, grantees: Collection[str], after: str | None, limit: int
    ) -> list[Folder]:
        """Return the folders of others than `user_id` that something is granted for, by id.

        From behind the id `after` on.
        """
        statement = (
            select(folders)
            .join(grants, grants.c.resource_id == folders.c.folder_id)
            .where(
                grants.c.grantee.in_(grantees), grants.c.is_folder, folders.c.owner_id != user_id
            )
            .distinct()
            .order_by(folders.c.folder_id)
            .limit(limit)
        )
        if after is not None:
            statement = statement.where(grants.c.resource_id > after)
        return [Folder(**row) for row in self._connection.execute(statement).mappings()]

    def _index(self, file_ids: list[str]) -> None:
        """Let files be found where they are now."""
        files = StoredRows(self._connection).get_many(file_ids)
        SearchIndex(self._connection).put(list(files.values()))

    def _one(self, statement: Select[Any]) -> Folder | None:
        row = self._connection.execute(statement).mappings().one_or_none()
        return None if row is None else Folder(**row)


def _within(folder: Folder) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return folders.c.owner_id == folder.owner_id, under(folders.c.path, folder.path)
