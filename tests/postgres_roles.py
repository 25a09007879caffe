"""A catalog in PostgreSQL that is owned by one role, and worked with by two others."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql

from haulier.catalog.row_roles import secure
from haulier.catalog.schema import upgrade


@dataclass(frozen=True)
class Roles:
    """Names of roles, and the URLs by which they log in; none is a superuser."""

    owner: str
    service: str
    user: str
    database: str
    server_url: str

    def url(self, role: str) -> str:
        address = self.server_url.rpartition("@")[2].partition("/")[0]
        return f"postgresql://{role}@{address}/{self.database}"

    @property
    def settings(self) -> dict[str, str]:
        """What a server is given."""
        return {"DATABASE_URL": self.url(self.service), "DATABASE_USER_URL": self.url(self.user)}


@contextmanager
def owned_database(server_url: str) -> Iterator[Roles]:
    """An empty database of a new role's, and two other roles; `server_url` is a superuser's."""
    mark = secrets.token_hex(6)
    roles = Roles(f"owner_{mark}", f"service_{mark}", f"user_{mark}", f"owned_{mark}", server_url)
    names = [sql.Identifier(one) for one in (roles.owner, roles.service, roles.user)]
    database = sql.Identifier(roles.database)
    with psycopg.connect(server_url, autocommit=True) as connection:
        for name in names:
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(name))
        made = sql.SQL("CREATE DATABASE {} OWNER {}").format(database, names[0])
        connection.execute(made)
        try:
            yield roles
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))
            for name in names:
                connection.execute(sql.SQL("DROP ROLE {}").format(name))


@contextmanager
def secured_database(server_url: str) -> Iterator[Roles]:
    """The same with a catalog in it, into which the two are let."""
    with owned_database(server_url) as roles:
        upgrade(roles.url(roles.owner))
        secure(roles.url(roles.owner), service=roles.service, user=roles.user)
        yield roles
