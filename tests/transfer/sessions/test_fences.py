"""Whoever was paused and lost its lock writes over nothing and publishes nothing."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys

import pytest

from catalogs import new_sqlite
from haulier.catalog.catalog import Catalog
from haulier.coordination.redis_locks import RedisLocks
from haulier.core.sessions.session import Order
from haulier.errors import LockBusy, LockLost
from haulier.transfer.sessions.claims import claim_range
from haulier.transfer.sessions.engine import NewUpload
from redis_server import a_link, new_prefix
from sessions_engine import Ledger, build

HOLDS_A_RANGE = """
import os, sys
from haulier.transfer.sessions.claims import claim_range
descriptor = os.open(sys.argv[1], os.O_WRONLY)
claim_range(descriptor, 100, 100)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.processes
def test_a_range_is_written_by_one_process_at_a_time_until_it_ends(tmp_path):
    path = tmp_path / "upload"
    path.write_bytes(bytes(1000))
    command = [sys.executable, "-c", HOLDS_A_RANGE, path]
    descriptor = os.open(path, os.O_WRONLY)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        claim_range(descriptor, 0, 100)
        claim_range(descriptor, 200, 0)
        for offset, length in [(100, 100), (0, 101), (199, 1), (0, 0)]:
            with pytest.raises(LockBusy):
                claim_range(descriptor, offset, length)
        other.kill()
        other.wait()
    claim_range(descriptor, 100, 100)
    os.close(descriptor)


@pytest.mark.servers
async def test_who_was_paused_publishes_nothing_after_another_went_on(tmp_path, redis_server):
    data = random.Random(4).randbytes(3_000)
    paused, arrived, go_on = data[:1000], asyncio.Event(), asyncio.Event()

    async def stalling():
        yield paused
        arrived.set()
        await go_on.wait()

    async def all_of(piece):
        yield piece

    async with a_link(redis_server.url, new_prefix()) as link:
        # Neither renews what it holds, as if it were paused all the time.
        locks = [RedisLocks(link, life_s=0.5) for _ in range(2)]
        async with await Catalog.open(new_sqlite(tmp_path / "catalog.db")) as catalog:
            ledger = Ledger(strict=False)
            late, other = (
                build(tmp_path, catalog, ledger=ledger, locks=one).engine for one in locks
            )
            new = NewUpload(owner_id="ann", name="a", size_bytes=3000, order=Order.SEQUENTIAL)
            session = await late.start(new)
            stalled = asyncio.create_task(late.append(session.session_id, 0, stalling()))
            await arrived.wait()
            # It still has the file open, and perhaps a write on its way.
            with pytest.raises(LockBusy):
                await other.append(session.session_id, 0, all_of(data))
            go_on.set()
            with pytest.raises(LockLost):
                await stalled
            assert (await other.get(session.session_id)).offset == 0
            done = await other.append(session.session_id, 0, all_of(data))
            assert done.offset == 3000
            path = tmp_path / "files" / done.file_id[-2:] / done.file_id
            assert path.read_bytes() == data


async def test_rows_accept_nothing_from_an_older_lock(tmp_path):
    async with await Catalog.open(new_sqlite(tmp_path / "catalog.db")) as catalog:
        engine = build(tmp_path, catalog).engine
        new = NewUpload(owner_id="ann", name="a", size_bytes=3000, order=Order.SEQUENTIAL)
        session = await engine.start(new)

        def claim(fence):
            return catalog.transaction(lambda tx: tx.sessions.claim(session.session_id, fence))

        def publish(fence):
            return catalog.transaction(lambda tx: tx.sessions.publish(session, 0, {}, fence))

        assert await claim(7)
        assert await publish(7)
        assert await claim(9)
        assert not await claim(8)
        assert not await publish(7)
        assert await publish(9)
