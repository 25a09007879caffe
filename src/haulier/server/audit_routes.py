"""For admins: what was done on this server, and what there is."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from haulier.catalog.audit_rows import AuditFilter
from haulier.core.audit import AuditEntry
from haulier.core.records import format_time
from haulier.files.access import check_admin
from haulier.server.identity import Administrator, TheServices

router = APIRouter(prefix="/api/files/admin", tags=["administration"])


async def admin_only(user: Administrator) -> None:
    """Let only admins pass."""
    check_admin(user)


@router.get("/audit", dependencies=[Depends(admin_only)])
async def list_audit(
    services: TheServices,
    actor: Annotated[str | None, Query(max_length=100)] = None,
    action: Annotated[str | None, Query(max_length=200)] = None,
    object_id: Annotated[str | None, Query(alias="object", max_length=100)] = None,
    since: datetime | None = None,
    until: datetime | None = None,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:
    """List what was done, newest first."""
    found = await services.audit.list(
        AuditFilter(
            actor=actor,
            action=action,
            object_id=object_id,
            since=since,
            until=until,
            cursor=cursor,
            limit=limit,
        )
    )
    return {"items": [_shown(entry) for entry in found.items], "next_cursor": found.next_cursor}


@router.get("/metrics", dependencies=[Depends(admin_only)])
async def admin_metrics(services: TheServices) -> dict[str, Any]:
    """Say what there is in all: users, files, bytes, uploads and jobs by their state."""
    totals = await services.catalog.read(lambda tx: tx.totals())
    return {
        "users": totals.users,
        "used_bytes": totals.used_bytes,
        "reserved_bytes": totals.reserved_bytes,
        "uploads": totals.sessions_by_status,
        "files": totals.files_by_scan_state,
        "jobs": totals.jobs_by_state,
    }


def _shown(entry: AuditEntry) -> dict[str, Any]:
    event = entry.event
    return {
        "instance": entry.instance,
        "number": entry.number,
        "at": format_time(event.at),
        "actor": event.actor,
        "action": event.action,
        "object": event.object_id,
        "status": event.status,
        "address": event.address,
        "request_id": event.request_id,
        "details": dict(event.details),
    }
