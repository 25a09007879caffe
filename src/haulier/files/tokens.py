"""Tokens: signed statements of who is asking, and until when (JWT, RFC 7519).

The algorithm is pinned and `exp` required. `ver` is the user's token version: changing a password
or signing out makes every token before it void.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from haulier.core.accounts import User
from haulier.core.records import utc_now
from haulier.errors import ConfigurationError, NotSignedIn

SHORTEST_SECRET = 32

_ALGORITHM = "HS256"
_AUDIENCE = "haulier"
_LEEWAY_S = 10
_MOST_KNOWN = 10_000


class TokenKind(StrEnum):
    """What a token is for."""

    ACCESS = "access"
    REFRESH = "refresh"
    DEVICE = "device"
    SERVICE = "service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a valid token says."""

    user_id: str
    kind: TokenKind
    version: int
    scopes: frozenset[str]
    expires_at: datetime


class Tokens:
    """Issues and reads tokens.

    Args:
        secret: of at least 32 characters.
        now: the clock.
    """

    def __init__(self, secret: str, *, now: Callable[[], datetime] = utc_now) -> None:
        if len(secret) < SHORTEST_SECRET:
            raise ConfigurationError(
                f"the secret that signs tokens has fewer than {SHORTEST_SECRET} characters",
                hint="Set JWT_SECRET_KEY to the output of `openssl rand -hex 32`.",
            )
        self._secret = secret
        self._now = now
        self._known: dict[str, Claims] = {}  # signatures need to be checked once

    def issue(
        self,
        user: User,
        lifetime: timedelta,
        *,
        kind: TokenKind = TokenKind.ACCESS,
        scopes: frozenset[str] = frozenset(),
    ) -> str:
        """Return a token for `user`."""
        import jwt

        now = self._now()
        return jwt.encode(
            {
                "sub": user.user_id,
                "aud": _AUDIENCE,
                "iat": int(now.timestamp()),
                "exp": int((now + lifetime).timestamp()),
                "jti": secrets.token_hex(8),
                "typ": str(kind),
                "ver": user.token_version,
                "scope": " ".join(sorted(scopes)),
            },
            self._secret,
            algorithm=_ALGORITHM,
        )

    def read(self, token: str, *kinds: TokenKind) -> Claims:
        """Return what `token` says; `kinds` are those that are accepted.

        Raises:
            NotSignedIn: it is none of ours, altered, expired, or of another kind.
        """
        found = self._known.get(token)
        if found is None:
            found = self._verified(token)
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[token] = found
        if found.kind not in kinds:
            raise NotSignedIn(f"a token of the kind {found.kind} is not accepted here")
        if self._now() >= found.expires_at + timedelta(seconds=_LEEWAY_S):
            raise NotSignedIn("the token has expired")
        return found

    def seal(self, purpose: str, text: str) -> str:
        """Return what nobody else can make of `text`; for each purpose another one."""
        sealed = f"haulier {purpose}\0{text}".encode()
        return hmac.new(self._secret.encode(), sealed, "sha256").hexdigest()

    def _verified(self, token: str) -> Claims:
        import jwt

        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=[_ALGORITHM],
                audience=_AUDIENCE,
                options={
                    "require": ["exp", "sub", "aud"],
                    "verify_exp": False,
                    "verify_iat": False,
                },
            )
            return Claims(
                user_id=str(claims["sub"]),
                kind=TokenKind(claims["typ"]),
                version=int(claims["ver"]),
                scopes=frozenset(str(claims.get("scope", "")).split()),
                expires_at=datetime.fromtimestamp(int(claims["exp"]), tz=self._now().tzinfo),
            )
        except (jwt.InvalidTokenError, KeyError, ValueError, TypeError, OverflowError):
            raise NotSignedIn("the token is not valid here") from None
