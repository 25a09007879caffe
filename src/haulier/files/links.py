"""Signed links: one file for a while, where no header can be sent, as in `<img>` and players."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from haulier.catalog.catalog import Catalog
from haulier.catalog.transaction import Tx
from haulier.core.accounts import StoredFile, User
from haulier.core.records import utc_now
from haulier.errors import FileNotFoundError as NoSuchLink
from haulier.files.access import level_of
from haulier.files.tokens import Tokens

LONGEST_S = 3600

_FORM = re.compile(
    r"([0-9a-z]{26})\.([0-9a-z]{26})\.(\d{1,9})\.(\d{1,12})\.([0-9a-f]{64})", re.ASCII
)


class Links:
    """The signed links of a server; nothing of them is kept.

    Args:
        catalog: where files and users are recorded.
        tokens: whose secret signs.
        now: the clock.
    """

    def __init__(
        self, catalog: Catalog, tokens: Tokens, *, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._catalog = catalog
        self._tokens = tokens
        self._now = now

    def sign(self, user: User, stored: StoredFile, expires_s: int) -> tuple[str, datetime]:
        """Return what opens a file for `expires_s` seconds to whoever has it, and when it ends."""
        until = int((self._now() + timedelta(seconds=expires_s)).timestamp())
        told = f"{stored.file_id}.{user.user_id}.{user.token_version}.{until}"
        return f"{told}.{self._tokens.seal('link', told)}", datetime.fromtimestamp(until, UTC)

    async def open(self, token: str) -> StoredFile:
        """Return the file that a link opens.

        Raises:
            FileNotFoundError: it is none of ours or has expired, whoever made it signed out or may
                not see the file any more, or the file is gone.
        """
        found = _FORM.fullmatch(token)
        stored = None if found is None else await self._look(found)
        if stored is None:
            raise NoSuchLink("this link leads nowhere, or not any more", hint="Ask for a new one.")
        return stored

    async def _look(self, found: re.Match[str]) -> StoredFile | None:
        file_id, user_id, version, until, seal = found.groups()
        told = found[0].rpartition(".")[0]
        if not hmac.compare_digest(seal, self._tokens.seal("link", told)):
            return None
        if int(until) <= self._now().timestamp():
            return None

        def look(tx: Tx) -> StoredFile | None:
            user, stored = tx.users.get(user_id), tx.stored.get(file_id)
            if user is None or user.disabled or user.token_version != int(version):
                return None
            if stored is None or stored.deleted_at is not None:
                return None
            return None if level_of(tx, user, stored) is None else stored

        return await self._catalog.read(look)
