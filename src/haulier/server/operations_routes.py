"""For those who run the server: is it alive, can it work, what does it count."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from haulier.errors import HaulierError
from haulier.server.identity import TheServices
from haulier.server.problems import problem
from haulier.server.recording_metrics import read_recording_totals
from haulier.transfer.sessions.disk import free_bytes

_LEAST_FREE_BYTES = 1 << 20

router = APIRouter(tags=["operations"])


@router.get("/health/live")
async def live() -> dict[str, str]:
    """Answer while the process runs."""
    return {"status": "ok"}


@router.get("/health/ready")
async def ready(request: Request, services: TheServices) -> JSONResponse:
    """Answer whether the server can work: whether its catalog and its storage do."""
    checks = {"catalog": await _state(services.accounts.count())}
    if services.agree is not None:
        checks["coordination"] = await _state(services.agree())
    if services.bucket is not None:
        checks["bucket"] = await services.bucket.state()
    checks["storage"] = await asyncio.to_thread(_storage, services.settings.general.data)
    if set(checks.values()) == {"ok"}:
        return JSONResponse({"status": "ok", "checks": checks})
    failed = ", ".join(name for name, state in checks.items() if state != "ok")
    answer = problem(request, 503, "not-ready", f"not working: {failed}", checks=checks)
    answer.headers["Retry-After"] = "5"
    return answer


@router.get("/metrics", response_class=Response)
async def metrics(request: Request, services: TheServices) -> Response:
    """Return what the server counts, in Prometheus's text format.

    It names no user and no file. Whoever faces the open network keeps it to the inside.
    """
    totals = await services.catalog.read(lambda tx: tx.totals())
    recordings = await read_recording_totals(services.recordings, totals.counters)
    told = request.app.state.metrics.render(totals, recordings)
    return Response(told, headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _state(asked: Awaitable[object]) -> str:
    try:
        await asked
    except HaulierError as error:
        return error.code
    return "ok"


def _storage(data: Path) -> str:
    if not os.access(data, os.W_OK):
        return "not writable"
    return "ok" if free_bytes(data) >= _LEAST_FREE_BYTES else "full"
