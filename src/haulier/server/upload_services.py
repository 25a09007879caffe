"""The uploads of a server: taken in, finished, joined, and swept while it runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from haulier.catalog.catalog import Catalog
from haulier.coordination.locks import Locks
from haulier.core.sessions.session import UploadSession
from haulier.errors import HaulierError
from haulier.server.beside import beside
from haulier.settings import Settings
from haulier.transfer.sessions.engine import SessionEngine
from haulier.transfer.sessions.finishing import Finisher, SessionHooks
from haulier.transfer.sessions.joining import Joiner
from haulier.transfer.sessions.order import HashesInOrder
from haulier.transfer.sessions.staging import Stage
from haulier.transfer.sessions.sweeping import Sweeper

_SWEEP_EVERY_S = 60
_log = logging.getLogger("haulier.server")


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadServices:
    """What takes uploads, all behind the same locks."""

    finisher: Finisher
    engine: SessionEngine
    joiner: Joiner
    sweeper: Sweeper


def upload_services(
    settings: Settings,
    catalog: Catalog,
    stage: Stage,
    locks: Locks,
    *,
    hooks: SessionHooks,
    inspect: Callable[[UploadSession], Awaitable[None]],
    ask: Callable[[UploadSession], Awaitable[None]] | None = None,
) -> UploadServices:
    """Put together what takes uploads.

    Args:
        settings: how large and how long they may be.
        catalog: where sessions are recorded.
        stage: where their bytes lie.
        locks: one for each session; those of all processes that share the catalog.
        hooks: what is done in the same transactions.
        inspect: looks at a whole file before it is stored; see `Finisher`.
        ask: asks whether an upload may begin; see `SessionEngine`.
    """
    hashes = HashesInOrder()
    most_bytes = settings.server.max_file_size
    finisher = Finisher(
        catalog=catalog, stage=stage, hashes=hashes, locks=locks, hooks=hooks, inspect=inspect
    )
    engine = SessionEngine(
        catalog=catalog,
        stage=stage,
        finisher=finisher,
        hashes=hashes,
        locks=locks,
        hooks=hooks,
        ask=ask,
        lifetime=timedelta(hours=settings.server.upload_session_ttl_hours),
        most_bytes=most_bytes,
    )
    joiner = Joiner(
        catalog=catalog,
        stage=stage,
        finisher=finisher,
        locks=locks,
        hooks=hooks,
        ask=ask,
        most_bytes=most_bytes,
    )
    sweeper = Sweeper(catalog=catalog, stage=stage, finisher=finisher, joiner=joiner, locks=locks)
    return UploadServices(finisher=finisher, engine=engine, joiner=joiner, sweeper=sweeper)


@asynccontextmanager
async def swept(sweeper: Sweeper) -> AsyncIterator[None]:
    """Mend what a crash left of uploads; sweep them while the block runs."""
    await _sweep(sweeper)
    async with beside(_sweep_forever(sweeper)):
        yield


async def _sweep_forever(sweeper: Sweeper) -> None:
    while True:
        await asyncio.sleep(_SWEEP_EVERY_S)
        await _sweep(sweeper)


async def _sweep(sweeper: Sweeper) -> None:
    try:
        await sweeper.sweep()
    except HaulierError as exc:
        # What it left is done by the next one; a Redis that is away must not keep the server down.
        _log.error("sweeping failed: %s", exc.message)
