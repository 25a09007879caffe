"""Files by a glob of their name or by the directory they lie in, newest first.

Such a test can match few records or most of them, anywhere. Blocks that may hold a match are
looked through from the newest on, which fills the page when matches lie close together. When
the first blocks don't, matches are taken from an index of names or paths and sorted; or, where
there are too many of them or no such index answers, the remaining records are looked through
in an index that holds all that is tested.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, Select, select

from haulier.catalog.blocks import find_blocks
from haulier.catalog.conditions import Conditions, bounds, facets, is_rare, take
from haulier.catalog.filters import FileFilter
from haulier.catalog.patterns import (
    exceeds_head,
    glob,
    has_trigram,
    is_glob,
    literal_prefix,
    starts_with,
    under,
    unindexed,
)
from haulier.catalog.tables import file_names, files

BLOCKS_AT_FIRST = 8
_BLOCKS_AT_ONCE = 64

_KEY = files.c.id


def search_file_ids(
    connection: Connection, wanted: FileFilter, others: Conditions
) -> Sequence[str]:
    """Return ids of files whose name or path is searched for; `others` are asked file by file."""
    dialect = connection.dialect.name
    limits = bounds(_KEY, wanted)
    test = _matches(wanted, dialect)
    blocks = find_blocks(connection, wanted.name, wanted.path, limits)
    statement = (
        select(_KEY)
        .where(*limits, *facets(files, wanted, unindexed), *test, *others)
        .order_by(unindexed(_KEY).desc())
    )
    first, left = blocks[:BLOCKS_AT_FIRST], blocks[BLOCKS_AT_FIRST:]
    found = _look_through(connection, statement, first, [], wanted.limit)
    if not left or _is_full(found, left[0][1], wanted.limit):
        return found
    if _is_better_by_facets(connection, wanted):
        tests = [*limits, *facets(files, wanted), *test, *others]
        return take(connection, select(_KEY).where(*tests).order_by(_KEY.desc()), wanted.limit)
    if _is_indexed(wanted):
        return take_searched(connection, wanted, others)
    return _look_through(connection, statement, left, found, wanted.limit)


def take_searched(connection: Connection, wanted: FileFilter, others: Conditions) -> Sequence[str]:
    """Return the same ids, found by the index of names or paths, or by what `others` say."""
    searched = _searched(connection, wanted)
    tests = [*bounds(_KEY, wanted), *facets(files, wanted), *searched, *others]
    everywhere = select(_KEY).where(*tests).order_by(unindexed(_KEY).desc())
    return take(connection, everywhere, wanted.limit)


def _look_through(
    connection: Connection,
    statement: Select[str],
    blocks: Sequence[tuple[int, str]],
    found: list[str],
    limit: int,
) -> list[str]:
    """Return `found` and what is in `blocks`, until no block left can hold newer ids."""
    start, count = 0, 1
    while start < len(blocks) and not _is_full(found, blocks[start][1], limit):
        numbers = [number for number, _ in blocks[start : start + count]]
        more = take(connection, statement.where(files.c.block.in_(numbers)), limit)
        found = sorted([*found, *more], reverse=True)[: limit + 1]
        start, count = start + count, min(count * 2, _BLOCKS_AT_ONCE)
    return found


def _is_full(found: Sequence[str], newest_left: str, limit: int) -> bool:
    return len(found) > limit and found[limit] > newest_left


def _is_indexed(wanted: FileFilter) -> bool:
    """Return whether an index of names or paths finds what is wanted."""
    if wanted.path is not None or wanted.name is None:
        return True
    return bool(literal_prefix(wanted.name)) or has_trigram(wanted.name)


def _is_better_by_facets(connection: Connection, wanted: FileFilter) -> bool:
    """Return whether location or status leave less to look at than name or path.

    The indexes of prefixes and paths hold what else is tested, and are quick with many matches;
    what is found by trigrams is read one by one.
    """
    if wanted.location is None and wanted.status is None:
        return False
    if not _is_indexed(wanted) or is_rare(connection, select(_KEY).where(*facets(files, wanted))):
        return True
    name = wanted.name
    if name is None or wanted.path is not None or literal_prefix(name):
        return False
    return not is_rare(connection, _by_trigrams(name, connection.dialect.name))


def _by_trigrams(pattern: str, dialect: str) -> Select[int]:
    """Return the numbers of files with such a name."""
    if dialect == "sqlite":
        return select(file_names.c.rowid).where(glob(file_names.c.name, pattern, dialect))
    return select(files.c.number).where(glob(files.c.name, pattern, dialect))


def _is_rare_behind(connection: Connection, prefix: str, pattern: str) -> bool:
    """Return whether trigrams find less than `prefix` does; PostgreSQL decides for itself."""
    if connection.dialect.name != "sqlite" or not has_trigram(pattern[len(prefix) :]):
        return False
    return is_rare(connection, _by_trigrams(pattern, "sqlite"))


def _matches(wanted: FileFilter, dialect: str) -> Conditions:
    """Tests of name and path for records that are looked through anyway."""
    conditions: Conditions = []
    if wanted.name is not None:
        conditions.append(glob(unindexed(files.c.name), wanted.name, dialect))
    if wanted.path is not None:
        conditions.append(under(files.c.path, wanted.path))
    return conditions


def _searched(connection: Connection, wanted: FileFilter) -> Conditions:
    """The same tests in the form an index answers."""
    dialect = connection.dialect.name
    conditions: Conditions = []
    if wanted.path is not None:
        conditions.append(under(files.c.path_head, wanted.path))
        if exceeds_head(wanted.path + "/"):
            conditions.append(under(files.c.path, wanted.path))
    if wanted.name is None:
        return conditions
    if not is_glob(wanted.name):
        return [*conditions, files.c.name == wanted.name]
    prefix = literal_prefix(wanted.name)
    name: ColumnElement[str] = files.c.name
    if prefix and not _is_rare_behind(connection, prefix, wanted.name):
        conditions.append(starts_with(files.c.name, prefix))
    elif not has_trigram(wanted.name):
        name = unindexed(files.c.name)
    elif dialect == "sqlite":
        conditions.append(files.c.number.in_(_by_trigrams(wanted.name, dialect)))
    if wanted.name != prefix + "*":
        conditions.append(glob(name, wanted.name, dialect))
    return conditions
