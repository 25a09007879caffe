from __future__ import annotations

import gzip
import json

import pytest

from archive.trees import hostile_tree
from haulier.catalog.filters import FileFilter, OperationFilter
from haulier.core.records import FileStatus, OperationStatus
from haulier.errors import AccessDenied, ConfigurationError
from haulier.journeys.archive.contents import list_members
from haulier.journeys.archive.importing import import_archives
from haulier.journeys.archive.verify import verify


@pytest.fixture(autouse=True)
def media(yard):
    (yard.local / "beach.mp4").write_bytes(b"waves" * 1000)
    (yard.local / "dunes.mp4").write_bytes(b"sand" * 1000)


def lose_the_laptop(yard):
    for path in yard.data.glob("catalog.db*"):
        path.unlink()


async def add(site, url=None):
    async with site.open() as ctx:
        return await import_archives(ctx, url)


async def rewrite_index(site, key, change):
    """Change the header of the index beside `key`."""
    async with site.store.get(f"{key}.index.gz") as pieces:
        blob = b"".join([piece async for piece in pieces])
    header, rest = gzip.decompress(blob).split(b"\n", 1)
    values = json.loads(header)
    change(values)
    body = gzip.compress(json.dumps(values).encode() + b"\n" + rest)
    await site.store.put(f"{key}.index.gz", body)


async def test_the_history_comes_back(site):
    site.prefix = "2026/"
    hostile_tree(site.yard.local / "hostile")
    uploads = await site.upload("beach.mp4", "hostile")
    lose_the_laptop(site.yard)
    imported = await add(site)
    assert {r.operation_id for r in imported} == {u.operation_id for u in uploads}
    async with site.open() as ctx:
        for before in uploads:
            after = await ctx.catalog.get_operation(before.operation_id)
            assert after.status is OperationStatus.SUCCESS
            assert after.metadata["imported"] is True
            for name in (
                "target_path", "target_name", "started_at", "original_size", "compressed_size",
                "compression_type", "s3_object_key", "s3_bucket", "result_path",
                "checksum_original", "checksum_compressed", "checksum_s3_etag", "user",
            ):  # fmt: skip
                assert getattr(after, name) == getattr(before, name), name
            assert after.source_file_record.checksum == before.source_file_record.checksum
            assert after.source_file_record.status is FileStatus.COMPLETED
            assert after.s3_file_record.status is FileStatus.COMPLETED
            assert after.s3_file_record.path == before.s3_file_record.path
            assert after.s3_file_record.tags == before.s3_file_record.tags
        site.store.asked.clear()
        entries = await list_members(ctx, uploads[1].operation_id)
        assert any(entry.path == "hostile/plain.txt" for entry in entries)
        assert site.store.asked == []
        checks = await verify(ctx, everything=True, deep=True)
    assert [check.error_message for check in checks] == [None, None]


async def test_a_second_import_adds_nothing_and_reads_nothing(site):
    await site.upload("beach.mp4", "dunes.mp4")
    await site.put_foreign("theirs.tar.gz", {"a": b"1"})
    lose_the_laptop(site.yard)
    assert len(await add(site)) == 3
    site.store.asked.clear()
    assert await add(site) == []
    assert site.store.asked == []
    async with site.open() as ctx:
        page = await ctx.catalog.list_operations(OperationFilter(operation_type="import"))
        files = await ctx.catalog.list_files(FileFilter())
    assert [record.metadata["added"] for record in page.items] == [0, 3]
    assert len(files.items) == 2 * 3 + 1


async def test_what_the_catalog_has_already_is_left_alone(local_site):
    (upload,) = await local_site.upload("beach.mp4")
    assert await add(local_site) == []
    async with local_site.open() as ctx:
        assert await ctx.catalog.get_operation(upload.operation_id) == upload


async def test_an_imported_source_is_not_uploaded_again(local_site):
    await local_site.upload("beach.mp4", completed_dir=None)
    lose_the_laptop(local_site.yard)
    await add(local_site)
    (again,) = await local_site.upload("beach.mp4", completed_dir=None)
    assert again.metadata.get("skipped") is True


async def test_an_archive_without_an_index_gets_what_can_be_seen(site):
    await site.put_foreign("old/theirs.tar.gz", {"a": b"1"})
    await site.store.put("old/readme.txt", b"no archive")
    (record,) = await add(site)
    assert (record.target_name, record.s3_object_key) == ("theirs", "old/theirs.tar.gz")
    assert record.compression_type == "gzip"
    assert record.compressed_size == record.s3_file_record.size > 0
    assert record.metadata["imported"] is True
    assert record.checksum_original is None
    async with site.open() as ctx:
        (check,) = await verify(ctx, [record.operation_id], deep=True)
    assert check.error_message is None


async def test_only_what_is_below_the_url_is_imported(site):
    await site.put_foreign("a/one.tar.gz", {"a": b"1"})
    await site.put_foreign("ab/two.tar.gz", {"a": b"2"})
    (record,) = await add(site, f"{site.store.url}/a")
    assert record.s3_object_key == "a/one.tar.gz"
    (other,) = await add(site, f"{site.store.url}/ab/")
    assert other.s3_object_key == "ab/two.tar.gz"


