import os
import socket
import sqlite3
import stat
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from samples_catalog import file, upload
from sqlalchemy import inspect, text

from haulier.catalog.catalog import Catalog
from haulier.catalog.engines import is_sqlite, parse_url, postgres_engine, sqlite_writer
from haulier.catalog.filters import FileFilter
from haulier.catalog.row_security import KEYS
from haulier.catalog.schema import (
    HEAD,
    MIGRATIONS,
    VERSION_TABLE,
    refuse_network_filesystem,
    upgrade,
)
from haulier.catalog.tables import metadata
from haulier.errors import CatalogError, CatalogUnavailable, ConfigurationError


@pytest.fixture
def engine(no_catalog_url):
    """A connection to a migrated catalog behind the library's back."""
    upgrade(no_catalog_url)
    parsed = parse_url(no_catalog_url)
    made = sqlite_writer(parsed) if is_sqlite(parsed) else postgres_engine(parsed)
    yield made
    made.dispose()


def is_ours(name, kind):
    """What one database alone has, and Alembic's own table, are not in the metadata."""
    return not (
        (
            kind == "table"
            and (name in {VERSION_TABLE, KEYS} or name.startswith(("file_names", "file_words")))
        )
        or (kind == "index" and name == "ix_files_name_trigrams")
    )


def test_migrations_make_the_schema_of_the_metadata(engine):
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "include_object": lambda _object, name, kind, _reflected, _to: is_ours(name, kind),
            },
        )
        assert compare_metadata(context, metadata) == []
        found = inspect(connection)
        for table in metadata.sorted_tables:
            names = {index["name"] for index in found.get_indexes(table.name)}
            assert {index.name for index in table.indexes} <= names


def test_the_newest_migration_is_the_version_this_haulier_needs(engine):
    assert ScriptDirectory(str(MIGRATIONS)).get_heads() == [HEAD]
    with engine.connect() as connection:
        assert connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}")) == HEAD


async def test_upgrading_twice_changes_nothing(no_catalog_url):
    assert upgrade(no_catalog_url) == HEAD
    async with await Catalog.open(no_catalog_url) as catalog:
        await catalog.transaction(lambda tx: tx.put_file(file()))
    assert upgrade(no_catalog_url) == HEAD
    async with await Catalog.open(no_catalog_url, create=False) as catalog:
        assert await catalog.get_file(file().id) == file()


async def test_a_newer_schema_is_left_alone(no_catalog_url, engine):
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(CatalogError, match="9999") as refused:
        await Catalog.open(no_catalog_url)
    assert "upgrade haulier" in refused.value.hint
    with pytest.raises(CatalogError, match="9999"):
        upgrade(no_catalog_url)


@pytest.mark.servers
async def test_an_older_schema_in_postgresql_waits_for_the_user(empty_postgres):
    upgrade(empty_postgres)
    with psycopg.connect(empty_postgres) as connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '0000'")
    with pytest.raises(CatalogError, match="0000") as refused:
        await Catalog.open(empty_postgres)
    assert "haulier db upgrade" in refused.value.hint


async def test_a_database_of_something_else_is_left_alone(no_catalog_url):
    parsed = parse_url(no_catalog_url)
    if is_sqlite(parsed):
        Path(parsed.database).parent.mkdir()
    engine = sqlite_writer(parsed) if is_sqlite(parsed) else postgres_engine(parsed)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE accounts (id INTEGER)"))
    engine.dispose()
    for attempt in (Catalog.open(no_catalog_url), Catalog.open(no_catalog_url, create=False)):
        with pytest.raises(CatalogError, match="accounts"):
            await attempt
    with pytest.raises(CatalogError, match="accounts"):
        upgrade(no_catalog_url)


async def test_nothing_is_made_when_not_asked_to(no_catalog_url):
    with pytest.raises(CatalogError, match="no catalog"):
        await Catalog.open(no_catalog_url, create=False)
    parsed = parse_url(no_catalog_url)
    if is_sqlite(parsed):
        assert not Path(parsed.database).parent.exists()


async def test_an_empty_file_is_a_catalog_not_made_yet(tmp_path):
    path = tmp_path / "catalog.db"
    path.touch()
    with pytest.raises(CatalogError, match="no catalog"):
        await Catalog.open(path, create=False)
    async with await Catalog.open(path):
        pass


async def test_only_the_owner_may_read_it(tmp_path):
    path = tmp_path / "new" / "data" / "catalog.db"
    before = os.umask(0)
    try:
        async with await Catalog.open(path) as catalog:
            await catalog.transaction(lambda tx: tx.put_file(file()))
            for made in path.parent.iterdir():
                assert stat.S_IMODE(made.stat().st_mode) == 0o600, made
            assert len(list(path.parent.iterdir())) == 3
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_every_spelling_of_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number, url in enumerate(
        ("a b.db", Path("a b.db"), "sqlite:///a b.db", tmp_path / "a b.db")
    ):
        async with await Catalog.open(url) as catalog:
            await catalog.transaction(lambda tx, n=number: tx.put_file(file(n)))
            assert len((await catalog.list_files(FileFilter())).items) == number + 1


