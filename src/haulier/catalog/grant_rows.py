"""What people let others do with their files and folders, in the catalog.

What is granted for a folder counts for all that lies in it: it is looked up by the folder's path,
and nothing is written to the files themselves.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable
from typing import Any, Protocol

from sqlalchemy import Connection, Select, delete, or_, select

from haulier.catalog.grant_tables import grants
from haulier.catalog.stored_tables import folders
from haulier.catalog.upsert import chunks, upsert
from haulier.core.file_names import ancestors
from haulier.core.grants import Grant, Level


class Placed(Protocol):
    """A file, as far as what is granted for it goes."""

    @property
    def file_id(self) -> str: ...
    @property
    def owner_id(self) -> str: ...
    @property
    def folder(self) -> str: ...


class GrantRows:
    """What can be done with grants inside one transaction (`Tx.grants`)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, grant: Grant) -> None:
        """Insert a grant, or put it in the place of what the grantee had at that resource."""
        row = dataclasses.asdict(grant)
        upsert(self._connection, grants, [row], key=["resource_id", "grantee"])

    def get(self, resource_id: str, grantee: str) -> Grant | None:
        """Return what a grantee was granted for just this file or folder."""
        here = (grants.c.resource_id == resource_id, grants.c.grantee == grantee)
        found = self._list(select(grants).where(*here))
        return found[0] if found else None

    def remove(self, resource_id: str, grantee: str) -> None:
        """Forget what a grantee was granted for just this file or folder."""
        here = (grants.c.resource_id == resource_id, grants.c.grantee == grantee)
        self._connection.execute(delete(grants).where(*here))

    def forget(self, resource_ids: Collection[str]) -> None:
        """Forget all that was granted for files and folders that are gone."""
        for some in chunks(list(resource_ids)):
            self._connection.execute(delete(grants).where(grants.c.resource_id.in_(some)))

    def at(self, owner_id: str, folder: str, file_id: str | None = None) -> list[Grant]:
        """Return all grants that count in a folder of an owner, or for a file that lies there."""
        paths = ancestors(folder)
        counting = []
        if file_id is not None:
            counting.append(grants.c.resource_id == file_id)
        if paths:
            around = select(folders.c.folder_id).where(
                folders.c.owner_id == owner_id, folders.c.path.in_(paths)
            )
            counting.append(grants.c.resource_id.in_(around))
        return self._list(select(grants).where(or_(*counting))) if counting else []

    def of_file(self, stored: Placed) -> list[Grant]:
        """Return all grants that count for a file: its own, and those of the folders around it."""
        return self.at(stored.owner_id, stored.folder, stored.file_id)

    def grantees_of(self, files: Iterable[Placed]) -> dict[str, list[str]]:
        """Return by grantee the ids of those of these files that something was granted for."""
        by_place: dict[tuple[str, str], list[str]] = {}
        for stored in files:
            by_place.setdefault((stored.owner_id, stored.folder), []).append(stored.file_id)
        found: dict[str, dict[str, None]] = {}
        for (owner_id, folder), file_ids in by_place.items():
            for grantee in {grant.grantee for grant in self.at(owner_id, folder)}:
                found.setdefault(grantee, {}).update(dict.fromkeys(file_ids))
            for some in chunks(file_ids):
                own = select(grants.c.grantee, grants.c.resource_id)
                for grantee, file_id in self._connection.execute(
                    own.where(grants.c.resource_id.in_(some))
                ):
                    found.setdefault(grantee, {})[file_id] = None
        return {grantee: list(file_ids) for grantee, file_ids in found.items()}

    def grantees_at(self, owner_id: str, paths: Collection[str]) -> dict[str, set[str]]:
        """Return by folder to whom something was granted for it, or for a folder around it."""
        around = sorted({one for path in paths for one in ancestors(path)})
        just_there: dict[str, set[str]] = {}
        for some in chunks(around):
            statement = (
                select(folders.c.path, grants.c.grantee)
                .join(grants, grants.c.resource_id == folders.c.folder_id)
                .where(folders.c.owner_id == owner_id, folders.c.path.in_(some))
            )
            for path, grantee in self._connection.execute(statement):
                just_there.setdefault(path, set()).add(grantee)
        return {
            path: set().union(*(just_there.get(one, ()) for one in ancestors(path)))
            for path in paths
        }

    def _list(self, statement: Select[Any]) -> list[Grant]:
        rows = self._connection.execute(statement.order_by(grants.c.created_at)).mappings()
        return [Grant(**{**row, "level": Level(row["level"])}) for row in rows]
