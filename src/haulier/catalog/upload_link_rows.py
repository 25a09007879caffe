"""Upload links in the catalog."""

from __future__ import annotations

import dataclasses
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, insert, or_, select, update

from haulier.catalog.upload_link_tables import upload_links
from haulier.core.upload_links import UploadLink

_LINK = upload_links.c


class UploadLinkRows:
    """What can be done with upload links inside one transaction (`Tx.upload_links`)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, link: UploadLink) -> None:
        """Insert a link."""
        self._connection.execute(insert(upload_links).values(dataclasses.asdict(link)))

    def get(self, link_id: str) -> UploadLink | None:
        """Return the link with that id."""
        return self._one(_LINK.link_id == link_id)

    def by_token(self, token_hash: str) -> UploadLink | None:
        """Return the link whose token has that SHA-256."""
        return self._one(_LINK.token_hash == token_hash)

    def of_folder(self, folder_id: str) -> list[UploadLink]:
        """Return the links into a folder, newest first."""
        statement = select(upload_links).where(_LINK.folder_id == folder_id)
        found = self._connection.execute(statement.order_by(_LINK.link_id.desc())).mappings()
        return [UploadLink(**row) for row in found]

    def of_creator(self, creator_id: str, before: str | None, limit: int) -> list[UploadLink]:
        """Return the links that somebody made, newest first, from behind the id `before` on."""
        statement = select(upload_links).where(_LINK.creator_id == creator_id)
        if before is not None:
            statement = statement.where(_LINK.link_id < before)
        newest = statement.order_by(_LINK.link_id.desc()).limit(limit)
        return [UploadLink(**row) for row in self._connection.execute(newest).mappings()]

    def revoke(self, link_id: str, now: datetime) -> None:
        """Take a link back; one that was taken back stays as it is."""
        self._connection.execute(
            update(upload_links)
            .where(_LINK.link_id == link_id, _LINK.revoked_at.is_(None))
            .values(revoked_at=now)
        )

    def take(self, link_id: str, *, files: int, size_bytes: int) -> bool:
        """Count files and bytes that are to come; False, and nothing done, when these are too many.

        One statement decides, so that of uploads begun at once none is one too many.
        """
        counted = self._connection.execute(
            update(upload_links)
            .where(
                _LINK.link_id == link_id,
                or_(_LINK.max_files.is_(None), _LINK.files + files <= _LINK.max_files),
                or_(_LINK.max_bytes.is_(None), _LINK.size_bytes + size_bytes <= _LINK.max_bytes),
            )
            .values(files=_LINK.files + files, size_bytes=_LINK.size_bytes + size_bytes)
        )
        return counted.rowcount == 1

    def give_back(self, link_id: str, size_bytes: int) -> None:
        """Count a file less, which did not come, and its bytes."""
        self._connection.execute(
            update(upload_links)
            .where(_LINK.link_id == link_id)
            .values(files=_LINK.files - 1, size_bytes=_LINK.size_bytes - size_bytes)
        )

    def _one(self, condition: ColumnElement[bool]) -> UploadLink | None:
        found = select(upload_links).where(condition)
        row = self._connection.execute(found).mappings().one_or_none()
        return None if row is None else UploadLink(**row)
