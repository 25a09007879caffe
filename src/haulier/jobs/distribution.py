"""Jobs told to workers on other hosts by Celery: its messages carry a job's id and nothing else.

The job's row is the truth. A message that is lost, late or comes twice costs time at most: a
worker claims the row first, and looks for rows of which it was not told.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from haulier.core.jobs import Job
from haulier.errors import MissingExtra

if TYPE_CHECKING:
    from celery import Celery

TASK = "haulier.job"
QUEUE = "haulier-jobs"
_MOST_UNTOLD = 10_000
_CONNECT_TIMEOUT_S = 4
_VISIBLE_AGAIN_S = 3600
_log = logging.getLogger("haulier.jobs")


def celery_app(broker_url: str) -> Celery:
    """Return the application of servers and workers that share a broker.

    Args:
        broker_url: of Redis (`redis://`, `rediss://`, `unix://`) or RabbitMQ (`amqp://`, `amqps://`).

    Raises:
        MissingExtra: Celery is not installed.
    """
    try:
        from celery import Celery
    except ModuleNotFoundError as exc:
        raise MissingExtra(
            "jobs are told to workers by Celery, which is not installed",
            hint="Install it with `pip install 'haulier[celery]'`.",
        ) from exc
    broker = broker_url.replace("unix://", "redis+socket://", 1)
    app = Celery("haulier", broker=broker, set_as_current=False)
    options: dict[str, Any] = {}
    if "amqp" not in broker.partition(":")[0]:
        options = {
            "visibility_timeout": _VISIBLE_AGAIN_S,
            "socket_connect_timeout": _CONNECT_TIMEOUT_S,
        }
    app.conf.update(
        accept_content=["json"],
        broker_connection_max_retries=None,
        broker_connection_retry_on_startup=True,
        broker_connection_timeout=_CONNECT_TIMEOUT_S,
        broker_transport_options=options,
        task_acks_late=True,
        task_default_queue=QUEUE,
        task_ignore_result=True,
        task_serializer="json",
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=False,
        worker_prefetch_multiplier=1,
        worker_redirect_stdouts=False,
    )
    return app


class Distributor:
    """Tells workers of new jobs; made inside the event loop, `run` has to be running.

    Args:
        app: with the workers' broker.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._loop = asyncio.get_running_loop()
        self._untold: asyncio.Queue[str] = asyncio.Queue(_MOST_UNTOLD)

    def enqueued(self, job: Job) -> None:
        """A new job is committed; may be called from any thread."""
        self._loop.call_soon_threadsafe(self._take, job.job_id)

    async def run(self) -> None:
        """Tell, until cancelled."""
        while True:
            job_id = await self._untold.get()
            try:
                await asyncio.to_thread(self._tell, job_id)
            except Exception as exc:  # noqa: BLE001  # brokers raise what they like
                # Workers look for what they were not told of.
                _log.warning("workers were not told of a job: %s", type(exc).__name__)

    def _take(self, job_id: str) -> None:
        if not self._untold.full():
            self._untold.put_nowait(job_id)

    def _tell(self, job_id: str) -> None:
        self._app.send_task(TASK, [job_id], retry=False)
