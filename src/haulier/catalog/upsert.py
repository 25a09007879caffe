"""Insert, or update what is there: the one statement the databases' dialects spell apart."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

T = TypeVar("T")

_INSERT: dict[str, Callable[[Table], Any]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}
_CHUNK = 1000


def upsert(
    connection: Connection,
    table: Table,
    rows: Sequence[dict[str, Any]],
    *,
    key: Collection[str],
    keep: Collection[str] = (),
) -> None:
    """Write `rows`, all with the same columns, into `table`.

    Where a row with the same `key` exists its other columns are set, except those in
    `keep`, which only an insert sets.
    """
    if not rows:
        return
    statement = _INSERT[connection.dialect.name](table)
    changes = {
        name: statement.excluded[name] for name in rows[0] if name not in key and name not in keep
    }
    connection.execute(
        statement.on_conflict_do_update(index_elements=list(key), set_=changes), list(rows)
    )


def insert_missing(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Write those of `rows` into `table` whose key is not there yet."""
    if rows:
        statement = _INSERT[connection.dialect.name](table).on_conflict_do_nothing()
        connection.execute(statement, list(rows))


def chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut `items` so that each piece fits into the parameters of one statement."""
    return (items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK))
