"""Sending what webhooks are to be told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlsplit

from haulier.catalog.catalog import Catalog
from haulier.core.jobs import Job
from haulier.core.records import utc_now
from haulier.core.webhooks import Webhook, signed_headers
from haulier.errors import AddressRefused, NoSuchObject, ServiceFault, TimedOut
from haulier.files.webhooks import DELIVERY
from haulier.jobs.kinds import Done, JobKind
from haulier.net.http import HttpClient

_AT_ONCE_TO_ONE = 4
_GONE = 410
_SAID_GONE = "it answered 410: gone"
_ANY_ANSWER = range(300, 600)


class WebhookJobs:
    """Posts messages, each signed anew when it is tried again.

    What a receiver answers from 200 to 299 is success, 410 disables the webhook; the answer's
    body is not read and redirects are not followed.

    Args:
        catalog: where webhooks are kept.
        client: makes the requests; its guard decides which addresses may be told.
        timeout_s: how long a receiver may take, from the connection to the answer.
        now: the clock.
    """

    def __init__(
        self,
        catalog: Catalog,
        client: HttpClient,
        *,
        timeout_s: float,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._catalog = catalog
        self._client = client
        self._timeout_s = timeout_s
        self._now = now

    def kind(self) -> JobKind:
        """Return the kind of these jobs."""
        return JobKind(
            name=DELIVERY,
            run=self._deliver,
            hopeless=(AddressRefused, NoSuchObject),
            at_once_of_subject=_AT_ONCE_TO_ONE,
        )

    async def _deliver(self, job: Job) -> Done:
        webhook = await self._catalog.read(lambda tx: tx.webhooks.get(job.subject or ""))
        if webhook is None:
            return Done(result={"outcome": "the webhook is gone"})
        host = urlsplit(webhook.url).hostname
        if webhook.disabled_at is not None:
            raise NoSuchObject(f"the webhook to {host} is disabled: {webhook.disabled_why}")
        try:
            async with asyncio.timeout(self._timeout_s):
                status = await self._post(webhook, job)
        except TimeoutError:
            raise TimedOut(f"{host} did not answer within {self._timeout_s:g} s") from None
        if status == _GONE:
            await self._disable(webhook)
            raise NoSuchObject(f"{host} answered 410: the webhook is disabled now")
        if status >= 300:
            raise ServiceFault(f"{host} answered {status}")
        return Done(result={"status": status})

    async def _post(self, webhook: Webhook, job: Job) -> int:
        now = self._now()
        body = json.dumps(job.payload, separators=(",", ":")).encode()
        headers = {
            "Content-Type": "application/json",
            **signed_headers(webhook.secrets(now), job.job_id, now, body),
        }
        async with self._client.open(
            "POST", webhook.url, headers=headers, body=body, accept=_ANY_ANSWER
        ) as answer:
            return answer.status

    async def _disable(self, webhook: Webhook) -> None:
        now = self._now()
        await self._catalog.transaction(
            lambda tx: tx.webhooks.disable(webhook.webhook_id, _SAID_GONE, now)
        )
