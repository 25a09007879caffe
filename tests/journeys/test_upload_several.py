"""Several targets of one command: together where that helps, and never at each other's cost."""

from __future__ import annotations

import asyncio
import os

import pytest

from haulier.catalog.filters import OperationFilter
from haulier.core.records import OperationStatus
from haulier.errors import AccessDenied, UsageError
from haulier.journeys.archive.convoy import AT_ONCE
from haulier.journeys.archive.destination import Destination, OpenDestination
from haulier.journeys.archive.open import LOCAL_CHECKS
from haulier.journeys.archive.upload import resume, upload
from haulier.store.local import LocalStore

SUCCESS, FAILED = OperationStatus.SUCCESS, OperationStatus.FAILED


class Gate(LocalStore):
    """Lets parts in when `wanted` of them wait; notes which keys were inside together."""

    wanted = 1
    refused = None

    def __init__(self, root):
        super().__init__(root)
        self.inside = []
        self.together = []
        self.opened = asyncio.Event()

    async def put_part(self, key, *args, **options):
        if key == self.refused:
            raise AccessDenied(f"{key} is refused")
        self.inside.append(key)
        self.together.append(tuple(self.inside))
        if len(self.inside) >= self.wanted:
            self.opened.set()
        try:
            await self.opened.wait()
            await asyncio.sleep(0)
            return await super().put_part(key, *args, **options)
        finally:
            self.inside.remove(key)


@pytest.fixture
def gate(yard):
    return Gate(yard.store_dir)


def make(yard, *sizes):
    """Make a file of each size; no two have equal content."""
    for number, size in enumerate(sizes):
        (yard.local / f"{number}.mp4").write_bytes(os.urandom(size))


async def upload_all(yard, store, names=("all",), **options):
    async with yard.open(store=store) as ctx:
        return await asyncio.wait_for(upload(ctx, names, yard.options(**options)), 30)


async def test_small_ones_go_a_few_at_a_time_and_are_told_in_order(yard, gate):
    make(yard, *range(1000, 1007))
    gate.wanted = AT_ONCE
    records = await upload_all(yard, gate)
    assert [record.target_name for record in records] == [f"{n}.mp4" for n in range(7)]
    assert {record.status for record in records} == {SUCCESS}
    assert max(map(len, gate.together)) == AT_ONCE


async def test_never_more_than_jobs(yard, gate):
    make(yard, *range(1000, 1004))
    records = await upload_all(yard, gate, jobs=1)
    assert {record.status for record in records} == {SUCCESS}
    assert max(map(len, gate.together)) == 1


async def test_a_large_one_goes_by_itself(yard, gate):
    make(yard, 1000, 9 << 20, 1001)
    await upload_all(yard, gate)
    large = [keys for keys in gate.together if "1.mp4.tar.gz" in keys]
    assert large
    assert all(set(keys) == {"1.mp4.tar.gz"} for keys in large)


async def test_one_failure_spares_the_rest_and_keeps_its_place(yard, gate):
    make(yard, *range(1000, 1005))
    gate.refused = "2.mp4.tar.gz"
    records = await upload_all(yard, gate)
    assert [record.status for record in records] == [SUCCESS, SUCCESS, FAILED, SUCCESS, SUCCESS]
    assert records[2].error_message == "2.mp4.tar.gz is refused"


async def test_equal_content_in_one_command_is_stored_once(yard):
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        (yard.local / name).write_bytes(b"same" * 1000)
    first, *others = await yard.upload("all")
    assert "skipped" not in first.metadata
    assert [other.metadata["equal_to"] for other in others] == [first.operation_id] * 2


async def test_one_name_from_two_places_makes_two_objects(yard):
    for place in ("x", "y"):
        (yard.local / place).mkdir()
        (yard.local / place / "clip.mp4").write_bytes(place.encode() * 5000)
    records = await yard.upload("x/clip.mp4", "y/clip.mp4")
    assert [record.status for record in records] == [SUCCESS, SUCCESS]
    assert len({record.s3_object_key for record in records}) == 2
    assert len(list(yard.completed.iterdir())) == 2


async def test_what_lies_in_another_target_waits_for_it(yard):
    (yard.local / "trip").mkdir()
    (yard.local / "trip" / "clip.mp4").write_bytes(b"waves" * 1000)
    outer, inner = await yard.upload("trip", "trip/clip.mp4")
    assert (outer.status, inner.status) == (SUCCESS, FAILED)
    assert inner.metadata["error"]["code"] == "target-missing"


async def test_an_interruption_leaves_each_of_them_resumable(yard, gate):
    make(yard, *range(1000, 1006))
    gate.wanted = 100
    async with yard.open(store=gate) as ctx:
        uploading = asyncio.create_task(upload(ctx, ["all"], yard.options()))
        while len(gate.inside) < AT_ONCE:
            await asyncio.sleep(0.01)
        uploading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await uploading
        page = await ctx.catalog.list_operations(OperationFilter())
        assert [r.status for r in page.items] == [OperationStatus.CANCELLED] * AT_ONCE
    async with yard.open() as ctx:
        resumed = await resume(ctx)
    assert {record.status for record in resumed} == {SUCCESS}
    assert len(list(yard.completed.iterdir())) == AT_ONCE


async def test_an_error_of_ours_comes_out_as_it_is(yard, gate):
    """No group of exceptions: the command line would not know it."""
    make(yard, 1000)

    async def broken(*_args, **_options):
        raise ZeroDivisionError

    gate.head = broken
    with pytest.raises(ZeroDivisionError):
        await upload_all(yard, gate)


async def test_a_bad_pattern_in_one_directory_spares_the_others(yard):
    (yard.local / "bad").mkdir()
    (yard.local / "bad" / ".haulierignore").write_text("!\n")
    make(yard, 1000)
    good, bad = await yard.upload("all")
    assert (good.status, bad.status) == (SUCCESS, FAILED)
    assert ".haulierignore" in bad.error_message


async def test_a_bad_pattern_of_the_command_is_refused_at_once(yard):
    make(yard, 1000)
    with pytest.raises(UsageError):
        await yard.upload("all", include=("!",))
    assert not yard.store_dir.exists()


def within(yard, ctx, *path):
    """Let `ctx` upload to a directory below the local one."""
    store = LocalStore(yard.local.joinpath(*path))
    (yard.local.joinpath(*path) / "old").mkdir(parents=True)
    ctx.destination = OpenDestination(Destination(root=store.url), store, LOCAL_CHECKS)


async def test_all_leaves_out_a_destination_that_lies_there(yard):
    make(yard, 1000)
    async with yard.open() as ctx:
        within(yard, ctx, "backup")
        (record,) = await upload(ctx, ["all"], yard.options())
    assert (record.target_name, record.status) == ("0.mp4", SUCCESS)
    assert (yard.local / "backup" / "0.mp4.tar.gz").is_file()


@pytest.mark.parametrize("names", [["all"], ["0.mp4", "disk"]])
async def test_what_holds_the_destination_is_refused(yard, names):
    make(yard, 1000)
    async with yard.open() as ctx:
        within(yard, ctx, "disk", "backup")
        good, refused = await upload(ctx, names, yard.options())
    assert (good.status, refused.status) == (SUCCESS, FAILED)
    assert refused.metadata["error"]["code"] == "unsafe-path"
    assert "disk/backup" in refused.error_message
    assert (yard.local / "disk" / "backup" / "0.mp4.tar.gz").is_file()
