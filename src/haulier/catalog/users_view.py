"""A catalog in PostgreSQL as single users see it: by a role for which the policies hold."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import URL

from haulier.catalog.engines import (
    POSTGRES_CONNECTIONS,
    database_errors,
    postgres_engine,
    repeating_conflicts,
)
from haulier.catalog.row_security import Acting, RowKeys, act, sees_everything
from haulier.catalog.transaction import Tx
from haulier.errors import ConfigurationError

T = TypeVar("T")


class UsersView:
    """Reads in the names of users.

    Args:
        url: of the database, by the role that is for this.
    """

    def __init__(self, url: URL) -> None:
        self._url = url
        self._engine = postgres_engine(url).execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._keys = RowKeys(b"", b"")
        self.threads = ThreadPoolExecutor(POSTGRES_CONNECTIONS, "catalog-users")

    def begin(self, keys: RowKeys) -> None:
        """Take the catalog's keys, and make sure that the role sees nothing without a name.

        Raises:
            ConfigurationError: it sees everything.
            CatalogError: the database can't be asked.
        """
        with database_errors(self._url), self._engine.begin() as connection:
            if sees_everything(connection):
                raise ConfigurationError(
                    f"the role {self._url.username} of DATABASE_USER_URL sees all rows",
                    hint="Name the role that was given as --user to `haulier db secure`.",
                )
        self._keys = keys

    def read(self, acting: Acting, work: Callable[[Tx], T]) -> T:
        """Run `work` on one snapshot of what `acting` may see."""
        signed = self._keys.signed(acting)

        def once() -> tuple[Tx, T]:
            with self._engine.begin() as connection:
                act(connection, signed)
                tx = Tx(connection)
                return tx, work(tx)

        with database_errors(self._url):
            tx, found = repeating_conflicts(once)
        tx.committed()
        return found

    def close(self) -> None:
        """Wait for what runs, and give back threads and connections."""
        self.threads.shutdown()
        self._engine.dispose()
