"""Small pictures of stored files, and waveforms, made when they are asked for first."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated
from zlib import crc32

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import JSONResponse

from haulier.core.http_ranges import etag_matches
from haulier.core.jobs import Job
from haulier.errors import FileNotFoundError as NoSuchFile
from haulier.jobs.pictures import USUAL_SIDE_PX, side_for
from haulier.server.file_routes import VisibleFile, WantedVersion, as_of
from haulier.server.identity import TheServices

router = APIRouter(prefix="/api/files", tags=["files"])

_COME_AGAIN_S = 1
# What a version is never changes; without one named it is asked again whether it is the same.
_FOR_GOOD = "private, max-age=31536000, immutable"
_FOR_NOW = "private, no-cache"

IfNoneMatch = Annotated[str | None, Header(max_length=1024)]


@router.get("/{file_id}/thumbnail", response_class=Response)
async def thumbnail(
    stored: VisibleFile,
    services: TheServices,
    *,
    size: Annotated[int, Query(ge=1, le=4096)] = USUAL_SIDE_PX,
    version: WantedVersion = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Return a small picture of an image, video, PDF or sound: WebP, not larger than a square.

    Its side is 160, 320, 640 or 1,280 pixels, the first that is not below `size`. 202: it is being
    made.
    """
    shown = await as_of(services, stored, version)
    services.scan_policy.check(shown)
    found = await services.pictures.picture(shown, side_for(size))
    return await _answer(found, "image/webp", version, if_none_match)


@router.get("/{file_id}/waveform", response_class=Response)
async def waveform(
    stored: VisibleFile,
    services: TheServices,
    *,
    version: WantedVersion = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Return the waveform of a sound or video: levels at 800 points. 202: it is being made."""
    shown = await as_of(services, stored, version)
    services.scan_policy.check(shown)
    found = await services.pictures.waveform(shown)
    return await _answer(found, "application/json", version, if_none_match)


async def _answer(
    found: Path | Job, media_type: str, version: int | None, if_none_match: str | None
) -> Response:
    if isinstance(found, Job):
        under_way = {"status": "pending", "job_id": found.job_id}
        headers = {"Retry-After": str(_COME_AGAIN_S), "Cache-Control": "no-store"}
        return JSONResponse(under_way, 202, headers=headers)
    try:
        content = await asyncio.to_thread(found.read_bytes)
    except FileNotFoundError:
        raise NoSuchFile("the file was removed meanwhile") from None
    etag = f'"{crc32(content):08x}-{len(content):x}"'
    headers = {
        "ETag": etag,
        "Cache-Control": _FOR_NOW if version is None else _FOR_GOOD,
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cross-Origin-Resource-Policy": "same-site",
    }
    if if_none_match is not None and etag_matches(if_none_match, etag, weakly=True):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)
