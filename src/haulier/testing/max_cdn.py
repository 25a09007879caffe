"""The hosts of files of the MAX double: uploads in one piece or in ranges, and downloads."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import BinaryIO
from urllib.parse import quote, unquote

from aiohttp import BodyPartReader, web
from aiohttp.typedefs import Handler

from haulier.core.sniff import sniff
from haulier.testing.max_state import MaxState, Media, SeenRequest, Slot

_LATE_S = 0.25
_BLOCK_BYTES = 256 << 10
_RANGE = re.compile(r"(?:bytes )?(\d+)-(\d+)/(\d+)")
_ASKED = re.compile(r"bytes=(\d+)-(\d*)")
_IMAGES = {
    "image/jpeg", "image/png", "image/gif", "image/tiff", "image/bmp", "image/heic", "image/heif",
}  # fmt: skip
EXPIRES_MS = 4_102_444_800_000


class _CutError(Exception):
    """The connection is to be cut now."""


class MaxFilesHost:
    """Handlers of the host that takes and gives files."""

    def __init__(self, state: MaxState) -> None:
        self._state = state
        self._seen: dict[int, SeenRequest] = {}
        self._link_free_at = 0.0

    def app(self) -> web.Application:
        """Return the application."""
        app = web.Application(middlewares=[self._watch], client_max_size=1 << 40)
        app.router.add_post("/upload/{slot}", self._upload)
        app.router.add_get("/upload/{slot}", self._status)
        app.router.add_get("/get/{token}", self._download)
        return app

    @web.middleware
    async def _watch(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        seen = SeenRequest(
            host="files", method=request.method, path=request.path, headers=dict(request.headers)
        )
        self._state.seen.append(seen)
        if self._state.token in str(request.headers) + str(request.rel_url):
            self._state.leaks.append(seen)
        self._seen[id(request)] = seen
        try:
            await asyncio.sleep(self._state.latency_s)
            answer: web.StreamResponse = await handler(request)
        except _CutError:
            if request.transport is not None:
                request.transport.abort()
            raise asyncio.CancelledError from None
        finally:
            del self._seen[id(request)]
        seen.status = answer.status
        return answer

    def _slot(self, request: web.Request) -> Slot:
        slot = self._state.slots.get(request.match_info["slot"])
        if slot is None or request.query.get("sig") != f"s-{slot.id}":
            raise web.HTTPNotFound(text="no such upload")
        if slot.is_expired:
            raise web.HTTPForbidden(text='{"error_code": 103, "error_data": "expired"}')
        return slot

    async def _status(self, request: web.Request) -> web.Response:
        slot = self._slot(request)
        if slot.received == 0:
            return web.Response(status=204)
        return web.Response(text=f"0-{slot.received - 1}/{slot.total}")

    async def _upload(self, request: web.Request) -> web.Response:
        slot = self._slot(request)
        if request.content_type == "multipart/form-data":
            return await self._multipart(request, slot)
        return await self._ranged(request, slot)

    async def _multipart(self, request: web.Request, slot: Slot) -> web.Response:
        if slot.last_answer is not None:
            raise web.HTTPGone(text="one URL, one file")
        form = await request.multipart()
        part = await form.next()
        if not isinstance(part, BodyPartReader) or part.filename is None:
            raise web.HTTPBadRequest(text="a file is expected")
        slot.media.name = part.filename

        async def pieces() -> AsyncIterator[bytes]:
            while piece := await part.read_chunk(_BLOCK_BYTES):
                yield piece

        with slot.media.path.open("wb") as file:
            slot.total = await self._receive(request, slot, pieces(), file)
        if await form.next() is not None:
            raise web.HTTPBadRequest(text="one file is expected")
        return self._finish(slot, is_ranged=False)

    async def _ranged(self, request: web.Request, slot: Slot) -> web.Response:
        match = _RANGE.fullmatch(request.headers.get("Content-Range", ""))
        name = re.fullmatch(
            r'attachment; filename=([^";]+)', request.headers.get("Content-Disposition", "")
        )
        slot.requests += 1
        if match is None or name is None or slot.requests > self._state.chunks_per_upload:
            raise web.HTTPBadRequest(text='{"error_code": 100, "error_data": "malformed"}')
        first, last, total = map(int, match.groups())
        if request.content_length != last - first + 1 or last >= total:
            raise web.HTTPBadRequest(text='{"error_code": 100, "error_data": "length"}')
        if slot.last_answer is not None:
            if self._state.repeats_last_answer and last == total - 1:
                status, text, kind = slot.last_answer
                return web.Response(status=status, text=text, content_type=kind)
            raise web.HTTPGone(text="one URL, one file")
        if slot.is_busy or first != slot.received or slot.total not in {None, total}:
            raise web.HTTPRequestRangeNotSatisfiable(text="another offset is expected")
        slot.total, slot.media.name = total, unquote(name[1])
        slot.is_busy = True
        try:
            with slot.media.path.open("r+b") as file:
                file.seek(first)
                await self._receive(request, slot, request.content.iter_any(), file)
        finally:
            slot.is_busy = False
        if slot.received < total:
            return web.Response(status=201, text=f"0-{last}/{total}")
        return self._finish(slot, is_ranged=True)

    async def _receive(
        self, request: web.Request, slot: Slot, pieces: AsyncIterator[bytes], file: BinaryIO
    ) -> int:
        """Write what comes, up to where it is to go wrong; return how much came."""
        faults, start = self._state.faults, slot.received
        cut = faults.cut_uploads.popleft() if faults.cut_uploads else None
        stall = faults.stall_uploads.popleft() if faults.stall_uploads else None
        came = 0
        ends = [end for end in (cut, stall) if end is not None]
        if slot.expires_after is not None:
            ends.append(max(0, slot.expires_after - start))
        end = min(ends, default=None)
        try:
            async for piece in pieces:
                taken = piece if end is None else piece[: end - came]
                await self._pass(len(taken))
                file.write(taken)
                came += len(taken)
                slot.received = start + came
                self._seen[id(request)].body_bytes = came
                if came == end:
                    file.flush()
                    await self._go_wrong(slot, came, stall)
        except (ConnectionError, _CutError):
            if faults.forget_cut:
                slot.received = start
            raise
        return came

    async def _pass(self, count: int) -> None:
        """Return when the link has taken so many bytes more."""
        if self._state.link_bytes_per_s is None:
            return
        now = asyncio.get_running_loop().time()
        # What this process was late for is no fault of the client's.
        begins = max(now - _LATE_S, self._link_free_at)
        self._link_free_at = begins + count / self._state.link_bytes_per_s
        await asyncio.sleep(max(0.0, self._link_free_at - now))

    async def _go_wrong(self, slot: Slot, came: int, stall: int | None) -> None:
        if came == stall:
            await asyncio.Event().wait()
        if slot.expires_after is not None and slot.received >= slot.expires_after:
            slot.is_expired = True
        raise _CutError

    def _finish(self, slot: Slot, *, is_ranged: bool) -> web.Response:
        media, faults = slot.media, self._state.faults
        size = media.path.stat().st_size
        if faults.upload_answers:
            status, text = faults.upload_answers.popleft()
            return web.Response(status=status, text=text)
        if (refusal := self._refusal(media, size)) is not None:
            slot.is_expired = True
            body = json.dumps({"error_code": 4, "error_data": refusal})
            return web.Response(text=body, content_type="application/json")
        media.is_whole = True
        media.not_ready = faults.not_ready
        media.ready_at = asyncio.get_running_loop().time() + faults.ready_after_s
        slot.last_answer = _last_answer(media, size, is_ranged=is_ranged)
        if faults.lose_upload_answers:
            faults.lose_upload_answers -= 1
            raise _CutError
        status, text, kind = slot.last_answer
        return web.Response(status=status, text=text, content_type=kind)

    def _refusal(self, media: Media, size: int) -> str | None:
        if size < 1:
            return "empty"
        if size > self._state.limits[media.type]:
            return "too large"
        if media.type != "image":
            return None
        with media.path.open("rb") as file:
            found = sniff(file.read(64 << 10))
        return None if found is not None and found.mime_type in _IMAGES else "no image"

    async def _download(self, request: web.Request) -> web.StreamResponse:
        media = self._state.media.get(request.match_info["token"])
        if media is None or not media.is_whole:
            raise web.HTTPNotFound
        if media.expired_links and request.query.get("sig") == "d":
            raise web.HTTPForbidden(text="expired")
        if self._state.faults.hold_downloads is not None:
            await self._state.faults.hold_downloads.wait()
        content, headers = media.content, {"ETag": f'"{media.id}"'}
        if media.type == "file":
            twice = quote(quote(media.name, safe=""), safe="")
            once = quote(media.name, safe="")
            headers["Content-Disposition"] = (
                f"attachment; filename=\"{once}\"; filename*=utf-8''{twice}"
            )
        elif media.type != "image":
            ending = "mp3" if media.type == "audio" else "mp4"
            headers["Content-Disposition"] = f"attachment; filename={media.id}.{ending}"
        asked = _ASKED.fullmatch(request.headers.get("Range", ""))
        if asked is None or not self._state.takes_ranges or not content:
            return await self._sent(request, 200, content, headers)
        start = int(asked[1])
        end = min(int(asked[2]) + 1, len(content)) if asked[2] else len(content)
        if start >= len(content):
            return web.Response(status=416, headers={"Content-Range": f"bytes */{len(content)}"})
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
        return await self._sent(request, 206, content[start:end], headers)

    async def _sent(
        self, request: web.Request, status: int, body: bytes, headers: dict[str, str]
    ) -> web.StreamResponse:
        cuts = self._state.faults.cut_downloads
        if not cuts:
            return web.Response(status=status, body=body, headers=headers)
        answer = web.StreamResponse(status=status, headers=headers)
        answer.content_length = len(body)
        await answer.prepare(request)
        await answer.write(body[: cuts.popleft()])
        raise _CutError


def _last_answer(media: Media, size: int, *, is_ranged: bool) -> tuple[int, str, str]:
    if media.type == "image":
        photos = {"photos": {f"p{media.id}": {"token": media.token}}}
        return 200, json.dumps(photos), "application/json"
    if media.type == "file":
        return 200, json.dumps({"fileId": media.id, "token": media.token}), "application/json"
    if is_ranged:
        return 200, f"0-{size - 1}/{size}", "text/plain"
    return 200, "<retval>1</retval>", "text/xml"
