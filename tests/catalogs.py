"""A catalog on each of the two databases, empty for each test."""

import secrets
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql

from haulier.catalog.catalog import Catalog


@contextmanager
def new_database(postgres_url):
    name = f"test_{secrets.token_hex(8)}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
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


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.servers)])
def catalog_url(request, tmp_path):
    """Where a test may put a catalog; there is none yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/data/catalog.db"
    return request.getfixturevalue("empty_postgres")


@pytest.fixture
async def catalog(catalog_url):
    async with await Catalog.open(catalog_url) as opened:
        yield opened
