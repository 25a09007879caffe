"""Row-level security of a catalog in PostgreSQL.

Every table forces it, for its owner too. The policy `everything` names the roles that work with all
rows: the owner, which migrates, and a second role, which serves admins, jobs, shares and whatever
concerns more than one user (`row_roles`). To any other role the policy `seen` shows what the user
may see in whose name the transaction was signed: own rows, and those granted. It changes nothing.

A session may set `haulier.acting` to whatever it likes, so what that says counts only with a
signature by the keys in `row_keys`, which are for the roles that see everything.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, text

from haulier.errors import CatalogError

KEYS = "row_keys"
EVERYTHING = "everything"
SEEN_TABLES = (
    "users",
    "stored_files",
    "file_versions",
    "folders",
    "grants",
    "jobs",
    "upload_sessions",
    "change_counts",
    "file_changes",
)
"""Those of which others than `everything` names see something."""

_SETTING = "haulier.acting"
_BETWEEN = "|"
_BLOCK_BYTES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Acting:
    """In whose name rows are read.

    Args:
        user_id: the user.
        grantees: by which something is granted to them: the user, the role, everybody.
    """

    user_id: str
    grantees: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RowKeys:
    """What signs in whose name a transaction reads: two keys, each of a block of SHA-256."""

    inner: bytes
    outer: bytes

    @classmethod
    def new(cls) -> RowKeys:
        """Return keys for a new catalog."""
        return cls(secrets.token_bytes(_BLOCK_BYTES), secrets.token_bytes(_BLOCK_BYTES))

    def signed(self, acting: Acting) -> str:
        """Return what `haulier.acting` is set to: an HMAC, and behind it the name."""
        name = _BETWEEN.join((acting.user_id, *acting.grantees))
        within = hashlib.sha256(self.inner + name.encode()).digest()
        return f"{hashlib.sha256(self.outer + within).hexdigest()}{_BETWEEN}{name}"


def act(connection: Connection, signed: str) -> None:
    """Let the transaction read in the name that is `signed`, until it ends."""
    connection.execute(select(func.set_config(_SETTING, signed, True)))


def read_keys(connection: Connection) -> RowKeys:
    """Return the keys of the catalog; for roles that see everything."""
    found = connection.execute(text("SELECT inner_key, outer_key FROM row_keys")).one()
    return RowKeys(bytes(found[0]), bytes(found[1]))


def require_sight(connection: Connection, place: str) -> None:
    """Raise CatalogError unless the role of this connection sees all rows."""
    if not sees_everything(connection):
        raise CatalogError(
            f"the role that asks sees single users' rows alone ({place})",
            hint="Let it in with `haulier db secure`, as the catalog's owner.",
        )


def sees_everything(connection: Connection) -> bool:
    """Tell whether the role of this connection sees all rows."""
    return bool(
        connection.scalar(
            text(
                "SELECT NOT row_security_active('users') OR EXISTS ("
                "SELECT FROM pg_policies, unnest(roles) AS role"
                " WHERE schemaname = current_schema() AND tablename = 'users'"
                " AND policyname = :policy AND pg_has_role(current_user, role, 'USAGE'))"
            ),
            {"policy": EVERYTHING},
        )
    )


def protect(connection: Connection, tables: Iterable[str]) -> None:
    """Force security on new tables, for migrations; who sees everything sees these as well."""
    quote = connection.dialect.identifier_preparer.quote_identifier
    roles = ", ".join(map(quote, _seeing_roles(connection)))
    for table in map(quote, tables):
        for statement in (
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
            f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
            f"CREATE POLICY {EVERYTHING} ON {table} TO {roles} USING (true) WITH CHECK (true)",
        ):
            connection.execute(text(statement))


def forced_tables(connection: Connection) -> list[str]:
    """Return the tables that force it."""
    forced = text(
        "SELECT relname FROM pg_class WHERE relforcerowsecurity"
        " AND relnamespace = current_schema()::regnamespace ORDER BY relname"
    )
    return list(connection.execute(forced).scalars())


def set_forced(connection: Connection, tables: Iterable[str], *, forced: bool) -> None:
    """Let the owner be subject to the policies or, while a backup is loaded, not."""
    quote = connection.dialect.identifier_preparer.quote_identifier
    word = "FORCE" if forced else "NO FORCE"
    for table in map(quote, tables):
        connection.execute(text(f"ALTER TABLE {table} {word} ROW LEVEL SECURITY"))


def _seeing_roles(connection: Connection) -> list[str]:
    found = connection.scalar(
        text(
            "SELECT roles FROM pg_policies WHERE schemaname = current_schema()"
            " AND tablename = 'users' AND policyname = :policy"
        ),
        {"policy": EVERYTHING},
    )
    return list(found) if found else [str(connection.scalar(text("SELECT current_user")))]
