from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import timedelta

import pytest

from haulier.core.records import OperationStatus, utc_now
from haulier.errors import ConfigurationError, UsageError
from haulier.journeys.archive.cold import archive_old, setup_bucket
from haulier.journeys.archive.open import LOCAL_CHECKS
from haulier.journeys.archive.references import index_key
from haulier.journeys.archive.restore import restore
from haulier.journeys.archive.verify import verify
from haulier.store import s3_xml
from haulier.store.s3 import S3Store
from haulier.store.s3_probe import object_tags
from journeys.archives import LocalPlace, Site
from journeys.frozen import glacier_before


async def configuration(store, name):
    return (await store.http.send("GET", query={name: ""})).body.decode()


@pytest.mark.servers
async def test_a_bucket_is_made_and_gets_its_rules_once(yard, s3_server):
    store = S3Store(f"new-{uuid.uuid4().hex[:12]}", access=s3_server.access())
    site = Site(yard, LocalPlace(yard, None), LOCAL_CHECKS)
    site.store, site.prefix = store, "ours/"
    async with site.open() as ctx:
        first = await setup_bucket(ctx, cors=["https://example.org"])
        second = await setup_bucket(ctx)
    assert [first.metadata["created"], second.metadata["created"]] == [True, False]
    assert (first.operation_type, first.status) == ("setup", OperationStatus.SUCCESS)
    lifecycle = await configuration(store, "lifecycle")
    assert lifecycle.count("<Rule>") == 1
    assert "<Prefix>ours/</Prefix>" in lifecycle
    assert "<DaysAfterInitiation>7</DaysAfterInitiation>" in lifecycle
    assert "https://example.org" in await configuration(store, "cors")
    await store.aclose()


@pytest.mark.servers
async def test_objects_are_archived_by_rule(yard, s3_server):
    async with glacier_before(s3_server.endpoint_url) as proxy:
        store = S3Store(s3_server.make_bucket(), access=s3_server.access(proxy.url))
        site = Site(yard, LocalPlace(yard, None), LOCAL_CHECKS)
        site.store = store
        async with site.open() as ctx:
            record = await setup_bucket(
                ctx, archive_after=timedelta(days=90), storage_class="DEEP_ARCHIVE"
            )
        await store.aclose()
    assert b"<Days>90</Days>" in proxy.lifecycle
    assert b"<StorageClass>DEEP_ARCHIVE</StorageClass>" in proxy.lifecycle
    assert record.metadata["archive_after_days"] == 90
    assert record.metadata["storage_class"] == "DEEP_ARCHIVE"


@pytest.mark.servers
async def test_a_rule_takes_archives_and_never_their_indexes(bucket_site, s3_server):
    (bucket_site.yard.local / "beach.mp4").write_bytes(b"waves" * 1000)
    (upload,) = await bucket_site.upload("beach.mp4")
    async with glacier_before(s3_server.endpoint_url) as proxy:
        store = S3Store(bucket_site.store.bucket, access=s3_server.access(proxy.url))
        site = Site(bucket_site.yard, LocalPlace(bucket_site.yard, None), LOCAL_CHECKS)
        site.store = store
        async with site.open() as ctx:
            await setup_bucket(ctx, archive_after=timedelta(days=90))
        await store.aclose()
    rules = s3_xml.parse(proxy.lifecycle).iterfind("Rule")
    (where,) = [r.find("Filter/And/Tag") for r in rules if r.find("Transition") is not None]
    rule_tag = {where.findtext("Key"): where.findtext("Value")}
    tags = {key: await object_tags(bucket_site.store, key) for key in await bucket_site.keys()}
    assert tags == {upload.s3_object_key: rule_tag, index_key(upload.s3_object_key): {}}


@pytest.mark.servers
async def test_no_rule_is_made_where_archives_cant_be_tagged(yard, s3_server):
    async with glacier_before(s3_server.endpoint_url, takes_tags=False) as proxy:
        store = S3Store(s3_server.make_bucket(), access=s3_server.access(proxy.url))
        assert (await store.probe()).tags is False
        site = Site(yard, LocalPlace(yard, None), LOCAL_CHECKS)
        site.store = store
        async with site.open() as ctx:
            with pytest.raises(ConfigurationError, match="tagged"):
                await setup_bucket(ctx, archive_after=timedelta(days=90))
        assert [info.key async for info in store.list_objects()] == []
        await store.aclose()
    assert proxy.lifecycle is None


