"""What the routes work with, put together once."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from haulier.catalog.catalog import Catalog
from haulier.coordination.bells import Bell, MemoryBell
from haulier.coordination.events import EventBus
from haulier.coordination.limits import Limiter
from haulier.errors import HaulierError
from haulier.files.accounts import Accounts
from haulier.files.admission import Admission
from haulier.files.audit import AuditLog, audit_key
from haulier.files.data_directory import held_directory
from haulier.files.events import FileEvents
from haulier.files.folders import Folders
from haulier.files.library import Library
from haulier.files.links import Links
from haulier.files.outside import OutsideTokens
from haulier.files.permissions import Permissions
from haulier.files.reception import Reception
from haulier.files.removal import Removal
from haulier.files.scanning import ScanPolicy
from haulier.files.shares import Shares
from haulier.files.tickets import Tickets
from haulier.files.tokens import Tokens
from haulier.files.upload_links import UploadLinks
from haulier.files.webhooks import Webhooks
from haulier.jobs.file_jobs import FileJobs
from haulier.jobs.packing_jobs import PackingJobs
from haulier.jobs.picture_requests import Pictures
from haulier.jobs.queue_watch import QueueWatch
from haulier.jobs.recorded_files import RecordedFiles
from haulier.jobs.runner import Runner
from haulier.journeys.recording.manager import OfflineAudioManager
from haulier.journeys.recording.syncing import Syncing
from haulier.media.advice import CompressionStrategy
from haulier.media.isolation import Workers
from haulier.server.beside import beside, forever
from haulier.server.bucket_check import BucketCheck
from haulier.server.catalogs import open_catalog
from haulier.server.configured import (
    outside_of,
    packs_files,
    scan_policy_of,
    scanner_of,
    tokens_of,
)
from haulier.server.coordinating import open_coordination
from haulier.server.downloads import Downloads
from haulier.server.hook_services import open_hooks
from haulier.server.job_services import open_jobs
from haulier.server.recording_services import open_recordings
from haulier.server.stages import open_stage
from haulier.server.upload_services import swept, upload_services
from haulier.settings import Settings
from haulier.transfer.sessions.engine import SessionEngine
from haulier.transfer.sessions.joining import Joiner
from haulier.transfer.sessions.staging import RemoteStage, Stage

_REMOVE_EVERY_S = 60
_log = logging.getLogger("haulier.server")


@dataclass(frozen=True, slots=True)
class Services:
    """What the routes work with."""

    settings: Settings
    catalog: Catalog
    accounts: Accounts
    shares: Shares
    permissions: Permissions
    upload_links: UploadLinks
    links: Links
    audit: AuditLog
    tokens: Tokens
    stage: Stage
    downloads: Downloads
    engine: SessionEngine
    joiner: Joiner
    library: Library
    folders: Folders
    removal: Removal
    scan_policy: ScanPolicy
    file_jobs: FileJobs
    pictures: Pictures
    recordings: OfflineAudioManager
    syncing: Syncing
    strategy: CompressionStrategy
    sign_in_limit: Limiter
    api_limit: Limiter
    tickets: Tickets
    events: EventBus
    agree: Callable[[], Awaitable[None]] | None
    bucket: BucketCheck | None
    outside: OutsideTokens | None
    webhooks: Webhooks
    runner: Runner


@asynccontextmanager
async def open_services(
    settings: Settings, *, jobs_at_once: int | None = None
) -> AsyncIterator[Services]:
    """Put the services together, mend what a crash left; sweep and do jobs while the block runs.

    Args:
        settings: of the server.
        jobs_at_once: in a process that is there to do jobs, how many. Others do them only where
            no broker is named that tells workers of them.

    Raises:
        ConfigurationError: settings that can't be, or don't go together; or a newer haulier made
            the data directory.
        OperationBusy: another server works on the data directory.
        CatalogError: the catalog can't be used; where PostgreSQL is away it is waited for first.
    """
    # What may be refused comes before anything is opened.
    tokens, policy, scanner = tokens_of(settings), scan_policy_of(settings), scanner_of(settings)
    packs = packs_files(settings)
    async with AsyncExitStack() as stack:
        # A database and locks that several servers share let them share the directory as well.
        shared = settings.general.redis_url is not None and not settings.has_catalog_file
        stack.enter_context(held_directory(settings.general.data, shared=shared))
        catalog = await stack.enter_async_context(await open_catalog(settings))
        stage = await stack.enter_async_context(open_stage(settings, catalog))
        removable, workers = MemoryBell(), Workers()
        coordination = await stack.enter_async_context(open_coordination(settings))
        bus = coordination.events
        hooks = await stack.enter_async_context(open_hooks(settings, catalog))
        told = await stack.enter_async_context(open_jobs(settings, jobs_at_once))
        events = FileEvents(bus, write_down=hooks.webhooks.tell)
        audit = AuditLog(catalog, audit_key(settings.general.data))
        admission = Admission(settings.server.allowed_types, stage=stage, workers=workers)
        uploads = upload_services(
            settings,
            catalog,
            stage,
            coordination.locks,
            hooks=Reception(
                events,
                scans=policy.scans,
                packs=packs,
                admit=admission.check_claims,
                enqueued=told.enqueued,
                audit=audit,
            ),
            inspect=admission.check_content,
            ask=hooks.ask,
        )
        file_jobs = FileJobs(
            catalog=catalog,
            stage=stage,
            finisher=uploads.finisher,
            scanner=scanner,
            workers=workers,
            events=events,
            data=settings.general.data,
        )
        recordings = await stack.enter_async_context(
            open_recordings(
                settings, catalog, uploads.engine, workers=workers, enqueued=told.enqueued
            )
        )
        # Beside what is made of those kept here; no user's directory begins with a point.
        recorded = RecordedFiles(
            files=file_jobs, directory=settings.recordings_dir / ".files", workers=workers
        )

        async def remove(content_id: str) -> None:
            await recorded.remove(content_id)
            await file_jobs.remove(content_id)

        library = Library(catalog, events, removable=removable.ring)
        removal = _removal_of(settings, catalog, library, remove)
        runner = Runner(
            catalog=catalog,
            kinds=[
                *file_jobs.kinds(),
                *recorded.kinds(),
                PackingJobs(catalog, stage, packs=packs).kind(),
                *recordings.jobs.kinds(),
            ],
            changed=events.job_changed,
            **told.how,
        )
        watch = QueueWatch(
            catalog=catalog,
            recordings=recordings.manager.count_queued,
            tell=events.queue_watched,
        )
        services = Services(
            settings=settings,
            catalog=catalog,
            accounts=Accounts(catalog),
            shares=Shares(catalog, tokens, events),
            permissions=Permissions(catalog, events),
            upload_links=UploadLinks(catalog, tokens),
            links=Links(catalog, tokens),
            audit=audit,
            tokens=tokens,
            stage=stage,
            downloads=_downloads_of(settings, stage, events),
            engine=uploads.engine,
            joiner=uploads.joiner,
            library=library,
            folders=Folders(catalog, events),
            removal=removal,
            scan_policy=policy,
            file_jobs=file_jobs,
            pictures=Pictures(catalog, file_jobs.pictures, events, enqueued=told.enqueued),
            recordings=recordings.manager,
            syncing=recordings.syncing,
            strategy=CompressionStrategy(workers=workers),
            sign_in_limit=coordination.limiter("sign-in", settings.server.rate_limit_sign_in),
            api_limit=coordination.limiter("api", settings.server.rate_limit_api),
            tickets=Tickets(coordination.vouchers),
            events=bus,
            agree=coordination.check,
            bucket=BucketCheck(stage.check) if isinstance(stage, RemoteStage) else None,
            outside=outside_of(settings),
            webhooks=hooks.webhooks,
            runner=runner,
        )
        file_jobs.forget_copies()
        async with (
            workers,
            swept(uploads.sweeper),
            beside(runner.run() if told.does_jobs else forever()),
            beside(hooks.runner.run()),
            beside(watch.run()),
            beside(_remove_forever(removal, removable)),
        ):
            yield services


def _downloads_of(settings: Settings, stage: Stage, events: FileEvents) -> Downloads:
    return Downloads(
        stage,
        redirects=settings.server.download_mode == "redirect",
        x_accel_prefix=settings.server.x_accel_prefix,
        sent=events.file_downloaded,
    )


def _removal_of(
    settings: Settings,
    catalog: Catalog,
    library: Library,
    remove: Callable[[str], Awaitable[None]],
) -> Removal:
    days = settings.server.trash_retention_days
    return Removal(
        catalog=catalog,
        library=library,
        remove=remove,
        kept_for=timedelta(days=days) if days else None,
    )


async def _remove_forever(removal: Removal, bell: Bell) -> None:
    while True:
        seen = bell.count
        try:
            await removal.sweep()
        except HaulierError as exc:
            _log.error("removing deleted files failed: %s", exc.message)
        await bell.wait(seen, _REMOVE_EVERY_S)
