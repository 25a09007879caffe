"""Takes from a broker the ids of jobs that are to be done."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import TYPE_CHECKING

from haulier.jobs.distribution import TASK

if TYPE_CHECKING:
    from celery import Celery

_AGAIN_AFTER_S = 1.0

Do = Callable[[str], "Future[bool]"]
"""Begins the job with that id in the event loop that does jobs."""


def consume(
    make_app: Callable[[], Celery], do: Do, *, at_once: int, ready: Callable[[], None]
) -> None:
    """Do what the broker tells of until SIGTERM or SIGINT; runs in the main thread.

    Args:
        make_app: returns an application with the broker.
        do: does a job; what is not done by it is found in the catalog.
        at_once: how many at once.
        ready: called when the broker is listened to.
    """
    from celery import signals

    under_way: set[Future[bool]] = set()
    stopping = threading.Event()

    def job(job_id: str) -> None:
        doing = do(job_id)
        under_way.add(doing)
        with suppress(CancelledError):
            try:
                doing.result()
            finally:
                under_way.discard(doing)

    def stop(**_: object) -> None:
        stopping.set()
        # Jobs may take long; one that is cancelled is given back, and done by another worker.
        for doing in list(under_way):
            doing.cancel()

    def begun(**_: object) -> None:
        ready()

    signals.worker_shutting_down.connect(stop)
    signals.worker_ready.connect(begun)
    while not stopping.is_set():
        app = make_app()
        app.task(job, name=TASK)
        # Threads: what they do is wait for the loop.
        worker = app.Worker(
            pool="threads",
            concurrency=at_once,
            loglevel="WARNING",
            quiet=True,
            without_gossip=True,
            without_heartbeat=True,
            without_mingle=True,
        )
        # It ends unasked when a Redis that it lost stays away (kombu 5.7 trips over that).
        worker.start()
        stopping.wait(_AGAIN_AFTER_S)
