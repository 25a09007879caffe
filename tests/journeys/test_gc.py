from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import timedelta

import pytest

from haulier.catalog.journal import JournalStage
from haulier.core.records import OperationStatus, utc_now
from haulier.errors import AccessDenied
from haulier.journeys.archive.gc import GarbageKind, collect, find_garbage
from haulier.journeys.archive.upload import resume
from journeys.archives import leave_upload_open


def age(path, hours):
    moment = time.time() - hours * 3600
    os.utime(path, (moment, moment))


async def later(ctx, hours):
    """Let the context believe that some hours have passed."""
    ctx.now = lambda: utc_now() + timedelta(hours=hours)


@pytest.fixture(autouse=True)
def media(yard):
    (yard.local / "beach.mp4").write_bytes(os.urandom(3 << 20))


async def interrupted(site):
    """Begin an upload and let it fail while it sends; it can be resumed."""
    inner = site.store._inner
    refusing = type("Refusing", (type(inner),), {})

    async def put_part(self, *args, **kwargs):
        raise AccessDenied("no part today")

    refusing.put_part = put_part
    original = type(inner)
    inner.__class__ = refusing
    try:
        (record,) = await site.upload("beach.mp4")
    finally:
        inner.__class__ = original
    assert record.status is OperationStatus.FAILED
    return record


async def test_an_upload_of_nobody_is_found_and_ended(site):
    site.prefix = "ours/"
    upload_id = await leave_upload_open(site.store, "ours/lost.tar.gz")
    other = await leave_upload_open(site.store, "others/lost.tar.gz")
    async with site.open() as ctx:
        assert await find_garbage(ctx) == []
        await later(ctx, 25)
        (item,) = await find_garbage(ctx)
        assert (item.kind, item.key, item.upload_id) == (
            GarbageKind.UPLOAD, "ours/lost.tar.gz", upload_id,
        )  # fmt: skip
        assert (item.known, item.operation_id) == (False, None)
        assert item.started_at is not None
        (record,) = await collect(ctx, [item])
        assert await ctx.catalog.get_operation(record.operation_id) == record
        assert await find_garbage(ctx) == []
    assert (record.operation_type, record.status) == ("gc", OperationStatus.SUCCESS)
    assert [upload.upload_id async for upload in site.store.list_uploads()] == [other]


async def test_what_can_be_resumed_is_no_garbage(site):
    await interrupted(site)
    assert len([upload async for upload in site.store.list_uploads()]) == 1
    async with site.open() as ctx:
        await later(ctx, 1000)
        assert await find_garbage(ctx) == []
        (journal,) = await ctx.catalog.read(lambda tx: tx.list_uploads())
        (record,) = await resume(ctx, [journal.operation_id])
        assert record.status is OperationStatus.SUCCESS
        assert await find_garbage(ctx) == []


async def test_what_its_journal_says_is_finished_is_ours_to_end(local_site):
    failed = await interrupted(local_site)
    async with local_site.open() as ctx:
        (journal,) = await ctx.catalog.read(lambda tx: tx.list_uploads())
        done = replace(journal, stage=JournalStage.MOVED)
        await ctx.catalog.transaction(lambda tx: tx.put_upload(done))
        await later(ctx, 25)
        (item,) = await find_garbage(ctx)
    assert (item.known, item.operation_id) == (True, failed.operation_id)


