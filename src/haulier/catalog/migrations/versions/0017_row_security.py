"""Row-level security in PostgreSQL; nothing in SQLite."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Connection, inspect, text

from haulier.catalog.row_security import KEYS, RowKeys, protect
from haulier.catalog.schema import VERSION_TABLE

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

# `haulier.acting` is a signature of 64 characters, and behind it the user and all grantees.
_ACTING = """
SELECT string_to_array(substr(told, 66), '|')
FROM row_keys, current_setting('haulier.acting', true) AS told
WHERE left(told, 64) = encode(
    sha256(outer_key || sha256(inner_key || convert_to(substr(told, 66), 'UTF8'))), 'hex')
"""
_GRANTED_FILES = """
SELECT resource_id FROM grants WHERE NOT is_folder AND grantee = ANY (haulier_acting())
"""
_GRANTED_FOLDERS = """
SELECT DISTINCT folders.folder_id, folders.owner_id, folders.path
FROM grants JOIN folders ON folders.folder_id = grants.resource_id
WHERE grants.is_folder AND grants.grantee = ANY (haulier_acting())
"""
# Functions of the owner: a policy that asked other tables would be subject to theirs.
_FUNCTIONS = {
    "haulier_acting() RETURNS text[]": _ACTING,
    "haulier_granted_files() RETURNS SETOF text": _GRANTED_FILES,
    "haulier_granted_folders() RETURNS TABLE (folder_id text, owner_id text, path text)": (
        _GRANTED_FOLDERS
    ),
}

# Asked once for a statement, not for each row.
_ME = "(SELECT (haulier_acting())[1])"
_MINE = "ANY ((SELECT haulier_acting())::text[])"


def _in_granted_folder(owner_id: str, folder: str) -> str:
    return (
        "EXISTS (SELECT FROM haulier_granted_folders() AS around"
        f" WHERE around.owner_id = {owner_id}"
        f" AND ({folder} = around.path OR starts_with({folder}, around.path || '/')))"
    )


_SEEN = {
    "users": f"user_id = {_ME}",
    "stored_files": (
        f"owner_id = {_ME} OR file_id IN (SELECT haulier_granted_files())"
        f" OR {_in_granted_folder('stored_files.owner_id', 'stored_files.folder')}"
    ),
    # Itself subject to the policy of files.
    "file_versions": (
        "EXISTS (SELECT FROM stored_files WHERE stored_files.file_id = file_versions.file_id)"
    ),
    "folders": f"owner_id = {_ME} OR {_in_granted_folder('folders.owner_id', 'folders.path')}",
    "grants": f"grantee = {_MINE}",
    "jobs": f"owner_id = {_ME}",
    "upload_sessions": f"owner_id = {_ME}",
    "change_counts": f"feed = {_MINE}",
    "file_changes": f"feed = {_MINE}",
}


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    _make_keys(connection)
    tables = set(inspect(connection).get_table_names()) - {VERSION_TABLE}
    protect(connection, sorted(tables))
    quote = connection.dialect.identifier_preparer.quote_identifier
    schema = quote(str(connection.scalar(text("SELECT current_schema()"))))
    for signature, body in _FUNCTIONS.items():
        op.execute(
            f"CREATE FUNCTION {signature} LANGUAGE sql STABLE SECURITY DEFINER"
            f" SET search_path TO {schema}, pg_temp AS $${body}$$"
        )
    for table, condition in _SEEN.items():
        op.execute(f"CREATE POLICY seen ON {table} FOR SELECT USING ({condition})")


def _make_keys(connection: Connection) -> None:
    op.execute(f"CREATE TABLE {KEYS} (inner_key bytea NOT NULL, outer_key bytea NOT NULL)")
    keys = RowKeys.new()
    connection.execute(
        text("INSERT INTO row_keys VALUES (:inner, :outer)"),
        {"inner": keys.inner, "outer": keys.outer},
    )
