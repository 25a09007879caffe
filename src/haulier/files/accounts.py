"""Accounts: who there is, and proof of who somebody is."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import replace

from haulier.catalog.catalog import Catalog
from haulier.catalog.transaction import Tx
from haulier.core.accounts import Role, User
from haulier.core.records import new_file_id, utc_now
from haulier.errors import FileNotFoundError as NoSuchUser
from haulier.errors import NotSignedIn, UserExists, ValidationError
from haulier.files.outside import OutsideClaims
from haulier.files.passwords import SHORTEST_PASSWORD, Passwords

REMEMBERED_S = 1.0
"""How long another process's change of an account may go unnoticed."""

_NAME = re.compile(r"[^\W_][\w.@+-]{0,63}")
_MOST_REMEMBERED = 10_000


class Accounts:
    """The users of a server.

    Args:
        catalog: where they are recorded.
        clock: seconds that only ever grow.
    """

    def __init__(self, catalog: Catalog, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._catalog = catalog
        self._clock = clock
        self._remembered: dict[str, tuple[float, User]] = {}
        self._passwords = Passwords()
        self._decoy: str | None = None

    async def add(
        self,
        name: str,
        role: Role,
        *,
        password: str | None = None,
        quota_bytes: int | None = None,
    ) -> User:
        """Make an account.

        Args:
            name: 1 to 64 letters, digits and . _ @ + -
            role: what it may do at most.
            password: none, when only tokens shall open it.
            quota_bytes: how much it may keep; None for no limit.

        Raises:
            ValidationError: the name or the password can't be.
            UserExists: there is one of that name.
        """
        if not _NAME.fullmatch(name):
            raise ValidationError(
                f"{name[:70]!r} can't be a user's name",
                hint="Use 1 to 64 letters, digits and . _ @ + -, beginning with a letter or digit.",
            )
        user = User(
            user_id=new_file_id(),
            name=name,
            role=role,
            created_at=utc_now(),
            password_hash=None if password is None else await self._passwords.hash(password),
            quota_bytes=quota_bytes,
        )

        def record(tx: Tx) -> None:
            if tx.users.by_name(name) is not None:
                raise UserExists(f"there is a user {name} already")
            tx.users.put(user)

        await self._catalog.transaction(record)
        return user

    async def get(self, name: str) -> User:
        """Return the user of that name.

        Raises:
            FileNotFoundError: there is none.
        """
        user = await self._catalog.read(lambda tx: tx.users.by_name(name))
        if user is None:
            raise NoSuchUser(f"there is no user {name}", hint="Make one with `haulier user add`.")
        return user

    async def with_id(self, user_id: str) -> User:
        """Return the user with that id.

        Raises:
            FileNotFoundError: there is none.
        """
        user = await self._catalog.read(lambda tx: tx.users.get(user_id))
        if user is None:
            raise NoSuchUser("there is no such user")
        return user

    async def list(self, after: str | None, limit: int) -> list[User]:
        """Return users, oldest first, from behind the one with the id `after` on."""
        return await self._catalog.read(lambda tx: tx.users.list(after, limit))

    async def signed_in(self, user_id: str) -> User | None:
        """Return the user with that id as it was at most `REMEMBERED_S` ago.

        For what every request asks. What this process changes shows at once.
        """
        read_at, user = self._remembered.get(user_id, (-REMEMBERED_S, None))
        if user is not None and self._clock() - read_at < REMEMBERED_S:
            return user
        now = self._clock()
        user = await self._catalog.read(lambda tx: tx.users.get(user_id))
        if user is not None:
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[user_id] = now, user
        return user

    async def of_outside(self, claims: OutsideClaims) -> User:
        """Return the account of somebody whom an outside issuer vouches for; made at first sight.

        Raises:
            NotSignedIn: it is disabled here.
        """
        # No account that is made here can have a colon in its name.
        name = f"outside:{claims.subject}"

        def find(tx: Tx) -> User | None:
            return tx.users.by_name(name)

        def keep(tx: Tx) -> User:
            known = find(tx) or User(
                user_id=new_file_id(), name=name, role=Role.USER, created_at=utc_now()
            )
            user = replace(known, role=claims.role or known.role)
            tx.users.put(user)
            return user

        user = await self._catalog.read(find)
        if user is None or claims.role not in {None, user.role}:
            user = await self._catalog.transaction(keep)
        if user.disabled:
            raise NotSignedIn("the account is disabled")
        return user

    async def count(self) -> int:
        """Return how many users there are."""
        return await self._catalog.read(lambda tx: tx.users.count())

    async def sign_in(self, name: str, password: str) -> User:
        """Return the user if the password is right.

        Raises:
            NotSignedIn: it is not, or there is no such user, or it is disabled: which of these,
                neither the words nor the time tell.
        """
        user = await self._catalog.read(lambda tx: tx.users.by_name(name))
        known = user.password_hash if user is not None else None
        if self._decoy is None:
            self._decoy = await self._passwords.hash("x" * SHORTEST_PASSWORD)
        is_right = await self._passwords.verify(known or self._decoy, password)
        if user is None or known is None or not is_right or user.disabled:
            raise NotSignedIn("the name or the password is wrong")
        if await asyncio.to_thread(_needs_rehash, known):
            await self._set(user, password_hash=await self._passwords.hash(password))
        return user

    async def set_password(self, user: User, password: str) -> User:
        """Change the password; every token of the user is void after it."""
        return await self._set(
            user,
            password_hash=await self._passwords.hash(password),
            token_version=user.token_version + 1,
        )

    async def sign_out_everywhere(self, user: User) -> User:
        """Make every token of the user void."""
        return await self._set(user, token_version=user.token_version + 1)

    async def disable(self, user: User) -> User:
        """Accept nothing of the user any more."""
        return await self.change(user, disabled=True)

    async def change(self, user: User, *, password: str | None = None, **changes: object) -> User:
        """Change fields of an account, and its password.

        A new password, and `disabled`, make every token of the user void.
        """
        if password is not None:
            changes["password_hash"] = await self._passwords.hash(password)
        if password is not None or changes.get("disabled"):
            changes["token_version"] = user.token_version + 1
        return await self._set(user, **changes)

    async def _set(self, user: User, **changes: object) -> User:
        def record(tx: Tx) -> User:
            # As it is now: two admins may change one account at once.
            tx.users.lock(user.user_id)
            current = tx.users.get(user.user_id) or user
            changed = replace(current, **changes)  # type: ignore[arg-type]  # fields of User, by name
            tx.users.put(changed)
            return changed

        changed = await self._catalog.transaction(record)
        self._remembered.pop(user.user_id, None)
        return changed


def _needs_rehash(known: str) -> bool:
    from argon2 import PasswordHasher

    return PasswordHasher().check_needs_rehash(known)
