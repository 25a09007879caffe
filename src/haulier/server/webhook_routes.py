"""For admins: who is told of events, and what became of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from haulier.core.jobs import Job, JobState
from haulier.core.records import format_time
from haulier.core.webhooks import Webhook
from haulier.server.audit_routes import admin_only
from haulier.server.identity import TheServices
from haulier.server.json_route import JsonRoute

router = APIRouter(
    prefix="/api/webhooks",
    tags=["webhooks"],
    route_class=JsonRoute,
    dependencies=[Depends(admin_only)],
)

Address = Annotated[str, Field(min_length=1, max_length=2048, examples=["https://example.org/in"])]
Events = Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=64)]


class NewWebhook(BaseModel):
    """Who is to be told, and of which events; of all where none are named."""

    model_config = ConfigDict(extra="forbid")

    url: Address
    events: Events = []


class WebhookChange(BaseModel):
    """What is to be changed of a webhook; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    url: Address | None = None
    events: Events | None = None
    disabled: bool | None = None


@router.post("", status_code=201)
async def add_webhook(given: NewWebhook, services: TheServices) -> JSONResponse:
    """Have an address told of events; this answer alone has the secret that signs messages."""
    made = await services.webhooks.add(given.url, given.events)
    where = {"Location": f"/api/webhooks/{made.webhook_id}"}
    return JSONResponse({**_shown(made), "secret": made.secret}, 201, headers=where)


@router.get("")
async def list_webhooks(services: TheServices) -> dict[str, Any]:
    """List who is told of events, oldest first."""
    return {"items": [_shown(one) for one in await services.webhooks.all()]}


@router.get("/{webhook_id}")
async def get_webhook(webhook_id: str, services: TheServices) -> dict[str, Any]:
    """Say what is known of a webhook, but for its secret."""
    return _shown(await services.webhooks.get(webhook_id))


@router.patch("/{webhook_id}")
async def change_webhook(
    webhook_id: str, given: WebhookChange, services: TheServices
) -> dict[str, Any]:
    """Change a webhook's address or events; disable it, or enable it again."""
    changed = await services.webhooks.change(
        webhook_id, url=given.url, events=given.events, disabled=given.disabled
    )
    return _shown(changed)


@router.delete("/{webhook_id}", status_code=204)
async def remove_webhook(webhook_id: str, services: TheServices) -> Response:
    """Forget a webhook, with what waits to be sent to it."""
    await services.webhooks.remove(webhook_id)
    return Response(status_code=204)


@router.post("/{webhook_id}/secret")
async def rotate_secret(webhook_id: str, services: TheServices) -> dict[str, Any]:
    """Make a new secret; for a day messages are signed with the one before as well."""
    changed = await services.webhooks.rotate(webhook_id)
    return {**_shown(changed), "secret": changed.secret}


@router.get("/{webhook_id}/deliveries")
async def list_deliveries(
    webhook_id: str,
    services: TheServices,
    state: JobState | None = None,
    cursor: Annotated[str | None, Query(pattern="^[0-9a-z]{20,32}$")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:
    """List messages, newest first: those that wait, and those of the last week."""
    found = await services.webhooks.deliveries(
        webhook_id, state=state, before=cursor, limit=limit + 1
    )
    more = found[limit - 1].job_id if len(found) > limit else None
    return {"items": [_delivery(job) for job in found[:limit]], "next_cursor": more}


@router.post("/{webhook_id}/deliveries/{message_id}/retry", status_code=204)
async def send_again(webhook_id: str, message_id: str, services: TheServices) -> Response:
    """Send a message again, under the same id, that was given up."""
    await services.webhooks.send_again(webhook_id, message_id)
    return Response(status_code=204)


def _shown(webhook: Webhook) -> dict[str, Any]:
    return {
        "id": webhook.webhook_id,
        "url": webhook.url,
        "events": list(webhook.events),
        "created_at": format_time(webhook.created_at),
        "disabled_at": _time(webhook.disabled_at),
        "disabled_why": webhook.disabled_why,
        "old_secret_until": _time(webhook.old_secret_until),
    }


def _delivery(job: Job) -> dict[str, Any]:
    is_pending = job.state is JobState.PENDING
    return {
        "id": job.job_id,
        "type": job.payload["type"],
        "timestamp": job.payload["timestamp"],
        "state": job.state,
        "attempts": job.attempts,
        "next_attempt_at": format_time(job.not_before) if is_pending else None,
        "error": job.last_error,
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else format_time(moment)
