"""Errors of the far end."""

from __future__ import annotations

from haulier.errors.base import HaulierError


class StoreError(HaulierError):
    """The store or destination said no."""

    code, http_status = "store", 502
    advice = "Run `haulier doctor` to test the store."


class Transient(StoreError):
    """It may work if tried again; the only kind that retry looks at."""

    code, http_status = "store-unavailable", 503
    advice = "The store did not answer in time; run `haulier resume` later, nothing is lost."


class ConnectionLost(Transient):
    """The connection could not be made, or broke."""

    code = "connection-lost"


class TimedOut(Transient):
    """No byte moved for longer than the stall limit."""

    code, http_status = "timed-out", 504


class RateLimited(Transient):
    """The far end asked us to slow down (429, SlowDown)."""

    code, http_status = "rate-limited", 429


class ServiceFault(Transient):
    """The far end failed on its own account (5xx)."""

    code = "service-fault"


class AccessDenied(StoreError):
    """Credentials are missing, wrong, expired, or not enough."""

    code, http_status = "access-denied", 403
    advice = "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY and the bucket's policy."


class NoSuchBucket(StoreError):
    """The bucket or directory of the store does not exist."""

    code, http_status = "no-such-bucket", 404
    advice = "Check AWS_S3_BUCKET, or create the bucket with `haulier s3 setup`."


class NoSuchObject(StoreError):
    """The object does not exist."""

    code, http_status = "no-such-object", 404
    advice = "List what is stored with `haulier history`, or run `haulier import` on the bucket."


class NoSuchUpload(StoreError):
    """The store does not know the multipart upload (completed, aborted or expired)."""

    code, http_status = "no-such-upload", 410
    advice = "Run `haulier retry ID` to send it again."


class ObjectExists(StoreError):
    """The key is taken and overwriting was not asked for."""

    code, http_status = "object-exists", 412
    advice = "Use --force to overwrite, or another MGMT_DUPLICATE_HANDLING."


class ObjectChanged(StoreError):
    """The object is not the one it was when we began to read it."""

    code, http_status = "object-changed", 412
    advice = "Run the command again to fetch the new version from the start."


class ObjectArchived(StoreError):
    """The object rests in an archive class and has to be brought back first."""

    code, http_status = "object-archived", 409
    advice = "A retrieval was requested; run the same command again in some hours."


class BadDigest(StoreError):
    """The store received other bytes than we sent."""

    code, http_status = "bad-digest", 422
    advice = "Something between here and the store alters data; run `haulier doctor`."


class AddressRefused(StoreError):
    """The address is private, local or reserved and requests there are not allowed."""

    code, http_status = "address-refused", 403
    advice = "Only public addresses are fetched from; allow the host explicitly if it is yours."


class RequestRejected(StoreError):
    """The store understood and refused; trying again would not help."""

    code = "request-rejected"


class ExternalServiceError(HaulierError):
    """Something haulier leans on, a store or a service, failed."""

    code, http_status = "external-service", 502
    advice = "Try again in a moment; an operator finds the cause in the log."
