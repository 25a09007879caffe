"""The OpenAPI page: what FastAPI knows of the routes, and what each of them answers and refuses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from haulier.server import (
    models,
    picture_models,
    recording_models,
    search_models,
    sharing_models,
)
from haulier.server import webhook_models as webhooks

Json = dict[str, Any]

_REF = "#/components/schemas/{model}"
_MEDIA = "application/octet-stream"
_TAKES_BYTES = (409, 410, 413, 415, 423, 502, 503, 507)
_MEANINGS = {
    400: ("validation", "A name, a size, a number or a header that can't be, or no JSON"),
    401: ("not-signed-in", "No token, or none that is valid"),
    403: ("file-permission", "Seen but not allowed, or a token without the scope"),
    404: ("file-not-found", "There is none, or none that you may see"),
    405: ("http", "The path knows other methods"),
    409: ("session-conflict", "The upload stands elsewhere than the request supposes"),
    410: ("session-gone", "The upload was cancelled, failed, or expired"),
    412: ("precondition-failed", "Another version of tus, or a file that must not be there"),
    413: ("quota-exceeded", "Too large, or over the quota"),
    415: ("unsupported-content", "Another type or encoding than is taken here"),
    416: ("range", "No range lies within the file"),
    422: ("schema", "JSON that does not fit the schema, or another checksum than was told"),
    423: ("lock-busy", "Another request works on it, or its scan has not ended"),
    429: ("too-many-requests", "Too many requests; Retry-After tells when to come again"),
    460: ("checksum-mismatch", "The bytes have another checksum than was told"),
    502: ("external-service", "Where the bytes are kept did not answer as it should"),
    503: ("catalog-unavailable", "It can't be done just now; Retry-After tells when to come again"),
    507: ("storage-full", "The disk is full; the upload can be resumed later"),
}


@dataclass(frozen=True, slots=True)
class _Answers:
    """What an operation answers: models or media types by status, and errors of its own."""

    successes: dict[int, type[BaseModel] | str | None]
    errors: tuple[int, ...] = ()
    headers: tuple[str, ...] = ()
    body: tuple[str, ...] = ()


_CHUNK = _Answers(
    {200: models.FileChunk, 201: models.FileChunk, 202: models.FileChunk},
    _TAKES_BYTES,
    ("X-Chunk-Number", "Content-Range", "Content-Digest", "X-Chunk-Checksum"),
    (_MEDIA, "multipart/form-data"),
)
_TUS = (412, 503)
_OPERATIONS: dict[tuple[str, str], _Answers] = {
    ("post", "/api/files/upload/start"): _Answers(
        {201: models.FileUploadSession}, (404, 413, 502, 503, 507)
    ),
    ("get", "/api/files/upload"): _Answers({200: models.OpenUploads}),
    ("post", "/api/files/upload/{session_id}/chunk"): _CHUNK,
    ("post", "/api/files/upload/{session_id}/complete"): _Answers(
        {200: models.FileChunk, 201: models.FileChunk, 202: models.FileChunk},
        (409, 410, 422, 423, 502, 507),
    ),
    ("get", "/api/files/upload/{session_id}"): _Answers({200: models.FileUploadProgress}),
    ("delete", "/api/files/upload/{session_id}"): _Answers({204: None}, (410, 423)),
    ("post", "/upload/chunked/init"): _Answers({201: models.ChunkedSession}, (413, 502, 503, 507)),
    ("post", "/upload/chunked/{session_id}/chunk"): _Answers(
        {200: models.ChunkedReceipt}, _TAKES_BYTES, _CHUNK.headers, _CHUNK.body
    ),
    ("post", "/upload/chunked/{session_id}/complete"): _Answers(
        {200: models.ChunkedResult, 202: models.ChunkedResult}, (409, 410, 422, 423, 502, 507)
    ),
    ("get", "/upload/chunked/{session_id}/status"): _Answers({200: models.ChunkedStatus}),
    ("post", "/upload/offline/save"): _Answers(
        {200: recording_models.SavedRecording, 201: recording_models.SavedRecording},
        (409, 413, 415, 507), (), (_MEDIA, "multipart/form-data"),
    ),
    ("get", "/upload/offline/recordings"): _Answers({200: recording_models.RecordingList}),
    ("get", "/upload/offline/queue"): _Answers({200: recording_models.RecordingQueue}),
    ("get", "/upload/offline/storage-stats"): _Answers({200: recording_models.RecordingStorage}),
    ("post", "/upload/offline/sync"): _Answers({202: recording_models.SyncReport}, (507,)),
    ("post", "/upload/sync/{recording_id}"): _Answers(
        {200: recording_models.UploadedRecording}, (409, 413, 502, 507)
    ),
    ("post", "/upload/analyze/{recording_id}"): _Answers(
        {200: recording_models.CompressionAdvice}, (413, 415, 507)
    ),
    ("options", "/tus/"): _Answers({204: None}),
    ("options", "/tus/{session_id}"): _Answers({204: None}),
    ("post", "/tus/"): _Answers(
        {201: None}, (404, *_TAKES_BYTES, 460, *_TUS),
        ("Tus-Resumable", "Upload-Length", "Upload-Defer-Length", "Upload-Metadata",
         "Upload-Concat", "Upload-Checksum", "If-None-Match"),
        ("application/offset+octet-stream",),
    ),
    ("head", "/tus/{session_id}"): _Answers({200: None}, (410, 423, *_TUS), ("Tus-Resumable",)),
    ("patch", "/tus/{session_id}"): _Answers(
        {204: None}, (*_TAKES_BYTES, 460, *_TUS),
        ("Tus-Resumable", "Upload-Offset", "Upload-Length", "Upload-Checksum", "If-None-Match"),
        ("application/offset+octet-stream",),
    ),
    ("delete", "/tus/{session_id}"): _Answers({204: None}, (410, 423, *_TUS), ("Tus-Resumable",)),
    ("get", "/tus/{session_id}"): _Answers(
        {200: "*/*", 206: "*/*", 307: None, 304: None}, (410, 416, 423, 503)
    ),
    ("options", "/resumable/"): _Answers({204: None}),
    ("options", "/resumable/{session_id}"): _Answers({204: None}),
    ("post", "/resumable/"): _Answers(
        {201: models.FileMetadata, 202: models.FileChunk}, (404, *_TAKES_BYTES),
        ("Upload-Complete", "Upload-Length", "Upload-Draft-Interop-Version", "Repr-Digest",
         "Content-Digest", "Content-Disposition"),
        (_MEDIA,),
    ),
    ("head", "/resumable/{session_id}"): _Answers({204: None}, (410, 423)),
    ("patch", "/resumable/{session_id}"): _Answers(
        {201: models.FileMetadata, 202: models.FileChunk, 204: None}, _TAKES_BYTES,
        ("Upload-Offset", "Upload-Complete", "Upload-Length", "Content-Digest"),
        ("application/partial-upload",),
    ),
    ("delete", "/resumable/{session_id}"): _Answers({204: None}, (410, 423)),
    ("get", "/api/files/admin/audit"): _Answers({200: models.AuditPage}, (403,)),
    ("get", "/api/files/admin/metrics"): _Answers({200: models.AdminMetrics}, (403,)),
    ("get", "/api/files"): _Answers({200: models.FileList}, (404,)),
    ("get", "/api/files/config"): _Answers({200: models.FileStorageConfig}),
    ("get", "/api/files/search"): _Answers({200: search_models.FileSearchResult}),
    ("get", "/api/files/{file_id}"): _Answers({200: models.FileMetadata}),
    ("patch", "/api/files/{file_id}"): _Answers({200: models.FileMetadata}, (409, 412, 413)),
    ("delete", "/api/files/{file_id}"): _Answers({204: None}, (412,)),
    ("get", "/api/files/{file_id}/versions"): _Answers({200: models.FileList}),
    ("get", "/api/files/{file_id}/jobs"): _Answers({200: models.JobList}),
    ("post", "/api/files/{file_id}/versions/{number}/restore"): _Answers(
        {200: models.FileMetadata}
    ),
    ("get", "/api/files/changes"): _Answers({200: models.FileChanges}, (410,)),
    ("post", "/api/files/bulk"): _Answers({200: models.BulkOutcomes}, (413,)),
    ("get", "/api/files/zip"): _Answers({200: "application/zip"}, (404, 410, 423, 502)),
    ("post", "/api/files/zip"): _Answers({201: models.FileDownloadResponse}, (404, 410, 423)),
    ("get", "/z/{ticket}"): _Answers({200: "application/zip"}, (404, 410, 423, 502)),
    ("get", "/api/trash"): _Answers({200: models.FileList}),
    ("post", "/api/trash/{file_id}/restore"): _Answers({200: models.FileMetadata}),
    ("delete", "/api/trash/{file_id}"): _Answers({204: None}),
    ("delete", "/api/trash"): _Answers({204: None}),
    ("get", "/api/folders"): _Answers({200: models.FolderList}, (404,)),
    ("post", "/api/folders"): _Answers({201: models.FolderMetadata}, (404, 409, 413)),
    ("get", "/api/folders/{folder_id}"): _Answers({200: models.FolderMetadata}),
    ("patch", "/api/folders/{folder_id}"): _Answers({200: models.FolderMetadata}, (409, 413)),
    ("delete", "/api/folders/{folder_id}"): _Answers({204: None}),
    ("get", "/api/files/{file_id}/download"): _Answers(
        {200: "*/*", 206: "*/*", 307: None, 304: None}, (403, 416, 423, 502),
        ("Range", "If-Range", "If-None-Match", "If-Modified-Since"),
    ),
    ("get", "/api/files/{file_id}/thumbnail"): _Answers(
        {200: "image/webp", 202: picture_models.PictureUnderWay, 304: None}, (403, 410, 423),
        ("If-None-Match",),
    ),
    ("get", "/api/files/{file_id}/waveform"): _Answers(
        {200: picture_models.FileWaveform, 202: picture_models.PictureUnderWay, 304: None},
        (403, 410, 423), ("If-None-Match",),
    ),
    ("put", "/api/content/{path}"): _Answers(
        {200: models.FileMetadata, 201: models.FileMetadata}, (412, *_TAKES_BYTES),
        ("If-Match", "If-None-Match"), (_MEDIA,)
    ),
    ("get", "/api/jobs/{job_id}"): _Answers({200: models.JobState}),
    ("get", "/api/events"): _Answers({200: "text/event-stream"}, (401, 403, 429)),
    ("post", "/auth/token"): _Answers({200: models.TokenPair}, (401, 413, 429)),
    ("post", "/auth/refresh"): _Answers({200: models.TokenPair}, (401, 413)),
    ("post", "/auth/logout"): _Answers({204: None}),
    ("post", "/auth/password"): _Answers({200: models.TokenPair}, (413,)),
    ("post", "/auth/ticket"): _Answers({201: models.Ticket}),
    ("post", "/api/files/{file_id}/link"): _Answers({201: models.FileDownloadResponse}, (413,)),
    ("get", "/l/{token}"): _Answers(
        {200: "*/*", 206: "*/*", 307: None, 304: None}, (403, 404, 410, 416, 423, 502),
        ("Range", "If-Range", "If-None-Match", "If-Modified-Since"),
    ),
    ("post", "/api/files/{file_id}/shares"): _Answers({201: sharing_models.FileShareLink}, (413,)),
    ("get", "/api/files/{file_id}/shares"): _Answers({200: sharing_models.ShareList}),
    ("get", "/api/files/{file_id}/permissions"): _Answers({200: sharing_models.PermissionList}),
    ("put", "/api/files/{file_id}/permissions"): _Answers(
        {200: sharing_models.PermissionList}, (413,)
    ),
    ("delete", "/api/files/{file_id}/permissions"): _Answers({204: None}),
    ("get", "/api/folders/{folder_id}/permissions"): _Answers({200: sharing_models.PermissionList}),
    ("put", "/api/folders/{folder_id}/permissions"): _Answers(
        {200: sharing_models.PermissionList}, (413,)
    ),
    ("delete", "/api/folders/{folder_id}/permissions"): _Answers({204: None}),
    ("post", "/api/folders/{folder_id}/upload-links"): _Answers(
        {201: sharing_models.UploadLinkState}, (413,)
    ),
    ("get", "/api/folders/{folder_id}/upload-links"): _Answers(
        {200: sharing_models.UploadLinkList}
    ),
    ("get", "/api/upload-links"): _Answers({200: sharing_models.OwnUploadLinks}),
    ("delete", "/api/upload-links/{link_id}"): _Answers({204: None}),
    ("get", "/u/{token}"): _Answers({200: "text/html", 404: "text/html"}),
    ("post", "/u/{token}"): _Answers(
        {200: "text/html", 303: None, 403: "text/html", 404: "text/html"}, (413, 429), (),
        ("application/x-www-form-urlencoded",),
    ),
    ("post", "/u/{token}/files"): _Answers(
        {200: "text/html"}, (403, 404, 410, 413, 415, 429, 502, 503, 507), (),
        ("multipart/form-data",),
    ),
    ("put", "/u/{token}/files/{name}"): _Answers(
        {201: sharing_models.ReceivedFile}, (403, 404, 429, 503, *_TAKES_BYTES), (), (_MEDIA,)
    ),
    ("options", "/u/{token}/tus"): _Answers({204: None}),
    ("options", "/u/{token}/tus/"): _Answers({204: None}),
    ("post", "/u/{token}/tus/"): _Answers(
        {201: None}, (403, 404, 429, *_TAKES_BYTES, 460, *_TUS),
        ("Tus-Resumable", "Upload-Length", "Upload-Defer-Length", "Upload-Metadata",
         "Upload-Checksum"),
        ("application/offset+octet-stream",),
    ),
    ("head", "/u/{token}/tus/{session_id}"): _Answers(
        {200: None}, (403, 404, 410, 423, 429, *_TUS), ("Tus-Resumable",)
    ),
    ("patch", "/u/{token}/tus/{session_id}"): _Answers(
        {204: None}, (403, 404, 429, *_TAKES_BYTES, 460, *_TUS),
        ("Tus-Resumable", "Upload-Offset", "Upload-Length", "Upload-Checksum"),
        ("application/offset+octet-stream",),
    ),
    ("delete", "/u/{token}/tus/{session_id}"): _Answers(
        {204: None}, (403, 404, 410, 423, 429, *_TUS), ("Tus-Resumable",)
    ),
    ("get", "/api/shares"): _Answers({200: sharing_models.OwnShares}),
    ("delete", "/api/shares/{share_id}"): _Answers({204: None}),
    ("get", "/s/{token}"): _Answers({200: "text/html", 404: "text/html"}),
    ("post", "/s/{token}"): _Answers(
        {200: "text/html", 303: None, 403: "text/html", 404: "text/html"}, (413, 429), (),
        ("application/x-www-form-urlencoded",),
    ),
    ("get", "/s/{token}/download"): _Answers(
        {200: "*/*", 206: "*/*", 307: None, 304: None}, (403, 404, 410, 416, 423, 429, 502),
        ("Range", "If-Range", "If-None-Match", "If-Modified-Since"),
    ),
    ("post", "/api/admin/users"): _Answers({201: models.UserAccount}, (409, 413)),
    ("get", "/api/admin/users"): _Answers({200: models.UserList}),
    ("get", "/api/admin/users/{user_id}"): _Answers({200: models.UserAccount}),
    ("patch", "/api/admin/users/{user_id}"): _Answers({200: models.UserAccount}, (413,)),
    ("delete", "/api/admin/users/{user_id}"): _Answers({204: None}),
    ("post", "/api/webhooks"): _Answers({201: webhooks.WebhookSecret}, (413,)),
    ("get", "/api/webhooks"): _Answers({200: webhooks.WebhookList}),
    ("get", "/api/webhooks/{webhook_id}"): _Answers({200: webhooks.WebhookMetadata}),
    ("patch", "/api/webhooks/{webhook_id}"): _Answers({200: webhooks.WebhookMetadata}, (413,)),
    ("delete", "/api/webhooks/{webhook_id}"): _Answers({204: None}),
    ("post", "/api/webhooks/{webhook_id}/secret"): _Answers({200: webhooks.WebhookSecret}),
    ("get", "/api/webhooks/{webhook_id}/deliveries"): _Answers({200: webhooks.WebhookDeliveries}),
    ("post", "/api/webhooks/{webhook_id}/deliveries/{message_id}/retry"): _Answers(
        {204: None}, (409,)
    ),
    ("get", "/auth/me"): _Answers({200: models.Account}),
    ("get", "/health/live"): _Answers({200: models.Health}),
    ("get", "/health/ready"): _Answers({200: models.Health}, (503,)),
    ("get", "/metrics"): _Answers({200: "text/plain"}),
}  # fmt: skip


def describe(app: FastAPI) -> None:
    """Let `app` tell in its OpenAPI page what every operation answers and refuses."""

    def openapi() -> Json:
        if app.openapi_schema is None:
            app.openapi_schema = _complete(
                get_openapi(
                    title=app.title,
                    version=app.version,
                    description="Files that arrive whole: uploads that resume, and downloads.",
                    routes=app.routes,
                )
            )
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's documentation does it


def _complete(page: Json) -> Json:
    _, definitions = models_json_schema(
        [(one, "serialization") for one in _models()], ref_template=_REF
    )
    known = page.setdefault("components", {}).setdefault("schemas", {})
    known |= definitions["$defs"]
    for path, operations in page["paths"].items():
        for method, operation in operations.items():
            answers = _OPERATIONS.get((method, path))
            if answers is not None:
                _fill(operation, path, answers)
    for unused in ("HTTPValidationError", "ValidationError"):
        known.pop(unused, None)
    return page


def _models() -> list[type[BaseModel]]:
    found = [one for answers in _OPERATIONS.values() for one in answers.successes.values()]
    return [
        models.Problem,
        models.FileWebSocketEvents,
        *(one for one in found if isinstance(one, type)),
    ]


def _fill(operation: Json, path: str, answers: _Answers) -> None:
    for name in re.findall(r"{(\w+)}", path):
        known = operation.setdefault("parameters", [])
        if name not in {one["name"] for one in known}:
            schema = {"type": "string"}
            known.append({"name": name, "in": "path", "required": True, "schema": schema})
    told = {str(status): _success(kind) for status, kind in answers.successes.items()}
    for status in sorted(_errors_of(operation, path, answers)):
        told[str(status)] = _error(status)
    operation["responses"] = told
    for name in answers.headers:
        operation.setdefault("parameters", []).append(
            {"name": name, "in": "header", "required": False, "schema": {"type": "string"}}
        )
    if answers.body:
        operation["requestBody"] = {"content": {kind: _body(kind, path) for kind in answers.body}}


def _errors_of(operation: Json, path: str, answers: _Answers) -> set[int]:
    found = set(answers.errors)
    if "security" in operation:
        found |= {401, 403, 429, 503}
    if "{" in path and "security" in operation:
        found.add(404)
    if "requestBody" in operation or answers.headers or answers.body or "parameters" in operation:
        found |= {400, 422, 503}
    return found


def _success(kind: type[BaseModel] | str | None) -> Json:
    if kind is None:
        return {"description": "Done"}
    if isinstance(kind, str):
        return {"description": "The bytes", "content": {kind: {"schema": {"type": "string"}}}}
    schema = {"$ref": _REF.format(model=kind.__name__)}
    example = (kind.model_config.get("json_schema_extra") or {}).get("example")  # type: ignore[union-attr]  # we give dicts
    return {
        "description": (kind.__doc__ or "").strip(),
        "content": {"application/json": {"schema": schema, "example": example}},
    }


def _error(status: int) -> Json:
    code, meaning = _MEANINGS[status]
    example = {
        "type": "about:blank",
        "status": status,
        "code": code,
        "detail": meaning,
        "request_id": "4f1c9a0b7d2e6358",
    }
    schema = {"$ref": _REF.format(model="Problem")}
    return {
        "description": meaning,
        "content": {"application/problem+json": {"schema": schema, "example": example}},
    }


def _body(kind: str, path: str) -> Json:
    if kind != "multipart/form-data":
        return {"schema": {"type": "string", "format": "binary"}}
    text, file = {"type": "string"}, {"type": "string", "format": "binary"}
    if path.endswith("/chunk"):
        number = {"type": "integer", "minimum": 1}
        fields = {"chunk_number": number, "file": file, "md5": text, "checksum": text}
        required = ["chunk_number", "file"]
    else:
        fields = {"file": file, "mode": {**text, "maxLength": 64}, "recording_id": text}
        required = ["file"]
    return {"schema": {"type": "object", "properties": fields, "required": required}}
