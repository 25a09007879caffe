from __future__ import annotations

import asyncio

import pytest

from haulier.core.records import OperationStatus
from haulier.errors import ConnectionLost, Interrupted, NoSuchObject
from haulier.journeys.archive.bookkeeping import operation


async def recorded(ctx, running):
    return await ctx.catalog.get_operation(running.operation_id)


def begin(ctx, **options):
    return operation(ctx, "verify", target_path="file:///x", target_name="x", **options)


async def test_the_row_says_running_before_anything_is_done(yard):
    async with yard.open(command_args=["verify", "x"]) as ctx:
        async with begin(ctx, metadata={"deep": True}) as running:
            during = await recorded(ctx, running)
            running.note(checks=["size"])
            running.result_in("/out")
        after = await recorded(ctx, running)
    assert during.status is OperationStatus.RUNNING
    assert during.completed_at is None
    assert (during.user, during.command_args) == ("tester", ["verify", "x"])
    assert after.status is OperationStatus.SUCCESS
    assert after.metadata == {"deep": True, "checks": ["size"]}
    assert after.result_path == "/out"
    assert after.completed_at >= after.started_at
    assert after == running.record


async def test_the_duration_does_not_follow_a_clock_that_jumps(yard):
    ticks = iter([10.0, 12.5])
    async with yard.open() as ctx, begin(ctx, monotonic=lambda: next(ticks)) as running:
        pass
    assert running.record.duration_seconds == 2.5


async def test_a_failure_is_recorded_and_raised(yard):
    async with yard.open() as ctx:
        running = None

        async def fail():
            nonlocal running
            async with begin(ctx) as running:
                running.measure(100, "reading")
                raise NoSuchObject("x is gone")

        with pytest.raises(NoSuchObject):
            await fail()
        after = await recorded(ctx, running)
        (progress,) = [event for event in ctx.board.sample() if event.is_final]
    assert (after.status, after.error_message) == (OperationStatus.FAILED, "x is gone")
    assert after.metadata["error"] == {
        "code": "no-such-object",
        "hint": NoSuchObject.advice,
        "retryable": False,
    }
    assert progress.error == "x is gone"


async def test_a_failure_can_be_kept_in_the_record(yard):
    async with yard.open() as ctx:
        async with begin(ctx, keep_failure=True) as running:
            raise ConnectionLost("no route")
        after = await recorded(ctx, running)
    assert after.status is OperationStatus.FAILED
    assert after.metadata["error"]["retryable"] is True


async def test_an_interruption_is_recorded_and_never_kept(yard):
    async with yard.open() as ctx:
        with pytest.raises(Interrupted):
            async with begin(ctx, keep_failure=True) as running:
                raise Interrupted("stopped")
        assert (await recorded(ctx, running)).status is OperationStatus.CANCELLED


async def test_a_cancelled_task_leaves_a_cancelled_row(yard):
    async with yard.open() as ctx:
        entered = asyncio.Event()
        rows = []

        async def work():
            async with begin(ctx) as running:
                rows.append(running)
                entered.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await recorded(ctx, rows[0])).status is OperationStatus.CANCELLED


async def test_a_bug_is_recorded_too(yard):
    async with yard.open() as ctx:
        with pytest.raises(ZeroDivisionError):
            async with begin(ctx, keep_failure=True) as running:
                _ = 1 / 0
        after = await recorded(ctx, running)
    assert (after.status, after.error_message) == (
        OperationStatus.FAILED,
        "ZeroDivisionError: division by zero",
    )


async def test_what_comes_in_several_pieces_is_one_thing_on_the_board(yard):
    async with yard.open() as ctx:
        async with begin(ctx) as running:
            running.measure(100, "first").add(100)
            running.measure(50, "second").add(50)
        events = ctx.board.sample()
    assert {event.id for event in events} == {running.operation_id}
    assert (events[-1].stage, events[-1].done_bytes, events[-1].total_bytes) == ("second", 150, 150)
