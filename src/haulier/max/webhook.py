"""Receiving updates by a webhook.

MAX wants an answer within 30 seconds and comes again otherwise, so handlers that take longer go on
behind the answer. TLS is the affair of whatever stands in front.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from types import TracebackType
from typing import Self

from aiohttp import web

from haulier.errors import UsageError
from haulier.max.answers import parse
from haulier.max.bot import MaxBot
from haulier.max.models import Update

HEADER = "X-Max-Bot-Api-Secret"
_ANSWER_WITHIN_S = 25.0
_MOST_BYTES = 4 << 20
_log = logging.getLogger(__name__)


class Webhook:
    """Takes updates over HTTP and has a bot handle them.

    `app` can be served by itself or be mounted in another aiohttp application. Leaving the block
    waits for the handlers under way.

    Args:
        bot: handles them.
        secret: what MAX was given by `MaxClient.subscribe`; whoever has not got it is refused.
        path: of the URL.
        answer_within_s: seconds after which MAX is answered although handlers still run.
        answers_late: what it is answered then: that the update is dealt with, or that it should
            come again, for handlers that bear to see one twice and must not lose any.

    Raises:
        UsageError: there is no secret.
    """

    def __init__(
        self,
        bot: MaxBot,
        *,
        secret: str,
        path: str = "/",
        answer_within_s: float = _ANSWER_WITHIN_S,
        answers_late: bool = True,
    ) -> None:
        if not secret:
            raise UsageError(
                "a webhook needs a secret", hint="Anybody could send updates without one."
            )
        self._bot = bot
        self._secret = secret.encode()
        self._answer_within_s = answer_within_s
        self._answers_late = answers_late
        self._running: set[asyncio.Task[None]] = set()
        self.app = web.Application(client_max_size=_MOST_BYTES)
        self.app.router.add_post(path, self._receive)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._running:
            await asyncio.wait(self._running)

    async def _receive(self, request: web.Request) -> web.Response:
        given = request.headers.get(HEADER, "").encode()
        if not hmac.compare_digest(given, self._secret):
            return web.Response(status=403)
        values = parse(await request.read())
        if values is None:
            return web.Response(status=400)
        update = Update.of(values)
        task = asyncio.create_task(self._bot.handle(update))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        done, _ = await asyncio.wait({task}, timeout=self._answer_within_s)
        if not done:
            _log.info("a %s takes long; MAX is answered before it is dealt with", update.type)
            return web.Response(status=200 if self._answers_late else 503)
        return web.Response()
