"""Tickets: proof of who is asking where no header can be sent; each opens one thing, soon."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta

from haulier.coordination.vouchers import Vouchers
from haulier.core.accounts import User
from haulier.core.records import utc_now
from haulier.files.tokens import Claims, TokenKind

TICKET_LIFETIME_S = 60


class Tickets:
    """Tickets that were issued and that nobody used yet.

    Args:
        vouchers: keep them.
        now: the clock.
    """

    def __init__(self, vouchers: Vouchers, *, now: Callable[[], datetime] = utc_now) -> None:
        self._vouchers = vouchers
        self._now = now

    async def issue(self, user: User) -> str:
        """Return a ticket for `user`."""
        ticket = secrets.token_urlsafe(32)
        until = self._now() + timedelta(seconds=TICKET_LIFETIME_S)
        told = {"user": user.user_id, "version": user.token_version, "until": until.isoformat()}
        await self._vouchers.put(_name_of(ticket), json.dumps(told), TICKET_LIFETIME_S)
        return ticket

    async def redeem(self, ticket: str) -> Claims | None:
        """Return whom the ticket stands for, once; None when it is used, too old, or none."""
        text = await self._vouchers.take(_name_of(ticket))
        if text is None:
            return None
        told = json.loads(text)
        return Claims(
            user_id=told["user"],
            kind=TokenKind.ACCESS,
            version=told["version"],
            scopes=frozenset(),
            expires_at=datetime.fromisoformat(told["until"]),
        )


def _name_of(ticket: str) -> str:
    # Whoever sees the names of what is kept can't use them.
    return f"ticket:{hashlib.sha256(ticket.encode()).hexdigest()}"
