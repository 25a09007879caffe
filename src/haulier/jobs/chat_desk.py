"""Where bots hand in what people ask for: a queue in the catalog that outlives the process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from haulier.catalog.catalog import Catalog
from haulier.catalog.transaction import Tx
from haulier.coordination.bells import Bell
from haulier.core.chat_requests import Asker, ChatPolicy, ChatRequest
from haulier.core.jobs import Job, JobState
from haulier.core.records import new_file_id, utc_now
from haulier.errors import ChatDenied, UnknownReference
from haulier.journeys.delivery.link_book import LinkBook

KIND = "chat-request"
_OPEN = (JobState.RUNNING, JobState.PENDING)
_MOST_LISTED = 200
_MOST_ATTEMPTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A request that was taken: `ahead` is how many are before it."""

    ticket_id: str
    request: ChatRequest
    state: JobState
    not_before: datetime
    ahead: int = 0
    result: dict[str, Any] | None = None


class ChatDesk:
    """Takes requests, and knows what became of them.

    Args:
        catalog: where they are kept, as jobs.
        bell: rung when there is a new one.
        policy: who may ask.
        now: the clock.
    """

    def __init__(
        self,
        catalog: Catalog,
        bell: Bell,
        policy: ChatPolicy,
        *,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._catalog = catalog
        self._bell = bell
        self._policy = policy
        self._now = now
        self._running: dict[str, asyncio.Task[Any]] = {}
        self._stopped: set[str] = set()

    async def check(self, platform: str, asker: Asker) -> None:
        """Return when somebody may ask for something now.

        Raises:
            ChatDenied: they may not; the message says why, as people are told.
        """
        now = self._now()
        await self._catalog.transaction(lambda tx: self._check(tx, platform, asker, now))

    def _check(self, tx: Tx, platform: str, asker: Asker, now: datetime) -> None:
        subject = f"{platform}:{asker.user_id}"
        asked = tx.jobs.page_of_subject(subject, state=None, before=None, limit=_MOST_LISTED)
        refusal = self._policy.refusal(asker, [job.created_at for job in asked], now)
        if refusal is not None:
            raise ChatDenied(refusal, hint="")

    async def submit(self, request: ChatRequest, asker: Asker, *, later: bool = False) -> Ticket:
        """Take a request; it is done though this process dies.

        Args:
            request: what is wanted.
            asker: who; their roles may let it go first.
            later: begin in the quiet hours.

        Raises:
            ChatDenied: as `check`, of what came in meanwhile.
        """
        now = self._now()
        job = Job(
            job_id=new_file_id(),
            kind=KIND,
            created_at=now,
            updated_at=now,
            not_before=self._policy.begins(now) if later else now,
            payload=request.to_json(),
            subject=request.subject,
            priority=self._policy.priority_of(asker.role_ids),
            max_attempts=_MOST_ATTEMPTS,
        )

        def enqueue(tx: Tx) -> list[Job]:
            self._check(tx, request.platform, asker, now)
            tx.jobs.enqueue(job)
            tx.after_commit(self._bell.ring)
            return tx.jobs.of_kind(KIND, _OPEN, _MOST_LISTED)

        waiting = await self._catalog.transaction(enqueue)
        ahead = [one.job_id for one in waiting].index(job.job_id) if job in waiting else 0
        return _ticket(job, ahead)

    async def waiting(self) -> list[Ticket]:
        """Return what is under way and what waits, in its order."""
        found = await self._catalog.transaction(
            lambda tx: tx.jobs.of_kind(KIND, _OPEN, _MOST_LISTED)
        )
        found.sort(key=lambda job: job.state is not JobState.RUNNING)
        return [_ticket(job, number) for number, job in enumerate(found)]

    async def cancel(self, ticket_id: str, user_id: str, *, may_all: bool = False) -> Ticket:
        """Stop a request, before or while it is worked on.

        Args:
            ticket_id: of the request, or the beginning of the id.
            user_id: who wants it.
            may_all: whether they may stop what others asked for.

        Raises:
            UnknownReference: there is no such request of theirs under way.
        """
        theirs = [
            ticket
            for ticket in await self.waiting()
            if ticket.ticket_id.endswith(ticket_id)
            and (may_all or ticket.request.user_id == user_id)
        ]
        if len(theirs) != 1 or not ticket_id:
            raise UnknownReference(
                f"no request of yours is called {ticket_id!r}",
                hint="See `$queue` for their names.",
            )
        [ticket] = theirs
        task = self._running.get(ticket.ticket_id)
        if task is not None:
            self._stopped.add(ticket.ticket_id)
            task.cancel()
            return replace(ticket, state=JobState.CANCELLED)
        now = self._now()
        if not await self._catalog.transaction(lambda tx: tx.jobs.cancel(ticket.ticket_id, now)):
            raise UnknownReference(
                "this request has just begun in another process", hint="Wait until it has ended."
            )
        return replace(ticket, state=JobState.CANCELLED)

    async def of_message(self, platform: str, user_id: str, message_id: str) -> Ticket | None:
        """Return the request of a person's that a message of the bot's belongs to."""
        subject = f"{platform}:{user_id}"
        found = await self._catalog.transaction(
            lambda tx: tx.jobs.page_of_subject(subject, state=None, before=None, limit=_MOST_LISTED)
        )
        for job in found:
            ticket = _ticket(job)
            sent = (ticket.result or {}).get("messages", ())
            if message_id == ticket.request.status_id or message_id in sent:
                return ticket
        return None

    async def withdraw_links(self, ticket_id: str) -> None:
        """Let the links end now that a request came to; what they lead to is removed soon."""
        job = await self._catalog.read(lambda tx: tx.jobs.get(ticket_id))
        links = (job.result or {}).get("links", ()) if job is not None else ()
        await LinkBook(self._catalog).withdraw(links)

    async def while_running(self, ticket_id: str, work: asyncio.Task[Any]) -> bool:
        """Wait for `work`, which `cancel` stops; return whether it was stopped so.

        Raises:
            What the work raises. CancelledError: the caller was cancelled, and the work with it.
        """
        self._running[ticket_id] = work
        try:
            await asyncio.wait({work})
        finally:
            del self._running[ticket_id]
            stopped = ticket_id in self._stopped
            self._stopped.discard(ticket_id)
            if not work.done():
                work.cancel()
                await asyncio.wait({work})
        if work.cancelled() and stopped:
            return True
        work.result()
        return False


def _ticket(job: Job, ahead: int = 0) -> Ticket:
    return Ticket(
        ticket_id=job.job_id,
        request=ChatRequest.from_json(job.payload),
        state=job.state,
        not_before=job.not_before,
        ahead=ahead,
        result=None if job.result is None else dict(job.result),
    )
