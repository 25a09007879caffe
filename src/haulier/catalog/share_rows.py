"""Share links in the catalog."""

from __future__ import annotations

import dataclasses
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, insert, or_, select, update

from haulier.catalog.share_tables import share_clients, shares
from haulier.catalog.upsert import upsert
from haulier.core.shares import Share


class ShareRows:
    """What can be done with share links inside one transaction (`Tx.shares`)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, share: Share) -> None:
        """Insert a link."""
        self._connection.execute(insert(shares).values(dataclasses.asdict(share)))

    def get(self, share_id: str) -> Share | None:
        """Return the link with that id."""
        return self._one(shares.c.share_id == share_id)

    def by_token(self, token_hash: str) -> Share | None:
        """Return the link whose token has that SHA-256."""
        return self._one(shares.c.token_hash == token_hash)

    def of_file(self, file_id: str) -> list[Share]:
        """Return the links to a file, newest first."""
        statement = (
            select(shares).where(shares.c.file_id == file_id).order_by(shares.c.share_id.desc())
        )
        return [Share(**row) for row in self._connection.execute(statement).mappings()]

    def of_creator(self, creator_id: str, before: str | None, limit: int) -> list[Share]:
        """Return the links that somebody made, newest first, from behind the id `before` on."""
        statement = select(shares).where(shares.c.creator_id == creator_id)
        if before is not None:
            statement = statement.where(shares.c.share_id < before)
        newest = statement.order_by(shares.c.share_id.desc()).limit(limit)
        return [Share(**row) for row in self._connection.execute(newest).mappings()]

    def revoke(self, share_id: str, now: datetime) -> None:
        """Take a link back; one that was taken back stays as it is."""
        columns = shares.c
        self._connection.execute(
            update(shares)
            .where(columns.share_id == share_id, columns.revoked_at.is_(None))
            .values(revoked_at=now)
        )

    def count_download(self, share_id: str, client: str, now: datetime) -> bool:
        """Count a download; False, and nothing done, when none is left or the link has ended.

        One statement decides, so that of downloads begun at once none is one too many.
        """
        columns = shares.c
        counted = self._connection.execute(
            update(shares)
            .where(
                columns.share_id == share_id,
                columns.revoked_at.is_(None),
                or_(columns.expires_at.is_(None), columns.expires_at > now),
                or_(columns.max_downloads.is_(None), columns.downloads < columns.max_downloads),
            )
            .values(downloads=columns.downloads + 1)
        )
        if counted.rowcount != 1:
            return False
        row = {"share_id": share_id, "client": client, "at": now}
        upsert(self._connection, share_clients, [row], key=["share_id", "client"])
        return True

    def has_counted(self, share_id: str, client: str, since: datetime) -> bool:
        """Tell whether a download of that client was counted after `since`."""
        columns = share_clients.c
        statement = select(columns.at).where(
            columns.share_id == share_id, columns.client == client, columns.at > since
        )
        return self._connection.execute(statement).first() is not None

    def _one(self, condition: ColumnElement[bool]) -> Share | None:
        row = self._connection.execute(select(shares).where(condition)).mappings().one_or_none()
        return None if row is None else Share(**row)
