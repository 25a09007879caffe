"""The conformance suite of stores: what every one has to do, for plug-ins as well.

    class TestMyStore(StoreSuite):
        @pytest.fixture
        async def store(self): ...

needs pytest-asyncio in auto mode.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os

import pytest

from haulier.core.checksums import combine_crc64nvme, crc64nvme
from haulier.errors import BadDigest, NoSuchObject, NoSuchUpload, ObjectChanged, ObjectExists
from haulier.store.base import (
    ListingStore,
    MultipartStore,
    ObjectOptions,
    Part,
    PartReceipt,
)

HOSTILE_KEYS = [
    "plain", "with space", "a/b/c.tar.gz", "smörgåsbord", "-rf", "100%", "a+b", "q?x=1",
    "semi;colon",
    "quote'\"", "tilde~", "日本語", "..hidden..", "a&b<c>", "n" * 200,
]  # fmt: skip


def part_of(data: bytes, number: int = 1, offset: int = 0) -> Part:
    """Return `data` as a part, in two buffers."""
    half = len(data) // 2
    return Part(
        number=number,
        offset=offset,
        buffers=[data[:half], memoryview(data)[half:]],
        size_bytes=len(data),
        md5=hashlib.md5(data, usedforsecurity=False).hexdigest(),
        crc64nvme=f"{crc64nvme(data):016x}",
    )


async def read_all(store: MultipartStore, key: str, **options: object) -> bytes:
    """Return the bytes of `key`."""
    async with store.get(key, **options) as pieces:  # type: ignore[arg-type]  # passed on
        return b"".join([piece async for piece in pieces])


class StoreSuite:
    """Subclass it and give it a `store` fixture with nothing in it."""

    @pytest.fixture
    def least(self, store: MultipartStore) -> int:
        """The least size of a part that is not the last."""
        return store.limits.min_part_bytes

    @pytest.mark.parametrize("key", HOSTILE_KEYS)
    async def test_any_key_comes_back(self, store: MultipartStore, key: str) -> None:
        await store.put(key, b"content")
        assert (await store.head(key)).size_bytes == 7
        assert await read_all(store, key) == b"content"
        assert isinstance(store, ListingStore)
        assert [info.key async for info in store.list_objects()] == [key]
        await store.delete(key)
        with pytest.raises(NoSuchObject):
            await store.head(key)

    @pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
    async def test_any_size_comes_back(self, store: MultipartStore, size: int) -> None:
        data = os.urandom(size)
        await store.put("k", data)
        assert await read_all(store, "k") == data

    async def test_ranges(self, store: MultipartStore) -> None:
        data = os.urandom(5000)
        await store.put("k", data)
        for start, end in [(0, 1), (0, 5000), (4999, 5000), (100, 200), (10, None), (4000, 9000)]:
            assert await read_all(store, "k", start=start, end=end) == data[start:end]
        assert await read_all(store, "k", start=5000) == b""

    async def test_another_object_is_noticed(self, store: MultipartStore) -> None:
        await store.put("k", b"one")
        etag = (await store.head("k")).etag
        await store.put("k", b"two")
        with pytest.raises(ObjectChanged):
            await read_all(store, "k", if_match=etag)

    async def test_nothing_is_there(self, store: MultipartStore) -> None:
        with pytest.raises(NoSuchObject):
            await store.head("k")
        with pytest.raises(NoSuchObject):
            await read_all(store, "k")
        await store.delete("k")

    async def test_overwriting_only_when_allowed(self, store: MultipartStore) -> None:
        await store.put("k", b"one")
        with pytest.raises(ObjectExists):
            await store.put("k", b"two", if_none_match=True)
        assert await read_all(store, "k") == b"one"
        await store.put("k", b"two")
        assert await read_all(store, "k") == b"two"

    async def test_parts_in_any_order(self, store: MultipartStore, least: int) -> None:
        data = [os.urandom(least), os.urandom(least + 7), os.urandom(99)]
        offsets = [0, least, 2 * least + 7]
        upload = await store.start_upload("k", ObjectOptions(metadata={"a": "b"}))

        async def put(number: int) -> PartReceipt:
            part = part_of(data[number - 1], number, offsets[number - 1])
            counted: list[int] = []
            receipt = await store.put_part("k", upload, part, advance=counted.append)
            assert sum(counted) == part.size_bytes
            return receipt

        if store.limits.in_order:  # the later ones wait
            receipts = list(await asyncio.gather(put(3), put(1), put(2)))
        else:
            receipts = [await put(number) for number in (3, 1, 2)]
        sent = sorted(receipts, key=lambda receipt: receipt.number)
        listed = await store.list_parts("k", upload, sent=sent)
        assert [p.number for p in listed] == [1, 2, 3]
        assert [p.size_bytes for p in listed] == [len(piece) for piece in data]
        with pytest.raises(NoSuchObject):
            await store.head("k")
        await store.complete_upload("k", upload, sorted(receipts, key=lambda r: r.number))
        info = await store.head("k")
        assert await read_all(store, "k") == b"".join(data)
        assert info.size_bytes == sum(map(len, data))
        assert info.metadata.get("a") == "b"
        if info.crc64nvme is not None:
            crc = 0
            for piece in data:
                crc = combine_crc64nvme(crc, crc64nvme(piece), len(piece))
            assert info.crc64nvme == f"{crc:016x}"

    async def test_a_repeated_part_replaces_the_first(self, store: MultipartStore) -> None:
        upload = await store.start_upload("k", ObjectOptions())
        await store.put_part("k", upload, part_of(b"wrong" * 20))
        if store.limits.in_order:
            with pytest.raises(NoSuchUpload):
                await store.put_part("k", upload, part_of(b"right" * 20))
            await store.abort_upload("k", upload)
            upload = await store.start_upload("k", ObjectOptions())
        receipt = await store.put_part("k", upload, part_of(b"right" * 20))
        await store.complete_upload("k", upload, [receipt])
        assert await read_all(store, "k") == b"right" * 20

    async def test_a_part_of_other_bytes_is_refused(self, store: MultipartStore) -> None:
        upload = await store.start_upload("k", ObjectOptions())
        good, bad = part_of(b"a" * 1000), part_of(b"b" * 1000)
        lying = Part(
            number=1, offset=0, buffers=bad.buffers, size_bytes=1000, md5=good.md5,
            crc64nvme=good.crc64nvme,
        )  # fmt: skip
        with pytest.raises(BadDigest):
            await store.put_part("k", upload, lying)
        receipt = await store.put_part("k", upload, good)
        await store.complete_upload("k", upload, [receipt])
        assert await read_all(store, "k") == b"a" * 1000

    async def test_an_aborted_upload_is_gone(self, store: MultipartStore) -> None:
        upload = await store.start_upload("k", ObjectOptions())
        receipt = await store.put_part("k", upload, part_of(b"a" * 10))
        assert isinstance(store, ListingStore)
        assert [u.upload_id async for u in store.list_uploads("k")] == [upload]
        await store.abort_upload("k", upload)
        await store.abort_upload("k", upload)
        assert [u.upload_id async for u in store.list_uploads("k")] == []
        with pytest.raises(NoSuchUpload):
            await store.put_part("k", upload, part_of(b"a" * 10))
        with pytest.raises(NoSuchUpload):
            await store.list_parts("k", upload)
        with pytest.raises(NoSuchUpload):
            await store.complete_upload("k", upload, [receipt])

    async def test_completed_twice(self, store: MultipartStore) -> None:
        """The second may succeed or find no upload; the object stays what it is."""
        upload = await store.start_upload("k", ObjectOptions())
        receipt = await store.put_part("k", upload, part_of(b"a" * 10))
        await store.complete_upload("k", upload, [receipt])
        with contextlib.suppress(NoSuchUpload):
            await store.complete_upload("k", upload, [receipt])
        assert await read_all(store, "k") == b"a" * 10

    async def test_completing_does_not_overwrite_unasked(self, store: MultipartStore) -> None:
        upload = await store.start_upload("k", ObjectOptions())
        receipt = await store.put_part("k", upload, part_of(b"new" * 10))
        await store.put("k", b"old")
        with pytest.raises(ObjectExists):
            await store.complete_upload("k", upload, [receipt], if_none_match=True)
        assert await read_all(store, "k") == b"old"
        await store.abort_upload("k", upload)

    async def test_two_uploads_at_once(self, store: MultipartStore) -> None:
        async def one(key: str, data: bytes) -> None:
            upload = await store.start_upload(key, ObjectOptions())
            receipt = await store.put_part(key, upload, part_of(data))
            await store.complete_upload(key, upload, [receipt])

        contents = {f"k{n}": os.urandom(10_000) for n in range(8)}
        await asyncio.gather(*(one(key, data) for key, data in contents.items()))
        for key, data in contents.items():
            assert await read_all(store, key) == data

    async def test_listing_is_by_prefix_and_in_order(self, store: MultipartStore) -> None:
        for key in ("b/2", "a/1", "b/1", "c"):
            await store.put(key, b"x")
        assert isinstance(store, ListingStore)
        assert [info.key async for info in store.list_objects("b/")] == ["b/1", "b/2"]
        assert [info.key async for info in store.list_objects()] == ["a/1", "b/1", "b/2", "c"]

    async def test_a_cancelled_part_leaves_the_upload_usable(self, store: MultipartStore) -> None:
        upload = await store.start_upload("k", ObjectOptions())
        data = os.urandom(8 << 20)
        sending = asyncio.create_task(store.put_part("k", upload, part_of(data)))
        await asyncio.sleep(0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        receipt = await store.put_part("k", upload, part_of(data))
        await store.complete_upload("k", upload, [receipt])
        assert await read_all(store, "k") == data
