"""Recordings: kept here at once, sent on when there is a network."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from haulier.core.recordings import DEFAULT_MODE, QueueEntry, Recording, RecordingStatus
from haulier.core.units import format_size
from haulier.errors import ExternalServiceError, FileSizeError, StoreError, ValidationError
from haulier.errors import FileNotFoundError as NoSuchRecording
from haulier.files.access import check_upload
from haulier.journeys.recording.syncing import Outcome
from haulier.server.bodies import body_of, length_of
from haulier.server.identity import Reader, TheServices, Writer
from haulier.server.services import Services

router = APIRouter(prefix="/upload", tags=["recordings"])

_FORM_SLACK_BYTES = 64 << 10
_PIECE_BYTES = 256 << 10
_SHOWN_OF_ADVICE = (
    "current_format",
    "current_size",
    "recommended_format",
    "estimated_size",
    "compression_ratio",
    "estimated_time_minutes",
    "bandwidth_saved",
)
# Of one length, so that it sorts as text.
_SORTED_TIME = "%Y%m%dT%H%M%S.%fZ"

Limit = Annotated[int, Query(ge=1, le=10_000)]
Cursor = Annotated[str | None, Query(max_length=100)]


@router.post("/offline/save", status_code=201)
async def save(
    request: Request,
    user: Writer,
    services: TheServices,
    mode: Annotated[str, Query(max_length=64)] = DEFAULT_MODE,
    recording_id: Annotated[str | None, Query(max_length=64)] = None,
) -> Response:
    """Keep a recording, sent as a form's `file` or as the body; nothing leaves this machine.

    With a `recording_id` of one's own the same may be sent again: 200, and nothing changes.
    """
    check_upload(user)
    most_bytes = services.settings.server.max_upload_size_mb << 20
    if (length_of(request) or 0) > most_bytes + _FORM_SLACK_BYTES:
        raise _too_large(most_bytes)
    try:
        if request.headers.get("content-type", "").startswith("multipart/form-data"):
            form = await _form_of(request, most_bytes)
            upload = form.get("file")
            if not isinstance(upload, UploadFile):
                raise ValidationError("the form has no field `file`")
            mode = str(form.get("mode") or mode)
            recording_id = str(form.get("recording_id") or recording_id or "")
            pieces = _limited(_pieces(upload), most_bytes)
        else:
            pieces = _limited(body_of(request), most_bytes)
        recording_id = recording_id or str(uuid.uuid4())
        return await _save(services, user.user_id, recording_id, pieces, mode)
    except (ClientDisconnect, ConnectionResetError):
        return Response(status_code=400)


@router.get("/offline/recordings")
async def list_recordings(
    request: Request,
    user: Reader,
    services: TheServices,
    status: RecordingStatus | None = None,
    limit: Limit = 1000,
    cursor: Cursor = None,
) -> Response:
    """List one's recordings, newest first."""
    found = await services.recordings.list_recordings(user.user_id, status)
    return _page(request, found, _place_of_recording, limit, cursor, newest_first=True)


@router.get("/offline/queue")
async def list_queue(
    request: Request,
    user: Reader,
    services: TheServices,
    limit: Limit = 1000,
    cursor: Cursor = None,
) -> Response:
    """List what waits to be sent, what waits longest first."""
    found = await services.recordings.get_upload_queue(user.user_id)
    return _page(request, found, _place_of_entry, limit, cursor, newest_first=False)


@router.get("/offline/storage-stats")
async def storage_stats(user: Reader, services: TheServices) -> dict[str, Any]:
    """Say what one's recordings take, and what of them needs looking at."""
    return (await services.recordings.get_storage_stats(user.user_id)).to_json()


@router.post("/offline/sync", status_code=202)
async def sync_all(
    user: Writer,
    services: TheServices,
    wait: Annotated[float, Query(ge=0, le=25)] = 0,
) -> dict[str, Any]:
    """Send everything that was recorded, each on its own; `wait` so many seconds for it."""
    check_upload(user)
    ids = await services.syncing.queue_everything(user.user_id)
    begun = services.syncing.begin(user.user_id, ids)
    if begun and wait:
        await asyncio.wait(begun.values(), timeout=wait)
    told = []
    counts = {"synced": 0, "failed": 0, "pending": 0}
    for recording_id, task in begun.items():
        outcome = task.result() if task.done() else None
        recording = await services.recordings.get_recording(user.user_id, recording_id)
        counts[_counted_as(recording, outcome)] += 1
        told.append(_synced(recording, outcome))
    return {**counts, "recordings": told}


