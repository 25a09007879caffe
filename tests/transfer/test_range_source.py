from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from haulier import errors
from haulier.core.file_version import Version
from haulier.core.ranges import Flight, RangedDownload, Resumable
from haulier.net.guard import AddressGuard
from haulier.net.http import HttpClient
from haulier.store.local import LocalStore
from haulier.testing.range_server import RangeServer
from haulier.transfer.range_source import HttpRangeSource, RangeSource, StoreRangeSource


def flight(start: int, end: int | None, *, whole: bool = False) -> Flight:
    return Flight(start=start, end=end, position=start, epoch=0, whole=whole)


async def read(source: RangeSource, wanted: Flight) -> tuple[object, bytes]:
    async with source.open(wanted) as answer:
        body = bytearray()
        async for _count in answer.body(body.extend):
            pass
        return answer.head, bytes(body)


async def test_a_link_is_asked_as_http_says() -> None:
    async with RangeServer() as server, HttpClient(guard=AddressGuard(["127.0.0.1"])) as client:
        server.put("/a", b"0123456789")
        source = HttpRangeSource(
            server.url("/a") + "#part", client, headers={"Authorization": "Bearer x"}
        )
        assert source.name == server.url("/a")
        head, body = await read(source, flight(2, 5))
        assert (head.status, head.start, head.end, head.total_bytes) == (206, 2, 5, 10)
        assert (head.etag, body) == ('"1"', b"234")
        head, body = await read(source, flight(7, None))
        assert (head.end, body) == (10, b"789")
        head, body = await read(source, flight(0, None, whole=True))
        assert (head.status, head.total_bytes, body) == (200, 10, b"0123456789")
        head, body = await read(source, flight(10, None))
        assert (head.status, head.total_bytes, body) == (416, 10, b"")
        assert [request.range for request in server.log] == [
            "bytes=2-4",
            "bytes=7-",
            None,
            "bytes=10-",
        ]
        assert {request.headers["authorization"] for request in server.log} == {"Bearer x"}


@pytest.fixture
async def store(tmp_path: Path) -> LocalStore:
    store = LocalStore(tmp_path / "store")
    await store.put("a", b"0123456789")
    return store


async def test_a_store_answers_as_a_server_would(store: LocalStore) -> None:
    source = StoreRangeSource(store, "a")
    head, body = await read(source, flight(2, 5))
    assert (head.status, head.start, head.end, head.total_bytes, body) == (206, 2, 5, 10, b"234")
    head, body = await read(source, flight(8, 99))
    assert (head.end, body) == (10, b"89")
    head, body = await read(source, flight(10, None))
    assert (head.status, head.total_bytes, body) == (416, 10, b"")
    with pytest.raises(errors.NoSuchObject):
        await read(StoreRangeSource(store, "none"), flight(0, None))


async def test_an_object_that_shrank_is_fetched_anew_by_a_resume(store: LocalStore) -> None:
    source = StoreRangeSource(store, "a")
    download = RangedDownload(
        piece_bytes=None,
        resume=Resumable(version=Version(size_bytes=20, etag='"old"'), done=((0, 15),)),
    )
    wanted = download.next_flight()
    assert wanted is not None
    async with source.open(wanted) as answer:
        download.judge(wanted, answer.head)
    assert download.epoch == 1


@pytest.mark.parametrize("by_hand", [True, False])
async def test_a_replaced_object_shows_another_etag(store: LocalStore, by_hand: bool) -> None:
    source = StoreRangeSource(store, "a")
    before, _ = await read(source, flight(0, 5))
    if by_hand:
        Path(store.local_path("a")).write_bytes(b"abcdefghijkl")
    else:
        await store.put("a", b"abcdefghijkl")
    after, body = await read(source, flight(0, 5))
    assert (after.total_bytes, body) == (12, b"abcde")
    assert after.etag != before.etag


async def test_a_file_cut_short_while_it_is_read_is_a_lost_connection(store: LocalStore) -> None:
    path = Path(store.local_path("a"))
    path.write_bytes(bytes(4 << 20))
    source = StoreRangeSource(store, "a")
    async with source.open(flight(0, None)) as answer:
        counts = answer.body(lambda _: None)
        await anext(counts)
        path.write_bytes(b"")
        with pytest.raises(errors.ConnectionLost, match="shrank"):
            await anext(counts)


class Restless(LocalStore):
    """A directory in which somebody replaces the file each time it is opened."""

    changes = 0

    @asynccontextmanager
    async def get(
        self, key: str, *, start: int = 0, end: int | None = None, if_match: str | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        self.changes += 1
        Path(self.local_path(key)).write_bytes(bytes(self.changes))
        async with super().get(key, start=start, end=end, if_match=if_match) as body:
            yield body


async def test_an_object_that_never_rests_is_given_up_for_now(tmp_path: Path) -> None:
    store = Restless(tmp_path)
    (tmp_path / "a").write_bytes(b"0123456789")
    with pytest.raises(errors.ServiceFault, match="changes faster"):
        await read(StoreRangeSource(store, "a"), flight(0, 1))
    assert store.changes == 3
