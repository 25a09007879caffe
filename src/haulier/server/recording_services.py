"""The recordings of a server: kept, sent on, and swept while it runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from haulier.catalog.catalog import Catalog
from haulier.core.jobs import Job
from haulier.errors import HaulierError
from haulier.jobs.recording_jobs import RecordingJobs
from haulier.journeys.recording.manager import OfflineAudioManager
from haulier.journeys.recording.opening import sender_of
from haulier.journeys.recording.sending import OwnFiles
from haulier.journeys.recording.syncing import Syncing
from haulier.media.isolation import Workers
from haulier.server.beside import beside
from haulier.settings import Settings
from haulier.transfer.sessions.engine import SessionEngine

_SWEEP_EVERY_S = 24 * 3600
_log = logging.getLogger("haulier.recordings")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingServices:
    """What keeps recordings, what sends them, and what is done to those that were sent."""

    manager: OfflineAudioManager
    syncing: Syncing
    jobs: RecordingJobs


@asynccontextmanager
async def open_recordings(
    settings: Settings,
    catalog: Catalog,
    engine: SessionEngine,
    *,
    workers: Workers,
    enqueued: Callable[[Job], None],
) -> AsyncIterator[RecordingServices]:
    """Mend what a crash left of recordings; send and sweep them while the block runs.

    Args:
        settings: where they are kept, and where they are sent.
        catalog: where their jobs are recorded.
        engine: takes those that become files of this server.
        workers: where sound is decoded.
        enqueued: called after the commit of each job.

    Raises:
        ConfigurationError: SYNC_TO names a place that recordings can't be sent to.
    """
    manager = OfflineAudioManager.of_settings(settings)
    jobs = RecordingJobs(catalog=catalog, manager=manager, workers=workers, enqueued=enqueued)
    async with AsyncExitStack() as stack:
        sender = sender_of(settings, catalog, stack, own_files=OwnFiles(engine, catalog))
        await manager.mend()
        await jobs.take_up()

        async def count(more: Mapping[str, int]) -> None:
            await catalog.transaction(lambda tx: tx.watch.count(more))

        syncing = await stack.enter_async_context(
            Syncing(manager, sender, process=jobs.process, count=count)
        )
        days = settings.recordings.audio_failed_retention_days
        async with beside(syncing.run()), beside(_sweep_forever(manager, days)):
            yield RecordingServices(manager=manager, syncing=syncing, jobs=jobs)


async def _sweep_forever(manager: OfflineAudioManager, days: int) -> None:
    while True:
        for user_id in await manager.users():
            try:
                swept = await manager.sweep(user_id, days)
            except HaulierError as exc:
                _log.error("recordings of %s were not swept: %s", user_id, exc.message)
                continue
            for recording_id in swept.moved:
                _log.warning("the recording %s failed long ago and went to the trash", recording_id)
            for recording_id in swept.removed:
                _log.warning("the recording %s was removed from the trash", recording_id)
        await asyncio.sleep(_SWEEP_EVERY_S)
