"""Tokens of an outside issuer: read with its published keys (JWKS), never with what they name.

The algorithm is that of the key, found by its id in our own copy of the issuer's set; `jku`, `x5u`
and the token's own idea of the algorithm are not followed.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from haulier.core.accounts import Role
from haulier.errors import ExternalServiceError, NotSignedIn

Fetch = Callable[[], Awaitable[bytes]]
"""Reads the issuer's key set; raises ExternalServiceError when it can't be had."""

_LEEWAY_S = 10
_FRESH_S = 600
_BETWEEN_FETCHES_S = 30
_SHORTEST_RSA_BITS = 2048
_LONGEST_SUBJECT = 255
_LONGEST_TOKEN = 16 << 10
_REQUIRED = ["exp", "sub", "aud", "iss"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideClaims:
    """What an outside token says of who is asking.

    Args:
        subject: the issuer's name for it.
        role: what the issuer lets it do here; None when it does not say.
    """

    subject: str
    role: Role | None


class OutsideTokens:
    """Reads an outside issuer's tokens.

    Args:
        issuer: as its tokens name it.
        audience: whom they must be meant for.
        fetch: reads its key set; None when it signs with `secret`.
        secret: shared with it, for HS256; None to take signatures by public keys only.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        *,
        issuer: str,
        audience: str,
        fetch: Fetch | None = None,
        secret: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer = issuer
        self._audience = audience
        self._fetch = fetch
        self._secret = secret
        self._clock = clock
        self._keys: dict[str | None, Any] = {}
        self._fetched_at = -float("inf")
        self._fetching = asyncio.Lock()

    def is_addressed(self, token: str) -> bool:
        """Tell whether `token` claims to be of this issuer; nothing of it is believed yet."""
        import jwt

        if len(token) > _LONGEST_TOKEN:
            return False
        try:
            claims = jwt.decode(token, options={"verify_signature": False})
        except (jwt.InvalidTokenError, RecursionError):
            return False
        return claims.get("iss") == self._issuer

    async def read(self, token: str) -> OutsideClaims:
        """Return what `token` says.

        Raises:
            NotSignedIn: it is altered, expired, for somebody else, or signed by an unknown key.
            ExternalServiceError: the issuer's keys were never had and can't be.
        """
        import jwt

        try:
            header = jwt.get_unverified_header(token)
            key, algorithm = await self._key_for(header)
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self._audience,
                issuer=self._issuer,
                leeway=_LEEWAY_S,
                options={"require": _REQUIRED},
            )
        except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError):
            raise NotSignedIn("the token is not valid here") from None
        subject = str(claims["sub"])
        if not 0 < len(subject) <= _LONGEST_SUBJECT or not subject.isprintable():
            raise NotSignedIn("the token names nobody")
        role = claims.get("role")
        if not isinstance(role, str) or role not in set(Role):
            return OutsideClaims(subject=subject, role=None)
        return OutsideClaims(subject=subject, role=Role(role))

    async def _key_for(self, header: dict[str, Any]) -> tuple[Any, str]:
        algorithm, key_id = header.get("alg"), header.get("kid")
        if algorithm == "HS256" and self._secret is not None:
            return self._secret, "HS256"
        known = await self._find(key_id)
        if known is None or known.algorithm_name != algorithm:
            raise NotSignedIn("the token is signed by a key that its issuer does not publish")
        return known.key, known.algorithm_name

    async def _find(self, key_id: str | None) -> Any | None:
        if self._fetch is None:
            return None
        age_s = self._clock() - self._fetched_at
        if age_s >= _FRESH_S or (self._lookup(key_id) is None and age_s >= _BETWEEN_FETCHES_S):
            await self._refresh(self._fetch)
        return self._lookup(key_id)

    def _lookup(self, key_id: str | None) -> Any | None:
        if key_id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(key_id)

    async def _refresh(self, fetch: Fetch) -> None:
        asked_at = self._clock()
        async with self._fetching:
            if self._fetched_at >= asked_at:  # somebody else has just done it
                return
            try:
                self._keys = _read_keys(await fetch())
            except ExternalServiceError:
                # An issuer that is away for a while locks nobody out whose key is known.
                if not self._keys:
                    raise
            self._fetched_at = self._clock()


def _read_keys(document: bytes) -> dict[str | None, Any]:
    import jwt

    try:
        listed = json.loads(document)["keys"]
        found = {}
        for one in listed:
            if (algorithm := _algorithm_of(one)) is None:
                continue
            key = jwt.PyJWK(one, algorithm=algorithm)
            if getattr(key.key, "key_size", _SHORTEST_RSA_BITS) < _SHORTEST_RSA_BITS and (
                algorithm == "RS256"
            ):
                continue
            found[one.get("kid")] = key
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, jwt.PyJWTError) as exc:
        raise ExternalServiceError(
            "the issuer's key set can't be read", hint="Check JWT_JWKS_URL."
        ) from exc
    return found


def _algorithm_of(key: dict[str, Any]) -> str | None:
    if key.get("use", "sig") != "sig":
        return None
    kinds = {("RSA", None): "RS256", ("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}
    algorithm = kinds.get((str(key.get("kty")), key.get("crv")))
    return algorithm if key.get("alg", algorithm) == algorithm else None
