"""What may be sent here and what becomes of it, for clients to know beforehand."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from haulier.core.checksums import HEX_DIGITS
from haulier.server.identity import Reader, TheServices

router = APIRouter(prefix="/api/files", tags=["files"])


@router.get("/config")
async def storage_config(_: Reader, services: TheServices) -> dict[str, Any]:
    """Say which files are taken, how long things are kept, and what an answer promises."""
    server = services.settings.server
    return {
        "max_file_size": server.max_file_size,
        "max_json_file_size": server.upload_max_file_mb << 20,
        "allowed_types": list(server.allowed_types),
        "checksums": list(HEX_DIGITS),
        "durability": server.durability,
        "scans": services.scan_policy.scans,
        "upload_ttl_hours": server.upload_session_ttl_hours,
        "trash_retention_days": server.trash_retention_days or None,
    }
