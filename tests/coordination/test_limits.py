"""Rate limits: each caller has its share."""

from __future__ import annotations

import pytest

from haulier.coordination.limits import RateLimiter
from haulier.errors import ConfigurationError, TooManyRequests


def test_each_caller_has_its_share():
    limiter = RateLimiter("3/hour")
    assert [limiter.take("a").remaining for _ in range(3)] == [2, 1, 0]
    with pytest.raises(TooManyRequests) as caught:
        limiter.take("a")
    assert 0 < caught.value.retry_after_s <= 3600
    assert limiter.take("b").headers()["RateLimit-Remaining"] == "2"


@pytest.mark.parametrize("rate", ["", "often", "3", "x/minute"])
def test_what_is_no_rate_is_told(rate):
    with pytest.raises(ConfigurationError, match="no rate"):
        RateLimiter(rate)
