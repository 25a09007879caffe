"""Where the bot that keeps files takes in what happens: as jobs in the catalog, each once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from haulier import errors
from haulier.catalog.catalog import Catalog
from haulier.catalog.transaction import Tx
from haulier.coordination.bells import Bell
from haulier.core.jobs import Job
from haulier.core.records import derived_id, utc_now
from haulier.jobs.max_work import ANSWERING, KEEPING, PLATFORM
from haulier.max.commands import DIALOG, command_of
from haulier.max.models import Message, Update
from haulier.max.replies import storable

TYPES = ("message_created", "bot_started")
"""The updates that it needs."""

# A store may be away for some minutes; people wait for answers.
_MOST_ATTEMPTS = {KEEPING: 8, ANSWERING: 4}
_AGAIN_AFTER_S = 2.0
_log = logging.getLogger("haulier.max")


class MaxDesk:
    """Takes updates in. One that comes again, since MAX was not told that it was dealt with,
    makes no second job.

    Args:
        catalog: where jobs are kept.
        bell: rung when there is a new one.
        bot_id: tells bots apart.
        may_use: tells whether somebody may use the bot.
        sleep: waits a number of seconds.
    """

    def __init__(
        self,
        catalog: Catalog,
        bell: Bell,
        *,
        bot_id: str,
        may_use: Callable[[int], bool],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._catalog = catalog
        self._bell = bell
        self._bot_id = bot_id
        self._may_use = may_use
        self._sleep = sleep

    async def accept(self, update: Update) -> None:
        """Return when what an update asks for is sure to be done, however long that takes: MAX is
        told then that it was dealt with."""
        job = self._job_of(update)
        while job is not None:
            try:
                await self._catalog.transaction(lambda tx: self._enqueue(tx, job))
                return
            except (errors.CatalogError, errors.StorageFull) as error:
                _log.error("what people write has to wait: %s", error.message)
                await self._sleep(_AGAIN_AFTER_S)

    def _enqueue(self, tx: Tx, job: Job) -> None:
        if tx.jobs.get(job.job_id) is None:
            tx.jobs.enqueue(job)
            tx.after_commit(self._bell.ring)

    def _job_of(self, update: Update) -> Job | None:
        if update.type == "bot_started" and update.chat_id is not None and update.user is not None:
            payload = {"greet": update.user.user_id, "chat_id": update.chat_id}
            cause = f"start {update.chat_id} {update.timestamp_ms}"
            return self._job(ANSWERING, update.chat_id, update.timestamp_ms, cause, payload)
        message = update.message
        if update.type != "message_created" or message is None or not self._concerns(message):
            return None
        assert message.chat_id is not None
        assert message.sender is not None
        keeps = storable(message) and self._may_use(message.sender.user_id)
        return self._job(
            KEEPING if keeps else ANSWERING,
            message.chat_id,
            message.timestamp_ms,
            message.mid,
            {"message": dict(message.raw)},
        )

    def _concerns(self, message: Message) -> bool:
        """Tell whether a message is for the bot. In a group that is files of those who may use it,
        and commands."""
        sender = message.sender
        if sender is None or sender.is_bot or message.chat_id is None or not message.mid:
            return False
        if command_of(message) is not None or message.chat_type == DIALOG:
            return True
        return bool(storable(message)) and self._may_use(sender.user_id)

    def _job(
        self, kind: str, chat_id: int, time_ms: int | None, cause: str, payload: dict[str, Any]
    ) -> Job:
        now = utc_now()
        return Job(
            job_id=derived_id(time_ms or 0, f"{PLATFORM} {self._bot_id} {cause}"),
            kind=kind,
            created_at=now,
            updated_at=now,
            not_before=now,
            payload=payload,
            subject=f"{PLATFORM}:{chat_id}",
            max_attempts=_MOST_ATTEMPTS[kind],
        )
