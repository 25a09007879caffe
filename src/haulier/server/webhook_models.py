"""What the webhooks API answers, as its OpenAPI page describes it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

_ID = "01k9fj2q7vdm3c8x5t0h4n6bwz"
_TIME = "2026-03-01T12:00:00Z"


def _like(**example: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"example": example})


_WEBHOOK: dict[str, Any] = {
    "id": _ID, "url": "https://example.org/in", "events": ["file.created"], "created_at": _TIME,
    "disabled_at": None, "disabled_why": None, "old_secret_until": None,
}  # fmt: skip


class WebhookMetadata(BaseModel):
    """Who is told of events; no events named means all."""

    model_config = _like(**_WEBHOOK)

    id: str
    url: str
    events: list[str]
    created_at: str
    disabled_at: str | None
    disabled_why: str | None
    old_secret_until: str | None


class WebhookSecret(WebhookMetadata):
    """A webhook with the secret that signs its messages, which no other answer has."""

    model_config = _like(**_WEBHOOK, secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=")  # noqa: S106  # an example

    secret: str


class WebhookList(BaseModel):
    """All webhooks, oldest first."""

    model_config = _like(items=[_WEBHOOK])

    items: list[WebhookMetadata]


_DELIVERY: dict[str, Any] = {
    "id": _ID, "type": "file.created", "timestamp": _TIME, "state": "failed", "attempts": 35,
    "next_attempt_at": None, "error": "example.org answered 500",
}  # fmt: skip


class WebhookDelivery(BaseModel):
    """A message to a webhook, and how it stands."""

    model_config = _like(**_DELIVERY)

    id: str
    type: str
    timestamp: str
    state: str
    attempts: int
    next_attempt_at: str | None
    error: str | None


class WebhookDeliveries(BaseModel):
    """A page of messages to a webhook, newest first."""

    model_config = _like(items=[_DELIVERY], next_cursor=None)

    items: list[WebhookDelivery]
    next_cursor: str | None
