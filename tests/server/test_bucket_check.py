"""How the server remembers whether its bucket answered."""

from __future__ import annotations

import asyncio

from haulier.errors import AccessDenied
from haulier.server.bucket_check import BucketCheck


async def test_however_many_ask_the_bucket_is_asked_once_in_a_while():
    asked, now = 0, 0.0

    async def ask():
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        if asked > 1:
            raise AccessDenied("not yours")

    check = BucketCheck(ask, kept_s=5, clock=lambda: now)
    assert await asyncio.gather(*(check.state() for _ in range(9))) == ["ok"] * 9
    assert asked == 1
    now = 5.0
    assert [await check.state(), await check.state()] == ["access-denied"] * 2
    assert asked == 2


async def test_a_bucket_that_does_not_answer_is_not_waited_for():
    check = BucketCheck(asyncio.Event().wait, patience_s=0.01)
    assert await check.state() == "timed-out"
