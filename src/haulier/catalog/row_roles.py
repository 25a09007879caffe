"""The two roles by which haulier works with a catalog in PostgreSQL that another one owns."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import Connection, text

from haulier.catalog.engines import database_errors, describe, is_sqlite, parse_url, postgres_engine
from haulier.catalog.row_security import EVERYTHING, SEEN_TABLES, forced_tables
from haulier.catalog.schema import VERSION_TABLE, require_head
from haulier.errors import ConfigurationError


def secure(url: str | Path, *, service: str, user: str) -> None:
    """Let a role work with all rows of the catalog at `url`, and another see those of a user.

    Both may be let in again, and others in their place. What later versions add is theirs too.

    Args:
        url: of its owner, as whom the schema is upgraded.
        service: the role of DATABASE_URL.
        user: the role of DATABASE_USER_URL.

    Raises:
        ConfigurationError: the catalog is a file, or a role is missing or may more than it should.
        CatalogError: the catalog can't be reached, has an older schema, or is another's.
    """
    parsed = parse_url(url)
    if is_sqlite(parsed):
        raise ConfigurationError(
            "row-level security is PostgreSQL's, and the catalog is a file",
            hint="Set DATABASE_URL to postgresql://…",
        )
    engine = postgres_engine(parsed)
    try:
        with database_errors(parsed), engine.begin() as connection:
            require_head(connection, describe(parsed))
            _let_in(connection, service, user)
    finally:
        engine.dispose()


def _let_in(connection: Connection, service: str, user: str) -> None:
    owner = str(connection.scalar(text("SELECT current_user")))
    if len({owner, service, user}) < 3:
        raise ConfigurationError("the owner of the catalog and the two roles have to be three")
    _check_role(connection, service, above=[owner])
    _check_role(connection, user, above=[owner, service])
    quote = connection.dialect.identifier_preparer.quote_identifier
    schema = quote(str(connection.scalar(text("SELECT current_schema()"))))
    seeing, served, seen = f"{quote(owner)}, {quote(service)}", quote(service), quote(user)
    defaults = f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema}"
    shown = ", ".join(map(quote, SEEN_TABLES))
    for statement in (
        *(
            f"ALTER POLICY {EVERYTHING} ON {quote(one)} TO {seeing}"
            for one in forced_tables(connection)
        ),
        f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {served}, {seen}",
        f"GRANT USAGE ON SCHEMA {schema} TO {served}, {seen}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {served}",
        f"REVOKE INSERT, UPDATE, DELETE ON {quote(VERSION_TABLE)} FROM {served}",
        f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {served}",
        f"{defaults} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {served}",
        f"{defaults} GRANT USAGE, SELECT ON SEQUENCES TO {served}",
        f"GRANT SELECT ON {shown} TO {seen}",
    ):
        connection.execute(text(statement))


def _check_role(connection: Connection, role: str, *, above: Iterable[str]) -> None:
    is_above_policies = connection.execute(
        text("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = :role"), {"role": role}
    ).scalar_one_or_none()
    if is_above_policies is None:
        raise ConfigurationError(
            f"there is no role {role}", hint=f"Make it: CREATE ROLE {role} LOGIN PASSWORD '…'."
        )
    if is_above_policies:
        raise ConfigurationError(
            f"no policy holds for {role}: it is a superuser or has BYPASSRLS",
            hint=f"ALTER ROLE {role} NOSUPERUSER NOBYPASSRLS.",
        )
    for one in above:
        names = {"role": role, "one": one}
        if connection.scalar(text("SELECT pg_has_role(:role, :one, 'MEMBER')"), names):
            raise ConfigurationError(
                f"{role} is a member of {one} and may do all that it may",
                hint=f"REVOKE {one} FROM {role}.",
            )
