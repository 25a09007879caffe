"""A bucket whose objects rest in Glacier: a proxy before a real S3 server that says so."""

from __future__ import annotations

from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

_INVALID_STATE = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>InvalidObjectState</Code><Message>not valid for the storage class</Message></Error>"""

_NOT_IMPLEMENTED = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>NotImplemented</Code><Message>a header implies what is not there</Message></Error>"""


class Glacier:
    """Answers as S3 does for archived objects; everything else goes to the real server."""

    def __init__(self, endpoint_url, *, tells_class=True, takes_tags=True):
        self.upstream = endpoint_url
        self.tells_class = tells_class
        self.takes_tags = takes_tags
        self.frozen = None  # a key's ending
        self.requested = []
        self.thawed = False
        self.lifecycle = None

    async def answer(self, request):
        body = await request.read()
        if "lifecycle" in request.query:  # SeaweedFS knows no transitions
            return self._lifecycle(request.method, body)
        if not self.takes_tags and "x-amz-tagging" in request.headers:
            return web.Response(status=501, body=_NOT_IMPLEMENTED, content_type="application/xml")
        is_frozen = self.frozen is not None and request.path.endswith(self.frozen)
        if is_frozen and request.method == "POST" and "restore" in request.query:
            status = 409 if self.requested else 202
            self.requested.append(body)
            code = b"<Error><Code>RestoreAlreadyInProgress</Code><Message>.</Message></Error>"
            return web.Response(status=status, body=code if status == 409 else b"")
        if is_frozen and request.method == "GET" and not self.thawed:
            return web.Response(status=403, body=_INVALID_STATE, content_type="application/xml")
        answer = await self._forward(request, body)
        if is_frozen and request.method == "HEAD" and self.tells_class:
            answer.headers["x-amz-storage-class"] = "GLACIER"
            if self.requested:
                ongoing = "false" if self.thawed else "true"
                answer.headers["x-amz-restore"] = f'ongoing-request="{ongoing}"'
        return answer

    def _lifecycle(self, method, body):
        if method == "PUT":
            self.lifecycle = body
        if self.lifecycle is None:
            code = b"<Error><Code>NoSuchLifecycleConfiguration</Code><Message>.</Message></Error>"
            return web.Response(status=404, body=code, content_type="application/xml")
        return web.Response(body=self.lifecycle, content_type="application/xml")

    async def _forward(self, request, body):
        url = self.upstream + request.raw_path
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.request(
                request.method, yarl_url(url), headers=request.headers, data=body
            ) as got,
        ):
            content = await got.read()
            headers = {
                name: value
                for name, value in got.headers.items()
                if name.lower() not in {"transfer-encoding", "connection"}
            }
            return web.Response(status=got.status, body=content, headers=headers)


def yarl_url(text):
    from yarl import URL

    return URL(text, encoded=True)


@asynccontextmanager
async def glacier_before(endpoint_url, **options):
    """Run the proxy; yields it with `url`, where it listens."""
    glacier = Glacier(endpoint_url, **options)
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", glacier.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    glacier.url = f"http://{host}:{port}"
    try:
        yield glacier
    finally:
        await runner.cleanup()
