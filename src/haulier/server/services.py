"""What the routes work with, put together once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from haulier.catalog.catalog import Catalog
from haulier.coordination.bells import Bell, MemoryBell
from haulier.coordination.events import EventBus, MemoryEventBus
from haulier.coordination.limits import RateLimiter
from haulier.coordination.locks import MemoryLocks
from haulier.errors import ConfigurationError, HaulierError
from haulier.files.accounts import Accounts
from haulier.files.admission import Admission
from haulier.files.audit import AuditLog, audit_key
from haulier.files.events import FileEvents
from haulier.files.folders import Folders
from haulier.files.library import Library
from haulier.files.links import Links
from haulier.files.outside import OutsideTokens
from haulier.files.reception import Reception
from haulier.files.removal import Removal
from haulier.files.scanning import ScanPolicy
from haulier.files.secret import kept_secret
from haulier.files.shares import Shares
from haulier.files.tickets import Tickets
from haulier.files.tokens import SHORTEST_SECRET, Tokens
from haulier.jobs.file_jobs import FileJobs
from haulier.jobs.recording_jobs import RecordingJobs
from haulier.jobs.runner import Runner
from haulier.journeys.recording.manager import OfflineAudioManager
from haulier.journeys.recording.syncing import Syncing
from haulier.media.advice import CompressionStrategy
from haulier.media.clamd import Clamd
from haulier.media.isolation import Workers
from haulier.media.scan import Scanner
from haulier.server.beside import beside
from haulier.server.downloads import Downloads
from haulier.server.issuer import fetch_keys
from haulier.server.recording_services import open_syncing
from haulier.server.stages import open_stage
from haulier.settings import Settings
from haulier.transfer.sessions.engine import SessionEngine
from haulier.transfer.sessions.finishing import Finisher
from haulier.transfer.sessions.joining import Joiner
from haulier.transfer.sessions.order import HashesInOrder
from haulier.transfer.sessions.staging import JoiningStage, Stage
from haulier.transfer.sessions.sweeping import Sweeper

_SWEEP_EVERY_S = 60
_FEWEST_CHARACTERS = 10
_log = logging.getLogger("haulier.server")


@dataclass(frozen=True, slots=True)
class Services:
    """What the routes work with."""

    settings: Settings
    catalog: Catalog
    accounts: Accounts
    shares: Shares
    links: Links
    audit: AuditLog
    tokens: Tokens
    stage: Stage
    downloads: Downloads
    engine: SessionEngine
    finisher: Finisher
    joiner: Joiner | None
    sweeper: Sweeper
    library: Library
    folders: Folders
    removal: Removal
    scan_policy: ScanPolicy
    file_jobs: FileJobs
    recordings: OfflineAudioManager
    syncing: Syncing
    recording_jobs: RecordingJobs
    strategy: CompressionStrategy
    sign_in_limit: RateLimiter
    api_limit: RateLimiter
    tickets: Tickets
    events: EventBus
    outside: OutsideTokens | None


def tokens_of(settings: Settings) -> Tokens:
    """Return what signs and reads tokens.

    Raises:
        ConfigurationError: in production without JWT_SECRET_KEY, or with a short one anywhere.
    """
    given = settings.server.jwt_secret_key
    in_production = settings.general.environment == "production"
    if given is not None:
        secret = given.get_secret_value()
        if in_production and len(set(secret)) < _FEWEST_CHARACTERS:
            raise ConfigurationError(
                "the secret that signs tokens can be guessed",
                hint="Set JWT_SECRET_KEY to the output of `openssl rand -hex 32`.",
            )
        return Tokens(secret)
    if in_production:
        raise ConfigurationError(
            "in production the secret that signs tokens must be given",
            hint=f"Set JWT_SECRET_KEY to at least {SHORTEST_SECRET} random characters.",
        )
    return Tokens(kept_secret(settings.general.data / "jwt-secret"))


def scan_policy_of(settings: Settings) -> ScanPolicy:
    """Return which files are served.

    Raises:
        ConfigurationError: they are to wait for a scanner, and there is none.
    """
    given, scans = settings.server.scan_policy, settings.server.clamd_url is not None
    if given == "block" and not scans:
        raise ConfigurationError(
            "SCAN_POLICY=block makes files wait for a scanner, and there is none",
            hint="Set CLAMD_URL to where ClamAV's daemon listens, or SCAN_POLICY to allow.",
        )
    return ScanPolicy(
        scans=scans,
        serves_pending=given == "allow",
        serves_errors=settings.server.scan_on_error == "allow",
    )


def scanner_of(settings: Settings) -> Scanner | None:
    """Return what looks for malware, if anything does.

    Raises:
        ConfigurationError: CLAMD_URL can't be.
    """
    url, max_bytes = settings.server.clamd_url, settings.server.clamd_max_file_mb << 20
    if url is None:
        return None
    return Clamd(url, max_stream_bytes=max_bytes, max_file_bytes=max_bytes)


def outside_of(settings: Settings) -> OutsideTokens | None:
    """Return what reads an outside issuer's tokens, or None when none is named."""
    server = settings.server
    if server.jwt_issuer is None or server.jwt_audience is None:
        return None
    shared = None if server.jwt_secret_key is None else server.jwt_secret_key.get_secret_value()
    url = server.jwt_jwks_url
    return OutsideTokens(
        issuer=server.jwt_issuer,
        audience=server.jwt_audience,
        fetch=None if url is None else lambda: fetch_keys(url),
        # Whoever publishes keys signs with them; the secret is ours alone then.
        secret=shared if url is None else None,
    )


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Put the services together, mend what a crash left; sweep and do jobs while the block runs."""
    tokens, policy, scanner = tokens_of(settings), scan_policy_of(settings), scanner_of(settings)
    data = settings.general.data
    async with (
        await Catalog.open(settings.catalog_url) as catalog,
        open_stage(settings, catalog) as stage,
        AsyncExitStack() as stack,
    ):
        locks, hashes, bell, removable = MemoryLocks(), HashesInOrder(), MemoryBell(), MemoryBell()
        bus = MemoryEventBus()
        events = FileEvents(bus)
        audit = AuditLog(catalog, audit_key(data))
        workers = Workers()
        admission = Admission(settings.server.allowed_types, stage=stage, workers=workers)
        hooks = Reception(
            events,
            scans=policy.scans,
            admit=admission.check_claims,
            enqueued=bell.ring,
            audit=audit,
        )
        finisher = Finisher(
            catalog=catalog,
            stage=stage,
            hashes=hashes,
            locks=locks,
            hooks=hooks,
            inspect=admission.check_content,
        )
        engine = SessionEngine(
            catalog=catalog,
            stage=stage,
            finisher=finisher,
            hashes=hashes,
            locks=locks,
            hooks=hooks,
            lifetime=timedelta(hours=settings.server.upload_session_ttl_hours),
            most_bytes=settings.server.max_file_size,
        )
        joiner = None
        if isinstance(stage, JoiningStage):
            joiner = Joiner(
                catalog=catalog,
                stage=stage,
                finisher=finisher,
                locks=locks,
                hooks=hooks,
                most_bytes=settings.server.max_file_size,
            )
        sweeper = Sweeper(
            catalog=catalog, stage=stage, finisher=finisher, joiner=joiner, locks=locks
        )
        file_jobs = FileJobs(
            catalog=catalog,
            stage=stage,
            finisher=finisher,
            scanner=scanner,
            workers=workers,
            events=events,
            data=data,
        )
        recordings = OfflineAudioManager.of_settings(settings)
        recording_jobs = RecordingJobs(
            catalog=catalog, manager=recordings, workers=workers, enqueued=bell.ring
        )
        syncing = await stack.enter_async_context(
            open_syncing(settings, catalog, engine, recordings, recording_jobs)
        )
        library = Library(catalog, events, removable=removable.ring)
        kept_days = settings.server.trash_retention_days
        removal = Removal(
            catalog=catalog,
            library=library,
            remove=file_jobs.remove,
            kept_for=timedelta(days=kept_days) if kept_days else None,
        )
        services = Services(
            settings=settings,
            catalog=catalog,
            accounts=Accounts(catalog),
            shares=Shares(catalog, tokens),
            links=Links(catalog, tokens),
            audit=audit,
            tokens=tokens,
            stage=stage,
            downloads=Downloads(
                stage,
                redirects=settings.server.download_mode == "redirect",
                x_accel_prefix=settings.server.x_accel_prefix,
                sent=events.file_downloaded,
            ),
            engine=engine,
            finisher=finisher,
            joiner=joiner,
            sweeper=sweeper,
            library=library,
            folders=Folders(catalog, events),
            removal=removal,
            scan_policy=policy,
            file_jobs=file_jobs,
            recordings=recordings,
            syncing=syncing,
            recording_jobs=recording_jobs,
            strategy=CompressionStrategy(workers=workers),
            sign_in_limit=RateLimiter(settings.server.rate_limit_sign_in),
            api_limit=RateLimiter(settings.server.rate_limit_api),
            tickets=Tickets(),
            events=bus,
            outside=outside_of(settings),
        )
        runner = Runner(
            catalog=catalog,
            kinds=[*file_jobs.kinds(), *recording_jobs.kinds()],
            bell=bell,
            changed=events.job_changed,
        )
        async with workers:
            await sweeper.sweep()
            async with (
                beside(runner.run()),
                beside(_sweep_forever(sweeper)),
                beside(_remove_forever(removal, removable)),
            ):
                yield services


async def _sweep_forever(sweeper: Sweeper) -> None:
    while True:
        await asyncio.sleep(_SWEEP_EVERY_S)
        try:
            await sweeper.sweep()
        except HaulierError as exc:
            _log.error("sweeping failed: %s", exc.message)


async def _remove_forever(removal: Removal, bell: Bell) -> None:
    while True:
        seen = bell.count
        try:
            await removal.sweep()
        except HaulierError as exc:
            _log.error("removing deleted files failed: %s", exc.message)
        await bell.wait(seen, _SWEEP_EVERY_S)
