"""The feed of changes, with many who write at once, on both databases."""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from haulier import errors
from haulier.catalog.catalog import Catalog
from haulier.core.accounts import Role, StoredFile
from haulier.core.records import new_file_id, utc_now
from haulier.files.accounts import Accounts
from haulier.files.changes import Cursor, changes_since


def stored_for(owner, name):
    file_id = new_file_id()
    return StoredFile(
        file_id=file_id, content_id=file_id, owner_id=owner.user_id, name=name, size_bytes=1,
        crc64nvme="0", crc32="0", created_at=utc_now(), modified_at=utc_now(),
    )  # fmt: skip


@pytest.fixture
async def ann(catalog):
    return await Accounts(catalog).add("ann", Role.USER)


async def asked(catalog, user, since=None, limit=1000):
    return await catalog.read(lambda tx: changes_since(tx, user, since or Cursor(), limit))


def names(found):
    """What was told, in its order."""
    return {file_id: stored and stored.name for file_id, stored in found.files.items()}


async def test_each_file_once_as_it_is_now(catalog, ann):
    first, second, third = (stored_for(ann, f"{n}") for n in range(3))

    def work(tx):
        for one in (first, second, third):
            tx.stored.add(one)
        tx.stored.change(first, name="renamed")
        tx.stored.change(second, deleted_at=utc_now())

    await catalog.transaction(work)
    found = await asked(catalog, ann)
    expected = [(third.file_id, "2"), (first.file_id, "renamed"), (second.file_id, None)]
    assert list(names(found).items()) == expected
    assert not found.more
    part = await asked(catalog, ann, limit=2)
    assert (list(names(part).items()), part.more) == (expected[:2], True)
    rest = await asked(catalog, ann, part.cursor)
    assert (list(names(rest).items()), rest.more) == (expected[2:], False)
    assert rest.cursor == found.cursor
    await catalog.transaction(lambda tx: tx.stored.remove(tx.stored.get(second.file_id)))
    assert names(await asked(catalog, ann, found.cursor)) == {second.file_id: None}


async def test_a_cursor_of_another_catalog_is_told(catalog, ann):
    with pytest.raises(errors.ChangesGone):
        await asked(catalog, ann, Cursor(numbers=(1, 0, 0)))


async def test_who_listens_while_many_write_misses_nothing(catalog, catalog_url, ann):
    """Each writer commits late at random; whoever reads goes on from the last number it saw."""
    done = asyncio.Event()
    others = [await Catalog.open(catalog_url) for _ in range(3)]
    dice = random.Random(7)

    async def write(writer):
        for number in range(25):
            one, pause_s = stored_for(ann, f"{number}"), dice.random() / 100

            def work(tx, one=one, pause_s=pause_s):
                tx.stored.add(one)
                # Others take their numbers meanwhile, if anything lets them.
                time.sleep(pause_s)

            await writer.transaction(work)
            if number % 3 == 0:
                await writer.transaction(
                    lambda tx, one=one: tx.stored.change(one, deleted_at=utc_now())
                )

    async def listen():
        known, since = {}, Cursor()
        while True:
            ended = done.is_set()
            found = await asked(catalog, ann, since, limit=7)
            assert found.cursor.numbers >= since.numbers
            since = found.cursor
            known |= names(found)
            if ended and not found.files:
                return known

    listening = asyncio.create_task(listen())
    await asyncio.gather(*(write(one) for one in others for _ in range(2)))
    done.set()
    known = await listening
    there = await catalog.read(lambda tx: tx.stored.by_owner(ann.user_id, None, 1000))
    trashed = await catalog.read(
        lambda tx: tx.stored.by_owner(ann.user_id, None, 1000, in_trash=True)
    )
    assert len(there) + len(trashed) == 150
    assert known == {one.file_id: one.name for one in there} | {
        one.file_id: None for one in trashed
    }
    for other in others:
        await other.aclose()
