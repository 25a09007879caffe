"""Tickets: proof of who is asking where no header can be sent; each opens one thing, soon."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta

from haulier.core.accounts import User
from haulier.core.records import utc_now
from haulier.files.tokens import Claims, TokenKind

TICKET_LIFETIME_S = 60


class Tickets:
    """Tickets that this process issued and that nobody used yet.

    Args:
        now: the clock.
    """

    def __init__(self, *, now: Callable[[], datetime] = utc_now) -> None:
        self._now = now
        self._issued: dict[str, Claims] = {}

    def issue(self, user: User) -> str:
        """Return a ticket for `user`."""
        self._drop_old()
        ticket = secrets.token_urlsafe(32)
        self._issued[ticket] = Claims(
            user_id=user.user_id,
            kind=TokenKind.ACCESS,
            version=user.token_version,
            scopes=frozenset(),
            expires_at=self._now() + timedelta(seconds=TICKET_LIFETIME_S),
        )
        return ticket

    def redeem(self, ticket: str) -> Claims | None:
        """Return whom the ticket stands for, once; None when it is used, too old, or none."""
        claims = self._issued.pop(ticket, None)
        if claims is None or self._now() >= claims.expires_at:
            return None
        return claims

    def _drop_old(self) -> None:
        # In the order of their issue, and all live equally long.
        for ticket, claims in list(self._issued.items()):
            if self._now() < claims.expires_at:
                return
            del self._issued[ticket]
