"""The version of a catalog's schema: checked when it is opened, raised by migrations.

Alembic is imported only when there is something to migrate: opening a catalog whose
schema is current costs one query.
"""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import Connection, column, func, inspect, select, table

from haulier.catalog.engines import (
    create_sqlite_file,
    database_errors,
    describe,
    is_sqlite,
    parse_url,
    postgres_engine,
    sqlite_writer,
)
from haulier.errors import CatalogError, ConfigurationError

HEAD = "0020"
"""The revision this version of haulier works with; revisions sort as text."""

VERSION_TABLE = "haulier_schema"
MIGRATIONS = Path(__file__).with_name("migrations")

NETWORK_FILE_SYSTEMS = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre"),
        *("ncpfs", "beegfs", "gpfs", "fuse.sshfs", "fuse.glusterfs", "fuse.cephfs", "fuse.s3fs"),
        *("fuse.rclone", "fuse.davfs", "davfs", "fuse.gvfsd-fuse", "fuse.mfs"),
    }
)

_MIGRATION_LOCK = 0x6861756C
_versions = table(VERSION_TABLE, column("version_num"))


def upgrade(url: str | Path) -> str:
    """Bring the catalog at `url` to the schema of this version; return the revision.

    One transaction: a crash leaves the old schema. Of several processes that try at once,
    one migrates and the others find it done. Raises CatalogError when the schema is newer
    than this version or the database holds something else.
    """
    parsed = parse_url(url)
    if is_sqlite(parsed):
        create_sqlite_file(Path(str(parsed.database)))
    engine = sqlite_writer(parsed) if is_sqlite(parsed) else postgres_engine(parsed)
    try:
        with database_errors(parsed), engine.begin() as connection:
            migrate(connection, describe(parsed))
    finally:
        engine.dispose()
    return HEAD


def migrate(connection: Connection, place: str) -> None:
    """Migrate inside `connection`'s transaction; `place` names the catalog in messages."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
    current = read_version(connection, place)
    if current == HEAD:
        return
    refuse_newer(current, place)

    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def read_version(connection: Connection, place: str) -> str | None:
    """Return the schema's revision, None of an empty database.

    Raises CatalogError when there are tables but none of ours.
    """
    names = inspect(connection).get_table_names()
    if VERSION_TABLE in names:
        return connection.scalar(select(_versions.c.version_num))
    if names:
        raise CatalogError(
            f"{place} holds other tables and no catalog ({names[0]}, …)",
            hint="Give haulier a database or a file of its own by DATABASE_URL.",
        )
    return None


def require_head(connection: Connection, place: str) -> None:
    """Raise CatalogError unless the schema is that of this version."""
    version = read_version(connection, place)
    if version != HEAD:
        raise CatalogError(
            f"the catalog ({place}) has schema {version}, this haulier needs {HEAD}",
            hint="Run `haulier db upgrade` first, or use the haulier that the server runs.",
        )


def refuse_newer(version: str | None, place: str) -> None:
    """Raise CatalogError when `version` is one this haulier does not know yet."""
    if version is not None and version > HEAD:
        raise CatalogError(
            f"the catalog ({place}) has schema {version}, this haulier knows {HEAD}",
            hint="A newer haulier made it: upgrade haulier (`pip install -U haulier`).",
        )


def refuse_network_filesystem(
    path: Path, *, mountinfo: Path = Path("/proc/self/mountinfo")
) -> None:
    """Raise ConfigurationError when `path` lies on a network file system.

    SQLite's WAL shares memory between processes, which can't work across machines. `path`
    need not exist. Where there is no `mountinfo` (not Linux) nothing is refused.
    """
    try:
        lines = os.fsdecode(mountinfo.read_bytes()).splitlines()
    except FileNotFoundError:
        return
    target = path.resolve()
    kind = ""
    longest = -1
    for line in lines:
        mount_point, file_system = _read_mount(line)
        # Of two mounts at one point the later covers the earlier.
        if target.is_relative_to(mount_point) and len(mount_point.parts) >= longest:
            longest, kind = len(mount_point.parts), file_system
    if kind in NETWORK_FILE_SYSTEMS:
        raise ConfigurationError(
            f"{path} is on a network file system ({kind}): SQLite's WAL can't work there",
            hint="Keep the catalog on a local disk (MGMT_CATALOG=data), or use PostgreSQL.",
        )


def _read_mount(line: str) -> tuple[Path, str]:
    mount, _, file_system = line.partition(" - ")
    point = mount.split(" ")[4]
    for escape, character in ((r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", "\\")):
        point = point.replace(escape, character)
    return Path(point), file_system.split(" ")[0]