async def test_connections_are_durable_and_checked(tmp_path):
    engine = sqlite_writer(parse_url(tmp_path / "catalog.db"))
    with engine.connect() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    engine.dispose()
    assert settings == {
        "journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000,
    }  # fmt: skip


async def test_a_file_that_is_no_database(tmp_path):
    path = tmp_path / "catalog.db"
    path.write_bytes(b"This is a letter, not a database. " * 100)
    with pytest.raises(CatalogError, match=r"catalog\.db") as refused:
        await Catalog.open(path)
    assert "haulier import" in refused.value.hint
    assert path.read_bytes().startswith(b"This is a letter")


async def test_a_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CatalogError, match="can't be created") as refused:
        await Catalog.open(tmp_path / "file" / "catalog.db")
    assert "HAULIER_DATA" in refused.value.hint


@pytest.mark.parametrize(
    "url",
    [
        "mysql://user:secret@host/database", "sqlite://", "sqlite:///:memory:",
        "sqlite:///x.db?mode=ro", "postgresql://user:secret@host:port/x", "://secret",
    ],
)  # fmt: skip
async def test_urls_that_are_refused(url):
    with pytest.raises(ConfigurationError) as refused:
        await Catalog.open(url)
    assert "DATABASE_URL" in refused.value.hint
    assert "secret" not in refused.value.message


async def test_an_unreachable_server_is_named_without_the_password():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        port = taken.getsockname()[1]
        with pytest.raises(CatalogError) as refused:
            await Catalog.open(f"postgresql://ann:se%40cret@127.0.0.1:{port}/media")
    shown = refused.value.message + refused.value.hint
    assert f"127.0.0.1:{port}" in shown
    assert "media" in shown
    assert "DATABASE_URL" in shown
    assert "cret" not in shown
    assert isinstance(refused.value, CatalogUnavailable)


@pytest.mark.servers
async def test_a_restarted_connection_is_noticed(empty_postgres):
    async with await Catalog.open(empty_postgres) as catalog:
        await catalog.transaction(lambda tx: tx.put_operation(upload()))
        with psycopg.connect(empty_postgres, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'haulier' AND datname = current_database()"
            )
        assert await catalog.get_operation(upload().operation_id) == upload()


@pytest.mark.servers
async def test_names_are_searched_without_the_extension_too(empty_postgres):
    # As in a cluster where the owner may not create extensions.
    with psycopg.connect(empty_postgres, autocommit=True) as connection:
        role = f"plain_{os.getpid()}"
        connection.execute(f"CREATE ROLE {role} LOGIN")
        try:
            connection.execute(f"GRANT USAGE, CREATE ON SCHEMA public TO {role}")
            url = empty_postgres.replace("haulier@", f"{role}@")
            async with await Catalog.open(url) as catalog:
                await catalog.transaction(lambda tx: tx.put_file(file()))
                page = await catalog.list_files(FileFilter(name="*lip0*"))
                assert page.items == [file()]
            names = connection.execute("SELECT extname FROM pg_extension").fetchall()
            assert ("pg_trgm",) not in names
        finally:
            connection.execute(f"DROP OWNED BY {role}")
            connection.execute(f"DROP ROLE {role}")


MOUNTS = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /home rw shared:2 - nfs4 server:/home rw
31 30 8:2 / /home/ann/local rw - xfs /dev/sdb1 rw
32 22 0:41 / /mnt/my\040share rw - cifs //server/share rw
33 22 0:42 / /mnt/phone rw - fuse.sshfs ann@phone: rw
34 22 0:43 / /mnt/over rw - nfs server:/x rw
35 22 8:3 / /mnt/over rw - btrfs /dev/sdc1 rw
""".lstrip()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/ann/completed", "nfs4"), ("/home", "nfs4"), ("/mnt/my share/x/y", "cifs"),
        ("/mnt/phone", "fuse.sshfs"), ("/home/ann/local/completed", None), ("/homes", None),
        ("/srv/media", None), ("/mnt/over/x", None),
    ],
)  # fmt: skip
def test_network_file_systems_are_refused(tmp_path, path, kind):
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(MOUNTS)
    if kind is None:
        refuse_network_filesystem(Path(path), mountinfo=mountinfo)
        return
    with pytest.raises(ConfigurationError, match=f"{kind}.*WAL can't work there"):
        refuse_network_filesystem(Path(path), mountinfo=mountinfo)


def test_where_mounts_are_not_told_nothing_is_refused(tmp_path):
    refuse_network_filesystem(tmp_path, mountinfo=tmp_path / "missing")


def test_the_mounts_of_this_machine_can_be_read():
    refuse_network_filesystem(Path("/proc"))


def test_statistics_name_indexes_that_exist(tmp_path):
    upgrade(tmp_path / "catalog.db")
    connection = sqlite3.connect(tmp_path / "catalog.db")
    columns = {
        index: len(connection.execute(f"PRAGMA index_info({index})").fetchall())
        for (index,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'index'")
    }
    statistics = dict(connection.execute("SELECT idx, stat FROM sqlite_stat1"))
    connection.close()
    # The primary key of a table without row ids goes by its name.
    columns |= {"file_tags": 2, "file_blocks": 2}
    assert len(statistics) == 22
    for index, numbers in statistics.items():
        assert len(numbers.split()) == columns[index] + 1, index
