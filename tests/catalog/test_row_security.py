"""Row-level security in a real PostgreSQL, by roles that own nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg
import pytest
from psycopg import sql

from haulier.catalog.catalog import Catalog
from haulier.catalog.row_roles import secure
from haulier.catalog.row_security import Acting, RowKeys, read_keys
from haulier.catalog.schema import VERSION_TABLE, upgrade
from haulier.catalog.snapshots import load_snapshot, take_snapshot
from haulier.core.accounts import Role, StoredFile
from haulier.core.grants import EVERYBODY, Grant, Level, grantee_of_role
from haulier.core.jobs import new_job
from haulier.core.records import new_file_id, utc_now
from haulier.errors import CatalogError, ConfigurationError
from haulier.files.access import acting_for
from haulier.files.accounts import Accounts
from postgres_roles import owned_database, secured_database

pytestmark = pytest.mark.servers

NOW = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)


def stored(owner_id, name, folder=""):
    file_id = new_file_id()
    return StoredFile(
        file_id=file_id, owner_id=owner_id, name=name, folder=folder, size_bytes=1,
        mime_type=None, crc64nvme="0" * 16, crc32="0" * 8, content_id=file_id,
        created_at=NOW, modified_at=NOW,
    )  # fmt: skip


class World:
    """A catalog of ann, bob and an admin, opened as a server opens it."""

    def __init__(self, roles, catalog, users):
        self.roles, self.catalog, self.users = roles, catalog, users

    async def add(self, owner, name, folder=""):
        one = stored(self.users[owner].user_id, name, folder)

        def work(tx):
            tx.folders.make(one.owner_id, folder, NOW)
            tx.stored.add(one)
            return tx.folders.at(one.owner_id, folder)

        return one, await self.catalog.transaction(work)

    async def grant(self, resource_id, grantee, *, is_folder=False):
        grant = Grant(
            resource_id=resource_id, grantee=grantee, is_folder=is_folder, level=Level.READ,
            granted_by=self.users["ann"].user_id, created_at=NOW,
        )  # fmt: skip
        await self.catalog.transaction(lambda tx: tx.grants.put(grant))

    def acting(self, name):
        return acting_for(self.users[name])

    async def names_seen_by(self, name):
        """What a statement without any condition returns in a user's name."""
        ids = await self.catalog.read(lambda tx: sorted(all_files(tx)), acting=self.acting(name))
        return ids

    def connect(self, role=None):
        return psycopg.connect(self.roles.url(role or self.roles.user), autocommit=True)


def all_files(tx):
    return [row[0] for row in tx._connection.exec_driver_sql("SELECT name FROM stored_files")]


@pytest.fixture(scope="module")
def roles(postgres_url):
    with secured_database(postgres_url) as roles:
        yield roles


@pytest.fixture
async def world(postgres_url):
    with secured_database(postgres_url) as roles:
        async with await Catalog.open(
            roles.url(roles.service), user_url=roles.url(roles.user)
        ) as catalog:
            accounts = Accounts(catalog)
            users = {
                name: await accounts.add(name, role)
                for name, role in (("ann", Role.USER), ("bob", Role.USER), ("root", Role.ADMIN))
            }
            yield World(roles, catalog, users)


def test_every_table_forces_it(roles):
    with psycopg.connect(roles.url(roles.owner)) as connection:
        loose = connection.execute(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p')"
            " AND relnamespace = 'public'::regnamespace"
            " AND NOT (relrowsecurity AND relforcerowsecurity)"
        ).fetchall()
    assert loose == [(VERSION_TABLE,)]


async def test_each_sees_their_own_and_an_admin_all(world):
    await world.add("ann", "a.txt")
    await world.add("bob", "b.txt")
    assert await world.names_seen_by("ann") == ["a.txt"]
    assert await world.names_seen_by("bob") == ["b.txt"]
    assert world.acting("root") is None
    assert await world.names_seen_by("root") == ["a.txt", "b.txt"]


