"""What a haulier server, or a server that speaks tus, means by refusing a request."""

from __future__ import annotations

import json
from typing import Any

from haulier import errors
from haulier.net.http import error_of_status
from haulier.net.http_session import HttpAnswer

REFUSALS = range(400, 600)
"""For `HttpClient.open`: what these mean is told by `refusal_of`."""

_MOST_BYTES = 64 << 10
_SIGN_IN_HINT = (
    "Make a token on the server with `haulier token create NAME` and set it in HAULIER_TOKEN."
)
_DENIED_HINT = (
    "Ask an admin of the server: the account may not do this, or the token lacks a scope."
)


async def refusal_of(
    answer: HttpAnswer, what: str, *, missing: type[errors.StoreError] = errors.NoSuchObject
) -> errors.HaulierError:
    """Return the error that `answer` means.

    Args:
        answer: it has a status from 300 on.
        what: names what was asked for, without anything secret.
        missing: what it means that there is nothing of that name.
    """
    problem = await _problem_of(answer)
    detail = str(problem.get("detail") or f"HTTP {answer.status}")[:500]
    message = f"{what}: {detail}"
    advice = problem.get("advice")
    hint = str(advice)[:500] if advice else None
    match answer.status, problem.get("code"):
        case 401, _:
            return errors.AccessDenied(f"{message} (HTTP 401)", hint=_SIGN_IN_HINT)
        case 403, _:
            return errors.AccessDenied(message, hint=_DENIED_HINT)
        case ((404 | 410), _):
            return missing(message)
        case 409, _:
            return errors.SessionConflict(message)
        case 412, "precondition-failed":
            return errors.ObjectExists(message)
        case 413, "quota-exceeded":
            return errors.QuotaExceeded(message, hint=hint)
        case 413, _:
            return errors.FileSizeError(message, hint=hint)
        case 423, _:
            return errors.ServiceFault(message, hint=hint)
        case 460, _:
            return errors.BadDigest(message)
        case 507, _:
            return errors.StorageFull(message, hint="Free some space on the server, then go on.")
    known = error_of_status(answer.status, answer.headers, what)
    if isinstance(known, errors.RequestRejected):
        return errors.RequestRejected(message, hint=hint)
    return type(known)(message, retry_after_s=known.retry_after_s)


async def _problem_of(answer: HttpAnswer) -> dict[str, Any]:
    """Return the problem document that came with a refusal, where one did."""
    if "json" not in answer.headers.get("Content-Type", ""):
        return {}
    try:
        found = json.loads(await answer.read(_MOST_BYTES))
    except (ValueError, RecursionError, errors.StoreError):
        return {}
    return found if isinstance(found, dict) else {}
