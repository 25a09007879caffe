"""Bots: handlers for what happens in chats, fed by polling or by a webhook.

    bot = MaxBot(client)

    @bot.on_message(attachments=True)
    async def keep(update): ...

    await bot.poll()

An update counts as dealt with when its handlers have ended: one that was under way when the
process died comes again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from haulier import errors
from haulier.max.client import POLL_TIMEOUT_S, MaxClient
from haulier.max.models import Update, UpdatePage

Handler = Callable[[Update], Awaitable[None]]
HandlerT = Callable[[Handler], Handler]

_LEAST_INTERVAL_S = 0.3
_FAILURE_WAIT_S = 5.0
_CHATS_AT_ONCE = 16
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Route:
    types: frozenset[str]
    accepts: Callable[[Update], bool]
    handler: Handler


class MaxBot:
    """Calls handlers with what happens.

    Updates of one chat are handled one after another, those of different chats at the same time.
    A handler that fails is logged and stops nothing.

    Args:
        client: the bot.
        clock: seconds that never jump.
        sleep: waits a number of seconds.
    """

    def __init__(
        self,
        client: MaxClient,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.client = client
        self._clock = clock
        self._sleep = sleep
        self._routes: list[_Route] = []
        self._stopping = asyncio.Event()

    def on(self, *types: str, where: Callable[[Update], bool] = lambda _: True) -> HandlerT:
        """Have the decorated function called with updates of these types; all when none is named.

        Args:
            *types: such as `message_created`, `bot_started`.
            where: tells whether it wants an update.
        """

        def register(handler: Handler) -> Handler:
            self._routes.append(_Route(frozenset(types), where, handler))
            return handler

        return register

    def on_message(
        self,
        *,
        text: str | None = None,
        command: str | None = None,
        attachments: bool | None = None,
        chat_id: int | None = None,
    ) -> HandlerT:
        """Have the decorated function called with new messages.

        Args:
            text: only those with exactly this text.
            command: only those whose text begins with the word `/command`.
            attachments: only those with, or without, something attached.
            chat_id: only those of one chat.
        """

        def wanted(update: Update) -> bool:
            message = update.message
            if message is None or (chat_id is not None and message.chat_id != chat_id):
                return False
            said = message.text or ""
            if text is not None and said != text:
                return False
            if command is not None and said.split(maxsplit=1)[:1] != [f"/{command}"]:
                return False
            return attachments is None or bool(message.attachments) is attachments

        return self.on("message_created", where=wanted)

    async def handle(self, update: Update) -> None:
        """Call the handlers that want an update, one after another."""
        for route in self._routes:
            if route.types and update.type not in route.types:
                continue
            try:
                if route.accepts(update):
                    await route.handler(update)
            except Exception:  # noqa: BLE001 - whatever it raises, the bot goes on
                _log.exception("handler %r failed on a %s", route.handler, update.type)

    def stop(self) -> None:
        """Have `poll` end when the handlers under way have ended."""
        self._stopping.set()

    async def poll(
        self,
        *,
        marker: int | None = None,
        types: Iterable[str] = (),
        timeout_s: int = POLL_TIMEOUT_S,
    ) -> int | None:
        """Handle what happens until `stop`, and tell MAX what was dealt with.

        Failures of the network and of MAX are waited out.

        Args:
            marker: where to begin; where MAX was told last when left out.
            types: only updates of these types.
            timeout_s: how long MAX may wait for one, 0 to 90.

        Returns:
            The marker behind what was dealt with.

        Raises:
            BadBotToken, ChatError: MAX does not let this bot poll.
        """
        self._stopping.clear()
        kinds, committed = tuple(types), marker
        while not self._stopping.is_set():
            began = self._clock()
            page = await self._unless_stopped(
                self.client.get_updates(marker, timeout_s=timeout_s, types=kinds)
            )
            if page is None:
                continue
            committed = marker  # by having asked with it
            await self._handle_all(page.updates)
            marker = page.marker if page.marker is not None else marker
            rest_s = began + _LEAST_INTERVAL_S - self._clock()
            if rest_s > 0 and not self._stopping.is_set():
                await self._sleep(rest_s)
        if marker is not None and marker != committed:
            await self._commit(marker)
        return marker

    async def _commit(self, marker: int) -> None:
        """Tell MAX what was dealt with. What it answers stays uncommitted, and comes again."""
        try:
            await self.client.get_updates(marker, limit=1, timeout_s=0)
        except errors.Transient:
            _log.warning("MAX could not be told what was dealt with: some of it will come again")

    async def _unless_stopped(self, asking: Awaitable[UpdatePage]) -> UpdatePage | None:
        """Return the next page; None when the bot is to stop, or MAX can't be asked now."""
        asked = asyncio.ensure_future(asking)
        stopped = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({asked, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if asked.done():
                return await asked
        except errors.Transient as error:
            _log.warning("updates can't be fetched now: %s", error)
            await self._sleep(_FAILURE_WAIT_S)
        finally:
            for task in (asked, stopped):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, errors.HaulierError):
                    await task
        return None

    async def _handle_all(self, updates: Iterable[Update]) -> None:
        by_chat: dict[int | None, list[Update]] = {}
        for update in updates:
            by_chat.setdefault(update.chat_id, []).append(update)
        slots = asyncio.Semaphore(_CHATS_AT_ONCE)

        async def handle_chat(of_chat: list[Update]) -> None:
            async with slots:
                for update in of_chat:
                    await self.handle(update)

        async with asyncio.TaskGroup() as group:
            for of_chat in by_chat.values():
                group.create_task(handle_chat(of_chat))
