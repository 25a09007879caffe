"""Share links: whoever has one fetches one file, for as long and as often as it says."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta

from haulier.catalog.catalog import Catalog
from haulier.catalog.transaction import Tx
from haulier.core.accounts import StoredFile, User
from haulier.core.grants import Level
from haulier.core.records import new_file_id, utc_now
from haulier.core.shares import Share
from haulier.errors import FileNotFoundError as NoSuchShare
from haulier.errors import ValidationError
from haulier.files.access import check_revoke, level_of, may_revoke, may_share
from haulier.files.events import FileEvents
from haulier.files.library import find
from haulier.files.link_passwords import LinkPasswords
from haulier.files.tokens import Tokens

_TOKEN_BYTES = 24
_LONGEST_TOKEN = 64
_CONTINUED_FOR = timedelta(hours=24)


class Shares:
    """The links of a server.

    Args:
        catalog: where they are recorded.
        tokens: whose secret also seals passes.
        events: is told of new links.
        now: the clock.
    """

    def __init__(
        self,
        catalog: Catalog,
        tokens: Tokens,
        events: FileEvents,
        *,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._catalog = catalog
        self._events = events
        self._now = now
        self.passwords = LinkPasswords(tokens, "share", self._now)

    async def create(
        self,
        user: User,
        stored: StoredFile,
        *,
        password: str | None = None,
        max_downloads: int | None = None,
        expires_at: datetime | None = None,
    ) -> tuple[Share, str]:
        """Make a link to a file that `user` may share; return it and its token, which is not kept.

        Raises:
            FileNotFoundError: the file is gone meanwhile.
            FilePermissionError: `user` may not share it any more.
            ValidationError: the password is too short, or the time is over.
        """
        now = self._now()
        if expires_at is not None and expires_at <= now:
            raise ValidationError("expires_at is over already")
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        share = Share(
            share_id=new_file_id(),
            file_id=stored.file_id,
            creator_id=user.user_id,
            token_hash=_hash_of(token),
            created_at=now,
            password_hash=await self.passwords.hash(password),
            max_downloads=max_downloads,
            expires_at=expires_at,
        )

        def record(tx: Tx) -> None:
            # As it is now: hashing the password took a while.
            current = find(tx, user, stored.file_id, Level.SHARE)
            tx.shares.add(share)
            self._events.file_shared(tx, current, share)

        await self._catalog.transaction(record)
        return share, token

    async def of_file(self, stored: StoredFile) -> list[Share]:
        """Return the links to a file, newest first."""
        return await self._catalog.read(lambda tx: tx.shares.of_file(stored.file_id))

    async def of_creator(
        self, user: User, before: str | None, limit: int
    ) -> list[tuple[Share, StoredFile | None]]:
        """Return the links that `user` made, newest first, from behind the id `before` on.

        With each its file; None where that is gone, or nothing that they may see any more.
        """

        def work(tx: Tx) -> list[tuple[Share, StoredFile | None]]:
            made = tx.shares.of_creator(user.user_id, before, limit)
            files = tx.stored.get_many([share.file_id for share in made])
            seen = {
                file_id: stored
                for file_id, stored in files.items()
                if stored.deleted_at is None and level_of(tx, user, stored) is not None
            }
            return [(share, seen.get(share.file_id)) for share in made]

        return await self._catalog.read(work)

    async def revoke(self, user: User, share_id: str) -> None:
        """Take a link back.

        Raises:
            FileNotFoundError: there is none, or none that `user` may see.
        """

        def work(tx: Tx) -> None:
            share = tx.shares.get(share_id)
            stored = None if share is None else tx.stored.get(share.file_id)
            if share is None or not may_revoke(tx, user, share, stored):
                raise NoSuchShare("there is no such link")
            check_revoke(tx, user, share, stored)
            tx.shares.revoke(share_id, self._now())

        await self._catalog.transaction(work)

    async def open(self, token: str) -> tuple[Share, StoredFile]:
        """Return the link with that token, and its file; downloads may be used up.

        Raises:
            FileNotFoundError: there is none, it was taken back or has expired, its file or
                whoever made it is gone, or may not share the file any more: which of these, is
                not told.
        """
        hashed = _hash_of(token)

        def look(tx: Tx) -> tuple[Share, StoredFile] | None:
            share = tx.shares.by_token(hashed)
            if share is None or not hmac.compare_digest(share.token_hash, hashed):
                return None
            stored, creator = tx.stored.get(share.file_id), tx.users.get(share.creator_id)
            if stored is None or stored.deleted_at is not None:
                return None
            if creator is None or creator.disabled or not may_share(tx, creator, stored):
                return None
            return (share, stored) if share.is_open(self._now()) else None

        found = None
        if len(token) <= _LONGEST_TOKEN:
            found = await self._catalog.read(look)
        if found is None:
            raise dead_link()
        return found

    async def count(self, share: Share, client: str, *, continues: bool) -> None:
        """Count a download before its first byte, unless it continues one that was counted.

        Args:
            share: an open link.
            client: by which somebody is recognised who continues.
            continues: whether the request is for bytes behind the first.

        Raises:
            FileNotFoundError: no download is left.
        """
        now, who = self._now(), _hash_of(client)

        def work(tx: Tx) -> bool:
            since = now - _CONTINUED_FOR
            if continues and tx.shares.has_counted(share.share_id, who, since):
                return True
            return tx.shares.count_download(share.share_id, who, now)

        if not await self._catalog.transaction(work):
            raise dead_link()


def dead_link() -> NoSuchShare:
    """Return the one error for whatever is wrong with a link."""
    return NoSuchShare(
        "this link leads nowhere, or not any more", hint="Ask whoever gave it to you for a new one."
    )


def _hash_of(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
