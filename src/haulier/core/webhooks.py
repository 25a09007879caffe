"""Webhooks: who is told of events, and how what is told is signed.

Messages are signed as Standard Webhooks has it (standardwebhooks.com): `webhook-id` names the
message and is the same each time it is sent, `webhook-timestamp` is when this was tried, in seconds
since 1970, and `webhook-signature` holds HMAC-SHA256 of `{id}.{timestamp}.{body}` in base64, one
for each secret that is valid. Libraries for many languages verify that.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from haulier.errors import ChecksumMismatch, ValidationError

TOLERANCE_S = 300
OLD_SECRET_LIFETIME = timedelta(hours=24)
EVENTS = (
    "upload.started",
    "upload.completed",
    "upload.failed",
    "file.created",
    "file.updated",
    "file.deleted",
    "file.shared",
    "permission.changed",
    "scan.finished",
    "queue.alert",
    "queue.cleared",
)
"""What webhooks are told: what is committed; progress, downloads and folders are for listeners."""

_PREFIX = "whsec_"
_SECRET_BYTES = 32
_FEWEST_BYTES, _MOST_BYTES = 24, 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """An address that is told of events.

    Args:
        webhook_id: 26 characters of 0-9 and a-z.
        url: where messages are posted to.
        events: which are told; empty for all.
        secret: what messages are signed with, as `whsec_` and base64.
        old_secret: the one before, which signs too until `old_secret_until`.
        disabled_at: since when nothing is sent any more.
        disabled_why: who or what disabled it, in words.
    """

    webhook_id: str
    url: str
    created_at: datetime
    secret: str
    events: tuple[str, ...] = ()
    old_secret: str | None = None
    old_secret_until: datetime | None = None
    disabled_at: datetime | None = None
    disabled_why: str | None = None

    def wants(self, kind: str) -> bool:
        """Tell whether it is to be told events of that kind."""
        return self.disabled_at is None and (not self.events or kind in self.events)

    def secrets(self, now: datetime) -> tuple[str, ...]:
        """Return what a message is signed with, the newest first."""
        if self.old_secret is None or self.old_secret_until is None or self.old_secret_until <= now:
            return (self.secret,)
        return (self.secret, self.old_secret)


def write_secret(random_bytes: bytes) -> str:
    """Return a secret in the form in which it is shown and kept."""
    return _PREFIX + base64.b64encode(random_bytes).decode()


def read_secret(text: str) -> bytes:
    """Return the key that a secret stands for.

    Raises:
        ValidationError: it is none, or not of 24 to 64 bytes.
    """
    try:
        key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if not text.startswith(_PREFIX) or not _FEWEST_BYTES <= len(key) <= _MOST_BYTES:
        raise ValidationError(
            "a webhook's secret is `whsec_` and 24 to 64 bytes in base64",
            hint=f"Make one: echo whsec_$(openssl rand -base64 {_SECRET_BYTES}).",
        )
    return key


def signed_headers(
    secrets: Iterable[str], message_id: str, now: datetime, body: bytes
) -> dict[str, str]:
    """Return the headers that let whoever knows one of `secrets` verify a message.

    Args:
        secrets: as `read_secret` takes them.
        message_id: names the message, also when it is sent again.
        now: when it is sent.
        body: the message.
    """
    sent_at = str(int(now.timestamp()))
    signatures = [_sign(read_secret(one), message_id, sent_at, body) for one in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": sent_at,
        "webhook-signature": " ".join(f"v1,{one}" for one in signatures),
    }


def verify_webhook(secret: str, headers: Mapping[str, str], body: bytes, *, now: datetime) -> str:
    """Make sure that a message comes from who knows the secret, and is not an old one.

    Args:
        secret: of the webhook, as the server showed it.
        headers: of the request; the case of their names does not count.
        body: of the request, byte for byte.
        now: when it came.

    Returns:
        The message's id: one that is known already was delivered before, and is to be answered as
        it was then.

    Raises:
        ChecksumMismatch: no signature is right, or it was signed more than 5 minutes ago or ahead.
        ValidationError: the secret is none.
    """
    known = {name.lower(): value for name, value in headers.items()}
    message_id = known.get("webhook-id", "")
    sent_at = known.get("webhook-timestamp", "")
    hint = "Don't believe the message; check the secret and this machine's clock."
    if not sent_at.isascii() or not sent_at.isdecimal() or not message_id:
        raise ChecksumMismatch("the message is not signed", hint=hint)
    if abs(now.timestamp() - int(sent_at[:15])) > TOLERANCE_S:
        raise ChecksumMismatch("the message was signed long ago", hint=hint)
    right = _sign(read_secret(secret), message_id, sent_at, body)
    for one in known.get("webhook-signature", "").split():
        version, _, signature = one.partition(",")
        if version == "v1" and hmac.compare_digest(signature.encode(), right.encode()):
            return message_id
    raise ChecksumMismatch("the message's signature is wrong", hint=hint)


def _sign(key: bytes, message_id: str, sent_at: str, body: bytes) -> str:
    signed = f"{message_id}.{sent_at}.".encode() + body
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