@router.post("/sync/{recording_id}")
async def sync_one(recording_id: str, user: Writer, services: TheServices) -> dict[str, Any]:
    """Send one recording; what was sent already is told so."""
    try:
        await services.recordings.get_recording(user.user_id, recording_id)
    except ValidationError:
        raise NoSuchRecording("there is no such recording") from None
    check_upload(user)
    try:
        recording = await services.syncing.send(user.user_id, recording_id)
    except StoreError as exc:
        raise ExternalServiceError(exc.message, hint=exc.hint) from exc
    return {
        "recording_id": recording.recording_id,
        "status": "uploaded",
        "job_id": recording.job_id,
    }


@router.post("/analyze/{recording_id}")
async def analyze(recording_id: str, user: Reader, services: TheServices) -> dict[str, Any]:
    """Say what a recording would take as Opus; pieces of it are encoded for that."""
    try:
        path = await services.recordings.audio_path(user.user_id, recording_id)
    except ValidationError:
        raise NoSuchRecording("there is no such recording") from None
    strategy = services.strategy
    advice = await strategy.recommend_compression(await strategy.analyze_file(path))
    return {name: getattr(advice, name) for name in _SHOWN_OF_ADVICE}


async def _save(
    services: Services,
    user_id: str,
    recording_id: str,
    pieces: AsyncGenerator[bytes, None],
    mode: str,
) -> Response:
    try:
        await services.recordings.get_recording(user_id, recording_id)
        status = 200
    except NoSuchRecording:
        status = 201
    saved = await services.recordings.save_recording(user_id, recording_id, pieces, mode)
    answer = {
        "recording_id": saved.recording_id,
        "status": saved.status,
        "file_size": saved.file_size,
    }
    return JSONResponse(answer, status)


async def _form_of(request: Request, most_bytes: int) -> FormData:
    # Parsed here, since a form of unknown length must not fill the disk.
    stream = _limited(body_of(request), most_bytes + _FORM_SLACK_BYTES)
    try:
        return await MultiPartParser(request.headers, stream, max_files=1, max_fields=10).parse()
    except (MultiPartException, KeyError) as exc:
        raise ValidationError("the form can't be read") from exc


async def _limited(body: Any, most_bytes: int) -> AsyncGenerator[bytes, None]:
    received = 0
    async for piece in body:
        received += len(piece)
        if received > most_bytes:
            raise _too_large(most_bytes)
        yield bytes(piece)


async def _pieces(upload: UploadFile) -> AsyncGenerator[bytes, None]:
    while piece := await upload.read(_PIECE_BYTES):
        yield piece


def _too_large(most_bytes: int) -> FileSizeError:
    return FileSizeError(
        f"a recording has at most {format_size(most_bytes)} here",
        hint="Record in shorter pieces, or ask for a higher MAX_UPLOAD_SIZE_MB.",
    )


def _counted_as(recording: Recording, outcome: Outcome | None) -> str:
    if outcome is None:
        return "pending"
    if outcome.error is None:
        return "synced"
    # Somebody else may be sending it.
    return "failed" if recording.status is RecordingStatus.FAILED else "pending"


def _synced(recording: Recording, outcome: Outcome | None) -> dict[str, Any]:
    told: dict[str, Any] = {
        "recording_id": recording.recording_id,
        "status": recording.status,
        "upload_endpoint": f"/upload/sync/{recording.recording_id}",
    }
    if recording.job_id is not None:
        told["job_id"] = recording.job_id
    if outcome is not None and outcome.error is not None:
        told["error"] = outcome.error.message
    return told


def _place_of_recording(recording: Recording) -> str:
    return f"{recording.created_at:{_SORTED_TIME}}_{recording.recording_id}"


def _place_of_entry(entry: QueueEntry) -> str:
    return f"{entry.queued_at:{_SORTED_TIME}}_{entry.recording_id}"


def _page(
    request: Request,
    found: Sequence[Any],
    place_of: Callable[[Any], str],
    limit: int,
    cursor: str | None,
    *,
    newest_first: bool,
) -> Response:
    """Return a bare array, and where the next begins in a Link header."""
    behind = list(found)
    if cursor is not None:
        behind = [one for one in found if _is_behind(place_of(one), cursor, newest_first)]
    shown = behind[:limit]
    answer = JSONResponse([_shown(one) for one in shown])
    if len(behind) > limit:
        query = {**request.query_params, "limit": limit, "cursor": place_of(shown[-1])}
        answer.headers["Link"] = f'<{request.url.path}?{urlencode(query)}>; rel="next"'
    return answer


def _is_behind(place: str, cursor: str, newest_first: bool) -> bool:
    return place < cursor if newest_first else place > cursor


def _shown(record: Recording | QueueEntry) -> dict[str, Any]:
    told = record.to_json()
    if isinstance(record, QueueEntry):
        return {
            name: told[name] for name in ("recording_id", "queued_at", "attempts", "last_error")
        }
    return told
