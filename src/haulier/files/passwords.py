"""Passwords, kept as Argon2id."""

from __future__ import annotations

import asyncio

from haulier.errors import ValidationError

SHORTEST_PASSWORD = 10
LONGEST_PASSWORD = 1024
# Each takes 64 MiB and 0.1 s of a core.
_HASHES_AT_ONCE = 2


class Passwords:
    """Hashes passwords and compares them, a few at a time and beside the event loop."""

    def __init__(self) -> None:
        self._hashing = asyncio.Semaphore(_HASHES_AT_ONCE)

    async def hash(self, password: str, *, shortest: int = SHORTEST_PASSWORD) -> str:
        """Return what is kept of a password, in PHC form.

        Raises:
            ValidationError: it is too short or too long.
        """
        from argon2 import PasswordHasher

        if not shortest <= len(password) <= LONGEST_PASSWORD:
            raise ValidationError(f"a password has {shortest} to {LONGEST_PASSWORD} characters")
        async with self._hashing:
            return await asyncio.to_thread(PasswordHasher().hash, password)

    async def verify(self, known: str, password: str) -> bool:
        """Tell whether `known` was made of that password."""
        from argon2 import PasswordHasher
        from argon2.exceptions import VerificationError

        if len(password) > LONGEST_PASSWORD:
            return False
        async with self._hashing:
            try:
                return await asyncio.to_thread(PasswordHasher().verify, known, password)
            except VerificationError:
                return False
