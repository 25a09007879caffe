"""Tokens of uploads: reused, dropped when refused, shared by processes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from catalogs import new_sqlite
from haulier import errors
from haulier.catalog.catalog import Catalog
from haulier.core.upload_tokens import TokenKey, TokenStatistics
from haulier.transfer.tokens import TokenStore

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def key(content: str = "a", **more: str) -> TokenKey:
    digest = f"sha256:{content * 64}"
    return TokenKey(**{"content": digest, "type": "image", "bot": "7", **more})


class Now:
    def __init__(self) -> None:
        self.time = NOON

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
async def catalog(tmp_path):
    async with await Catalog.open(new_sqlite(tmp_path / "catalog.db")) as catalog:
        yield catalog


@pytest.fixture
def store(catalog, now) -> TokenStore:
    return TokenStore(catalog, ttl=timedelta(days=1), now=now)


async def test_a_token_is_found_by_content_type_bot_and_name(store):
    await store.keep(key(), "t1", 1000)
    assert await store.find(key()) == "t1"
    for other in (key("b"), key(type="file"), key(bot="8"), key(name="x.png")):
        assert await store.find(other) is None
    await store.keep(key(), "t2", 1000)
    assert await store.find(key()) == "t2"


async def test_a_token_ends_unless_the_chat_took_it_again(store, now):
    await store.keep(key(), "t", 1000)
    now.time += timedelta(hours=23)
    await store.confirm(key(), "t")
    now.time += timedelta(hours=23)
    assert await store.find(key()) == "t"
    await store.confirm(key(), "another")
    now.time += timedelta(hours=2)
    assert await store.find(key()) is None
    assert (await store.statistics("7")).tokens == 1
    assert await store.purge() == 1
    assert (await store.statistics("7")).tokens == 0


async def test_without_a_ttl_it_is_good_until_it_is_refused(catalog, now):
    store = TokenStore(catalog, now=now)
    await store.keep(key(), "t", 1000)
    now.time += timedelta(days=4000)
    await store.confirm(key(), "t")
    assert await store.purge() == 0
    assert await store.find(key()) == "t"
    with pytest.raises(errors.UsageError):
        TokenStore(catalog, ttl=timedelta(0))
    with pytest.raises(errors.UsageError):
        key(type="x", content="nonsense")


async def test_a_refused_token_is_dropped_and_was_no_hit(store):
    await store.keep(key(), "old", 1000)
    assert await store.find(key()) == "old"
    await store.refuse(key(), "old")
    assert await store.find(key()) is None
    await store.keep(key(), "new", 1000)
    await store.refuse(key(), "old")
    assert await store.find(key()) == "new"
    assert await store.statistics("7") == TokenStatistics(
        tokens=1, hits=1, misses=2, refused=1, bytes_saved=1000
    )
    assert await store.statistics("8") == TokenStatistics()


async def test_a_file_wanted_by_many_at_once_is_sent_once(store):
    sent = []

    async def upload() -> str:
        sent.append("once")
        await asyncio.sleep(0.01)
        return "t"

    tokens = await asyncio.gather(*(store.token(key(), 1000, upload) for _ in range(5)))
    assert (tokens, sent) == (["t"] * 5, ["once"])
    assert store._uploading == {}


async def test_a_failed_or_cancelled_upload_keeps_no_token(store):
    async def fail() -> str:
        raise errors.ConnectionLost("cut")

    with pytest.raises(errors.ConnectionLost):
        await store.token(key(), 1000, fail)
    stuck = asyncio.create_task(store.token(key(), 1000, asyncio.Event().wait))
    await asyncio.sleep(0.05)
    stuck.cancel()
    await asyncio.gather(stuck, return_exceptions=True)
    assert await store.find(key()) is None

    async def work() -> str:
        return "t"

    assert await store.token(key(), 1000, work) == "t"


PROCESS = """
import asyncio, sys
from haulier.catalog.catalog import Catalog
from haulier.core.upload_tokens import TokenKey
from haulier.transfer.tokens import TokenStore
async def main():
    async with await Catalog.open(sys.argv[1]) as catalog:
        store = TokenStore(catalog)
        for n in range(40):
            key = TokenKey(content=f"sha256:{n:064x}", type="image", bot="7")
            async def upload(): return f"token {n}"
            assert await store.token(key, 1000, upload) == f"token {n}"
asyncio.run(main())
"""


@pytest.mark.processes
async def test_two_processes_share_tokens(store, catalog, tmp_path):
    run = [sys.executable, "-c", PROCESS, str(tmp_path / "catalog.db")]
    both = [subprocess.Popen(run) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    statistics = await store.statistics("7")
    assert statistics.tokens == 40
    assert statistics.hits + statistics.misses == 80
    assert statistics.bytes_saved == statistics.hits * 1000
    assert (
        await store.find(TokenKey(content=f"sha256:{5:064x}", type="image", bot="7")) == "token 5"
    )
