from __future__ import annotations

import pytest

from haulier.catalog.filters import OperationFilter
from haulier.core.records import FileStatus, OperationStatus
from haulier.errors import AccessDenied
from haulier.journeys.archive.delete import delete, plan_delete
from haulier.journeys.archive.references import resolve


@pytest.fixture(autouse=True)
def media(yard):
    (yard.local / "beach.mp4").write_bytes(b"waves" * 1000)


async def test_object_and_index_go_and_the_records_say_so(site):
    (upload,) = await site.upload("beach.mp4")
    await site.store.put("other.bin", b"not ours")
    async with site.open() as ctx:
        plan = await plan_delete(ctx, upload.operation_id)
        assert (plan.key, plan.url) == ("beach.mp4.tar.gz", upload.result_path)
        assert plan.size_bytes == upload.compressed_size
        assert await site.keys() == ["beach.mp4.tar.gz", "beach.mp4.tar.gz.index.gz", "other.bin"]
        record = await delete(ctx, plan.archive)
        after = await ctx.catalog.get_operation(upload.operation_id)
        assert await ctx.catalog.get_operation(record.operation_id) == record
    assert await site.keys() == ["other.bin"]
    assert (record.operation_type, record.status) == ("delete", OperationStatus.SUCCESS)
    assert record.metadata["upload_operation_id"] == upload.operation_id
    assert after.s3_file_record.status is FileStatus.DELETED
    assert after.completed_file_record == upload.completed_file_record
    assert after.status is OperationStatus.SUCCESS


async def test_an_object_that_is_gone_already_is_fine(site):
    (upload,) = await site.upload("beach.mp4")
    await site.store.delete("beach.mp4.tar.gz")
    async with site.open() as ctx:
        plan = await plan_delete(ctx, upload.operation_id)
        assert plan.size_bytes is None
        record = await delete(ctx, plan.archive)
    assert record.status is OperationStatus.SUCCESS
    assert await site.keys() == []


async def test_an_object_the_catalog_does_not_know(local_site):
    await local_site.put_foreign("theirs.tar.gz", {"a": b"1"})
    async with local_site.open() as ctx:
        record = await delete(ctx, await resolve(ctx, "theirs.tar.gz"))
    assert record.target_name == "theirs"
    assert await local_site.keys() == []


async def test_the_row_is_there_before_the_object_goes(local_site):
    (upload,) = await local_site.upload("beach.mp4")
    statuses = []
    async with local_site.open() as ctx:
        archive = await resolve(ctx, upload.operation_id)
        inner = local_site.store._inner

        class Watching(type(inner)):
            async def delete(self, key):
                page = await ctx.catalog.list_operations(OperationFilter(operation_type="delete"))
                statuses.append((key, page.items[0].status))
                await super().delete(key)

        local_site.store._inner = Watching(inner.root)
        await delete(ctx, archive)
    assert statuses == [
        ("beach.mp4.tar.gz", OperationStatus.RUNNING),
        ("beach.mp4.tar.gz.index.gz", OperationStatus.RUNNING),
    ]


async def test_a_refusal_is_recorded_and_the_file_stays_completed(local_site):
    (upload,) = await local_site.upload("beach.mp4")
    inner = local_site.store._inner

    class Refusing(type(inner)):
        async def delete(self, key):
            raise AccessDenied(f"{key} is locked")

    local_site.store._inner = Refusing(inner.root)
    async with local_site.open() as ctx:
        archive = await resolve(ctx, upload.operation_id)
        with pytest.raises(AccessDenied):
            await delete(ctx, archive)
        after = await ctx.catalog.get_operation(upload.operation_id)
        page = await ctx.catalog.list_operations(OperationFilter(operation_type="delete"))
    assert after.s3_file_record.status is FileStatus.COMPLETED
    assert (page.items[0].status, page.items[0].error_message) == (
        OperationStatus.FAILED,
        "beach.mp4.tar.gz is locked",
    )
