"""Copies of a catalog, on both databases."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from catalogs import second_postgres  # noqa: F401 - pytest finds fixtures by name
from haulier.catalog.catalog import Catalog
from haulier.catalog.snapshots import Content, load_snapshot, take_snapshot
from haulier.core.accounts import Role, StoredFile
from haulier.core.records import new_file_id, utc_now
from haulier.errors import CatalogError
from haulier.files.accounts import Accounts
from haulier.files.audit import AuditLog

KEY = "k" * 64


def stored(owner, name, **more):
    file_id = new_file_id()
    return StoredFile(
        file_id=file_id, owner_id=owner.user_id, name=name, size_bytes=3, crc64nvme="a" * 16,
        crc32="b" * 8, content_id=file_id, created_at=utc_now(), modified_at=utc_now(), **more,
    )  # fmt: skip


@pytest.fixture
def second_url(catalog_url, tmp_path, request):
    if catalog_url.startswith("sqlite"):
        return f"sqlite:///{tmp_path}/second/catalog.db"
    return request.getfixturevalue("second_postgres")


async def test_what_was_there_is_there_again(catalog, catalog_url, second_url, tmp_path):
    ann = await Accounts(catalog).add("ann", Role.USER)
    odd = stored(ann, "öd\n\\N\t\udcff.txt", tags={"a": "\\.", "b": "\0"})
    audit = AuditLog(catalog, KEY)
    await audit.record("x", object_id="y")
    later = replace(odd, content_id=new_file_id(), sha256="c" * 64)

    def record(tx):
        tx.stored.add(odd)
        tx.stored.add_version(odd, later)

    await catalog.transaction(record)
    target = tmp_path / "copy"
    target.mkdir()
    contents = await asyncio.to_thread(take_snapshot, catalog_url, target)
    assert contents == sorted(
        [
            Content(content_id=odd.content_id, size_bytes=3, crc64nvme="a" * 16, sha256=None, name=odd.name),
            Content(content_id=later.content_id, size_bytes=3, crc64nvme="a" * 16, sha256="c" * 64, name=odd.name),
        ],
        key=lambda one: one.content_id,
    )  # fmt: skip
    # What comes later is not in it.
    await Accounts(catalog).add("bob", Role.USER)

    await asyncio.to_thread(load_snapshot, target, second_url)
    async with await Catalog.open(second_url) as second:
        assert [user.name for user in await Accounts(second).list(None, 10)] == ["ann"]
        found = await second.read(lambda tx: tx.stored.get(odd.file_id))
        assert found == await catalog.read(lambda tx: tx.stored.get(odd.file_id))
        assert found.tags == odd.tags
        # Numbers that the database counts go on behind those that were there.
        again = AuditLog(second, KEY)
        await again.record("z")
        assert await again.verify() is None
        await Accounts(second).add("cid", Role.USER)
    with pytest.raises(CatalogError, match="already"):
        await asyncio.to_thread(load_snapshot, target, second_url)


async def test_while_others_write_it_is_one_moment(catalog, catalog_url, second_url, tmp_path):
    ann = await Accounts(catalog).add("ann", Role.USER)
    done = asyncio.Event()
    written = 0

    async def write():
        nonlocal written
        while not done.is_set():
            # Two rows that are there together or not at all.
            pair = [stored(ann, f"{written}-{side}") for side in "ab"]
            await catalog.transaction(lambda tx, pair=pair: [tx.stored.add(one) for one in pair])
            written += 1

    writing = asyncio.create_task(write())
    seen = []
    for number in range(5):
        while written < number * 10:
            await asyncio.sleep(0.001)
        target = tmp_path / f"copy{number}"
        target.mkdir()
        seen.append(await asyncio.to_thread(take_snapshot, catalog_url, target))
    done.set()
    await writing
    for contents in seen:
        sides = [one.name.partition("-") for one in contents]
        assert {n for n, _, side in sides if side == "a"} == {
            n for n, _, side in sides if side == "b"
        }
    await asyncio.to_thread(load_snapshot, target, second_url)
    async with await Catalog.open(second_url) as second:
        totals = await second.read(lambda tx: tx.totals())
    assert sum(totals.files_by_scan_state.values()) == len(seen[-1])


async def test_another_database_or_schema_is_told(tmp_path):
    async with await Catalog.open(tmp_path / "catalog.db"):
        pass
    (tmp_path / "copy").mkdir()
    with pytest.raises(CatalogError, match="PostgreSQL"):
        load_snapshot(tmp_path / "copy", tmp_path / "new.db")
    with pytest.raises(CatalogError, match="SQLite"):
        load_snapshot(tmp_path / "copy", "postgresql://nobody@localhost/none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CatalogError):
        take_snapshot(tmp_path / "other.db", tmp_path / "empty")
