"""Passwords of links: given each time, or once by a browser that keeps a pass for a while."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import datetime

from haulier.errors import SharePasswordNeeded
from haulier.files.passwords import Passwords
from haulier.files.tokens import Tokens

SHORTEST_SHARE_PASSWORD = 6
PASS_LIFETIME_S = 15 * 60
"""How long a browser that gave the password need not give it again."""


class LinkPasswords:
    """The passwords of one kind of links.

    Args:
        tokens: whose secret seals passes.
        kind: of link; a pass of one kind is none of another.
        now: the clock.
    """

    def __init__(self, tokens: Tokens, kind: str, now: Callable[[], datetime]) -> None:
        self._tokens = tokens
        self._kind = kind
        self._passwords = Passwords()
        self._now = now

    async def hash(self, password: str | None) -> str | None:
        """Return what is kept of a password.

        Raises:
            ValidationError: it is too short.
        """
        if password is None:
            return None
        return await self._passwords.hash(password, shortest=SHORTEST_SHARE_PASSWORD)

    async def check(self, known: str | None, password: str) -> None:
        """Make sure that the password is the one of which `known` is kept.

        Raises:
            SharePasswordNeeded: it is another.
        """
        if known is not None and not await self._passwords.verify(known, password):
            raise SharePasswordNeeded("the password is wrong")

    def issue(self, link_id: str, known: str | None) -> str:
        """Return what stands for the password of a link for `PASS_LIFETIME_S`."""
        until = int(self._now().timestamp()) + PASS_LIFETIME_S
        return f"{until}.{self._seal(link_id, known, until)}"

    def is_pass(self, link_id: str, known: str | None, given: str) -> bool:
        """Tell whether `issue` gave this for this link, not too long ago."""
        until, _, seal = given.partition(".")
        if not until.isascii() or not until.isdigit() or len(until) > 12:
            return False
        if int(until) < self._now().timestamp():
            return False
        expected = self._seal(link_id, known, int(until))
        return hmac.compare_digest(seal.encode(), expected.encode())

    def _seal(self, link_id: str, known: str | None, until: int) -> str:
        # Another password makes it void.
        return self._tokens.seal(self._kind, f"{link_id} {known} {until}")
