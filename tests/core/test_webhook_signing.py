"""Signatures of webhooks: as Standard Webhooks has them, and refused when anything is wrong."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest

from haulier.core.webhooks import (
    OLD_SECRET_LIFETIME,
    Webhook,
    read_secret,
    signed_headers,
    verify_webhook,
    write_secret,
)
from haulier.errors import ChecksumMismatch, ValidationError

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRET = write_secret(b"k" * 32)
BODY = b'{"type":"file.created"}'


def test_the_example_of_the_specification() -> None:
    # standardwebhooks.com: the vector that its libraries are tested with.
    headers = signed_headers(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        datetime.fromtimestamp(1614265330, UTC),
        b'{"test": 2432232314}',
    )
    assert headers["webhook-timestamp"] == "1614265330"
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_what_was_signed_is_known_by_its_id() -> None:
    headers = signed_headers([SECRET], "one", NOW, BODY)
    upper = {name.upper(): value for name, value in headers.items()}
    assert verify_webhook(SECRET, upper, BODY, now=NOW + timedelta(minutes=4)) == "one"


@pytest.mark.parametrize(
    "change",
    [
        {"body": BODY + b" "},
        {"secret": write_secret(b"x" * 32)},
        {"now": NOW + timedelta(seconds=301)},
        {"now": NOW - timedelta(seconds=301)},
        {"headers": {"webhook-id": "two"}},
        {"headers": {"webhook-timestamp": str(int(NOW.timestamp()) + 1)}},
        {"headers": {"webhook-timestamp": "-1"}},
        {"headers": {"webhook-timestamp": "²"}},
        {"headers": {"webhook-signature": ""}},
        {"headers": {"webhook-signature": "v1,é v2," + "A" * 44}},
        {"headers": {"webhook-id": ""}},
    ],
)
def test_what_is_not_right_is_refused(change) -> None:
    headers = {**signed_headers([SECRET], "one", NOW, BODY), **change.get("headers", {})}
    with pytest.raises(ChecksumMismatch):
        verify_webhook(
            change.get("secret", SECRET),
            headers,
            change.get("body", BODY),
            now=change.get("now", NOW),
        )


def test_for_a_day_both_secrets_sign() -> None:
    old, new = write_secret(b"o" * 24), write_secret(b"n" * 64)
    webhook = Webhook(
        webhook_id="0" * 26,
        url="https://example.org",
        created_at=NOW,
        secret=new,
        old_secret=old,
        old_secret_until=NOW + OLD_SECRET_LIFETIME,
    )
    for secret in (old, new):
        headers = signed_headers(webhook.secrets(NOW), "one", NOW, BODY)
        assert verify_webhook(secret, headers, BODY, now=NOW) == "one"
    assert webhook.secrets(NOW + OLD_SECRET_LIFETIME) == (new,)


@pytest.mark.parametrize(
    "text",
    ["", "whsec_", SECRET.removeprefix("whsec_"), write_secret(b"k" * 23), write_secret(b"k" * 65),
     "whsec_!", "whsec_é" + base64.b64encode(b"k" * 32).decode()],
)  # fmt: skip
def test_what_is_no_secret_is_refused(text) -> None:
    with pytest.raises(ValidationError, match="24 to 64"):
        read_secret(text)
