"""Tickets: proof of who is asking where no header can be sent; each opens one thing, soon."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

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
        return await self._issue("ticket", user, {})

    async def redeem(self, ticket: str) -> Claims | None:
        """Return whom the ticket stands for, once; None when it is used, too old, or none."""
        told = await self._take("ticket", ticket)
        return None if told is None else _claims(told)

    async def issue_for_files(self, user: User, file_ids: Sequence[str]) -> str:
        """Return a ticket for `user` that is good for these files alone."""
        return await self._issue("files", user, {"files": list(file_ids)})

    async def redeem_for_files(self, ticket: str) -> tuple[Claims, list[str]] | None:
        """Return whom and which files the ticket stands for, once; None as `redeem` does."""
        told = await self._take("files", ticket)
        return None if told is None else (_claims(told), told["files"])

    async def _issue(self, kind: str, user: User, more: dict[str, Any]) -> str:
        ticket = secrets.token_urlsafe(32)
        until = self._now() + timedelta(seconds=TICKET_LIFETIME_S)
        told = {"user": user.user_id, "version": user.token_version, "until": until.isoformat()}
        text = json.dumps(told | more)
        await self._vouchers.put(_name_of(kind, ticket), text, TICKET_LIFETIME_S)
        return ticket

    async def _take(self, kind: str, ticket: str) -> dict[str, Any] | None:
        text = await self._vouchers.take(_name_of(kind, ticket))
        return None if text is None else json.loads(text)


def _claims(told: dict[str, Any]) -> Claims:
    return Claims(
        user_id=told["user"],
        kind=TokenKind.ACCESS,
        version=told["version"],
        scopes=frozenset(),
        expires_at=datetime.fromisoformat(told["until"]),
    )


def _name_of(kind: str, ticket: str) -> str:
    # Whoever sees the names of what is kept can't use them.
    return f"{kind}:{hashlib.sha256(ticket.encode()).hexdigest()}"
