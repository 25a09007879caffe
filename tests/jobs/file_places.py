"""What follows an upload, put together as a server does: engine, catalog, jobs and decoders."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest

from catalogs import new_sqlite
from haulier.catalog.catalog import Catalog
from haulier.coordination.bells import MemoryBell
from haulier.coordination.events import MemoryEventBus
from haulier.core.accounts import Role
from haulier.core.jobs import JobState
from haulier.core.sessions.session import Order
from haulier.files.accounts import Accounts
from haulier.files.events import FileEvents
from haulier.files.reception import Reception
from haulier.jobs.file_jobs import FileJobs
from haulier.jobs.packing_jobs import PackingJobs
from haulier.jobs.picture_requests import Pictures
from haulier.jobs.runner import Runner
from haulier.media.isolation import Workers
from haulier.transfer.sessions.engine import NewUpload
from sessions_engine import Receiving, body_of, build


@dataclass
class Place:
    catalog: Catalog
    receiving: Receiving
    file_jobs: FileJobs
    pictures: Pictures
    runner: Runner
    owner: str
    bus: MemoryEventBus

    async def upload(self, content, name="notes.txt", **more):
        session = await self.receiving.engine.start(
            NewUpload(
                owner_id=self.owner,
                name=name,
                size_bytes=len(content),
                order=Order.SEQUENTIAL,
                **more,
            )
        )
        if content:
            session = await self.receiving.engine.append(session.session_id, 0, body_of(content))
        return session

    async def stored(self, session):
        return await self.catalog.read(lambda tx: tx.stored.get(session.file_id))

    async def jobs(self, session):
        return {job.kind: job for job in await self.all_jobs(session)}

    async def all_jobs(self, session):
        return await self.catalog.read(lambda tx: tx.jobs.of_subject(session.file_id))

    async def settled(self, session):
        """The jobs about a file, once each of them ended."""
        living = {JobState.PENDING, JobState.RUNNING}
        while any(job.state in living for job in await self.all_jobs(session)):
            await asyncio.sleep(0.01)
        return await self.jobs(session)

    @asynccontextmanager
    async def at_work(self):
        task = asyncio.create_task(self.runner.run())
        try:
            yield
        finally:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


@asynccontextmanager
async def opened(tmp_path, scanner=None, *, packs=False, plain_kept_for=timedelta(0), **more):
    async with (
        await Catalog.open(new_sqlite(tmp_path / "catalog.db")) as catalog,
        Workers(count=1) as workers,
    ):
        bell = MemoryBell()
        bus = MemoryEventBus()
        events = FileEvents(bus)
        hooks = Reception(
            events, scans=scanner is not None, packs=packs, enqueued=lambda _job: bell.ring()
        )
        receiving = build(tmp_path, catalog, ledger=hooks)
        file_jobs = FileJobs(
            catalog=catalog,
            stage=receiving.stage,
            finisher=receiving.finisher,
            scanner=scanner,
            workers=workers,
            events=events,
            data=tmp_path,
        )
        packing = PackingJobs(catalog, receiving.stage, packs=packs, plain_kept_for=plain_kept_for)
        runner = Runner(
            catalog=catalog,
            kinds=[*file_jobs.kinds(), packing.kind()],
            bell=bell,
            poll_s=0.1,
            changed=events.job_changed,
            **more,
        )
        owner = await Accounts(catalog).add("ann", Role.USER, quota_bytes=1 << 24)
        pictures = Pictures(catalog, file_jobs.pictures, events, enqueued=lambda _job: bell.ring())
        yield Place(catalog, receiving, file_jobs, pictures, runner, owner.user_id, bus)
        await receiving.stage.aclose()
