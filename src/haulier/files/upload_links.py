"""Upload links: whoever has one brings files into one folder, and sees nothing of what is there."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from datetime import datetime

from haulier.catalog.catalog import Catalog
from haulier.catalog.transaction import Tx
from haulier.core.accounts import Folder, User
from haulier.core.grants import Level
from haulier.core.records import new_file_id, utc_now
from haulier.core.upload_links import UploadLink
from haulier.errors import FileNotFoundError as NoSuchLink
from haulier.errors import ValidationError
from haulier.files.access import check_level, level_for_link, may_receive
from haulier.files.folders import find_folder
from haulier.files.link_passwords import LinkPasswords
from haulier.files.tokens import Tokens

_TOKEN_BYTES = 24
_LONGEST_TOKEN = 64


class UploadLinks:
    """The upload links of a server.

    Args:
        catalog: where they are recorded.
        tokens: whose secret also seals passes.
        now: the clock.
    """

    def __init__(
        self, catalog: Catalog, tokens: Tokens, *, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._catalog = catalog
        self._now = now
        self.passwords = LinkPasswords(tokens, "upload-link", self._now)

    async def create(
        self,
        user: User,
        folder_id: str,
        *,
        title: str = "",
        password: str | None = None,
        max_files: int | None = None,
        max_bytes: int | None = None,
        expires_at: datetime | None = None,
    ) -> tuple[UploadLink, str]:
        """Make a link into a folder that `user` may share; return it and its token.

        The token is not kept.

        Raises:
            FileNotFoundError: there is no such folder that `user` may see.
            FilePermissionError: `user` may not share it.
            ValidationError: the password is too short, or the time is over.
        """
        now = self._now()
        if expires_at is not None and expires_at <= now:
            raise ValidationError("expires_at is over already")
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        link = UploadLink(
            link_id=new_file_id(),
            folder_id=folder_id,
            creator_id=user.user_id,
            token_hash=_hash_of(token),
            created_at=now,
            title=title,
            password_hash=await self.passwords.hash(password),
            max_files=max_files,
            max_bytes=max_bytes,
            expires_at=expires_at,
        )

        def record(tx: Tx) -> None:
            find_folder(tx, user, folder_id, Level.SHARE)
            tx.upload_links.add(link)

        await self._catalog.transaction(record)
        return link, token

    async def of_folder(self, user: User, folder_id: str) -> list[UploadLink]:
        """Return the links into a folder that `user` may share, newest first."""

        def work(tx: Tx) -> list[UploadLink]:
            find_folder(tx, user, folder_id, Level.SHARE)
            return tx.upload_links.of_folder(folder_id)

        return await self._catalog.read(work)

    async def of_creator(
        self, user: User, before: str | None, limit: int
    ) -> list[tuple[UploadLink, Folder | None]]:
        """Return the links that `user` made, newest first, from behind the id `before` on.

        With each its folder; None where that is gone, or nothing that they may see any more.
        """

        def seen(tx: Tx, link: UploadLink) -> Folder | None:
            try:
                return find_folder(tx, user, link.folder_id)
            except NoSuchLink:
                return None

        def work(tx: Tx) -> list[tuple[UploadLink, Folder | None]]:
            made = tx.upload_links.of_creator(user.user_id, before, limit)
            return [(link, seen(tx, link)) for link in made]

        return await self._catalog.read(work)

    async def revoke(self, user: User, link_id: str) -> None:
        """Take a link back; what is on its way by it does not become a file.

        Raises:
            FileNotFoundError: there is none, or none that `user` may see.
            FilePermissionError: `user` may not.
        """

        def work(tx: Tx) -> None:
            link = tx.upload_links.get(link_id)
            folder = None if link is None else tx.folders.get(link.folder_id)
            level = None if link is None else level_for_link(tx, user, link, folder)
            if level is None:
                raise NoSuchLink("there is no such link")
            check_level(user, level, Level.SHARE)
            tx.upload_links.revoke(link_id, self._now())

        await self._catalog.transaction(work)

    async def open(self, token: str) -> tuple[UploadLink, Folder]:
        """Return the link with that token, and its folder; it may be full.

        Raises:
            FileNotFoundError: there is none, it was taken back or has expired, its folder is gone,
                or whoever made it may not share that any more: which of these, is not told.
        """
        hashed = _hash_of(token)

        def look(tx: Tx) -> tuple[UploadLink, Folder] | None:
            link = tx.upload_links.by_token(hashed)
            if link is None or not hmac.compare_digest(link.token_hash, hashed):
                return None
            folder = _receiving(tx, link) if link.is_open(self._now()) else None
            return None if folder is None else (link, folder)

        found = None
        if len(token) <= _LONGEST_TOKEN:
            found = await self._catalog.read(look)
        if found is None:
            raise dead_link()
        return found


def folder_of_link(tx: Tx, link_id: str) -> Folder | None:
    """Return the folder into which what came by a link goes; None where it does not any more.

    What was begun before a link expired may end.
    """
    link = tx.upload_links.get(link_id)
    return None if link is None or link.revoked_at is not None else _receiving(tx, link)


def dead_link() -> NoSuchLink:
    """Return the one error for whatever is wrong with a link."""
    return NoSuchLink(
        "this link leads nowhere, or not any more", hint="Ask whoever gave it to you for a new one."
    )


def _receiving(tx: Tx, link: UploadLink) -> Folder | None:
    folder, creator = tx.folders.get(link.folder_id), tx.users.get(link.creator_id)
    if folder is None or creator is None or not may_receive(tx, creator, folder):
        return None
    return folder


def _hash_of(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
