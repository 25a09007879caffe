"""Tokens of uploads, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from haulier.core.upload_tokens import TokenKey, TokenStatistics

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = TokenKey(content=f"sha256:{'a' * 64}", type="file", bot="7", name="\udcff\0.pdf")


async def test_a_token_lives_is_extended_refused_and_counted(catalog):
    def put(tx):
        tx.tokens.put(KEY, "t", 1 << 40, NOON, NOON + timedelta(hours=1))

    await catalog.transaction(put)
    await catalog.transaction(put)

    async def find(at):
        return await catalog.transaction(lambda tx: tx.tokens.find(KEY, at))

    assert await find(NOON) == "t"
    assert await find(NOON + timedelta(hours=1)) is None
    later = NOON + timedelta(hours=5)
    assert await catalog.transaction(lambda tx: tx.tokens.extend(KEY, "t", later))
    assert not await catalog.transaction(lambda tx: tx.tokens.extend(KEY, "u", None))
    assert await find(NOON + timedelta(hours=1)) == "t"
    assert await catalog.read(lambda tx: tx.tokens.statistics("7")) == TokenStatistics(
        tokens=1, hits=2, misses=1, bytes_saved=2 << 40
    )
    assert not await catalog.transaction(lambda tx: tx.tokens.refuse(KEY, "u"))
    assert await catalog.transaction(lambda tx: tx.tokens.refuse(KEY, "t"))
    assert await catalog.read(lambda tx: tx.tokens.statistics("7")) == TokenStatistics(
        hits=1, misses=2, refused=1, bytes_saved=1 << 40
    )


async def test_what_has_expired_is_removed(catalog):
    for number, expires_at in enumerate((None, NOON, NOON + timedelta(seconds=1))):
        key = TokenKey(content=f"sha256:{number:064x}", type="file", bot="7")
        await catalog.transaction(lambda tx: tx.tokens.put(key, "t", 1, NOON, expires_at))  # noqa: B023 - awaited here
    assert await catalog.transaction(lambda tx: tx.tokens.purge(NOON)) == 1
    assert (await catalog.read(lambda tx: tx.tokens.statistics("7"))).tokens == 2
