"""Connections to the two databases, set up so that a commit is durable when it returns."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    OperationalError,
    SQLAlchemyError,
)

from haulier.errors import (
    CatalogError,
    CatalogUnavailable,
    ConfigurationError,
    MissingExtra,
    StorageFull,
)

T = TypeVar("T")

BUSY_TIMEOUT_S = 30
CONNECT_TIMEOUT_S = 10
SQLITE_READERS = 4
POSTGRES_CONNECTIONS = 5

_URL_HINT = "DATABASE_URL is a file path, sqlite:///PATH or postgresql://USER@HOST/DATABASE."
# Listings are answered from covering indexes, which the server's defaults, meant for turning
# disks, rate dearer than reading whole tables with several workers.
_POSTGRES_PLANNING = {
    "random_page_cost": "1.1",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
}
# A host that vanished says nothing, and the system alone would wait for it a quarter of an hour.
_WHEN_SILENT = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
_DISK_FULL_SQLSTATE = "53100"
_CONFLICT_SQLSTATES = frozenset({"40001", "40P01"})  # serialization failure, deadlock
# Shutting down, crashed, starting up; no connection left.
_AWAY_SQLSTATES = frozenset({"57P01", "57P02", "57P03", "53300"})
_COME_AGAIN_S = 2
_CONFLICT_ATTEMPTS = 8
_CONFLICT_WAIT_S = 0.05


def parse_url(url: str | Path) -> URL:
    """Read a file path, `sqlite:///…` or `postgresql://…`.

    Returns a URL that names the driver as well. Raises ConfigurationError for anything
    else, without repeating it: it may hold a password.
    """
    if isinstance(url, Path) or "://" not in url:
        return URL.create("sqlite+pysqlite", database=os.path.abspath(url))
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigurationError("the catalog's URL is malformed", hint=_URL_HINT) from None
    backend = parsed.drivername.partition("+")[0]
    if backend in {"postgresql", "postgres"}:
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise ConfigurationError(f"a catalog can't be kept in {backend}", hint=_URL_HINT)
    if parsed.database in {None, "", ":memory:"} or parsed.query:
        raise ConfigurationError("an SQLite catalog has to be a file", hint=_URL_HINT)
    return parsed.set(drivername="sqlite+pysqlite")


def is_sqlite(url: URL) -> bool:
    """Return whether `url` (from `parse_url`) is a file."""
    return url.get_backend_name() == "sqlite"


def describe(url: URL) -> str:
    """Return where the catalog is, for messages: never with a password."""
    if is_sqlite(url):
        return str(url.database)
    host = url.host or "the local socket"
    return f"PostgreSQL at {host}{f':{url.port}' if url.port else ''}, database {url.database}"


def create_sqlite_file(path: Path) -> None:
    """Make the file (0600) and its directory (0700) where they are missing.

    An existing file is not opened: closing it would drop the locks SQLite holds on it in
    this process. Raises CatalogError when they can't be made.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    except OSError as error:
        raise CatalogError(
            f"the catalog {path} can't be created: {error.strerror}",
            hint="Set HAULIER_DATA or DATABASE_URL to a place you may write to.",
        ) from error


def sqlite_writer(url: URL) -> Engine:
    """Return an engine of one connection whose transactions start with the write lock."""
    return _sqlite_engine(url, begin="BEGIN IMMEDIATE", pragmas=("journal_mode=WAL",), size=1)


def sqlite_reader(url: URL) -> Engine:
    """Return an engine whose transactions are snapshots that can't write."""
    return _sqlite_engine(url, begin="BEGIN", pragmas=("query_only=ON",), size=SQLITE_READERS)