async def test_an_index_that_is_not_the_objects_is_not_believed(local_site):
    await local_site.upload("beach.mp4")
    lose_the_laptop(local_site.yard)
    await local_site.put_foreign("beach.mp4.tar.gz", {"something": b"else"})
    (record,) = await add(local_site)
    assert record.metadata["index_trouble"] == "the index is not that of the object"
    assert record.original_size is None
    async with local_site.open() as ctx:
        assert await ctx.catalog.read(lambda tx: tx.get_index(record.operation_id)) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda h: h["operation"].update(started_at="yesterday"),
        lambda h: h["operation"].update(operation_type="delete"),
        lambda h: h["operation"].update(status="fine"),
        lambda h: h["operation"].update(target_name=7),
        lambda h: h["operation"].update(original_size="big"),
        lambda h: h["operation"].update(duration_seconds=[]),
        lambda h: h["operation"].update(s3_file_record="none"),
        lambda h: h["operation"].update(s3_file_record={"name": 1, "path": 2}),
        lambda h: h["operation"].update(source_file_record={**h["operation"]["source_file_record"], "size": "x"}),
        lambda h: h["operation"].update(source_file_record={**h["operation"]["source_file_record"], "tags": {"a": []}}),
        lambda h: h["operation"].update(metadata=[1]),
        lambda h: h["operation"].update(operation_id="../../x"),
        lambda h: h["operation"].clear(),
        lambda h: h.update(version=99),
    ],
)  # fmt: skip
async def test_a_malformed_record_costs_only_what_it_says(local_site, change):
    await local_site.upload("beach.mp4", "dunes.mp4")
    await rewrite_index(local_site, "beach.mp4.tar.gz", change)
    lose_the_laptop(local_site.yard)
    records = {record.s3_object_key: record for record in await add(local_site)}
    assert set(records) == {"beach.mp4.tar.gz", "dunes.mp4.tar.gz"}
    assert "index_trouble" not in records["dunes.mp4.tar.gz"].metadata
    minimal = records["beach.mp4.tar.gz"]
    assert minimal.metadata["index_trouble"]
    assert minimal.status is OperationStatus.SUCCESS
    async with local_site.open() as ctx:
        assert await ctx.catalog.get_operation(minimal.operation_id) == minimal


async def test_a_record_can_not_replace_what_the_catalog_has(local_site):
    mine, other = await local_site.upload("beach.mp4", "dunes.mp4")

    def take_over(header):
        header["operation"]["operation_id"] = "11111111-2222-4333-8444-555555555555"
        header["operation"]["source_file_record"]["id"] = mine.source_file_record.id
        header["operation"]["s3_file_record"]["id"] = mine.s3_file_record.id

    await rewrite_index(local_site, "dunes.mp4.tar.gz", take_over)
    async with local_site.open() as ctx:
        await ctx.catalog.transaction(
            lambda tx: tx.put_file(
                type(other.s3_file_record).from_json(
                    {**other.s3_file_record.to_json(), "status": "deleted"}
                )
            )
        )
    (added,) = await add(local_site)
    async with local_site.open() as ctx:
        assert await ctx.catalog.get_operation(mine.operation_id) == mine
        kept = await ctx.catalog.get_operation(added.operation_id)
    assert kept == added
    assert added.source_file_record.id != mine.source_file_record.id


async def test_an_object_that_can_not_be_read_is_a_failed_row(local_site):
    await local_site.upload("beach.mp4", "dunes.mp4")
    lose_the_laptop(local_site.yard)
    inner = local_site.store._inner

    class Refusing(type(inner)):
        async def head(self, key):
            if key.startswith("beach"):
                raise AccessDenied(f"{key} is locked")
            return await super().head(key)

    local_site.store._inner = Refusing(inner.root)
    records = {record.status: record for record in await add(local_site)}
    assert records["success"].s3_object_key == "dunes.mp4.tar.gz"
    assert (records["failed"].operation_type, records["failed"].error_message) == (
        "import",
        "beach.mp4.tar.gz is locked",
    )


async def test_a_url_of_no_store_is_refused(local_site):
    with pytest.raises(ConfigurationError):
        await add(local_site, "ftp://example.org/x")


async def test_a_sealed_index_opens_with_the_key_only(site, tmp_path):
    key = tmp_path / "key"
    key.write_bytes(b"k" * 32)
    (upload,) = await site.upload("beach.mp4", encrypt=str(key))
    lose_the_laptop(site.yard)
    (minimal,) = await add(site)
    assert "encrypted" in minimal.metadata["index_trouble"]
    assert minimal.target_name == "beach.mp4"
    lose_the_laptop(site.yard)
    async with site.open() as ctx:
        (full,) = await import_archives(ctx, key=str(key))
        assert full.operation_id == upload.operation_id
        assert await ctx.catalog.read(lambda tx: tx.get_index(full.operation_id))
