"""Who does the jobs: this process, or workers that Celery tells of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from haulier.coordination.bells import MemoryBell
from haulier.core.jobs import Job
from haulier.jobs.distribution import Distributor, celery_app
from haulier.server.beside import beside
from haulier.settings import Settings

# What a worker was told of begins within this time, unless all are busy.
_GRACE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsTold:
    """How jobs come to those who do them.

    Args:
        enqueued: to be called after the commit of each new job, from any thread.
        does_jobs: whether this process does jobs.
        how: what its runner is made with for that.
    """

    enqueued: Callable[[Job], None]
    does_jobs: bool
    how: dict[str, Any]


@asynccontextmanager
async def open_jobs(settings: Settings, jobs_at_once: int | None) -> AsyncIterator[JobsTold]:
    """Let jobs be told of while the block runs; see `open_services`.

    Raises:
        MissingExtra: a broker is named, and Celery is not installed.
    """
    bell, broker = MemoryBell(), settings.general.celery_broker_url
    how: dict[str, Any] = {"bell": bell}
    if broker is None:
        yield JobsTold(enqueued=lambda _job: bell.ring(), does_jobs=True, how=how)
        return
    distributor = Distributor(celery_app(broker.get_secret_value()))
    if jobs_at_once is not None:
        how |= {"at_once": jobs_at_once, "grace_s": _GRACE_S}
    async with beside(distributor.run()):
        yield JobsTold(enqueued=distributor.enqueued, does_jobs=jobs_at_once is not None, how=how)
