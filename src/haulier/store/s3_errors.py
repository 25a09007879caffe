"""One function that maps S3's answers to errors, and one for a failing connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import aiohttp

from haulier import errors
from haulier.store import s3_xml

_CLOCK_HINT = "This machine's clock is wrong: set it (for example by NTP) and try again."
_EXPIRED_HINT = "The session token has expired: sign in again for a fresh one."


class ConditionalConflict(errors.ServiceFault):
    """Somebody else wrote the key while a conditional write was under way."""


class RangeNotSatisfiable(errors.RequestRejected):
    """The range starts at or past the end of the object."""


class RestoreUnderWay(errors.RequestRejected):
    """The object is being brought back already."""


_BY_CODE: dict[str, type[errors.HaulierError]] = {
    "NoSuchKey": errors.NoSuchObject,
    "NoSuchUpload": errors.NoSuchUpload,
    "NoSuchBucket": errors.NoSuchBucket,
    "BadDigest": errors.BadDigest,
    "InvalidDigest": errors.BadDigest,
    "XAmzContentSHA256Mismatch": errors.BadDigest,
    "XAmzContentChecksumMismatch": errors.BadDigest,
    "InvalidObjectState": errors.ObjectArchived,
    "AccessDenied": errors.AccessDenied,
    "AllAccessDisabled": errors.AccessDenied,
    "AccountProblem": errors.AccessDenied,
    "InvalidAccessKeyId": errors.AccessDenied,
    "InvalidToken": errors.AccessDenied,
    "SignatureDoesNotMatch": errors.AccessDenied,
    "ExpiredToken": errors.AccessDenied,
    "RequestTimeTooSkewed": errors.AccessDenied,
    "RequestExpired": errors.AccessDenied,
    "SlowDown": errors.RateLimited,
    "SlowDownRead": errors.RateLimited,
    "SlowDownWrite": errors.RateLimited,
    "Throttling": errors.RateLimited,
    "ThrottlingException": errors.RateLimited,
    "TooManyRequests": errors.RateLimited,
    "RequestLimitExceeded": errors.RateLimited,
    "BandwidthLimitExceeded": errors.RateLimited,
    "ServiceUnavailable": errors.RateLimited,
    "InternalError": errors.ServiceFault,
    "OperationAborted": errors.ServiceFault,
    "ConditionalRequestConflict": ConditionalConflict,
    "RestoreAlreadyInProgress": RestoreUnderWay,
    "InvalidRange": RangeNotSatisfiable,
    "IncompleteBody": errors.ConnectionLost,
    "RequestTimeout": errors.TimedOut,
    "QuotaExceeded": errors.StorageFull,
    "XMinioStorageFull": errors.StorageFull,
}
_BY_STATUS: dict[int, type[errors.HaulierError]] = {
    401: errors.AccessDenied,
    403: errors.AccessDenied,
    408: errors.TimedOut,
    416: RangeNotSatisfiable,
    429: errors.RateLimited,
    500: errors.ServiceFault,
    501: errors.RequestRejected,
    502: errors.ServiceFault,
    503: errors.RateLimited,
    504: errors.ServiceFault,
    507: errors.StorageFull,
}
_HINTS = {
    "ExpiredToken": _EXPIRED_HINT,
    "RequestTimeTooSkewed": _CLOCK_HINT,
    "RequestExpired": _CLOCK_HINT,
    "SignatureDoesNotMatch": "AWS_SECRET_ACCESS_KEY is not the one of this AWS_ACCESS_KEY_ID.",
    "InvalidAccessKeyId": "The store does not know this AWS_ACCESS_KEY_ID.",
    "EntityTooLarge": "Use larger parts for fewer of them, or a smaller source.",
    "EntityTooSmall": "Every part but the last needs the store's least size (S3: 5 MiB).",
    "InvalidStorageClass": "Check AWS_S3_STORAGE_CLASS: the store does not offer this class.",
}


@dataclass(frozen=True, slots=True)
class Rejection:
    """An answer that says no: its status, and the code and message of its body if any."""

    status: int
    code: str
    message: str
    region: str | None

    @classmethod
    def read(cls, status: int, headers: Mapping[str, str], body: bytes) -> Rejection:
        """Read the answer; a body that is no `<Error>` leaves code and message empty."""
        code = message = ""
        region = headers.get("x-amz-bucket-region")
        try:
            root = s3_xml.parse(body) if body.strip() else None
        except errors.ServiceFault:
            root = None
        if root is not None and root.tag == "Error":
            code = root.findtext("Code", "")
            message = root.findtext("Message", "")
            region = region or s3_xml.text(root, "Region")
        return cls(status, code, message, region)


def error_of(
    rejection: Rejection,
    headers: Mapping[str, str],
    *,
    what: str,
    condition: str | None = None,
    missing: type[errors.StoreError] = errors.NoSuchObject,
) -> errors.HaulierError:
    """Return the error that a rejection means.

    Args:
        rejection: what the store said.
        headers: of the answer, for Retry-After.
        what: names the request and its object, for the message.
        condition: the conditional header sent (`If-Match`, `If-None-Match`), which says what
            a 412 means.
        missing: what a 404 without a code means.
    """
    said = rejection.message or rejection.code or f"HTTP {rejection.status}"
    message = f"{what}: {said}"
    if rejection.status == 412 or rejection.code == "PreconditionFailed":
        if condition == "If-None-Match":
            return errors.ObjectExists(f"{what}: the key is taken")
        return errors.ObjectChanged(f"{what}: the object is not the one it was")
    kind = _BY_CODE.get(rejection.code)
    if kind is None and rejection.status == 404:
        kind = missing
    if kind is None:
        other = errors.ServiceFault if rejection.status >= 500 else errors.RequestRejected
        kind = _BY_STATUS.get(rejection.status, other)
    return kind(
        message, hint=_hint(rejection), retry_after_s=_retry_after_s(headers.get("Retry-After"))
    )


def error_of_connection(exc: Exception, *, what: str, stall_s: float) -> errors.StoreError:
    """Return the error that a failing connection means: all but a bad certificate pass."""
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        return errors.AddressRefused(
            f"{what}: the server's certificate is not trusted: {exc}",
            hint="Check AWS_ENDPOINT_URL, or trust its authority with SSL_CERT_FILE.",
        )
    if isinstance(exc, asyncio.TimeoutError):
        return errors.TimedOut(f"{what}: no byte moved for {stall_s:g} s")
    return errors.ConnectionLost(f"{what}: {exc or type(exc).__name__}")


def _hint(rejection: Rejection) -> str | None:
    if rejection.region and rejection.status in {301, 400}:
        return f"The bucket is in {rejection.region}: set AWS_REGION={rejection.region}."
    if rejection.status in {301, 307}:
        return "The bucket is at another endpoint: check AWS_ENDPOINT_URL and AWS_REGION."
    return _HINTS.get(rejection.code)


def _retry_after_s(value: str | None) -> float | None:
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