def _sqlite_engine(url: URL, *, begin: str, pragmas: tuple[str, ...], size: int) -> Engine:
    engine = create_engine(
        url,
        pool_size=size,
        max_overflow=0,
        connect_args={"timeout": BUSY_TIMEOUT_S, "isolation_level": None},
    )
    common = ("synchronous=FULL", "foreign_keys=ON", "cache_size=-65536")

    @event.listens_for(engine, "connect")
    def set_up(connection: sqlite3.Connection, _record: Any) -> None:
        for pragma in (*common, *pragmas):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def postgres_engine(url: URL) -> Engine:
    """Return a small pool that notices a restarted server.

    Raises MissingExtra when psycopg is not installed.
    """
    try:
        engine = create_engine(
            url,
            pool_size=POSTGRES_CONNECTIONS,
            max_overflow=0,
            pool_pre_ping=True,
            connect_args={
                "connect_timeout": CONNECT_TIMEOUT_S,
                "application_name": "haulier",
                **_WHEN_SILENT,
            },
        )
    except ModuleNotFoundError as error:
        raise MissingExtra(
            "a catalog in PostgreSQL needs psycopg",
            hint="Install it with `pip install 'haulier[postgres]'`.",
        ) from error

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        for name, value in _POSTGRES_PLANNING.items():
            connection.execute("SELECT set_config(%s, %s, false)", (name, value))
        connection.commit()

    return engine


def repeating_conflicts(transaction: Callable[[], T]) -> T:
    """Call `transaction`, again when PostgreSQL rolled it back for the sake of others.

    Such an answer, also one to COMMIT, means that nothing of it was kept. Raises what the
    last of `_CONFLICT_ATTEMPTS` raised.
    """
    import stamina  # only PostgreSQL needs it

    call = stamina.RetryingCaller(
        attempts=_CONFLICT_ATTEMPTS,
        timeout=None,
        wait_initial=_CONFLICT_WAIT_S,
        wait_jitter=_CONFLICT_WAIT_S,
        wait_max=1.0,
    )
    return call(_is_conflict, transaction)


def _is_conflict(error: Exception) -> bool:
    return isinstance(error, DBAPIError) and _sqlstate(error.orig) in _CONFLICT_SQLSTATES


@contextmanager
def database_errors(url: URL) -> Iterator[None]:
    """Turn what the database libraries raise into StorageFull or a CatalogError."""
    try:
        yield
    except SQLAlchemyError as error:
        raise _translate(error, url) from error


def _translate(error: SQLAlchemyError, url: URL) -> CatalogError | StorageFull:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    reason = str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
    if url.password:
        reason = reason.replace(str(url.password), "***")
    message = f"the catalog ({describe(url)}) failed: {reason}"
    if _is_disk_full(cause):
        return StorageFull(message)
    hint = _hint(error, cause, url)
    if _will_pass(error, cause, url):
        return CatalogUnavailable(message, hint=hint, retry_after_s=_COME_AGAIN_S)
    return CatalogError(message, hint=hint)


def _will_pass(error: SQLAlchemyError, cause: BaseException, url: URL) -> bool:
    """Tell whether the same may be asked again later: the database is away, or was kept busy."""
    if is_sqlite(url):
        return _is_held(cause)
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated or _is_conflict(error):
        return True
    # Of a server that was never reached there is no state.
    state = _sqlstate(cause) or "08"
    return isinstance(error, OperationalError) and (
        state.startswith("08") or state in _AWAY_SQLSTATES
    )


def _is_held(cause: BaseException) -> bool:
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    return code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def _is_disk_full(cause: BaseException) -> bool:
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return _sqlstate(cause) == _DISK_FULL_SQLSTATE


def _sqlstate(cause: BaseException | None) -> str | None:
    return getattr(cause, "sqlstate", None)


def _hint(error: SQLAlchemyError, cause: BaseException, url: URL) -> str:
    if isinstance(error, IntegrityError):
        return "This is a bug in haulier: please report it with the command you ran."
    if _is_conflict(error):
        return "Others changed the same records at the same time; run the command again."
    if not is_sqlite(url):
        return "Check that the server runs and DATABASE_URL is right; what was recorded is kept."
    if _is_held(cause):
        return f"Another process held the catalog for {BUSY_TIMEOUT_S} s; run the command again."
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    if code in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}:
        return "The file is damaged or no catalog: move it aside, then run `haulier import`."
    return "Check that you may write to the file and its directory."
