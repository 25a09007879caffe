"""Who works on an upload: a lease with a heartbeat, so that two processes never do.

The owner is `host:pid:start`, where start tells a process from a later one with the same
number. On this host a dead owner is seen at once; elsewhere its lease is stale after a while.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from haulier.catalog.journal import UploadJournal
from haulier.catalog.transaction import Tx
from haulier.errors import OperationBusy
from haulier.journeys.archive.context import ArchiveContext

HEARTBEAT_S = 15.0
STALE_AFTER = timedelta(seconds=120)


def this_process() -> str:
    """Return the name by which this process owns leases."""
    pid = os.getpid()
    return f"{socket.gethostname()}:{pid}:{_start_of(pid)}"


def is_dead(owner: str) -> bool:
    """Tell whether `owner` was a process of this host that is no more."""
    host, _, process = owner.partition(":")
    pid, _, start = process.partition(":")
    if host != socket.gethostname() or not pid.isdigit():
        return False
    return _start_of(int(pid)) != start


def _start_of(pid: int) -> str:
    """Return when process `pid` started, in the kernel's ticks; empty when there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return _alive_without_proc(pid)


def _alive_without_proc(pid: int) -> str:
    if os.path.isdir("/proc/self"):
        return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "running"


async def claim(ctx: ArchiveContext, journal: UploadJournal) -> None:
    """Take the lease of an interrupted upload; raises OperationBusy when somebody has it."""
    now = ctx.now()

    def take(tx: Tx) -> bool:
        if journal.owner is not None and is_dead(journal.owner):
            tx.release_upload(journal.operation_id, journal.owner)
        return tx.claim_upload(journal.operation_id, ctx.owner, now, now - STALE_AFTER)

    if not await ctx.catalog.transaction(take):
        raise OperationBusy(f"another process works on {journal.operation_id}: {journal.owner}")


@asynccontextmanager
async def held(ctx: ArchiveContext, operation_id: str) -> AsyncIterator[None]:
    """Keep the lease of `operation_id` fresh while the block runs, then give it back."""
    beating = asyncio.create_task(_beat(ctx, operation_id))
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
        await asyncio.shield(
            ctx.catalog.transaction(lambda tx: tx.release_upload(operation_id, ctx.owner))
        )


async def _beat(ctx: ArchiveContext, operation_id: str) -> None:
    while True:
        await asyncio.sleep(HEARTBEAT_S)
        await ctx.catalog.transaction(lambda tx: tx.heartbeat(operation_id, ctx.owner, ctx.now()))
