"""The web app: its built files, as `make web` put them beside this module, and what they may do."""

from __future__ import annotations

import asyncio
import gzip
import mimetypes
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Header, Response

from haulier.core.http_ranges import etag_matches
from haulier.errors import FileNotFoundError as NoSuchFile

_BUILT = Path(__file__).with_name("web")
_COMPRESSED = {
    "text/html", "text/css", "text/javascript", "application/manifest+json", "image/svg+xml",
}  # fmt: skip
_TYPES = {".js": "text/javascript", ".webmanifest": "application/manifest+json"}
# The name of an asset changes with what is in it; everything else is asked for again.
_FOR_GOOD = "public, max-age=31536000, immutable"
_FOR_NOW = "no-cache"
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "media-src 'self' blob:; font-src 'self'; connect-src 'self'; worker-src 'self'; "
        "manifest-src 'self'; frame-src 'self' blob:; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

Accepted = Annotated[str, Header(alias="Accept-Encoding", max_length=1024)]
IfNoneMatch = Annotated[str | None, Header(max_length=1024)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Built:
    content: bytes
    compressed: bytes | None
    media_type: str
    tag: str


class _Files:
    """The built files of a folder, each read when it is asked for first."""

    def __init__(self, folder: Path, caching: str) -> None:
        self._folder = folder
        self._caching = caching
        self._known: dict[str, _Built] = {}

    async def answer(self, name: str, accepted: str, if_none_match: str | None) -> Response:
        """Return a file, compressed where its reader takes that.

        Raises:
            NoSuchFile: there is none of that name.
        """
        built = self._known.get(name)
        if built is None:
            built = self._known[name] = await asyncio.to_thread(self._read, name)
        packed = built.compressed if "gzip" in accepted else None
        etag = f'"{built.tag}"' if packed is None else f'"{built.tag}-gzip"'
        headers = {**_HEADERS, "ETag": etag, "Cache-Control": self._caching}
        if built.compressed is not None:
            headers["Vary"] = "Accept-Encoding"
        if if_none_match is not None and etag_matches(if_none_match, etag, weakly=True):
            return Response(status_code=304, headers=headers)
        if packed is not None:
            headers["Content-Encoding"] = "gzip"
        return Response(packed or built.content, media_type=built.media_type, headers=headers)

    def _read(self, name: str) -> _Built:
        found = {path.name: path for path in self._folder.iterdir() if path.is_file()}
        if name not in found:
            raise NoSuchFile("there is no such part of the web app", hint="Reload the page.")
        content = found[name].read_bytes()
        suffix = found[name].suffix
        kind = _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
        return _Built(
            content=content,
            compressed=gzip.compress(content, 9, mtime=0) if kind in _COMPRESSED else None,
            media_type=kind,
            tag=sha256(content).hexdigest()[:20],
        )


def make_router(built: Path = _BUILT) -> APIRouter:
    """Return the routes that serve the web app.

    Args:
        built: the folder with its built files.
    """
    top = _Files(built, _FOR_NOW)
    icons = _Files(built / "icons", _FOR_NOW)
    assets = _Files(built / "assets", _FOR_GOOD)
    router = APIRouter(include_in_schema=False)

    @router.head("/")
    @router.get("/")
    async def index(accepted: Accepted = "", if_none_match: IfNoneMatch = None) -> Response:
        return await top.answer("index.html", accepted, if_none_match)

    @router.get("/manifest.webmanifest")
    async def manifest(accepted: Accepted = "", if_none_match: IfNoneMatch = None) -> Response:
        return await top.answer("manifest.webmanifest", accepted, if_none_match)

    @router.get("/sw.js")
    async def worker(accepted: Accepted = "", if_none_match: IfNoneMatch = None) -> Response:
        return await top.answer("sw.js", accepted, if_none_match)

    @router.get("/send.js")
    async def sending(accepted: Accepted = "", if_none_match: IfNoneMatch = None) -> Response:
        return await top.answer("send.js", accepted, if_none_match)

    @router.get("/icons/{name}")
    async def icon(
        name: str, accepted: Accepted = "", if_none_match: IfNoneMatch = None
    ) -> Response:
        return await icons.answer(name, accepted, if_none_match)

    @router.get("/assets/{name}")
    async def asset(
        name: str, accepted: Accepted = "", if_none_match: IfNoneMatch = None
    ) -> Response:
        return await assets.answer(name, accepted, if_none_match)

    return router
