"""What MAX's answers mean: one function for each kind of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from haulier import errors
from haulier.max.reading import Json, text
from haulier.net.http import parse_retry_after

NOT_READY = "attachment.not.ready"
_SHOWN_CHARS = 300
_NOT_PROCESSED = "not.processed"
_POLLING_HINT = "A webhook is subscribed: remove it, polling and webhooks exclude each other."


def parse(body: bytes) -> Json | None:
    """Return the JSON object that a body is; None when it is none."""
    try:
        values: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None


def success(status: int, headers: Mapping[str, str], body: bytes, what: str) -> Json:
    """Return the JSON object of a successful answer.

    Args:
        status: of the answer.
        headers: of the answer.
        body: of the answer.
        what: names the request, for messages.

    Raises:
        BadBotToken, ChatDenied, ChatNotFound, AttachmentRefused, AttachmentNotReady, ChatError:
        as MAX told. RateLimited: 429. ServiceFault: 5xx, and 2xx without JSON.
    """
    values = parse(body)
    if status >= 300:
        raise _error_of(status, headers, values or {}, body, what)
    if values is None:
        raise errors.ServiceFault(f"{what}: the answer is no JSON")
    return values


def confirmed(values: Json, what: str) -> None:
    """Raise unless an answer of the kind `{"success": …}` says so: refusals come with 200."""
    if values.get("success") is True:
        return
    message = _shown(text(values, "message") or "no reason given")
    if _NOT_PROCESSED in message or NOT_READY in message:
        raise errors.AttachmentNotReady(f"{what}: {message}")
    raise errors.ChatError(f"{what}: {message}")


def _error_of(
    status: int, headers: Mapping[str, str], values: Json, body: bytes, what: str
) -> errors.HaulierError:
    code = text(values, "code")
    told = text(values, "message") or body[:_SHOWN_CHARS].decode(errors="replace")
    message = f"{what}: HTTP {status}" + (f" {code}" if code else "")
    message += f": {_shown(told)}" if told else ""
    if code == NOT_READY:
        return errors.AttachmentNotReady(message)
    if status == 429:
        retry_after_s = parse_retry_after(headers.get("Retry-After"))
        return errors.RateLimited(message, retry_after_s=retry_after_s)
    if status >= 500:
        return errors.ServiceFault(message)
    if code == "proto.payload":
        return errors.AttachmentRefused(message, api_code=code)
    if status == 401 or code == "verify.token":
        return errors.BadBotToken(message, api_code=code)
    if status == 403:
        return errors.ChatDenied(message, api_code=code)
    if status == 404:
        return errors.ChatNotFound(message, api_code=code)
    return errors.ChatError(message, api_code=code, hint=_POLLING_HINT if status == 405 else None)


def _shown(told: str) -> str:
    return "".join(c if c.isprintable() else " " for c in told[:_SHOWN_CHARS]).strip()
