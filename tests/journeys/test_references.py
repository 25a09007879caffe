from __future__ import annotations

import pytest

from haulier.core.records import OperationStatus, UploadRecord
from haulier.errors import ConfigurationError, UnknownReference
from haulier.journeys.archive.delete import delete
from haulier.journeys.archive.references import load_index, name_in, resolve
from haulier.journeys.archive.verify import verify


@pytest.fixture(autouse=True)
def media(yard):
    (yard.local / "beach.mp4").write_bytes(b"waves" * 1000)
    (yard.local / "dunes.mp4").write_bytes(b"sand" * 1000)


async def test_an_upload_is_found_by_id_beginning_key_and_url(site):
    site.prefix = "2026/"
    (record,) = await site.upload("beach.mp4")
    names = [
        record.operation_id,
        record.operation_id[:8].upper(),
        "2026/beach.mp4.tar.gz",
        "beach.mp4.tar.gz",
        record.result_path,
    ]
    async with site.open() as ctx:
        for name in names:
            found = await resolve(ctx, name)
            assert (found.operation, found.key) == (record, "2026/beach.mp4.tar.gz"), name
            assert found.name == "beach.mp4"
            assert found.url == record.result_path
            assert (await load_index(ctx, found)).find("beach.mp4").size == 5000


async def test_a_key_need_not_be_in_the_catalog(site):
    site.prefix = "2026/"
    await site.put_foreign("2026/theirs.tar.gz", {"a": b"1"})
    async with site.open() as ctx:
        for name in ("2026/theirs.tar.gz", "theirs.tar.gz", f"{site.store.url}/2026/theirs.tar.gz"):
            found = await resolve(ctx, name)
            assert (found.operation, found.key) == (None, "2026/theirs.tar.gz"), name
            assert await load_index(ctx, found) is None


async def test_a_name_with_a_space_is_found_by_its_url(site):
    (site.yard.local / "my clip.mp4").write_bytes(b"clip")
    (record,) = await site.upload("my clip.mp4")
    async with site.open() as ctx:
        assert (await resolve(ctx, record.result_path)).operation == record


async def test_the_newest_upload_of_a_key_counts(local_site):
    site = local_site
    (first,) = await site.upload("beach.mp4")
    (site.yard.local / "beach.mp4").write_bytes(b"other waves")
    (second,) = await site.upload("beach.mp4", force=True)
    assert second.s3_object_key == first.s3_object_key
    async with site.open() as ctx:
        assert (await resolve(ctx, "beach.mp4.tar.gz")).operation == second


async def test_what_was_deleted_is_not_found_by_its_key_any_more(local_site):
    (record,) = await local_site.upload("beach.mp4")
    async with local_site.open() as ctx:
        await delete(ctx, await resolve(ctx, "beach.mp4.tar.gz"))
        with pytest.raises(UnknownReference):
            await resolve(ctx, "beach.mp4.tar.gz")
        assert (await resolve(ctx, record.operation_id)).key == "beach.mp4.tar.gz"


async def test_a_skipped_upload_leads_to_the_one_it_equals(local_site):
    (first,) = await local_site.upload("beach.mp4", completed_dir=None)
    (skipped,) = await local_site.upload("beach.mp4", completed_dir=None)
    assert skipped.metadata["skipped"]
    async with local_site.open() as ctx:
        await ctx.catalog.transaction(lambda tx: tx.put_operation(skipped))
        assert (await resolve(ctx, skipped.operation_id)).operation == first


async def test_an_unknown_name_gets_the_nearest_ones(local_site):
    await local_site.upload("beach.mp4", "dunes.mp4")
    async with local_site.open() as ctx:
        with pytest.raises(UnknownReference) as caught:
            await resolve(ctx, "beech.mp4.tar.gz")
        assert caught.value.hint.startswith("Did you mean 'beach.mp4.tar.gz'")
        with pytest.raises(UnknownReference) as caught:
            await resolve(ctx, "../../etc/passwd")
        assert caught.value.hint == UnknownReference.advice
        with pytest.raises(UnknownReference, match="no object at"):
            await resolve(ctx, f"{local_site.store.url}/nothing.tar.gz")
        with pytest.raises(UnknownReference, match="no operation has the id"):
            await resolve(ctx, "deadbeef")


async def test_what_is_no_archive_is_refused(local_site):
    await local_site.upload("beach.mp4")
    async with local_site.open() as ctx:
        (check,) = await verify(ctx, ["beach.mp4.tar.gz"])
        with pytest.raises(UnknownReference, match="of type verify"):
            await resolve(ctx, check.operation_id)
        with pytest.raises(ConfigurationError):
            await resolve(ctx, "ftp://example.org/a.tar.gz")


async def test_an_upload_that_brought_nothing_says_so(local_site):
    failed = UploadRecord(
        operation_type="upload",
        target_path="/media/beach.mp4",
        target_name="beach.mp4",
        status=OperationStatus.FAILED,
    )
    async with local_site.open() as ctx:
        await ctx.catalog.transaction(lambda tx: tx.put_operation(failed))
        with pytest.raises(UnknownReference, match="is failed: nothing is stored"):
            await resolve(ctx, failed.operation_id)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("a/b/holiday.tar.gz", "holiday"),
        ("holiday.tar.zst", "holiday"),
        ("holiday.tar", "holiday"),
        ("holiday.zip", "holiday.zip"),
        (".tar.gz", ".tar.gz"),
    ],
)
def test_the_name_in_a_key(key, name):
    assert name_in(key) == name
