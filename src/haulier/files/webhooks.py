"""Webhooks as admins keep them, and the messages that wait to be sent to them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from haulier.catalog.catalog import Catalog
from haulier.catalog.transaction import Tx
from haulier.core.jobs import Job, JobState, new_job
from haulier.core.records import format_time, new_file_id, utc_now
from haulier.core.webhooks import EVENTS, OLD_SECRET_LIFETIME, Webhook, write_secret
from haulier.errors import FileNotFoundError as NoSuchWebhook
from haulier.errors import SessionConflict, ValidationError
from haulier.net.guard import AddressGuard

DELIVERY = "webhook"
"""The kind of the jobs that send messages; their subject is the webhook."""

MOST_WEBHOOKS = 20
# With the runner's waits, which double up to an hour: tried for a day.
_ATTEMPTS = 35
_MOST_URL_CHARS = 2048
_BY_AN_ADMIN = "disabled by an admin"


class Webhooks:
    """The webhooks of a server.

    Messages are jobs, written in the transaction of what they tell of: what is committed is told
    at least once, whatever dies in between, and each time under the same id. They are sent in the
    order of the events, several at a time; one that has to be sent again is overtaken.

    Args:
        catalog: where webhooks and messages are kept.
        guard: decides which addresses may be told.
        enqueued: called, from any thread, once there are messages to be sent.
        now: the clock.
        random_bytes: makes secrets.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        guard: AddressGuard,
        enqueued: Callable[[], None] = lambda: None,
        now: Callable[[], datetime] = utc_now,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._catalog = catalog
        self._guard = guard
        self._enqueued = enqueued
        self._now = now
        self._random_bytes = random_bytes

    def tell(self, tx: Tx, kind: str, data: Mapping[str, Any]) -> None:
        """Write down what is to be sent of an event, in its transaction."""
        if kind not in EVENTS:
            return
        wanting = [one for one in tx.webhooks.all() if one.wants(kind)]
        if not wanting:
            return
        now = self._now()
        payload = {"type": kind, "timestamp": format_time(now), "data": dict(data)}
        for one in wanting:
            tx.jobs.enqueue(
                new_job(
                    DELIVERY, now, payload=payload, subject=one.webhook_id, max_attempts=_ATTEMPTS
                )
            )
        tx.after_commit(self._enqueued)

    async def add(self, url: str, events: Sequence[str] = ()) -> Webhook:
        """Make a webhook; its secret is in what is returned.

        Raises:
            ValidationError: the address or an event can't be, or there are too many webhooks.
            AddressRefused: it is a private address that was not allowed.
        """
        self._check_url(url)
        webhook = Webhook(
            webhook_id=new_file_id(),
            url=url,
            created_at=self._now(),
            secret=self._new_secret(),
            events=_checked(events),
        )

        def record(tx: Tx) -> None:
            if len(tx.webhooks.all()) >= MOST_WEBHOOKS:
                raise ValidationError(
                    f"there are {MOST_WEBHOOKS} webhooks, and each is told of every event",
                    hint="Remove one that is not used any more.",
                )
            tx.webhooks.add(webhook)

        await self._catalog.transaction(record)
        return webhook

    async def all(self) -> list[Webhook]:
        """Return all webhooks, oldest first."""
        return await self._catalog.read(lambda tx: tx.webhooks.all())

    async def get(self, webhook_id: str) -> Webhook:
        """Return a webhook; raises FileNotFoundError."""
        return await self._catalog.read(lambda tx: _find(tx, webhook_id))

    async def change(
        self,
        webhook_id: str,
        *,
        url: str | None = None,
        events: Sequence[str] | None = None,
        disabled: bool | None = None,
    ) -> Webhook:
        """Change what is not None; while it is disabled, nothing is written down and nothing sent.

        Raises:
            FileNotFoundError: there is no such webhook.
            ValidationError, AddressRefused: as `add`.
        """
        values: dict[str, Any] = {}
        if url is not None:
            self._check_url(url)
            values["url"] = url
        if events is not None:
            values["events"] = _checked(events)
        if disabled is not None:
            values["disabled_at"] = self._now() if disabled else None
            values["disabled_why"] = _BY_AN_ADMIN if disabled else None
        return await self._write(webhook_id, lambda _: values)

    async def rotate(self, webhook_id: str) -> Webhook:
        """Give a webhook a new secret; the one before signs too for a day.

        Raises:
            FileNotFoundError: there is no such webhook.
        """
        secret, until = self._new_secret(), self._now() + OLD_SECRET_LIFETIME
        return await self._write(
            webhook_id,
            lambda known: {
                "secret": secret,
                "old_secret": known.secret,
                "old_secret_until": until,
            },
        )

    async def remove(self, webhook_id: str) -> None:
        """Forget a webhook and what waits to be sent to it; raises FileNotFoundError."""

        def work(tx: Tx) -> None:
            _find(tx, webhook_id)
            tx.webhooks.delete(webhook_id)
            tx.jobs.cancel_of_subject(webhook_id, self._now())

        await self._catalog.transaction(work)

    async def deliveries(
        self, webhook_id: str, *, state: JobState | None, before: str | None, limit: int
    ) -> list[Job]:
        """Return messages of a webhook, newest first; raises FileNotFoundError.

        Args:
            webhook_id: whose messages.
            state: those that stand so; None for all.
            before: only messages older than the one with this id.
            limit: how many at most.
        """

        def work(tx: Tx) -> list[Job]:
            _find(tx, webhook_id)
            return tx.jobs.page_of_subject(webhook_id, state=state, before=before, limit=limit)

        return await self._catalog.read(work)

    async def send_again(self, webhook_id: str, message_id: str) -> None:
        """Send a message once more that was given up.

        Raises:
            FileNotFoundError: there is no such webhook or message.
            SessionConflict: it was not given up.
        """

        def work(tx: Tx) -> None:
            _find(tx, webhook_id)
            known = tx.jobs.get(message_id)
            if known is None or known.subject != webhook_id:
                raise NoSuchWebhook("there is no such message")
            if not tx.jobs.revive(message_id, self._now()):
                raise SessionConflict(
                    f"the message is {known.state}, and only one that failed is sent again",
                    hint="Look at its state.",
                )
            tx.after_commit(self._enqueued)

        await self._catalog.transaction(work)

    async def _write(self, webhook_id: str, values: Callable[[Webhook], dict[str, Any]]) -> Webhook:
        def work(tx: Tx) -> Webhook:
            known = _find(tx, webhook_id)
            changed = replace(known, **values(known))
            tx.webhooks.change(changed)
            tx.after_commit(self._enqueued)
            return changed

        return await self._catalog.transaction(work)

    def _check_url(self, url: str) -> None:
        if len(url) > _MOST_URL_CHARS or not url.isascii() or not url.isprintable():
            raise ValidationError(f"an address has at most {_MOST_URL_CHARS} plain characters")
        self._guard.check_url(url)
        if urlsplit(url).username is not None:
            raise ValidationError(
                "the address holds a password", hint="Messages are signed; leave it out."
            )

    def _new_secret(self) -> str:
        return write_secret(self._random_bytes(32))


def _find(tx: Tx, webhook_id: str) -> Webhook:
    found = tx.webhooks.get(webhook_id)
    if found is None:
        raise NoSuchWebhook("there is no such webhook")
    return found


def _checked(events: Sequence[str]) -> tuple[str, ...]:
    for one in events:
        if one not in EVENTS:
            raise ValidationError(f"webhooks are not told of {one!r}", hint=", ".join(EVENTS))
    return tuple(dict.fromkeys(events))
