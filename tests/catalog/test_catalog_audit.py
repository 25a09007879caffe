"""The audit log, on both databases."""

from __future__ import annotations

import asyncio

import pytest

from haulier.catalog.audit_rows import AuditFilter
from haulier.files.audit import AuditLog

KEY = "k" * 64


async def test_writers_at_once_make_one_chain(catalog):
    log = AuditLog(catalog, KEY)
    await asyncio.gather(*(log.record("x", object_id=str(n)) for n in range(40)))
    assert await log.verify([await log.head()]) is None
    found = await log.list(AuditFilter(limit=100))
    assert [entry.number for entry in found.items] == list(range(40, 0, -1))
    assert {entry.event.object_id for entry in found.items} == {str(n) for n in range(40)}


async def test_what_is_rolled_back_leaves_no_gap(catalog):
    log = AuditLog(catalog, KEY)
    await log.record("first")

    def fails(tx):
        log.append(tx, "never happened")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await catalog.transaction(fails)
    await log.record("second")
    assert await log.verify() is None
    assert (await log.head()).number == 2


async def test_instances_have_chains_of_their_own(catalog):
    one, two = AuditLog(catalog, KEY), AuditLog(catalog, "other" * 10)
    await one.record("a", actor="ann", details={"é": "\0"})
    await two.record("b")
    await one.record("c")
    assert (await one.head()).number == 2
    assert await one.verify() is None
    assert await two.verify() is None
    found = await one.list(AuditFilter(actor="ann"))
    assert [entry.event.details for entry in found.items] == [{"é": "\0"}]


async def test_pages_have_no_gaps(catalog):
    log = AuditLog(catalog, KEY)
    for number in range(7):
        await log.record("x", object_id=str(number))
    seen, cursor = [], None
    while True:
        page = await log.list(AuditFilter(limit=3, cursor=cursor))
        seen += [entry.number for entry in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [7, 6, 5, 4, 3, 2, 1]
