"""The catalog: where records live, in an SQLite file or in PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from sqlalchemy import URL, Connection, Engine

from haulier.catalog.engines import (
    POSTGRES_CONNECTIONS,
    SQLITE_READERS,
    create_sqlite_file,
    database_errors,
    describe,
    is_sqlite,
    parse_url,
    postgres_engine,
    repeating_conflicts,
    sqlite_reader,
    sqlite_writer,
)
from haulier.catalog.filters import FileFilter, OperationFilter, Page
from haulier.catalog.recall import Recall
from haulier.catalog.row_security import Acting, read_keys, require_sight
from haulier.catalog.schema import HEAD, migrate, read_version, refuse_newer
from haulier.catalog.shared_commits import SharedCommits
from haulier.catalog.transaction import Tx
from haulier.catalog.users_view import UsersView
from haulier.core.records import FileRecord, OperationRecord
from haulier.errors import CatalogError, ConfigurationError, UnknownReference

T = TypeVar("T")


class Catalog:
    """Records of files and operations, and the journal of unfinished uploads.

    Any number of processes may have one catalog open. Use `open`, and `async with` or
    `aclose`. Every method raises CatalogError when the database fails (CatalogUnavailable when
    it is away, or kept busy by others), StorageFull when its disk is full.
    """

    def __init__(self, url: URL, user_url: URL | None = None) -> None:
        self._url = url
        self._users = None if user_url is None else UsersView(user_url)
        self._recall = Recall(url)
        if is_sqlite(url):
            self._writer, self._reader = sqlite_writer(url), sqlite_reader(url)
            self._commits: SharedCommits | None = SharedCommits(
                self._writer, partial(self._within, self._writer)
            )
            self._threads = ThreadPoolExecutor(SQLITE_READERS, "catalog-reader")
            return
        self._writer = postgres_engine(url)
        self._reader = self._writer.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._commits = None
        self._threads = ThreadPoolExecutor(POSTGRES_CONNECTIONS, "catalog")

    @classmethod
    async def open(
        cls, url: str | Path, *, create: bool = True, user_url: str | None = None
    ) -> Self:
        """Open the catalog at `url`: a file path, `sqlite:///…` or `postgresql://…`.

        An SQLite file is made when missing (0600, its directory 0700) and always brought
        to the current schema; an empty PostgreSQL database gets the schema, an older one
        is left to `haulier db upgrade`. With `create` false nothing is made. `user_url` is of
        the same database by a role that sees a user's rows alone (`row_security`).
        Raises ConfigurationError for a URL that is none of these; MissingExtra without
        psycopg; CatalogError when the database can't be reached, is missing and not to be
        made, holds something else, or has an older (PostgreSQL) or newer schema.
        """
        parsed, of_users = parse_url(url), None if user_url is None else parse_url(user_url)
        if of_users is not None and (is_sqlite(parsed) or is_sqlite(of_users)):
            raise ConfigurationError(
                "users' rows are told apart in PostgreSQL alone",
                hint="Leave DATABASE_USER_URL out, or set DATABASE_URL to postgresql://…",
            )
        if is_sqlite(parsed):
            await asyncio.to_thread(_check_file, Path(str(parsed.database)), create=create)
        catalog = cls(parsed, of_users)
        try:
            await catalog._run(catalog._threads, partial(catalog._check_schema, create=create))
        except BaseException:
            await catalog.aclose()
            raise
        return catalog

    @property
    def tells_users_apart(self) -> bool:
        """Whether what is read in a user's name is as far as the database lets them see."""
        return self._users is not None

    async def transaction(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in a thread inside one transaction, committed durably on return.

        Whatever `work` raises rolls everything back and is passed on. When the caller is
        cancelled, a transaction that has begun is still carried out. Where PostgreSQL gives
        a transaction up for the sake of another (a deadlock), or SQLite one of several that
        share a commit, `work` is called again on a new one: all that it does has to be done
        through its `Tx`.
        """
        if self._commits is not None:
            return await asyncio.wrap_future(self._commits.submit(work))
        return await self._run(self._threads, partial(self._within, self._writer, work))

    async def read(self, work: Callable[[Tx], T], *, acting: Acting | None = None) -> T:
        """Run `work` in a thread on one snapshot; it can't write.

        Where users' rows are told apart, it sees those alone that `acting` may see; all of them
        where that is None.
        """
        view = None if acting is None else self._users
        if acting is None or view is None:
            return await self._run(self._threads, partial(self._within, self._reader, work))
        return await self._run(view.threads, partial(view.read, acting, work))

    async def recall(
        self, key: Hashable, work: Callable[[Tx], T], *, acting: Acting | None = None
    ) -> T:
        """As `read`, but return what `work` returned for `key` before if nothing changed since.

        For what is asked all the time. `work` has to depend on `key` and the catalog alone.
        """
        # Before it is read: what is found is as new as that, or newer.
        version = self._recall.version()
        if version is None:
            return await self.read(work, acting=acting)
        known: T | None = self._recall.get(key)
        if known is not None:
            return known
        found = await self.read(work, acting=acting)
        self._recall.keep(key, version, found)
        return found

    async def get_operation(self, operation_id: str) -> OperationRecord:
        """Return the operation by its id or an unambiguous prefix of at least 6 characters.

        Raises UnknownReference when there is none, or several, which it lists.
        """
        return await self.read(lambda tx: tx.resolve_operation(operation_id))

    async def list_operations(self, wanted: OperationFilter) -> Page[OperationRecord]:
        """Return a page of operations, newest first; raises UsageError for a bad cursor."""
        return await self.read(lambda tx: tx.list_operations(wanted))

    async def get_file(self, file_id: str) -> FileRecord:
        """Return the file record with that id; raises UnknownReference."""
        record = await self.read(lambda tx: tx.get_file(file_id))
        if record is None:
            raise UnknownReference(f"no file record has the id {file_id!r}")
        return record

    async def list_files(self, wanted: FileFilter) -> Page[FileRecord]:
        """Return a page of file records, newest first."""
        return await self.read(lambda tx: tx.list_files(wanted))

    async def aclose(self) -> None:
        """Wait for transactions that run and give back threads and connections."""
        await asyncio.to_thread(self._close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _run(self, threads: ThreadPoolExecutor, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(threads, call)

    def _within(self, engine: Engine, work: Callable[[Tx], T]) -> T:
        def once() -> tuple[Tx, T]:
            with engine.begin() as connection:
                tx = Tx(connection)
                return tx, work(tx)

        with database_errors(self._url):
            tx, result = once() if is_sqlite(self._url) else repeating_conflicts(once)
        tx.committed()
        return result

    def _check_schema(self, *, create: bool) -> None:
        place = describe(self._url)
        with database_errors(self._url), self._reader.begin() as connection:
            version = read_version(connection, place)
            if version == HEAD:
                self._check_role(connection, place)
                return
        refuse_newer(version, place)
        if version is None and not create:
            raise CatalogError(f"there is no catalog in {place}")
        if version is not None and not is_sqlite(self._url):
            raise CatalogError(
                f"the catalog ({place}) has schema {version}, this haulier needs {HEAD}",
                hint="Run `haulier db upgrade` once, when no older haulier uses it any more.",
            )
        with database_errors(self._url), self._writer.begin() as connection:
            migrate(connection, place)
            self._check_role(connection, place)

    def _check_role(self, connection: Connection, place: str) -> None:
        if is_sqlite(self._url):
            return
        require_sight(connection, place)
        if self._users is not None:
            self._users.begin(read_keys(connection))

    def _close(self) -> None:
        if self._users is not None:
            self._users.close()
        if self._commits is not None:
            self._commits.close()
        self._threads.shutdown()
        self._recall.close()
        self._writer.dispose()
        self._reader.dispose()


def _check_file(path: Path, *, create: bool) -> None:
    if create:
        create_sqlite_file(path)
    elif not path.exists():
        raise CatalogError(
            f"there is no catalog at {path}", hint="Check HAULIER_DATA and DATABASE_URL."
        )
