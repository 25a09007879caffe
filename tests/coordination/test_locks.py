"""Locks: one holder, newcomers that break them, and tokens that fence the slow."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from haulier.coordination.locks import MemoryLocks
from haulier.errors import LockBusy, LockLost
from redis_server import new_prefix, redis_locks

IN_REDIS = pytest.mark.servers


@pytest.fixture(
    params=[
        "memory",
        pytest.param("one process", marks=IN_REDIS),
        pytest.param("two processes", marks=IN_REDIS),
    ]
)
async def make_locks(request):
    """Makes locks twice, which have to agree: of this process, or of one or two by Redis."""
    if request.param == "memory":

        async def in_memory(**more):
            locks = MemoryLocks(**more)
            return locks, locks

        yield in_memory
        return
    url, prefix = request.getfixturevalue("redis_server").url, new_prefix()
    async with AsyncExitStack() as stack:

        async def in_redis(**more):
            one = await stack.enter_async_context(redis_locks(url, prefix, **more))
            if request.param == "one process":
                return one, one
            return one, await stack.enter_async_context(redis_locks(url, prefix, **more))

        yield in_redis


async def test_one_holder_at_a_time_and_tokens_grow(make_locks):
    locks, others = await make_locks(patience_s=60)
    inside = 0
    tokens = []

    async def work(number):
        nonlocal inside
        chosen = others if number % 2 else locks
        async with chosen.hold("a", breaking=False) as hold:
            inside += 1
            assert inside == 1
            await asyncio.sleep(0)
            await hold.check()
            tokens.append(hold.token)
            inside -= 1

    await asyncio.gather(*(work(number) for number in range(20)))
    assert tokens == sorted(set(tokens))
    assert len(tokens) == 20


async def test_names_do_not_meet(make_locks):
    locks, others = await make_locks(patience_s=10)
    async with locks.hold("a") as one, others.hold("b") as other:
        await one.check()
        await other.check()


async def test_a_holder_that_is_asked_gives_up_and_the_newcomer_goes_on(make_locks):
    locks, others = await make_locks(patience_s=10)
    held = asyncio.Event()
    story = []

    async def holder():
        async with locks.hold("a") as hold:
            held.set()
            await hold.asked_for()
            await hold.check()
            story.append("published")

    task = asyncio.create_task(holder())
    await held.wait()
    async with others.hold("a") as hold:
        story.append("taken over")
        await hold.check()
    await task
    assert story == ["published", "taken over"]


@pytest.mark.parametrize("breaking", [True, False])
async def test_a_holder_that_does_not_give_up_keeps_the_lock(breaking, make_locks):
    locks, others = await make_locks(patience_s=0.01)
    async with locks.hold("a") as hold:
        with pytest.raises(LockBusy):
            async with others.hold("a", breaking=breaking):
                pytest.fail("held twice")
        await hold.check()
        if breaking:
            await hold.asked_for()
    async with locks.hold("a", breaking=False) as last:
        await last.check()


async def test_a_hold_is_over_when_it_was_given_back(make_locks):
    locks, _ = await make_locks()
    async with locks.hold("a") as hold:
        pass
    with pytest.raises(LockLost):
        await hold.check()


async def test_a_cancelled_waiter_leaves_nothing(make_locks):
    locks, others = await make_locks(patience_s=10)
    async with locks.hold("a") as hold:
        waiting = asyncio.create_task(anext(aiter(_steps(others))))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await hold.check()
    async with locks.hold("a", breaking=False):
        pass


async def _steps(others):
    async with others.hold("a", breaking=False):
        yield
