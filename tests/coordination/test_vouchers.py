"""Vouchers: given out once, and not for long."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from haulier.coordination.vouchers import MemoryVouchers, RedisVouchers
from redis_server import a_link, new_prefix


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.servers)])
async def vouchers(request):
    """Vouchers of one process, or those of two."""
    if request.param == "memory":
        one = MemoryVouchers()
        yield one, one
        return
    async with a_link(request.getfixturevalue("redis_server").url, new_prefix()) as link:
        yield RedisVouchers(link), RedisVouchers(link)


async def test_the_first_who_asks_gets_it(vouchers):
    one, other = vouchers
    await one.put("name", "what", 60)
    found = await asyncio.gather(*(which.take("name") for which in (one, other) * 10))
    assert sorted(found, key=str) == [None] * 19 + ["what"]
    assert await other.take("another") is None


async def test_what_is_too_old_is_not_given_out_and_not_kept():
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    vouchers = MemoryVouchers(now=lambda: moment)
    for name in ("a", "b", "c"):
        await vouchers.put(name, "what", 60)
    moment += timedelta(seconds=59)
    assert await vouchers.take("a") == "what"
    moment += timedelta(seconds=1)
    assert await vouchers.take("b") is None
    await vouchers.put("d", "what", 60)
    assert list(vouchers._kept) == ["d"]
