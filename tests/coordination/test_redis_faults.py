"""Redis restarted, processes paused and killed: locks stay safe, and no feed is silently gapped."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from haulier.coordination.events import News
from haulier.coordination.redis_events import RedisEventBus
from haulier.coordination.redis_link import RedisLink
from haulier.coordination.redis_locks import RedisLocks
from haulier.errors import CoordinationError, LockBusy, LockLost
from redis_server import a_link, new_prefix, redis_bus, redis_locks

ANN = frozenset({"ann"})


def news(n):
    return News(type="file.created", data={"n": n}, topics=ANN)


async def hear(listening):
    event = await listening.take(60)
    assert event is not None
    message = json.loads(event.text)
    return message["data"].get("n", message["type"])


@asynccontextmanager
async def processes(server, count, make=redis_bus, **more):
    prefix = new_prefix()
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(make(server.url, prefix, **more)) for _ in range(count)
        ]


async def test_what_one_process_tells_all_hear_in_one_order(redis_server):
    async with processes(redis_server, 3) as buses, AsyncExitStack() as stack:
        heard = [await stack.enter_async_context(bus.subscribe(ANN)) for bus in buses]
        for n in range(60):
            buses[n % 3].publish(news(n))
        orders = [[await hear(one) for _ in range(60)] for one in heard]
    assert orders[0] == orders[1] == orders[2]
    assert sorted(orders[0]) == list(range(60))
    for teller in range(3):
        mine = [n for n in orders[0] if n % 3 == teller]
        assert mine == sorted(mine)


async def test_who_comes_back_to_another_process_misses_nothing(redis_server):
    async with processes(redis_server, 2) as (one, other):
        async with one.subscribe(ANN) as listening:
            one.publish(news(1))
            event = await listening.take(60)
            for n in range(2, 1500):
                one.publish(news(n))
            while await hear(listening) != 1499:
                continue
        async with other.subscribe(ANN, event.event_id) as again:
            other.publish(news(1500))
            assert [await hear(again) for _ in range(1499)] == list(range(2, 1501))


async def test_a_restarted_redis_that_forgot_everything_is_told_to_all(own_redis):
    async with processes(own_redis, 2) as (one, other):
        async with one.subscribe(ANN) as mine, other.subscribe(ANN) as theirs:
            one.publish(news(1))
            last = await theirs.take(60)
            assert await hear(mine) == 1
            await asyncio.to_thread(own_redis.stop, signal.SIGKILL)
            one.publish(news(2))
            await asyncio.to_thread(own_redis.start)
            # What was told before a process noticed counts as missed.
            for listening in (mine, theirs):
                assert await hear(listening) == "reset"
            one.publish(news(3))
            for listening in (mine, theirs):
                assert [n for n in [await hear(listening)] if n != 2] or await hear(listening) == 3
        async with other.subscribe(ANN, last.event_id) as again:
            assert await hear(again) == "reset"


async def test_a_redis_that_was_emptied_is_noticed(own_redis):
    async with redis_bus(own_redis.url, new_prefix(), life_s=0.6) as bus:
        async with bus.subscribe(ANN) as listening:
            bus.publish(news(1))
            assert await hear(listening) == 1
            await bus._link.client.flushall()
            assert await hear(listening) == "reset"
            bus.publish(news(2))
            assert await hear(listening) == 2


async def test_a_process_that_dies_with_something_untold_is_told_of(redis_server):
    prefix = new_prefix()
    async with redis_bus(redis_server.url, prefix, life_s=1) as living:
        async with a_link(redis_server.url, prefix) as link:
            dying = RedisEventBus(link, life_s=1)
            running = asyncio.create_task(dying.run())
            assert await dying.ready(60)
            async with living.subscribe(ANN) as listening:
                running.cancel()  # as if it were killed: it does not take its leave
                with pytest.raises(asyncio.CancelledError):
                    await running
                dying.publish(news(1))
                assert await hear(listening) == "reset"


async def test_a_process_that_leaves_is_not_missed(redis_server):
    prefix = new_prefix()
    async with redis_bus(redis_server.url, prefix, life_s=0.6) as living:
        async with living.subscribe(ANN) as listening:
            async with redis_bus(redis_server.url, prefix, life_s=0.6) as leaving:
                leaving.publish(news(1))
            assert await hear(listening) == 1
            assert await listening.take(1.5) is None


async def test_a_reader_that_was_outrun_is_told_so(redis_server):
    async with processes(redis_server, 2, most_events=3) as (one, other):
        async with other.subscribe(ANN) as listening:
            # More at once than is kept: who reads afterwards finds the last of them.
            for n in range(100):
                one.publish(news(n))
            heard = [await hear(listening)]
            while heard[-1] != 99 and heard[-1] != "reset":
                heard.append(await hear(listening))
    assert "reset" in heard or heard == list(range(100))


async def test_what_a_killed_process_held_is_free_after_a_while(redis_server):
    prefix = new_prefix()
    async with redis_locks(redis_server.url, prefix, life_s=1, patience_s=60) as locks:
        async with a_link(redis_server.url, prefix) as link:
            dead = RedisLocks(link, life_s=1)  # it renews nothing
            async with dead.hold("a") as late:
                async with locks.hold("a") as hold:
                    assert hold.fence > late.fence
                    with pytest.raises(LockLost):
                        await late.check()
                    await hold.check()
                    # Who was paused gives nothing back that is not its own any more.
                    await dead._give_back(late)
                    with pytest.raises(LockBusy):
                        async with RedisLocks(link, patience_s=0.05).hold("a", breaking=False):
                            pytest.fail("held twice")


async def test_what_is_held_stays_so_while_redis_is_restarted(own_redis):
    prefix = new_prefix()
    more = {"life_s": 30, "patience_s": 60}
    async with redis_locks(own_redis.url, prefix, **more) as one:
        async with redis_locks(own_redis.url, prefix, **more) as other:
            async with one.hold("a") as hold:
                await asyncio.to_thread(own_redis.stop, signal.SIGKILL)
                waiting = asyncio.create_task(_take(other, "b"))
                await asyncio.to_thread(own_redis.start)
                assert await waiting > hold.fence
                await hold.check()


async def _take(locks, name):
    async with locks.hold(name) as hold:
        return hold.fence


async def test_tokens_grow_although_redis_forgot_them(own_redis):
    async with redis_locks(own_redis.url, new_prefix()) as locks:
        before = await _take(locks, "a")
        await locks._link.client.flushall()
        assert await _take(locks, "a") > before


async def test_without_redis_nothing_is_held(tmp_path):
    async with a_link(f"unix://{tmp_path}/nothing", new_prefix()) as link:
        with pytest.raises(CoordinationError, match="Redis does not answer"):
            async with RedisLocks(link, patience_s=0.1).hold("a"):
                pytest.fail("held")


async def test_a_lock_changes_hands_at_once(redis_server):
    async with processes(redis_server, 2, redis_locks, patience_s=60) as (one, other):
        held = asyncio.Event()

        async def hold_until_asked():
            async with one.hold("a") as hold:
                held.set()
                await hold.asked_for()

        holding = asyncio.create_task(hold_until_asked())
        await held.wait()
        since = time.monotonic()
        async with other.hold("a"):
            print(f"handed over after {time.monotonic() - since:.3f} s")
        await holding


def test_a_url_that_is_none_is_told():
    with pytest.raises(Exception, match="REDIS_URL"):
        RedisLink("http://x")
