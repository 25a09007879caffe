"""Copies of a whole catalog as it is at one moment, taken while others write to it.

Of SQLite it is a copy of the file by its backup interface, of PostgreSQL each table's rows as COPY
writes them, all within one snapshot.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, inspect, select, text, union

from haulier.catalog.content_key_tables import content_keys
from haulier.catalog.engines import (
    database_errors,
    describe,
    is_sqlite,
    parse_url,
    postgres_engine,
    sqlite_reader,
)
from haulier.catalog.row_security import KEYS, forced_tables, require_sight, set_forced
from haulier.catalog.schema import VERSION_TABLE, migrate, require_head
from haulier.catalog.stored_tables import file_versions, stored_files
from haulier.catalog.tables import metadata
from haulier.errors import CatalogError

_FILE = "catalog.db"
_TABLES = "tables.json"
_COPIED_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Bytes that a catalog speaks of: those of a file, or of an earlier version of one.

    Args:
        content_id: by which they are kept.
        size_bytes: how many.
        crc64nvme: in hexadecimal, as `sha256`, which is None until it is known.
        name: of the file, for messages.
        is_sealed: whether they lie on the disk encrypted.
    """

    content_id: str
    size_bytes: int
    crc64nvme: str
    sha256: str | None
    name: str
    is_sealed: bool = False


def take_snapshot(url: str | Path, target: Path) -> list[Content]:
    """Copy the catalog at `url` into the empty directory `target`; return what it speaks of.

    Raises:
        CatalogError: it can't be read, or has another schema than this version's.
        StorageFull: there is no room for the copy.
        OSError: the directory can't be written to.
    """
    parsed = parse_url(url)
    if not is_sqlite(parsed):
        return _take_postgres(parsed, target)
    copy = parse_url(target / _FILE)
    with database_errors(parsed):
        _copy_sqlite(Path(str(parsed.database)), target / _FILE)
    with _connected(sqlite_reader(copy), copy) as connection:
        require_head(connection, describe(parsed))
        return _contents(connection)


def load_snapshot(source: Path, url: str | Path) -> None:
    """Make the copy in the directory `source` the catalog at `url`, where there must be none.

    Raises:
        CatalogError: there is one, it can't be written, or the copy is of another database.
        OSError: the copy can't be read.
    """
    parsed = parse_url(url)
    if not is_sqlite(parsed):
        _load_postgres(source, parsed)
        return
    target = Path(str(parsed.database))
    if not (source / _FILE).is_file():
        raise _of_another_kind("PostgreSQL", "SQLite")
    if target.exists():
        raise CatalogError(f"there is a catalog in {target} already", hint="Move it away.")
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with database_errors(parsed):
        _copy_sqlite(source / _FILE, target)


def catalog_files(url: str | Path) -> frozenset[str]:
    """Return the names of the files that SQLite keeps the catalog at `url` in."""
    parsed = parse_url(url)
    if not is_sqlite(parsed):
        return frozenset()
    name = Path(str(parsed.database)).name
    return frozenset({name, f"{name}-wal", f"{name}-shm", f"{name}-journal"})