async def test_an_index_without_its_archive(site):
    (site.yard.local / "dunes.mp4").write_bytes(b"sand")
    (site.yard.local / "beach").write_bytes(b"a key that others begin with")
    beach, dunes, short = await site.upload("beach.mp4", "dunes.mp4", "beach", completed_dir=None)
    await site.store.put("foreign.tar.gz.index.gz", b"whose?")
    await site.store.delete(beach.s3_object_key)
    async with site.open() as ctx:
        assert await find_garbage(ctx) == []
        await later(ctx, 25)
        site.store.asked.clear()
        found = {item.key: item for item in await find_garbage(ctx)}
        assert site.store.asked == [("head", "beach.mp4.tar.gz"), ("head", "foreign.tar.gz")]
        assert set(found) == {"beach.mp4.tar.gz.index.gz", "foreign.tar.gz.index.gz"}
        ours, foreign = found.values()
        assert (ours.kind, ours.known, ours.operation_id) == (
            GarbageKind.INDEX, True, beach.operation_id,
        )  # fmt: skip
        assert foreign.known is False
        await collect(ctx, [ours])
    assert await site.keys() == [
        "beach.tar.gz", "beach.tar.gz.index.gz", "dunes.mp4.tar.gz", "dunes.mp4.tar.gz.index.gz",
        "foreign.tar.gz.index.gz",
    ]  # fmt: skip
    assert {dunes.status, short.status} == {OperationStatus.SUCCESS}


async def test_stale_temporary_files_of_ours_go_and_others_stay(local_site):
    yard = local_site.yard
    deep = yard.completed / "2026"
    deep.mkdir(parents=True)
    (deep / ".haulier-partial-1").write_bytes(b"half a copy")
    tree = yard.completed / ".haulier-restoring-ab"
    (tree / "inside").mkdir(parents=True)
    (tree / "inside" / "file").write_bytes(b"x")
    (tree / "inside" / "file").chmod(0o400)
    (yard.data / ".haulier-x.part").write_bytes(b"x")
    fresh = yard.completed / ".haulier-partial-fresh"
    fresh.write_bytes(b"x")
    (yard.local / ".hidden").write_bytes(b"not ours")
    (yard.local / "haulier-notes.txt").write_bytes(b"not ours")
    async with local_site.open() as ctx:
        directories = [str(yard.local), str(yard.completed)]
        assert await find_garbage(ctx, directories=directories) == []
        await later(ctx, 25)
        os.utime(fresh, (time.time() + 25 * 3600,) * 2)
        found = await find_garbage(ctx, directories=directories)
        assert {item.key for item in found} == {
            str(deep / ".haulier-partial-1"), str(tree), str(yard.data / ".haulier-x.part"),
        }  # fmt: skip
        assert {(item.kind, item.known) for item in found} == {(GarbageKind.TEMPORARY, True)}
        assert len(found) == 3  # the completed directory lies in the local one: walked once
        records = await collect(ctx, found)
    assert {record.status for record in records} == {OperationStatus.SUCCESS}
    assert not tree.exists()
    assert fresh.exists()
    assert (yard.local / ".hidden").exists()
    assert (yard.local / "beach.mp4").exists()


async def test_the_local_stores_own_directory_is_not_touched(local_site):
    await leave_upload_open(local_site.store, "lost.tar.gz")
    async with local_site.open() as ctx:
        await later(ctx, 25)
        found = await find_garbage(ctx, directories=[str(local_site.yard.store_dir)])
    assert [item.kind for item in found] == [GarbageKind.UPLOAD]


async def test_one_refusal_spares_the_rest(local_site):
    first = await leave_upload_open(local_site.store, "a.tar.gz")
    await leave_upload_open(local_site.store, "b.tar.gz")
    inner = local_site.store._inner

    class Refusing(type(inner)):
        async def abort_upload(self, key, upload_id):
            if upload_id == first:
                raise AccessDenied("not this one")
            await super().abort_upload(key, upload_id)

    local_site.store._inner = Refusing(inner.root)
    async with local_site.open() as ctx:
        found = await find_garbage(ctx, older_than=-timedelta(hours=1))
        records = await collect(ctx, found)
    assert sorted((record.status, record.error_message) for record in records) == [
        (OperationStatus.FAILED, "not this one"),
        (OperationStatus.SUCCESS, None),
    ]


async def test_what_is_gone_meanwhile_is_fine(local_site):
    path = local_site.yard.data / ".haulier-old"
    path.write_bytes(b"x")
    age(path, 30)
    async with local_site.open() as ctx:
        (item,) = await find_garbage(ctx)
        path.unlink()
        (record,) = await collect(ctx, [item])
    assert record.status is OperationStatus.SUCCESS
