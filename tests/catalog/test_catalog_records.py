import asyncio
import dataclasses
import threading
from datetime import timedelta, timezone

import pytest
from samples_catalog import NOON, file, operation, upload

from haulier.core.records import FileStatus, OperationStatus
from haulier.errors import CatalogError, UnknownReference

HOSTILE = [
    "caf\udce9.mp4",
    "new\nline\r\ttab",
    "--force",
    "x" * 300,
    "\U0001f3ac" * 300,
    "日本語 ناقل",
    "quote'\"\\%_[a]*?",
    "\U0010ffff\ud800\0",
    " ",
]


async def test_an_upload_comes_back_with_its_files(catalog):
    await catalog.transaction(lambda tx: tx.put_operation(upload()))
    assert await catalog.get_operation(upload().operation_id) == upload()
    for record in upload().file_records():
        assert await catalog.get_file(record.id) == record


async def test_an_upload_with_nothing_known_yet_comes_back(catalog):
    bare = upload(**{f.name: None for f in dataclasses.fields(upload()) if f.default is None})
    await catalog.transaction(lambda tx: tx.put_operation(bare))
    assert await catalog.get_operation(bare.operation_id) == bare


async def test_an_operation_of_another_kind_comes_back(catalog):
    await catalog.transaction(lambda tx: tx.put_operation(operation()))
    assert await catalog.get_operation(operation().operation_id) == operation()


async def test_putting_again_replaces(catalog):
    await catalog.transaction(lambda tx: tx.put_operation(upload()))
    source = dataclasses.replace(
        upload().source_file_record, status=FileStatus.FAILED, tags={"other": "tag"}, name="renamed"
    )
    later = dataclasses.replace(
        upload(),
        status=OperationStatus.FAILED,
        metadata={},
        source_file_record=source,
        s3_file_record=None,
    )
    await catalog.transaction(lambda tx: tx.put_operation(later))
    assert await catalog.get_operation(later.operation_id) == later
    assert await catalog.get_file(source.id) == source


@pytest.mark.parametrize("text", HOSTILE)
async def test_any_text_comes_back_everywhere(catalog, text):
    record = file(name=text, path=text, error_message=text, tags={text: text}, mime_type=text)
    hostile = upload(
        target_path=text,
        target_name=text,
        result_path=text,
        error_message=text,
        user=text,
        metadata={text: [text, {text: text}]},
        command_args=[text],
        s3_object_key=text,
        source_file_record=record,
    )
    await catalog.transaction(lambda tx: tx.put_operation(hostile))
    assert await catalog.get_operation(hostile.operation_id) == hostile


async def test_paths_and_tags_of_any_length_come_back(catalog):
    # Random, so that no compression makes the index entry small enough by luck.
    path = "/" + "".join(chr(0x4E00 + (n * 7919) % 20000) for n in range(1300))
    record = file(path=path, tags={"original_path": path})
    await catalog.transaction(lambda tx: tx.put_file(record))
    assert await catalog.get_file(record.id) == record


async def test_times_come_back_in_utc_to_the_microsecond(catalog):
    east = NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))
    await catalog.transaction(lambda tx: tx.put_file(file(modified_at=east)))
    found = (await catalog.get_file(file().id)).modified_at
    assert found == NOON
    assert found.utcoffset() == timedelta(0)


async def test_a_time_without_offset_is_refused_and_nothing_is_written(catalog):
    with pytest.raises(CatalogError, match="offset"):
        await catalog.transaction(
            lambda tx: tx.put_operation(upload(started_at=NOON.replace(tzinfo=None)))
        )
    with pytest.raises(UnknownReference):
        await catalog.get_file(upload().source_file_record.id)


async def test_unknown_ids(catalog):
    with pytest.raises(UnknownReference, match="00000000-"):
        await catalog.get_operation(operation().operation_id)
    with pytest.raises(UnknownReference, match="nothing"):
        await catalog.get_file("nothing")
    assert await catalog.read(lambda tx: tx.get_file("nothing")) is None
    assert await catalog.read(lambda tx: tx.get_operation("nothing")) is None


async def test_the_beginning_of_an_id_is_enough(catalog):
    one, two = operation(0xABCDEF01), operation(0xABCDEF02)

    def put(tx):
        tx.put_operation(one)
        tx.put_operation(two)

    await catalog.transaction(put)
    assert await catalog.get_operation("abcdef01") == one
    assert await catalog.get_operation("ABCDEF02-0000") == two
    for reference in ("abcdef03", "abcde", "abcdef01-0000-4000-8000-000000000000x", "é" * 8, ""):
        with pytest.raises(UnknownReference, match="no operation"):
            await catalog.get_operation(reference)
    with pytest.raises(UnknownReference) as several:
        await catalog.get_operation("abcdef")
    assert one.operation_id in several.value.message
    assert two.operation_id in several.value.message


async def test_candidates_for_skipping(catalog):
    same = {"size": 7, "checksum": "sha256:07"}
    known = [
        file(1, **same),
        file(2, **same, location="completed"),
        file(3, **same, status=FileStatus.FAILED),
        file(4, size=7, checksum="sha256:08"),
        file(5, **same, location="s3"),
        file(6, size=8, status=FileStatus.FAILED),
        file(7, **same, is_directory=True),
        file(8, **same),
    ]

    def look(tx):
        assert tx.has_uploaded(7, is_directory=False)
        assert tx.has_uploaded(7, is_directory=True)
        assert not tx.has_uploaded(8, is_directory=False)
        assert not tx.has_uploaded(5 << 40, is_directory=True)
        found = tx.find_uploaded("sha256:07", is_directory=False, limit=9)
        assert found == [known[7], known[1], known[0]]
        assert tx.find_uploaded("sha256:07", is_directory=False, limit=2) == found[:2]
        assert tx.find_uploaded("sha256:07", is_directory=True, limit=9) == [known[6]]
        assert tx.find_uploaded("sha256:09", is_directory=False, limit=9) == []

    await catalog.transaction(lambda tx: tx.put_files(known))
    await catalog.read(look)


async def test_an_exception_takes_everything_back(catalog):
    def fail(tx):
        tx.put_file(file())
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        await catalog.transaction(fail)
    assert await catalog.read(lambda tx: tx.get_file(file().id)) is None
    await catalog.transaction(lambda tx: tx.put_file(file()))
    assert await catalog.get_file(file().id) == file()


async def test_reading_cannot_write(catalog):
    with pytest.raises(CatalogError):
        await catalog.read(lambda tx: tx.put_file(file()))
    assert await catalog.read(lambda tx: tx.get_file(file().id)) is None


async def test_a_read_sees_one_moment(catalog):
    looked, written = threading.Event(), threading.Event()

    def read_twice(tx):
        before = tx.get_file(file().id)
        looked.set()
        assert written.wait(90)
        return before, tx.get_file(file().id)

    reading = asyncio.create_task(catalog.read(read_twice))
    await asyncio.to_thread(looked.wait, 30)
    await catalog.transaction(lambda tx: tx.put_file(file()))
    written.set()
    assert await reading == (None, None)
