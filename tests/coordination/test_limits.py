"""Rate limits: each caller has its share."""

from __future__ import annotations

import time

import pytest

from haulier.coordination.limits import RateLimiter
from haulier.coordination.redis_limits import RedisRateLimiter
from haulier.errors import ConfigurationError, TooManyRequests
from redis_server import a_link, new_prefix


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.servers)])
async def limiters(request):
    """Two limiters that count together: one, or those of two processes."""
    if request.param == "memory":
        limiter = RateLimiter("3/hour")
        yield limiter, limiter
        return
    async with a_link(request.getfixturevalue("redis_server").url, new_prefix()) as link:
        yield tuple(RedisRateLimiter(link, "test", "3/hour") for _ in range(2))


async def test_each_caller_has_its_share(limiters):
    one, other = limiters
    left = [(await limiter.take("a")).remaining for limiter in (one, other, one)]
    assert left == [2, 1, 0]
    with pytest.raises(TooManyRequests) as caught:
        await other.take("a")
    assert 0 < caught.value.retry_after_s <= 3600
    assert (await one.take("b")).headers()["RateLimit-Remaining"] == "2"


async def test_what_came_in_the_window_before_counts_less_and_less():
    now = 600.0
    limiter = RateLimiter("4/minute", clock=lambda: now)
    for _ in range(4):
        allowance = await limiter.take("a")
    assert (allowance.remaining, allowance.reset_s) == (0, 60)
    now = 660.0
    with pytest.raises(TooManyRequests):
        await limiter.take("a")
    now = 690.0
    assert [(await limiter.take("a")).remaining for _ in range(2)] == [1, 0]
    with pytest.raises(TooManyRequests) as caught:
        await limiter.take("a")
    assert caught.value.retry_after_s <= 15, "one of the four before is forgotten then"
    now = 800.0
    assert (await limiter.take("a")).remaining == 3


async def test_without_redis_each_process_counts_for_itself(tmp_path):
    async with a_link(f"unix://{tmp_path}/nothing", new_prefix()) as link:
        limiter = RedisRateLimiter(link, "test", "1/hour")
        assert (await limiter.take("a")).remaining == 0
        with pytest.raises(TooManyRequests):
            await limiter.take("a")


@pytest.mark.parametrize("rate", ["", "often", "3", "x/minute"])
def test_what_is_no_rate_is_told(rate):
    with pytest.raises(ConfigurationError, match="no rate"):
        RateLimiter(rate)


@pytest.mark.parametrize("jump_s", [-86400, 86400])
async def test_a_clock_that_was_set_shuts_nobody_out(jump_s):
    began, ahead_s = time.time(), 0.0
    limiter = RateLimiter("2/minute", clock=lambda: began + ahead_s)
    for _ in range(2):
        await limiter.take("ann")
    with pytest.raises(TooManyRequests):
        await limiter.take("ann")
    ahead_s = jump_s + 120.0
    allowance = await limiter.take("ann")
    assert 0 < allowance.reset_s <= 60
