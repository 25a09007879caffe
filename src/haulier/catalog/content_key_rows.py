"""Keys of contents in the catalog."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy import Connection, delete, select

from haulier.catalog.content_key_tables import content_keys
from haulier.catalog.upsert import upsert


@dataclass(frozen=True, slots=True, kw_only=True)
class WrappedKey:
    """The key of one content, sealed with the server's key `key_id`."""

    content_id: str
    key_id: str
    wrapped: bytes


class ContentKeyRows:
    """What can be done with keys of contents inside one transaction (`Tx.content_keys`)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, key: WrappedKey) -> None:
        """Insert the key of a content, or write it over the one that is there."""
        upsert(self._connection, content_keys, [asdict(key)], key=["content_id"])

    def get(self, content_id: str) -> WrappedKey | None:
        """Return the key of a content; None when it is not sealed."""
        statement = select(content_keys).where(content_keys.c.content_id == content_id)
        row = self._connection.execute(statement).mappings().one_or_none()
        return None if row is None else WrappedKey(**row)

    def delete(self, content_id: str) -> None:
        """Forget the key of a content, which nobody can read any more then."""
        self._connection.execute(
            delete(content_keys).where(content_keys.c.content_id == content_id)
        )

    def key_ids(self) -> set[str]:
        """Return the server's keys that keys of contents are sealed with."""
        statement = select(content_keys.c.key_id).distinct()
        return set(self._connection.execute(statement).scalars())

    def not_under(self, key_id: str, limit: int) -> list[WrappedKey]:
        """Return keys of contents that are sealed with another key of the server, and lock them."""
        statement = (
            select(content_keys)
            .where(content_keys.c.key_id != key_id)
            .order_by(content_keys.c.content_id)
            .limit(limit)
            .with_for_update()
        )
        return [WrappedKey(**row) for row in self._connection.execute(statement).mappings()]
