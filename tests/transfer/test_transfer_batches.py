"""Batches: some at a time, each with its outcome, resumed after anything."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from haulier import errors
from haulier.core.progress import ProgressBoard
from haulier.transfer.batches import Batch, BatchItem, OutcomeState


def items(*names: str) -> list[BatchItem]:
    return [BatchItem(id=name, size_bytes=10) for name in names]


class Worker:
    """Does what it is told about each item, and remembers which it was given."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.fails: dict[str, Exception] = {}
        self.now = self.most = 0

    async def __call__(self, item, meter):
        self.seen.append(item.id)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(0)
            meter.add(10)
            if item.id in self.fails:
                raise self.fails[item.id]
            return {"name": item.id.upper()}
        finally:
            self.now -= 1


async def test_a_failure_stops_nothing_and_every_outcome_is_kept_in_order():
    work = Worker()
    work.fails = {"b": errors.NoSuchObject("b is gone", hint="look again"), "c": KeyError("bug")}
    report = await Batch(work, parallel=3).run(items(*"abcde"))
    assert [one.id for one in report.outcomes] == list("abcde")
    assert [one.state for one in report.outcomes].count(OutcomeState.DONE) == 3
    assert report.outcomes[0].result == {"name": "A"}
    b, c = report.failed
    assert (b.id, b.code, b.message, b.hint) == ("b", "no-such-object", "b is gone", "look again")
    assert (c.id, c.code) == ("c", "internal")
    assert work.most == 3


async def test_the_failed_alone_are_retried():
    work = Worker()
    work.fails = {"b": errors.NoSuchObject("gone")}
    batch = Batch(work)
    await batch.run(items(*"abc"))
    work.fails.clear()
    report = await batch.retry_failed()
    assert work.seen == ["a", "b", "c", "b"]
    assert [(one.id, one.state) for one in report.outcomes] == [("b", OutcomeState.DONE)]
    assert (await batch.retry_failed()).outcomes == ()


async def test_items_are_taken_only_as_there_is_room():
    taken: list[int] = []
    running = asyncio.Event()

    def source() -> Iterator[BatchItem]:
        for number in range(1000):
            taken.append(number)
            yield BatchItem(id=str(number))

    async def work(_item, _meter):
        running.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(Batch(work, parallel=2).run(source()))
    await running.wait()
    await asyncio.sleep(0.01)
    assert len(taken) <= 3
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_items_may_come_over_time():
    async def source():
        for name in "abc":
            await asyncio.sleep(0)
            yield BatchItem(id=name)

    work = Worker()
    assert len((await Batch(work).run(source())).outcomes) == 3


async def test_beginnings_keep_to_a_rate():
    slept: list[float] = []
    now = 100.0

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    batch = Batch(Worker(), parallel=4, starts_per_s=10, clock=lambda: now, sleep=sleep)
    await batch.run(items(*"abcde"))
    assert slept == pytest.approx([0.1, 0.2, 0.3, 0.4])


async def test_progress_of_all_together():
    board = ProgressBoard()
    work = Worker()
    work.fails = {"b": errors.NoSuchObject("gone")}
    await Batch(work, board=board).run(items(*"abc"))
    board.sample()
    total = board.total()
    assert (total.done_bytes, total.stage, total.error) == (30, "3 of 3", "1 failed")


async def test_another_process_goes_on_with_what_is_not_done(tmp_path):
    state, work = tmp_path / "batch.jsonl", Worker()
    work.fails = {"b": errors.ConnectionLost("cut")}
    await Batch(work, state=state).run(items(*"abc"))
    again = Worker()
    report = await Batch(again, state=state).run(items(*"abcd"))
    assert again.seen == ["b", "d"]
    assert [one.id for one in report.outcomes] == list("abcd")
    assert report.outcomes[0].result == {"name": "A"}
    assert report.failed == ()
    assert state.stat().st_mode & 0o077 == 0


async def test_a_line_that_was_cut_off_is_done_again(tmp_path):
    state = tmp_path / "batch.jsonl"
    await Batch(Worker(), state=state).run(items(*"abc"))
    with state.open("r+b") as file:
        file.truncate(state.stat().st_size - 5)
    work = Worker()
    await Batch(work, state=state).run(items(*"abc"))
    assert len(work.seen) == 1
    assert all(json.loads(line) for line in state.read_text().splitlines())


@pytest.mark.parametrize("line", ["", "{}", "[]", "null", '{"format": 2, "id": "a"}', "\udcff"])
async def test_a_line_nobody_can_read_is_as_if_it_were_not_there(tmp_path, line):
    state, work = tmp_path / "batch.jsonl", Worker()
    state.write_bytes(line.encode("utf-8", "surrogateescape") + b"\n")
    await Batch(work, state=state).run(items("a"))
    assert work.seen == ["a"]


async def test_cancelling_keeps_what_is_done_and_leaves_nothing_open(tmp_path):
    state = tmp_path / "batch.jsonl"
    stuck = asyncio.Event()

    async def work(item, _meter):
        if item.id == "b":
            stuck.set()
            await asyncio.Event().wait()
        return {}

    task = asyncio.create_task(Batch(work, parallel=1, state=state).run(items(*"abc")))
    await stuck.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert str(state) not in [link(name) for name in os.listdir("/proc/self/fd")]
    again = Worker()
    await Batch(again, state=state).run(items(*"abc"))
    assert again.seen == ["b", "c"]


def link(name: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{name}")
    except FileNotFoundError:
        return ""


async def test_one_process_works_on_a_batch_at_a_time(tmp_path):
    state = tmp_path / "batch.jsonl"

    async def work(_item, _meter):
        with pytest.raises(errors.OperationBusy):
            await Batch(Worker(), state=state).run(items("x"))
        return {}

    report = await Batch(work, state=state).run(items("a"))
    assert report.failed == ()


async def test_nonsense_is_refused(tmp_path):
    with pytest.raises(errors.UsageError):
        await Batch(Worker()).run(items("a", "a"))
    with pytest.raises(errors.UsageError):
        Batch(Worker(), parallel=0)
    with pytest.raises(errors.UsageError):
        Batch(Worker(), starts_per_s=0)
    with pytest.raises(errors.TargetMissing):
        await Batch(Worker(), state=tmp_path / "none" / "x").run(items("a"))


KILLED = """
import asyncio, sys
from pathlib import Path
from haulier.transfer.batches import Batch, BatchItem
async def work(item, meter):
    await asyncio.sleep(0.002)
    with open(sys.argv[2], "a") as log: log.write(item.id + "\\n")
    return {}
items = [BatchItem(id=str(n)) for n in range(300)]
asyncio.run(Batch(work, state=Path(sys.argv[1])).run(items))
"""


@pytest.mark.processes
async def test_a_killed_batch_costs_only_what_was_under_way(tmp_path):
    state, log = tmp_path / "batch.jsonl", tmp_path / "log"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(state), str(log)])
    while not log.exists() or len(log.read_text().splitlines()) < 40:
        await asyncio.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    subprocess.run([sys.executable, "-c", KILLED, str(state), str(log)], check=True)
    done = log.read_text().splitlines()
    assert set(done) == {str(number) for number in range(300)}
    assert len(done) <= 300 + 4
