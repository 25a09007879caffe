"""A process that does a server's jobs: the services in a thread, the broker in the main one."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from haulier.jobs.celery_worker import consume
from haulier.jobs.distribution import celery_app
from haulier.jobs.runner import Runner
from haulier.server.services import open_services
from haulier.settings import Settings


@dataclass(frozen=True, slots=True)
class _Opened:
    loop: asyncio.AbstractEventLoop
    runner: Runner
    stop: asyncio.Event


def work(settings: Settings, broker_url: str, *, at_once: int, ready: Callable[[], None]) -> None:
    """Do jobs until SIGTERM or SIGINT.

    Args:
        settings: of the server whose jobs these are.
        broker_url: tells of them.
        at_once: how many at once.
        ready: called when it begins to wait for jobs.

    Raises:
        HaulierError: the services can't be opened, for the reasons of a server.
    """
    celery_app(broker_url)  # what is missing is told before anything is opened
    opening: Future[_Opened] = Future()
    # A daemon, as it may wait for PostgreSQL when somebody interrupts.
    thread = threading.Thread(
        target=lambda: asyncio.run(_keep_open(settings, at_once, opening)), name="jobs", daemon=True
    )
    thread.start()
    opened = opening.result()

    def do(job_id: str) -> Future[bool]:
        return asyncio.run_coroutine_threadsafe(opened.runner.do(job_id), opened.loop)

    try:
        consume(lambda: celery_app(broker_url), do, at_once=at_once, ready=ready)
    finally:
        if thread.is_alive():
            opened.loop.call_soon_threadsafe(opened.stop.set)
        thread.join()


async def _keep_open(settings: Settings, at_once: int, opening: Future[_Opened]) -> None:
    stop = asyncio.Event()
    try:
        async with open_services(settings, jobs_at_once=at_once) as services:
            opening.set_result(_Opened(asyncio.get_running_loop(), services.runner, stop))
            await stop.wait()
    except Exception as exc:
        if opening.done():
            raise
        opening.set_exception(exc)
    finally:
        if not stop.is_set() and opening.exception() is None:
            # Without its services the process is of no use to anybody.
            os.kill(os.getpid(), signal.SIGTERM)