@pytest.mark.servers
async def test_a_member_comes_back_by_the_index_that_stayed(bucket_site, tmp_path):
    (bucket_site.yard.local / "trip").mkdir()
    (bucket_site.yard.local / "trip" / "beach.txt").write_bytes(b"waves" * 1000)
    (upload,) = await bucket_site.upload("trip")
    async with bucket_site.open() as ctx:
        await archive_old(ctx, -timedelta(days=1), "STANDARD_IA")
    for left in bucket_site.yard.data.glob("catalog.db*"):  # the laptop is lost
        left.unlink()
    async with bucket_site.open() as ctx:
        await restore(ctx, upload.s3_object_key, out=tmp_path / "out", member="beach.txt")
    assert (tmp_path / "out" / "trip" / "beach.txt").read_bytes() == b"waves" * 1000
    index = await bucket_site.store.head(index_key(upload.s3_object_key))
    assert index.storage_class in {None, "STANDARD"}


@pytest.mark.servers
@pytest.mark.parametrize("age", [timedelta(hours=5), timedelta(days=1, hours=1), timedelta(0)])
async def test_only_whole_days_can_be_asked_for(bucket_site, age):
    async with bucket_site.open() as ctx:
        with pytest.raises(UsageError):
            await setup_bucket(ctx, archive_after=age)


async def test_a_directory_has_no_classes(local_site):
    (local_site.yard.local / "beach.mp4").write_bytes(b"waves")
    await local_site.upload("beach.mp4")
    async with local_site.open() as ctx:
        with pytest.raises(ConfigurationError):
            await setup_bucket(ctx)
        assert await archive_old(ctx, timedelta(0)) == []


@pytest.mark.servers
async def test_old_archives_move_and_their_records_follow(bucket_site):
    for name in ("old.mp4", "new.mp4", "gone.mp4"):
        (bucket_site.yard.local / name).write_bytes(name.encode() * 1000)
    old, new, gone = await bucket_site.upload("old.mp4", "new.mp4", "gone.mp4")
    await bucket_site.store.delete(gone.s3_object_key)
    async with bucket_site.open() as ctx:
        for upload in (old, gone):
            earlier = replace(upload, started_at=utc_now() - timedelta(days=100))
            await ctx.catalog.transaction(lambda tx, row=earlier: tx.put_operation(row))
        records = await archive_old(ctx, timedelta(days=90), "STANDARD_IA")
        assert {record.target_name: record.status for record in records} == {
            "old.mp4": OperationStatus.SUCCESS,
            "gone.mp4": OperationStatus.FAILED,
        }
        after = await ctx.catalog.get_operation(old.operation_id)
        assert after.s3_storage_class == "STANDARD_IA"
        assert (await ctx.catalog.get_operation(new.operation_id)).s3_storage_class is None
        (check,) = await verify(ctx, [old.operation_id], deep=True)
        assert check.error_message is None
        again = await archive_old(ctx, timedelta(days=90), "STANDARD_IA")
        assert [record.target_name for record in again] == ["gone.mp4"]
    info = await bucket_site.store.head(old.s3_object_key)
    assert info.storage_class == "STANDARD_IA"
    assert info.etag == after.checksum_s3_etag


@pytest.mark.servers
async def test_a_move_that_was_not_recorded_is_recorded_by_the_next_run(bucket_site):
    (bucket_site.yard.local / "old.mp4").write_bytes(b"waves" * 1000)
    (upload,) = await bucket_site.upload("old.mp4")
    async with bucket_site.open() as ctx:
        await archive_old(ctx, -timedelta(days=1), "STANDARD_IA")
        before = await bucket_site.store.head(upload.s3_object_key)
        await ctx.catalog.transaction(lambda tx: tx.put_operation(upload))  # as before the crash
        (record,) = await archive_old(ctx, -timedelta(days=1), "STANDARD_IA")
        after = await ctx.catalog.get_operation(upload.operation_id)
    assert record.status is OperationStatus.SUCCESS
    assert (await bucket_site.store.head(upload.s3_object_key)).modified_at == before.modified_at
    assert (after.s3_storage_class, after.checksum_s3_etag) == ("STANDARD_IA", before.etag)


@pytest.mark.servers
async def test_what_is_not_the_uploaded_object_is_not_taken_for_it(bucket_site):
    (bucket_site.yard.local / "old.mp4").write_bytes(b"waves" * 1000)
    (upload,) = await bucket_site.upload("old.mp4")
    await bucket_site.store.put(upload.s3_object_key, b"something else")
    async with bucket_site.open() as ctx:
        (record,) = await archive_old(ctx, -timedelta(days=1), "STANDARD_IA")
        after = await ctx.catalog.get_operation(upload.operation_id)
    assert record.status is OperationStatus.FAILED
    assert after == upload
    info = await bucket_site.store.head(upload.s3_object_key)
    assert info.storage_class in {None, "STANDARD"}
