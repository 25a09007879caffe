"""Who is told of events, and who is asked before uploads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from haulier.catalog.catalog import Catalog
from haulier.coordination.bells import MemoryBell
from haulier.core.webhooks import read_secret
from haulier.errors import ConfigurationError, ValidationError
from haulier.files.pre_create import PreCreateHook
from haulier.files.webhooks import Webhooks
from haulier.jobs.runner import Runner
from haulier.jobs.webhook_jobs import WebhookJobs
from haulier.net.guard import AddressGuard
from haulier.net.http import HttpClient
from haulier.settings import Settings
from haulier.settings_values import listed
from haulier.transfer.sessions.engine import Ask

_MESSAGES_AT_ONCE = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class HookServices:
    """Webhooks, what sends to them, and what asks before uploads, if anything does.

    The runner is one of its own: receivers that keep it waiting keep no other job waiting.
    """

    webhooks: Webhooks
    runner: Runner
    ask: Ask | None


@asynccontextmanager
async def open_hooks(settings: Settings, catalog: Catalog) -> AsyncIterator[HookServices]:
    """Put together what talks to others about uploads.

    Raises:
        ConfigurationError: the hook has no address that can be asked, or no secret.
    """
    bell = MemoryBell()
    guard = AddressGuard(listed(settings.server.webhook_allowed_hosts))
    timeout_s = settings.server.webhook_timeout_s
    asked = urlsplit(settings.server.pre_create_hook_url or "").hostname
    # Who runs the server named it: it may be on the inside.
    trusting = AddressGuard([asked] if asked else [])
    async with (
        HttpClient(guard=guard, max_redirects=0) as telling,
        HttpClient(guard=trusting, max_redirects=0) as asking,
    ):
        jobs = WebhookJobs(catalog, telling, timeout_s=timeout_s)
        yield HookServices(
            webhooks=Webhooks(catalog, guard=guard, enqueued=bell.ring),
            runner=Runner(
                catalog=catalog, kinds=[jobs.kind()], bell=bell, at_once=_MESSAGES_AT_ONCE
            ),
            ask=_asker(settings, catalog, asking),
        )


def _asker(settings: Settings, catalog: Catalog, client: HttpClient) -> Ask | None:
    server = settings.server
    if server.pre_create_hook_url is None:
        return None
    secret = server.pre_create_hook_secret
    if secret is None:
        raise ConfigurationError(
            "PRE_CREATE_HOOK_URL goes with PRE_CREATE_HOOK_SECRET: without it anybody could ask "
            "what is asked there",
            hint="Set it: echo whsec_$(openssl rand -base64 32).",
        )
    try:
        read_secret(secret.get_secret_value())
    except ValidationError as exc:
        raise ConfigurationError(
            f"PRE_CREATE_HOOK_SECRET can't be: {exc.message}", hint=exc.hint
        ) from None
    hook = PreCreateHook(
        catalog,
        client,
        url=server.pre_create_hook_url,
        secret=secret.get_secret_value(),
        timeout_s=server.pre_create_hook_timeout_s,
        allows_on_error=server.pre_create_hook_on_error == "allow",
    )
    return hook.ask
