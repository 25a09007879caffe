"""The loop of a delivery: each consignment sent once, whatever happens on the way.

It is entered with what the ledger holds, so a resumed delivery runs the same lines as a fresh one.
What a platform refuses is sent in halves, down to single files; a single one too large is made
smaller, and else told as failed. A failure of one file does not stop the others, one of the channel
does.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

from haulier import errors
from haulier.core.chat_names import name_for_chat
from haulier.core.records import utc_now
from haulier.media.finding import MediaFile
from haulier.transfer.advice import advice
from haulier.transfer.consignments import Consignment, ConsignmentState, Ledger
from haulier.transfer.processors import StatusLine, Tally, UploadResult

Smaller = Callable[[MediaFile], Awaitable[MediaFile]]
"""Returns a smaller copy of a file that was refused; raises HaulierError where there is none."""
Sleep = Callable[[float], Awaitable[None]]

_OF_ONE_MESSAGE = (
    errors.ChatError,
    errors.SourceError,
    errors.MediaError,
    errors.FileError,
    errors.Transient,
)
_NO_USE_TO_GO_ON = (errors.ChatDenied, errors.BadBotToken, errors.ChatNotFound, errors.Transient)


class Sender(Protocol):
    """Sends messages to one place."""

    @property
    def knows_nonces(self) -> bool:
        """Whether a message of the same nonce is not made again for some minutes."""
        ...

    async def send(self, consignment: Consignment) -> str:
        """Send one message and return its id.

        Raises:
            ChatError, SourceError, MediaError, FileError, Transient: why it is not there.
        """
        ...

    async def find(self, consignment: Consignment, taken: frozenset[str]) -> str | None:
        """Return the id of the message if it arrived before.

        Args:
            consignment: was begun.
            taken: ids of messages that other consignments became.

        Raises:
            MessageUncertain: it can't be told.
        """
        ...


class Delivery:
    """Sends the consignments of a ledger.

    Args:
        sender: to where.
        ledger: saved before and after each message.
        status: told each step.
        max_retries: how often a message is tried again.
        retry_delay: seconds before the second attempt; each further wait is twice as long.
        smaller: makes a file smaller that was refused for its size.
        sleep: waits a number of seconds.
        now: the time.
    """

    def __init__(
        self,
        sender: Sender,
        ledger: Ledger,
        *,
        status: StatusLine,
        max_retries: int = 3,
        retry_delay: float = 2.0,
        smaller: Smaller | None = None,
        sleep: Sleep = asyncio.sleep,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._sender = sender
        self._ledger = ledger
        self._status = status
        self._max_retries = max_retries
        self._retry_delay_s = retry_delay
        self._smaller = smaller
        self._sleep = sleep
        self._now = now
        self._all: list[Consignment] = []
        self._at = 0

    async def run(self, fresh: Sequence[Consignment], tally: Tally) -> UploadResult:
        """Send what is owed, and what is fresh; returns when nothing more can be sent."""
        began = time.monotonic()
        self._all = [_again(each) for each in await self._ledger.load()] + list(fresh)
        await self._ledger.save(self._all)
        self._at = 0
        while self._at < len(self._all):
            if self._all[self._at].is_open:
                await self._one(tally)
            self._at += 1
        tally.upload_s += time.monotonic() - began
        self._count(tally)
        return tally.result([each.error for each in self._all if each.error])

    async def _one(self, tally: Tally) -> None:
        total = sum(len(each.files) for each in self._all)
        done = sum(len(each.files) for each in self._all if each.state is ConsignmentState.SENT)
        await self._status.tell(
            f"Uploading batch {self._at + 1} of {len(self._all)}… {done} of {total} files done"
        )
        try:
            message_id = await self._sent()
        except _OF_ONE_MESSAGE as error:
            await self._refused(error, tally)
            return
        await self._change(state=ConsignmentState.SENT, message_id=message_id, error=None)

    async def _sent(self) -> str:
        """Send the consignment at hand, again where that may help."""
        found = await self._found() if self._begun else None
        if found is not None:
            return found
        await self._change(state=ConsignmentState.SENDING, began_at=self._begun or self._now())
        wait_s = self._retry_delay_s
        for attempt in range(self._max_retries + 1):
            try:
                return await self._sender.send(self._all[self._at])
            except errors.Transient as error:
                # Without nonces, and where nobody tries again, only a look tells what became of it.
                is_last = attempt == self._max_retries
                is_unsure = not isinstance(error, errors.RateLimited)
                if is_unsure and (is_last or not self._sender.knows_nonces):
                    found = await self._found()
                    if found is not None:
                        return found
                if is_last:
                    raise
                await self._sleep(wait_s if error.retry_after_s is None else error.retry_after_s)
                wait_s *= 2
        raise AssertionError("the last attempt returns or raises")

    @property
    def _begun(self) -> datetime | None:
        return self._all[self._at].began_at

    async def _found(self) -> str | None:
        taken = frozenset(each.message_id for each in self._all if each.message_id is not None)
        return await self._sender.find(self._all[self._at], taken)

    async def _refused(self, error: errors.HaulierError, tally: Tally) -> None:
        refused = self._all[self._at]
        if isinstance(error, errors.MessageUncertain):
            # It stays as begun, so that a later run looks again.
            await self._change(error=_told(error, refused))
        elif isinstance(error, _NO_USE_TO_GO_ON):
            await self._give_up(error)
        elif len(refused.files) > 1:
            half = len(refused.files) // 2
            await self._replace([refused.files[:half], refused.files[half:]])
        elif isinstance(error, errors.MessageTooLarge) and self._may_shrink(refused):
            await self._shrink(refused.files[0], tally)
        else:
            await self._change(state=ConsignmentState.FAILED, error=_told(error, refused))

    def _may_shrink(self, refused: Consignment) -> bool:
        return self._smaller is not None and not refused.files[0].is_compressed

    async def _shrink(self, file: MediaFile, tally: Tally) -> None:
        assert self._smaller is not None
        tally.compression_attempts += 1
        await self._status.tell(f"Too large for this chat: compressing {_name(file)}…")
        try:
            smaller = await self._smaller(file)
        except errors.HaulierError as error:
            told = advice(error, _name(file))
            await self._change(state=ConsignmentState.FAILED, error=told)
            return
        tally.compressed += 1
        await self._replace([(smaller,)])

    async def _give_up(self, error: errors.HaulierError) -> None:
        """Fail everything that is left: the channel does not take it."""
        state = ConsignmentState.FAILED
        told = advice(error)
        self._all = [
            dataclasses.replace(each, error=told, state=state) if each.is_open else each
            for each in self._all
        ]
        await self._ledger.save(self._all)

    async def _replace(self, groups: Sequence[tuple[MediaFile, ...]]) -> None:
        """Put new consignments, which have nonces of their own, in the place of the one at hand."""
        text = self._all[self._at].text
        self._all[self._at : self._at + 1] = [
            Consignment(files=group, text=text if number == 0 else None)
            for number, group in enumerate(groups)
        ]
        self._at -= 1
        await self._ledger.save(self._all)

    async def _change(self, **changes: Any) -> None:
        self._all[self._at] = dataclasses.replace(self._all[self._at], **changes)
        await self._ledger.save(self._all)

    def _count(self, tally: Tally) -> None:
        for each in self._all:
            if each.state is ConsignmentState.SENT:
                tally.delivered += len(each.files)
                tally.sent_bytes += sum(file.size_bytes for file in each.files)
                tally.batches += 1
            else:
                tally.failed += len(each.files)


def _again(known: Consignment) -> Consignment:
    """Return a consignment of an earlier run as it is to be taken up."""
    if known.state is not ConsignmentState.FAILED:
        return dataclasses.replace(known, error=None)
    # What was begun may have arrived after all, so it keeps its nonce and is looked for.
    state = ConsignmentState.SENDING if known.began_at else ConsignmentState.PLANNED
    return dataclasses.replace(known, state=state, error=None)


def _name(file: MediaFile) -> str:
    return name_for_chat(file.filename, file.mime_type)


def _told(error: errors.HaulierError, consignment: Consignment) -> str:
    name = _name(consignment.files[0]) if len(consignment.files) == 1 else None
    return advice(error, name)
