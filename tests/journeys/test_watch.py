"""Watching a directory with a clock and a sleep of the test's own."""

from __future__ import annotations

import os
from itertools import pairwise

import pytest

from haulier.catalog.filters import OperationFilter
from haulier.errors import AccessDenied, TargetMissing, UsageError
from haulier.journeys.archive import watch as module
from haulier.journeys.archive.watch import signature_of, watch
from haulier.store.local import LocalStore


class Over(Exception):
    """The script of a test has ended."""


class Script:
    """Stands for the waits between looks: each does the next step and passes some time."""

    def __init__(self, *steps, poll_s=2.0):
        self.now = 1000.0
        self.told = []
        self._steps = list(steps)
        self._poll_s = poll_s

    def clock(self):
        return self.now

    async def sleep(self, seconds):
        assert seconds == self._poll_s
        if not self._steps:
            raise Over
        step = self._steps.pop(0)
        self.now += seconds
        if callable(step):
            step()
        else:
            self.now += step

    def tell(self, records):
        self.told += [(record.target_name, record.status.value) for record in records]

    async def play(self, yard, *, settle_s=10.0, store=None, **options):
        async with yard.open(store=store) as ctx:
            with pytest.raises(Over):
                await watch(
                    ctx, yard.options(**options), settle_s=settle_s, tell=self.tell,
                    poll_s=self._poll_s, clock=self.clock, sleep=self.sleep,
                )  # fmt: skip
        return self.told


async def test_an_entry_is_uploaded_when_it_has_settled(yard):
    (yard.local / "a.mp4").write_bytes(b"a")
    assert await Script(0, 0, 0, 0).play(yard) == []
    assert await Script(0, 0, 0, 0, 0).play(yard) == [("a.mp4", "success")]
    assert (yard.completed / "a.mp4").exists()


async def test_growing_starts_the_wait_again(yard):
    path = yard.local / "a.mp4"
    path.write_bytes(b"a")

    def grow():
        with path.open("ab") as file:
            file.write(b"more")

    assert await Script(6, grow, 6).play(yard) == []
    assert await Script(6, grow, 6, 0).play(yard) == [("a.mp4", "success")]


async def test_a_tree_settles_as_a_whole(yard):
    inner = yard.local / "tree" / "inner"
    inner.mkdir(parents=True)
    (inner / "a").write_bytes(b"a")
    late = lambda: (inner / "b").write_bytes(b"b")  # noqa: E731
    assert await Script(6, late, 6).play(yard) == []
    assert await Script(6, late, 6, 0).play(yard) == [("tree", "success")]
    assert (yard.completed / "tree" / "inner" / "b").exists()


async def test_what_changes_is_uploaded_again_and_only_then(yard):
    path = yard.local / "a.txt"
    path.write_bytes(b"one")
    change = lambda: path.write_bytes(b"another")  # noqa: E731
    told = await Script(20, 20, 20, change, 20, 20).play(yard, completed_dir=None)
    assert told == [("a.txt", "success")] * 2


async def test_what_is_left_alone(yard, tmp_path):
    (yard.local / ".haulier-partial-x").write_bytes(b"ours")
    (yard.local / ".hidden").write_bytes(b"hidden")
    (yard.local / "a.log").write_bytes(b"excluded")
    (yard.local / "ignored.txt").write_bytes(b"ignored")
    (yard.local / ".haulierignore").write_text("ignored.*\n")
    (yard.local / "link").symlink_to(tmp_path / "elsewhere")
    (yard.local / "data").mkdir()
    (yard.local / "store").mkdir()
    yard.completed.mkdir()
    for directory in ("data", "store", "completed"):
        (yard.local / directory / "x").write_bytes(b"x")
    yard.data = yard.local / "data"
    (yard.local / "all").write_bytes(b"a file that is called all")
    told = await Script(20, 20).play(
        yard, store=LocalStore(yard.local / "store"), exclude=("*.log",)
    )
    assert told == [("all", "success")]


class Refusing(LocalStore):
    """A store that is out of order for some time."""

    refusing = True
    starts = 0

    async def start_upload(self, key, options):
        self.starts += 1
        return await super().start_upload(key, options)

    async def put_part(self, *args, **options):
        if self.refusing:
            raise AccessDenied("no")
        return await super().put_part(*args, **options)


async def test_a_failure_is_tried_again_later_and_goes_on_where_it_stopped(yard):
    (yard.local / "a.txt").write_bytes(b"a")
    store = Refusing(yard.store_dir)

    def mend():
        store.refusing = False

    assert await Script(20, 20).play(yard, store=store) == [("a.txt", "failed")]
    told = await Script(20, 10, 20, 10, 30, mend, 100, 100).play(yard, store=store)
    assert told == [("a.txt", "failed")] * 2 + [("a.txt", "success")]
    async with yard.open(store=store) as ctx:
        operations = (await ctx.catalog.list_operations(OperationFilter())).items
    # One for each watch: within a watch, the same operation goes on.
    assert len(operations) == 2
    assert (yard.completed / "a.txt").exists()


async def test_waits_between_tries_grow(yard):
    (yard.local / "a.txt").write_bytes(b"a")
    script = Script(*[0] * 3000)
    times = []
    script.tell = lambda records: times.append(script.now) if records else None
    await script.play(yard, store=Refusing(yard.store_dir), settle_s=0.0)
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert waits == [30, 60, 120, 240, 480, 960, 1920]
    assert module.LONGEST_RETRY_S == 3600


class Killed(BaseException):
    """Nothing in the journey handles it: as good as SIGKILL, seen from the catalog."""


async def test_what_an_earlier_run_left_is_resumed_first(yard):
    (yard.local / "a.txt").write_bytes(b"a")
    store = Refusing(yard.store_dir)

    def stop(event):
        if event.stage == "sending":
            raise Killed

    with pytest.raises(Killed):
        async with yard.open(store=store, observe=stop) as ctx:
            await module.upload(ctx, [str(yard.local / "a.txt")], yard.options())
    store.refusing = False
    assert await Script().play(yard, store=store) == [("a.txt", "success")]
    assert store.starts == 1


async def test_a_directory_that_is_not_there(yard):
    async with yard.open() as ctx:
        with pytest.raises(TargetMissing, match="gone"):
            await watch(ctx, yard.options(local_dir=str(yard.local / "gone")), settle_s=0)


async def test_options_that_can_not_work_end_it(yard):
    (yard.local / "a.txt").write_bytes(b"a")
    async with yard.open() as ctx:
        with pytest.raises(UsageError):
            await watch(ctx, yard.options(exclude=("\\",)), settle_s=0)


def test_a_signature_sees_every_kind_of_change(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    file = tree / "a"
    file.write_bytes(b"1234")
    seen = [signature_of(str(tree))]
    for change in (
        lambda: file.write_bytes(b"5678"),
        lambda: os.utime(file, (0, 0)),
        lambda: file.rename(tree / "b"),
        lambda: (tree / "c").symlink_to("b"),
        (tree / "b").unlink,
    ):
        change()
        seen.append(signature_of(str(tree)))
    assert len(set(seen)) == len(seen)
    assert signature_of(str(tree)) == seen[-1]
    assert signature_of(str(tmp_path / "missing")) == (0, 0, 0)
