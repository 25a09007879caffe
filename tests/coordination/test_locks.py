"""Locks: one holder, newcomers that break them, and tokens that fence the slow."""

from __future__ import annotations

import asyncio

import pytest

from haulier.coordination.locks import MemoryLocks
from haulier.errors import LockBusy, LockLost


async def test_one_holder_at_a_time_and_tokens_grow():
    locks = MemoryLocks()
    inside = 0
    tokens = []

    async def work():
        nonlocal inside
        async with locks.hold("a", breaking=False) as hold:
            inside += 1
            assert inside == 1
            await asyncio.sleep(0)
            await hold.check()
            tokens.append(hold.token)
            inside -= 1

    await asyncio.gather(*(work() for _ in range(50)))
    assert tokens == sorted(set(tokens))
    assert len(tokens) == 50


async def test_names_do_not_meet():
    locks = MemoryLocks(patience_s=10)
    async with locks.hold("a") as one, locks.hold("b") as other:
        await one.check()
        await other.check()


async def test_a_holder_that_is_asked_gives_up_and_the_newcomer_goes_on():
    locks = MemoryLocks(patience_s=10)
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
    async with locks.hold("a") as hold:
        story.append("taken over")
        await hold.check()
    await task
    assert story == ["published", "taken over"]


@pytest.mark.parametrize("breaking", [True, False])
async def test_a_holder_that_does_not_give_up_keeps_the_lock(breaking):
    locks = MemoryLocks(patience_s=0.01)
    async with locks.hold("a") as hold:
        with pytest.raises(LockBusy):
            async with locks.hold("a", breaking=breaking):
                pytest.fail("held twice")
        await hold.check()
        assert hold.wanted.is_set() == breaking
    async with locks.hold("a", breaking=False) as last:
        await last.check()


async def test_a_hold_is_over_when_it_was_given_back():
    locks = MemoryLocks()
    async with locks.hold("a") as hold:
        pass
    with pytest.raises(LockLost):
        await hold.check()


async def test_a_cancelled_waiter_leaves_nothing():
    locks = MemoryLocks(patience_s=10)
    async with locks.hold("a") as hold:
        waiting = asyncio.create_task(anext(aiter(_steps(locks))))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await hold.check()
    async with locks.hold("a", breaking=False):
        pass


async def _steps(locks):
    async with locks.hold("a", breaking=False):
        yield