def _copy_sqlite(source: Path, target: Path) -> None:
    """Copy by one step, which holds one snapshot of what others go on writing to."""
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        try:
            one.backup(other)
            # One file is copied and hashed more simply than three.
            other.execute("PRAGMA journal_mode=DELETE")
        except sqlite3.Error as exc:
            raise CatalogError(f"the catalog {source} can't be copied: {exc}") from exc
    descriptor = os.open(target, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _take_postgres(url: URL, target: Path) -> list[Content]:
    engine = postgres_engine(url).execution_options(
        isolation_level="REPEATABLE READ", postgresql_readonly=True
    )
    with _connected(engine, url) as connection:
        require_head(connection, describe(url))
        require_sight(connection, describe(url))
        contents = _contents(connection)
        tables = _tables(connection)
        for table, columns in tables.items():
            with (
                (target / f"{table}.copy").open("wb") as out,
                _copying(connection, f"COPY {_quoted(table, columns)} TO STDOUT", url) as rows,
            ):
                for data in rows:
                    out.write(data)
    (target / _TABLES).write_text(json.dumps(tables), "utf-8")
    return contents


def _load_postgres(source: Path, url: URL) -> None:
    try:
        tables = json.loads((source / _TABLES).read_text("utf-8"))
    except FileNotFoundError:
        raise _of_another_kind("SQLite", "PostgreSQL") from None
    with _connected(postgres_engine(url), url) as connection:
        if inspect(connection).get_table_names():
            raise CatalogError(
                f"there are tables in {describe(url)} already", hint="Name an empty database."
            )
        migrate(connection, describe(url))
        # COPY writes no table whose policies hold for who asks.
        forced = forced_tables(connection)
        set_forced(connection, forced, forced=False)
        for table in reversed(tables):
            connection.execute(text(f'DELETE FROM "{table}"'))  # noqa: S608 - a name of our own
        for table, columns in tables.items():
            statement = f"COPY {_quoted(table, columns)} FROM STDIN"
            with (
                (source / f"{table}.copy").open("rb") as data,
                _copying(connection, statement, url) as rows,
            ):
                while piece := data.read(_COPIED_BYTES):
                    rows.write(piece)
        set_forced(connection, forced, forced=True)
        for table in metadata.sorted_tables:
            _count_on(connection, table.name, [one.name for one in table.primary_key])


def _count_on(connection: Connection, table: str, keys: list[str]) -> None:
    """Let keys that the database counts up go on behind those that were loaded."""
    if len(keys) != 1:
        return
    told = {"table": table, "column": keys[0]}
    sequence = connection.scalar(text("SELECT pg_get_serial_sequence(:table, :column)"), told)
    if sequence is not None:
        last = connection.scalar(text(f'SELECT max("{keys[0]}") FROM "{table}"'))  # noqa: S608 - names of our own
        connection.execute(
            text("SELECT setval(:sequence, :last, :used)"),
            {"sequence": sequence, "last": last or 1, "used": last is not None},
        )


def _tables(connection: Connection) -> dict[str, list[str]]:
    """Return our tables and their columns, those first that others refer to."""
    known = inspect(connection)
    # Keys are the database's own: a restored one has others.
    there = set(known.get_table_names()) - {VERSION_TABLE, KEYS}
    names = [table.name for table in metadata.sorted_tables if table.name in there]
    names += sorted(there - set(names))
    return {
        name: [one["name"] for one in known.get_columns(name) if not one.get("computed")]
        for name in names
    }


def _contents(connection: Connection) -> list[Content]:
    now, former = stored_files.c, file_versions.c
    of_former = file_versions.join(stored_files, former.file_id == now.file_id)
    wanted = union(
        select(now.content_id, now.size_bytes, now.crc64nvme, now.sha256, now.name),
        select(
            former.content_id, former.size_bytes, former.crc64nvme, former.sha256, now.name
        ).select_from(of_former),
    )
    sealed = set(connection.execute(select(content_keys.c.content_id)).scalars())
    found = (
        Content(**row, is_sealed=row["content_id"] in sealed)
        for row in connection.execute(wanted).mappings()
    )
    return sorted({one.content_id: one for one in found}.values(), key=lambda one: one.content_id)


@contextmanager
def _connected(engine: Engine, url: URL) -> Iterator[Connection]:
    try:
        with database_errors(url), engine.begin() as connection:
            yield connection
    finally:
        with suppress(Exception):
            engine.dispose()


@contextmanager
def _copying(connection: Connection, statement: str, url: URL) -> Iterator[Any]:
    """Begin a COPY, which SQLAlchemy has no word for."""
    import psycopg

    try:
        with connection.connection.cursor().copy(statement) as rows:
            yield rows
    except psycopg.Error as exc:
        words = str(exc).strip().splitlines()[0]
        raise CatalogError(f"the catalog ({describe(url)}) failed: {words}") from exc


def _quoted(table: str, columns: list[str]) -> str:
    names = ", ".join(f'"{one}"' for one in columns)
    return f'"{table}" ({names})'


def _of_another_kind(was: str, wanted: str) -> CatalogError:
    return CatalogError(
        f"the copy is one of {was}, and DATABASE_URL names {wanted}",
        hint=f"Restore it to {was}.",
    )
