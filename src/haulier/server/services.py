"""What the routes work with, put together once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

from haulier.catalog.catalog import Catalog
from haulier.coordination.limits import RateLimiter
from haulier.coordination.locks import MemoryLocks
from haulier.errors import ConfigurationError, HaulierError
from haulier.files.accounts import Accounts
from haulier.files.reception import Reception
from haulier.files.secret import kept_secret
from haulier.files.tokens import SHORTEST_SECRET, Tokens
from haulier.settings import Settings
from haulier.transfer.sessions.engine import SessionEngine
from haulier.transfer.sessions.finishing import Finisher
from haulier.transfer.sessions.joining import Joiner
from haulier.transfer.sessions.order import HashesInOrder
from haulier.transfer.sessions.stage import Durability, LocalStage
from haulier.transfer.sessions.staging import JoiningStage, Stage
from haulier.transfer.sessions.sweeping import Sweeper

_SWEEP_EVERY_S = 60
_log = logging.getLogger("haulier.server")


@dataclass(frozen=True, slots=True)
class Services:
    """What the routes work with."""

    settings: Settings
    catalog: Catalog
    accounts: Accounts
    tokens: Tokens
    stage: Stage
    engine: SessionEngine
    finisher: Finisher
    joiner: Joiner | None
    sweeper: Sweeper
    sign_in_limit: RateLimiter


def tokens_of(settings: Settings) -> Tokens:
    """Return what signs and reads tokens.

    Raises:
        ConfigurationError: in production without JWT_SECRET_KEY, or with a short one anywhere.
    """
    given = settings.server.jwt_secret_key
    if given is not None:
        return Tokens(given.get_secret_value())
    if settings.general.environment == "production":
        raise ConfigurationError(
            "in production the secret that signs tokens must be given",
            hint=f"Set JWT_SECRET_KEY to at least {SHORTEST_SECRET} random characters.",
        )
    return Tokens(kept_secret(settings.general.data / "jwt-secret"))


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Put the services together, mend what a crash left, and sweep while the block runs."""
    tokens = tokens_of(settings)
    data = settings.general.data
    async with await Catalog.open(settings.catalog_url) as catalog:
        locks, hashes, hooks = MemoryLocks(), HashesInOrder(), Reception()
        stage = LocalStage(
            data / "uploads",
            data / "files",
            durability=Durability(settings.server.durability),
        )
        finisher = Finisher(
            catalog=catalog,
            stage=stage,
            hashes=hashes,
            locks=locks,
            hooks=hooks,
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
        services = Services(
            settings=settings,
            catalog=catalog,
            accounts=Accounts(catalog),
            tokens=tokens,
            stage=stage,
            engine=engine,
            finisher=finisher,
            joiner=joiner,
            sweeper=sweeper,
            sign_in_limit=RateLimiter(settings.server.rate_limit_sign_in),
        )
        await sweeper.sweep()
        sweeping = asyncio.create_task(_sweep_forever(sweeper))
        try:
            yield services
        finally:
            sweeping.cancel()
            with suppress(asyncio.CancelledError):
                await sweeping
            await stage.aclose()


async def _sweep_forever(sweeper: Sweeper) -> None:
    while True:
        await asyncio.sleep(_SWEEP_EVERY_S)
        try:
            await sweeper.sweep()
        except HaulierError as exc:
            _log.error("sweeping failed: %s", exc.message)
