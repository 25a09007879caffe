"""Statements about tokens of uploads, on a connection inside a transaction."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, or_, select, update

from haulier.catalog.token_tables import upload_token_counts, upload_tokens
from haulier.catalog.upsert import insert_missing, upsert
from haulier.core.upload_tokens import TokenKey, TokenStatistics

_COUNTS = ("hits", "misses", "refused", "bytes_saved")


class TokenRows:
    """What can be done with tokens inside one transaction (`Tx.tokens`)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, key: TokenKey, now: datetime) -> str | None:
        """Return the token that may be used now, and count whether there was one."""
        columns = upload_tokens.c
        is_alive = or_(columns.expires_at.is_(None), columns.expires_at > now)
        statement = select(columns.token, columns.size_bytes).where(_is(key), is_alive)
        row = self._connection.execute(statement).one_or_none()
        if row is None:
            self._count(key.bot, misses=1)
            return None
        self._count(key.bot, hits=1, bytes_saved=row.size_bytes)
        token: str = row.token
        return token

    def put(
        self,
        key: TokenKey,
        token: str,
        size_bytes: int,
        now: datetime,
        expires_at: datetime | None,
    ) -> None:
        """Keep a token in place of an earlier one."""
        row = {
            **dataclasses.asdict(key),
            "token": token,
            "size_bytes": size_bytes,
            "created_at": now,
            "expires_at": expires_at,
        }
        upsert(self._connection, upload_tokens, [row], key=("content", "type", "bot", "name"))

    def extend(self, key: TokenKey, token: str, expires_at: datetime | None) -> bool:
        """Let a token live on; False when it is not the one that is kept."""
        statement = (
            update(upload_tokens)
            .where(_is(key), upload_tokens.c.token == token)
            .values(expires_at=expires_at)
        )
        return self._connection.execute(statement).rowcount == 1

    def refuse(self, key: TokenKey, token: str | None) -> bool:
        """Forget a token that the chat refused, and that it was counted as found.

        With None whichever is kept. False when it is not the one that is kept any more:
        somebody replaced it already.
        """
        columns = upload_tokens.c
        statement = (
            delete(upload_tokens)
            .where(_is(key), *([] if token is None else [columns.token == token]))
            .returning(columns.size_bytes)
        )
        size_bytes = self._connection.execute(statement).scalar_one_or_none()
        if size_bytes is None:
            return False
        self._count(key.bot, hits=-1, misses=1, refused=1, bytes_saved=-size_bytes)
        return True

    def purge(self, now: datetime) -> int:
        """Remove tokens that have expired; return how many these were."""
        statement = delete(upload_tokens).where(upload_tokens.c.expires_at <= now)
        return self._connection.execute(statement).rowcount

    def statistics(self, bot: str) -> TokenStatistics:
        """Return what a bot's tokens were good for."""
        counted = select(func.count()).where(upload_tokens.c.bot == bot)
        tokens = self._connection.execute(counted).scalar_one()
        counts = upload_token_counts
        statement = select(*(counts.c[name] for name in _COUNTS)).where(counts.c.bot == bot)
        row = self._connection.execute(statement).mappings().one_or_none()
        return TokenStatistics(tokens=tokens, **(row or {}))

    def _count(self, bot: str, **more: int) -> None:
        counts = upload_token_counts
        row: dict[str, Any] = {"bot": bot, **dict.fromkeys(_COUNTS, 0)}
        insert_missing(self._connection, counts, [row])
        values = {name: counts.c[name] + count for name, count in more.items()}
        self._connection.execute(update(counts).where(counts.c.bot == bot).values(**values))


def _is(key: TokenKey) -> ColumnElement[bool]:
    columns = upload_tokens.c
    return and_(
        columns.content == key.content,
        columns.type == key.type,
        columns.bot == key.bot,
        columns.name == key.name,
    )