async def test_what_is_granted_is_seen_as_long_as_it_is(world):
    bob = world.users["bob"].user_id
    one, _ = await world.add("ann", "one.txt")
    await world.add("ann", "inside.txt", "shoot")
    _, folder = await world.add("ann", "deeper.txt", "shoot/raw")
    await world.add("ann", "beside.txt", "shooting")
    await world.add("ann", "private.txt")
    assert await world.names_seen_by("bob") == []
    await world.grant(one.file_id, bob)
    assert await world.names_seen_by("bob") == ["one.txt"]
    shoot = await world.catalog.read(lambda tx: tx.folders.at(one.owner_id, "shoot"))
    await world.grant(shoot.folder_id, grantee_of_role(Role.USER), is_folder=True)
    assert await world.names_seen_by("bob") == ["deeper.txt", "inside.txt", "one.txt"]
    found = await world.catalog.read(
        lambda tx: tx.folders.get(folder.folder_id), acting=world.acting("bob")
    )
    assert found == folder
    await world.catalog.transaction(lambda tx: tx.grants.remove(one.file_id, bob))
    assert await world.names_seen_by("bob") == ["deeper.txt", "inside.txt"]
    await world.grant(one.file_id, EVERYBODY)
    assert "one.txt" in await world.names_seen_by("bob")


async def test_jobs_accounts_and_versions_are_their_users_own(world):
    ann = world.users["ann"]
    one, _ = await world.add("ann", "a.txt")
    job = new_job("digest", utc_now(), subject=one.file_id, owner_id=ann.user_id)
    await world.catalog.transaction(lambda tx: tx.jobs.enqueue(job))

    def look(tx):
        return tx.jobs.get(job.job_id), tx.users.get(ann.user_id), tx.stored.get(one.file_id)

    assert None not in await world.catalog.read(look, acting=world.acting("ann"))
    assert await world.catalog.read(look, acting=world.acting("bob")) == (None, None, None)


