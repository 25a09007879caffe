"""Signature Version 4, as S3 wants it: over the headers of a request, or inside a link.

botocore does the same and takes a tenth of a second to be imported; it is left to find
credentials where none are given.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

UNSIGNED = "UNSIGNED-PAYLOAD"
UNSIGNED_WITH_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
_ALGORITHM = "AWS4-HMAC-SHA256"
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What requests are signed with; `session_token` belongs to keys that expire."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


def payload_hash(body: bytes) -> str:
    """Return what of a body is signed."""
    return hashlib.sha256(body).hexdigest()


def signed_headers(
    method: str,
    url: str,
    headers: Mapping[str, str],
    *,
    keys: Keys,
    region: str,
    payload: str,
    now: datetime | None = None,
) -> dict[str, str]:
    """Return `headers` and those that prove who asks.

    Args:
        url: escaped, its query in order of names, as it goes on the wire.
        payload: the body's `payload_hash`; UNSIGNED leaves it out of the signature.
        now: UTC; this moment when left out.
    """
    moment = _moment(now)
    signed = {**headers, "X-Amz-Date": moment, "X-Amz-Content-SHA256": payload}
    if keys.session_token is not None:
        signed["X-Amz-Security-Token"] = keys.session_token
    canonical = {name.lower(): " ".join(value.split()) for name, value in signed.items()}
    names, signature = _signature(
        method, url, {**canonical, "host": _host(url)}, payload, keys, region, moment
    )
    credential = f"{keys.access_key_id}/{_scope(region, moment)}"
    signed["Authorization"] = (
        f"{_ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
    )
    return signed


def signed_link(
    url: str,
    *,
    keys: Keys,
    region: str,
    expires_s: int,
    query: Mapping[str, str] | None = None,
    now: datetime | None = None,
) -> str:
    """Return `url` with `query`, so that anybody can GET it for `expires_s` seconds."""
    moment = _moment(now)
    query = {
        **(query or {}),
        "X-Amz-Algorithm": _ALGORITHM,
        "X-Amz-Credential": f"{keys.access_key_id}/{_scope(region, moment)}",
        "X-Amz-Date": moment,
        "X-Amz-Expires": str(expires_s),
    }
    if keys.session_token is not None:
        query["X-Amz-Security-Token"] = keys.session_token
    query["X-Amz-SignedHeaders"] = "host"
    pairs = sorted(query.items())
    link = f"{url}?" + "&".join(f"{k}={quote(v, safe='-_.~')}" for k, v in pairs)
    _, signature = _signature("GET", link, {"host": _host(url)}, UNSIGNED, keys, region, moment)
    return f"{link}&X-Amz-Signature={signature}"


def _signature(
    method: str,
    url: str,
    headers: Mapping[str, str],
    payload: str,
    keys: Keys,
    region: str,
    moment: str,
) -> tuple[str, str]:
    """Return the names of the signed headers and the signature; `headers` are canonical."""
    parts = urlsplit(url)
    ordered = sorted(headers.items())
    names = ";".join(name for name, _ in ordered)
    lines = "".join(f"{name}:{value}\n" for name, value in ordered)
    request = "\n".join((method, parts.path or "/", parts.query, lines, names, payload))
    scope = _scope(region, moment)
    digest = hashlib.sha256(request.encode()).hexdigest()
    key = f"AWS4{keys.secret_access_key}".encode()
    for step in scope.split("/"):
        key = hmac.digest(key, step.encode(), "sha256")
    text = f"{_ALGORITHM}\n{moment}\n{scope}\n{digest}"
    return names, hmac.digest(key, text.encode(), "sha256").hex()


def _moment(now: datetime | None) -> str:
    return (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")


def _scope(region: str, moment: str) -> str:
    return f"{moment[:8]}/{region}/s3/aws4_request"


def _host(url: str) -> str:
    """Return what the Host header of a request to `url` says."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2].lower().removesuffix(_DEFAULT_PORTS[parts.scheme])
