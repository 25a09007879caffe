from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from journeys.sites import bucket_site, local_site  # noqa: F401 - fixtures by name

from haulier.core.records import OperationStatus, utc_now
from haulier.errors import ConfigurationError, UsageError
from haulier.journeys.archive.cold import archive_old, setup_bucket
from haulier.journeys.archive.verify import verify

LIFECYCLE, CORS = "lifecycle", "cors"


async def configuration(site, name):  # noqa: F811
    return (await site.store.http.send("GET", query={name: ""})).body.decode()


@pytest.mark.servers
async def test_a_bucket_gets_its_rules_once(bucket_site):  # noqa: F811
    bucket_site.prefix = "ours/"
    async with bucket_site.open() as ctx:
        for _ in range(2):
            record = await setup_bucket(
                ctx, archive_after=timedelta(days=90), cors=["https://example.org"]
            )
    lifecycle = await configuration(bucket_site, LIFECYCLE)
    assert lifecycle.count("<Rule>") == 2
    assert "<Days>90</Days>" in lifecycle
    assert "<StorageClass>GLACIER</StorageClass>" in lifecycle
    assert lifecycle.count("<Prefix>ours/</Prefix>") == 2
    assert "https://example.org" in await configuration(bucket_site, CORS)
    assert (record.operation_type, record.status) == ("setup", OperationStatus.SUCCESS)
    assert record.metadata["created"] is False
    assert record.metadata["archive_after_days"] == 90


@pytest.mark.parametrize("age", [timedelta(hours=5), timedelta(days=1, hours=1), timedelta(0)])
async def test_only_whole_days_can_be_asked_for(bucket_site, age):  # noqa: F811
    async with bucket_site.open() as ctx:
        with pytest.raises(UsageError):
            await setup_bucket(ctx, archive_after=age)


async def test_a_directory_has_no_classes(local_site):  # noqa: F811
    (local_site.yard.local / "beach.mp4").write_bytes(b"waves")
    await local_site.upload("beach.mp4")
    async with local_site.open() as ctx:
        with pytest.raises(ConfigurationError):
            await setup_bucket(ctx)
        assert await archive_old(ctx, timedelta(0)) == []


@pytest.mark.servers
async def test_old_archives_move_and_their_records_follow(bucket_site):  # noqa: F811
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
async def test_a_move_that_was_not_recorded_is_recorded_by_the_next_run(bucket_site):  # noqa: F811
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
async def test_what_is_not_the_uploaded_object_is_not_taken_for_it(bucket_site):  # noqa: F811
    (bucket_site.yard.local / "old.mp4").write_bytes(b"waves" * 1000)
    (upload,) = await bucket_site.upload("old.mp4")
    await bucket_site.store.put(upload.s3_object_key, b"something else")
    async with bucket_site.open() as ctx:
        (record,) = await archive_old(ctx, -timedelta(days=1), "STANDARD_IA")
        after = await ctx.catalog.get_operation(upload.operation_id)
    assert record.status is OperationStatus.FAILED
    assert after == upload