async def test_without_a_name_or_with_a_forged_one_nothing_is_seen(world):
    ann, bob = world.acting("ann"), world.acting("bob")
    await world.add("ann", "a.txt")
    keys = await world.catalog.read(lambda tx: read_keys(tx._connection))
    signed = keys.signed(ann)
    with world.connect() as connection:

        def seen(told):
            with connection.transaction():
                connection.execute("SELECT set_config('haulier.acting', %s, true)", [told])
                return connection.execute("SELECT count(*) FROM stored_files").fetchone()[0]

        assert connection.execute("SELECT count(*) FROM stored_files").fetchone() == (0,)
        assert seen(signed) == 1
        # It ended with the transaction.
        assert connection.execute("SELECT count(*) FROM stored_files").fetchone() == (0,)
        name = signed[64:]
        for forged in (
            "", "|", ann.user_id, name, f"{'0' * 64}{name}", signed.upper(), signed[:-1],
            f"{signed}|everybody", keys.signed(bob)[:64] + name, RowKeys.new().signed(ann),
            f"{signed[:63]}{'0' if signed[63] != '0' else '1'}{name}",
        ):  # fmt: skip
            assert seen(forged) == 0, forged
        assert seen(keys.signed(bob)) == 0


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT inner_key FROM row_keys",
        "SELECT secret FROM webhooks",
        "SELECT * FROM audit_entries",
        "SELECT * FROM shares",
        "SELECT * FROM file_words",
        "INSERT INTO folders VALUES ('f', 'o', 'p', now())",
        "UPDATE stored_files SET owner_id = 'me'",
        "DELETE FROM grants",
        "TRUNCATE users",
        "ALTER TABLE stored_files NO FORCE ROW LEVEL SECURITY",
        "CREATE POLICY mine ON stored_files USING (true)",
        "DROP POLICY seen ON stored_files",
        "CREATE OR REPLACE FUNCTION haulier_acting() RETURNS text[] LANGUAGE sql AS $$SELECT 1$$",
        "SET ROLE {service}",
        "SET ROLE {owner}",
        "COPY webhooks TO STDOUT",
    ],
)
def test_what_the_users_role_may_not_do(roles, statement):
    names = {one: sql.Identifier(getattr(roles, one)) for one in ("service", "owner")}
    with (
        psycopg.connect(roles.url(roles.user), autocommit=True) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(sql.SQL(statement).format(**names))


def test_turning_the_policies_off_is_refused_and_tables_of_ones_own_do_not_deceive(roles):
    with psycopg.connect(roles.url(roles.user), autocommit=True) as connection:
        connection.execute("SET row_security = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT * FROM stored_files")
        # The owner's function asks the catalog's keys, whatever else has their name.
        connection.execute("SET row_security = on")
        connection.execute("CREATE TEMP TABLE row_keys (inner_key bytea, outer_key bytea)")
        connection.execute("INSERT INTO row_keys VALUES ('', '')")
        told = RowKeys(b"", b"").signed(Acting(user_id="ann", grantees=("ann",)))
        connection.execute("SELECT set_config('haulier.acting', %s, false)", [told])
        assert connection.execute("SELECT haulier_acting()").fetchall() in ([], [(None,)])


def test_the_service_can_not_undo_it(roles):
    with psycopg.connect(roles.url(roles.service), autocommit=True) as connection:
        for statement in (
            "ALTER TABLE users DISABLE ROW LEVEL SECURITY",
            "DROP POLICY seen ON users",
            f"UPDATE {VERSION_TABLE} SET version_num = '0000'",
            "DROP TABLE users",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


async def test_roles_that_can_not_be_are_refused(postgres_url):
    with owned_database(postgres_url) as roles, psycopg.connect(postgres_url) as admin:
        admin.autocommit = True
        owner = roles.url(roles.owner)
        given = {"service": roles.service, "user": roles.user}
        with pytest.raises(CatalogError, match="has schema None"):
            secure(owner, **given)
        upgrade(owner)
        with pytest.raises(ConfigurationError, match="no role nobody"):
            secure(owner, service="nobody", user=roles.user)
        with pytest.raises(ConfigurationError, match="three"):
            secure(owner, service=roles.user, user=roles.user)
        with pytest.raises(ConfigurationError, match="is a file"):
            secure("catalog.db", **given)
        for may, may_not in (
            ("ALTER ROLE {user} BYPASSRLS", "ALTER ROLE {user} NOBYPASSRLS"),
            ("GRANT {service} TO {user}", "REVOKE {service} FROM {user}"),
            ("GRANT {owner} TO {service}", "REVOKE {owner} FROM {service}"),
        ):
            names = {one: sql.Identifier(getattr(roles, one)) for one in ("owner", *given)}
            admin.execute(sql.SQL(may).format(**names))
            with pytest.raises(ConfigurationError, match=r"BYPASSRLS|member of"):
                secure(owner, **given)
            admin.execute(sql.SQL(may_not).format(**names))
        # Who is not let in yet is told so, and sees no empty catalog.
        with pytest.raises(CatalogError, match=r"failed|single users' rows"):
            await Catalog.open(roles.url(roles.service))
        for _ in range(2):
            secure(owner, **given)
        async with await Catalog.open(roles.url(roles.service)):
            pass
        with pytest.raises(CatalogError):
            await Catalog.open(roles.url(roles.user))
        with pytest.raises(ConfigurationError, match="sees all rows"):
            await Catalog.open(roles.url(roles.service), user_url=roles.url(roles.service))
        with pytest.raises(ConfigurationError, match="PostgreSQL alone"):
            await Catalog.open("catalog.db", user_url=roles.url(roles.user))


async def test_later_tables_are_let_in_and_forced(world):
    from sqlalchemy import create_engine, text

    from haulier.catalog.engines import parse_url
    from haulier.catalog.row_security import protect

    engine = create_engine(parse_url(world.roles.url(world.roles.owner)))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE later (name text)"))
        protect(connection, ["later"])
    engine.dispose()
    with world.connect(world.roles.service) as connection:
        connection.execute("INSERT INTO later VALUES ('a')")
        assert connection.execute("SELECT * FROM later").fetchall() == [("a",)]
    with world.connect() as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SELECT * FROM later")


async def test_the_owner_migrates_and_backups_hold_everything(world, tmp_path, postgres_url):
    await world.add("ann", "a.txt")
    await world.add("bob", "b.txt")
    (copy := tmp_path / "copy").mkdir()
    told = take_snapshot(world.roles.url(world.roles.service), copy)
    assert sorted(one.name for one in told) == ["a.txt", "b.txt"]
    assert not (copy / "row_keys.copy").exists()
    with pytest.raises(CatalogError):
        take_snapshot(world.roles.url(world.roles.user), tmp_path / "copy")
    with owned_database(postgres_url) as other:
        load_snapshot(copy, other.url(other.owner))
        assert upgrade(other.url(other.owner))
        secure(other.url(other.owner), service=other.service, user=other.user)
        async with await Catalog.open(
            other.url(other.service), user_url=other.url(other.user)
        ) as restored:
            assert await restored.read(lambda tx: sorted(all_files(tx))) == ["a.txt", "b.txt"]
            seen = await restored.read(all_files, acting=world.acting("ann"))
            assert seen == ["a.txt"]
