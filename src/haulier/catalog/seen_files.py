"""The newest files that somebody sees, whoever these belong to.

Each way to see files has an index that gives its newest: what comes from several is merged. Only
the files of granted folders have no order that follows from an index; few are sorted, and of many
the owners' newest are looked through.
"""

from __future__ import annotations

from itertools import islice

from sqlalchemy import ColumnElement, Connection, Select, func, select, union_all

from haulier.catalog.grant_tables import grants
from haulier.catalog.stored_tables import stored_files
from haulier.catalog.visibility import (
    Sight,
    granted_ids,
    granted_owners,
    there_in_granted_folder,
)

_FEW = 5000
_FEW_OWNERS = 20
_FILE = stored_files.c
_THERE = _FILE.deleted_at.is_(None)


def newest_seen(
    connection: Connection,
    sight: Sight,
    before: str | None,
    limit: int,
    *,
    shared: bool | None = None,
) -> list[str]:
    """Return the ids of files that are seen and not in the trash, newest first.

    Args:
        connection: in a transaction.
        sight: who looks.
        before: the id behind which to go on.
        limit: how many at most.
        shared: only those of others that were granted, or only one's own.
    """
    if shared is None and sight.sees_all:
        return _newest(connection, select(_FILE.file_id).where(_THERE), before, limit)
    found: set[str] = set()
    if shared is not True:
        own = select(_FILE.file_id).where(_FILE.owner_id == sight.user_id, _THERE)
        found.update(_newest(connection, own, before, limit))
    if shared is not False:
        found.update(_granted(connection, sight, before, limit))
    return list(islice(sorted(found, reverse=True), limit))


def _granted(connection: Connection, sight: Sight, before: str | None, limit: int) -> list[str]:
    of_others = _FILE.owner_id != sight.user_id
    found: list[str] = []
    for grantee in sight.grantees:
        one_by_one = (
            select(_FILE.file_id)
            .join_from(grants, stored_files, _FILE.file_id == grants.c.resource_id)
            .where(grants.c.grantee == grantee, ~grants.c.is_folder, _THERE, of_others)
        )
        found += _newest(connection, one_by_one, before, limit, key=grants.c.resource_id)
    if sight.roots is None or sight.roots:
        found += _in_folders(connection, sight, before, limit)
    return found


def _in_folders(connection: Connection, sight: Sight, before: str | None, limit: int) -> list[str]:
    _, *in_folders = granted_ids(sight)
    of_others = [one.where(_FILE.owner_id != sight.user_id) for one in in_folders]
    some = union_all(*of_others).limit(_FEW).subquery()
    count = connection.scalar(select(func.count()).select_from(some)) or 0
    if count < _FEW:
        # One that lies in a granted folder in another comes twice.
        ids = select(some.c.file_id).distinct()
        return _newest(connection, ids, before, limit, key=some.c.file_id)
    there: Select[str] = select(_FILE.file_id).where(_THERE, there_in_granted_folder(sight))
    owners = granted_owners(connection, sight) - {sight.user_id}
    if len(owners) > _FEW_OWNERS:
        of_all = there.where(_FILE.owner_id != sight.user_id)
        return _newest(connection, of_all, before, limit)
    found: list[str] = []
    for owner_id in owners:
        found += _newest(connection, there.where(_FILE.owner_id == owner_id), before, limit)
    return found


def _newest(
    connection: Connection,
    files: Select[str],
    before: str | None,
    limit: int,
    key: ColumnElement[str] = _FILE.file_id,
) -> list[str]:
    if before is not None:
        files = files.where(key < before)
    return list(connection.scalars(files.order_by(key.desc()).limit(limit)))
