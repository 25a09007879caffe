"""Webhooks in the catalog."""

from __future__ import annotations

import dataclasses
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, insert, select, true, update

from haulier.catalog.webhook_tables import webhooks
from haulier.core.webhooks import Webhook


class WebhookRows:
    """What can be done with webhooks inside one transaction (`Tx.webhooks`)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, webhook: Webhook) -> None:
        """Insert a webhook."""
        self._connection.execute(insert(webhooks).values(dataclasses.asdict(webhook)))

    def get(self, webhook_id: str) -> Webhook | None:
        """Return the webhook with that id."""
        return next(iter(self._list(webhooks.c.webhook_id == webhook_id)), None)

    def all(self) -> list[Webhook]:
        """Return all webhooks, oldest first."""
        return self._list(true())

    def change(self, webhook: Webhook) -> bool:
        """Write a webhook over the one with its id; False when there is none."""
        values = dataclasses.asdict(webhook)
        statement = (
            update(webhooks).where(webhooks.c.webhook_id == webhook.webhook_id).values(values)
        )
        return self._connection.execute(statement).rowcount == 1

    def disable(self, webhook_id: str, why: str, now: datetime) -> None:
        """Send nothing any more; one that is disabled already stays as it is."""
        self._connection.execute(
            update(webhooks)
            .where(webhooks.c.webhook_id == webhook_id, webhooks.c.disabled_at.is_(None))
            .values(disabled_at=now, disabled_why=why)
        )

    def delete(self, webhook_id: str) -> None:
        """Forget a webhook."""
        self._connection.execute(delete(webhooks).where(webhooks.c.webhook_id == webhook_id))

    def _list(self, condition: ColumnElement[bool]) -> list[Webhook]:
        statement = select(webhooks).where(condition).order_by(webhooks.c.webhook_id)
        rows = self._connection.execute(statement).mappings()
        return [Webhook(**{**row, "events": tuple(row["events"])}) for row in rows]
