"""Work in threads that is over when its caller goes on, cancelled or not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[[threading.Event], T], threads: Executor | None = None) -> T:
    """Run `work` in a thread; when cancelled, set its event and wait until it has ended.

    Nothing is written any more once this returns, however it returns.

    Args:
        work: is given an event that says when to stop.
        threads: which run it; without them the event loop's.
    """
    stop = threading.Event()
    running = asyncio.get_running_loop().run_in_executor(threads, work, stop)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait([running])
        if not running.cancelled():
            running.exception()
        raise
