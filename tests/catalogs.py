"""A catalog on each of the two databases, empty for each test.

Migrating takes longer than most tests and has tests of its own; the others begin with a copy of a
catalog that was migrated once.
"""

import secrets
import tempfile
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from haulier.catalog.catalog import Catalog
from haulier.catalog.schema import upgrade


@cache
def _migrated_sqlite():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "catalog.db"
        upgrade(path)
        return path.read_bytes()


def new_sqlite(path):
    """Put a catalog without rows at `path` where there is none yet; return it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(_migrated_sqlite())
    return path


def with_catalog(data):
    """Return `data`, a server's directory, with a catalog without rows in it."""
    new_sqlite(data / "catalog.db")
    return data


@contextmanager
def new_database(postgres_url, template="template1"):
    name = f"test_{secrets.token_hex(8)}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        make = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        connection.execute(make.format(sql.Identifier(name), sql.Identifier(template)))
        yield postgres_url.rpartition("/")[0] + f"/{name}"
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def empty_postgres(postgres_url):
    """The URL of a new database without tables."""
    with new_database(postgres_url) as url:
        yield url


@pytest.fixture
def second_postgres(postgres_url):
    """The URL of another one."""
    with new_database(postgres_url) as url:
        yield url


@pytest.fixture(scope="session")
def migrated_postgres(postgres_url):
    """The name of a database with tables and without rows, to make others from."""
    with new_database(postgres_url) as url:
        upgrade(url)
        yield url.rpartition("/")[2]


BOTH = ["sqlite", pytest.param("postgres", marks=pytest.mark.servers)]


@pytest.fixture(params=BOTH)
def no_catalog_url(request, tmp_path):
    """Where a test may put a catalog; there is none yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/data/catalog.db"
    return request.getfixturevalue("empty_postgres")


@pytest.fixture(params=BOTH)
def catalog_url(request, tmp_path):
    """Where there is a catalog without rows."""
    if request.param == "sqlite":
        yield f"sqlite:///{new_sqlite(tmp_path / 'data' / 'catalog.db')}"
        return
    url = request.getfixturevalue("postgres_url")
    with new_database(url, request.getfixturevalue("migrated_postgres")) as made:
        yield made


@pytest.fixture
async def catalog(catalog_url):
    async with await Catalog.open(catalog_url) as opened:
        yield opened
