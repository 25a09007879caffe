"""Which stored files somebody sees, as SQL: their own, and those that something is granted for.

`visible` is a test of each row, for statements that find files by something else, and
`visible_there` one for many rows; `visible_ids` finds the files themselves, for somebody who sees
few. `count_visible` tells which to take.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import (
    Column,
    ColumnElement,
    CompoundSelect,
    Connection,
    Select,
    and_,
    exists,
    false,
    func,
    or_,
    select,
    true,
    tuple_,
    type_coerce,
    union_all,
)

from haulier.catalog.grant_tables import grants
from haulier.catalog.patterns import under
from haulier.catalog.stored_tables import folders, stored_files
from haulier.catalog.types import PLAIN_TEXT

_MOST_ROOTS = 100
_FILE = stored_files.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """Who looks; made by `haulier.files.access.sight_of` alone.

    Args:
        user_id: whose own files are seen.
        grantees: by which more is granted: the user, the role, everybody.
        sees_all: whether everything is seen.
        roots: owner and path of the folders granted, none of them inside another; None where
            these are so many that they are looked up for each file.
    """

    user_id: str
    grantees: tuple[str, ...]
    sees_all: bool = False
    roots: Sequence[tuple[str, str]] | None = ()


def find_roots(connection: Connection, grantees: Sequence[str]) -> Sequence[tuple[str, str]] | None:
    """Return the `roots` of a `Sight` of these grantees."""
    statement = (
        select(folders.c.owner_id, folders.c.path)
        .join_from(grants, folders, folders.c.folder_id == grants.c.resource_id)
        .where(grants.c.grantee.in_(grantees), grants.c.is_folder)
        .distinct()
        .limit(10 * _MOST_ROOTS)
    )
    roots: list[tuple[str, str]] = []
    found = connection.execute(statement).all()
    for owner_id, path in sorted((row[0], row[1]) for row in found):
        # A folder comes before all that lies in it, though not directly.
        if not any(owner_id == one and f"{path}/".startswith(f"{at}/") for one, at in roots):
            roots.append((owner_id, path))
        if len(roots) > _MOST_ROOTS:
            return None
    return None if len(found) == 10 * _MOST_ROOTS else roots


def visible(sight: Sight) -> ColumnElement[bool]:
    """Return the test that a row of `stored_files` is seen, whether in the trash or not."""
    if sight.sees_all:
        return true()
    return or_(_FILE.owner_id == sight.user_id, granted(sight))


def visible_there(sight: Sight) -> ColumnElement[bool]:
    """Return the test that a row of `stored_files`, which is not in the trash, is seen."""
    if sight.sees_all:
        return true()
    mine = _FILE.owner_id == sight.user_id
    return or_(mine, _granted_by_itself(sight), there_in_granted_folder(sight))


def granted(sight: Sight) -> ColumnElement[bool]:
    """Return the test that something is granted for a row of `stored_files`."""
    return or_(_granted_by_itself(sight), in_granted_folder(sight))


def in_granted_folder(sight: Sight) -> ColumnElement[bool]:
    """Return the test that a row of `stored_files` lies in a folder that is granted."""
    if sight.roots is None:
        around = _granted_folders(sight).where(
            folders.c.owner_id == _FILE.owner_id, _lies_in(_FILE.folder, folders.c.path)
        )
        return exists(around.correlate(stored_files))
    return (
        or_(
            *(
                and_(_FILE.owner_id == owner, under(_FILE.folder, path))
                for owner, path in sight.roots
            )
        )
        if sight.roots
        else ~true()
    )


def there_in_granted_folder(sight: Sight) -> ColumnElement[bool]:
    """Return the same of a row that is not in the trash; where roots are many it costs little.

    The folder of such a file is on record, so all that lie in granted ones are found once, and each
    row is looked up among them.
    """
    if sight.roots is not None:
        return in_granted_folder(sight)
    inner = folders.alias()
    path, lead = (type_coerce(one, PLAIN_TEXT) for one in (inner.c.path, folders.c.path))
    inside = (
        _granted_folders(sight)
        .with_only_columns(inner.c.owner_id, inner.c.path)
        .join(inner, and_(inner.c.owner_id == folders.c.owner_id, lies))
        for lies in (path == lead, _lies_below(path, lead))
    )
    lies_there = tuple_(_FILE.owner_id, _FILE.folder).in_(union_all(*inside))
    # By itself PostgreSQL would join it, and read and sort all files for the newest of them.
    return func.coalesce(lies_there, false())


def granted_owners(connection: Connection, sight: Sight) -> set[str]:
    """Return whose folders are granted."""
    if sight.roots is not None:
        return {owner_id for owner_id, _ in sight.roots}
    owners = _granted_folders(sight).with_only_columns(folders.c.owner_id).distinct()
    return set(connection.scalars(owners))


def visible_ids(sight: Sight) -> CompoundSelect[str]:
    """Return the ids of files that are seen and not in the trash; some may be there twice.

    For somebody who sees everything this is no way to find them: see `visible`.
    """
    return union_all(
        select(_FILE.file_id).where(_FILE.owner_id == sight.user_id, _FILE.deleted_at.is_(None)),
        *granted_ids(sight),
    )


def granted_ids(sight: Sight) -> tuple[Select[str], ...]:
    """Return the ids of files that are granted one by one, and of those in granted folders.

    The latter twice: of those directly in one, and of those that lie deeper. An index answers each
    of these, and not both together.
    """
    there = _FILE.deleted_at.is_(None)
    one_by_one = (
        select(_FILE.file_id)
        .join_from(grants, stored_files, _FILE.file_id == grants.c.resource_id)
        .where(grants.c.grantee.in_(sight.grantees), ~grants.c.is_folder, there)
    )
    lead, inner = type_coerce(folders.c.path, PLAIN_TEXT), type_coerce(_FILE.folder, PLAIN_TEXT)
    directly, deeper = (
        _granted_folders(sight)
        .with_only_columns(_FILE.file_id)
        .join(stored_files, and_(_FILE.owner_id == folders.c.owner_id, lies))
        .where(there)
        for lies in (inner == lead, _lies_below(inner, lead))
    )
    return one_by_one, directly, deeper


def count_visible(connection: Connection, sight: Sight, most: int) -> int:
    """Return about how many files are seen and not in the trash, and no more than `most`.

    A file that is seen in two ways counts twice.
    """
    if sight.sees_all:
        found = select(_FILE.file_id).where(_FILE.deleted_at.is_(None)).limit(most)
        return connection.scalar(select(func.count()).select_from(found.subquery())) or 0
    ids = visible_ids(sight).limit(most).subquery()
    return connection.scalar(select(func.count()).select_from(ids)) or 0


def _granted_by_itself(sight: Sight) -> ColumnElement[bool]:
    direct = select(grants.c.resource_id).where(
        grants.c.grantee.in_(sight.grantees), ~grants.c.is_folder
    )
    return _FILE.file_id.in_(direct)


def _granted_folders(sight: Sight) -> Select[str]:
    return (
        select(folders.c.folder_id)
        .join_from(grants, folders, folders.c.folder_id == grants.c.resource_id)
        .where(grants.c.grantee.in_(sight.grantees), grants.c.is_folder)
    )


def _lies_in(folder: Column[str], path: Column[str]) -> ColumnElement[bool]:
    lead = type_coerce(path, PLAIN_TEXT)
    inner = type_coerce(folder, PLAIN_TEXT)
    return or_(inner == lead, _lies_below(inner, lead))


def _lies_below(inner: ColumnElement[str], lead: ColumnElement[str]) -> ColumnElement[bool]:
    # "0" follows "/" as characters are compared here.
    return and_(inner >= lead + "/", inner < lead + "0")
