"""Trying again, for what may work the second time.

Only `errors.Transient` is retried. Where the far end named a time to wait, that time is
waited; elsewhere waits double from one attempt to the next, with a random share so that
clients that failed together do not come back together.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import stamina

from haulier import errors

T = TypeVar("T")

MAX_RETRY_AFTER_S = 300.0
"""Longer than this nobody waits in place: the error is raised, with the time it names."""
JITTER_S = 1.0


async def retrying(
    work: Callable[[], Awaitable[T]],
    *,
    attempts: int = 6,
    timeout_s: float | None = None,
    wait_initial_s: float = 0.2,
    wait_max_s: float = 20.0,
) -> T:
    """Call `work` until it returns, and return what it returns.

    Args:
        work: called afresh for each attempt, so it must open its bodies itself.
        attempts: how often it is called at most.
        timeout_s: no new attempt begins this many seconds after the first; None sets no
            such limit.
        wait_initial_s: seconds before the second attempt; each further wait is twice as
            long. Up to one random second is added to each.
        wait_max_s: the longest of these waits, random share included (0: no waiting). A
            time named by the far end is waited in full, up to `MAX_RETRY_AFTER_S`.

    Raises:
        errors.Transient: the last one, when attempts or time are used up.
        Exception: whatever else `work` raises, at once.
    """
    call = stamina.AsyncRetryingCaller(
        attempts=attempts,
        timeout=timeout_s,
        wait_initial=wait_initial_s,
        wait_max=wait_max_s,
        wait_jitter=JITTER_S,
    )
    return await call(_backoff, work)


def _backoff(error: Exception) -> bool | float:
    if not isinstance(error, errors.Transient):
        return False
    if error.retry_after_s is None:
        return True
    if error.retry_after_s > MAX_RETRY_AFTER_S:
        return False
    return max(0.0, float(error.retry_after_s))
