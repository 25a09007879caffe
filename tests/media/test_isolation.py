"""Worker processes: one bad file costs one file."""

from __future__ import annotations

import asyncio
import os

import pytest

from haulier.errors import MediaTooDemanding, MissingExtra, UnreadableMedia, UnsupportedMedia
from haulier.media.isolation import Workers
from haulier.testing import decoders


@pytest.fixture
async def workers():
    async with Workers(count=1, memory_bytes=1 << 30) as pool:
        yield pool


async def test_a_task_runs_in_another_process_that_is_used_again(workers):
    first = await workers.run(decoders.answer, name="a", path="ж\n")
    second = await workers.run(decoders.answer, name="a")
    assert first == {"pid": second["pid"], "path": "ж\n"}
    assert first["pid"] != os.getpid()


@pytest.mark.parametrize(
    ("task", "error", "words"),
    [
        (decoders.crash, UnreadableMedia, "SIGSEGV"),
        (decoders.leave, UnreadableMedia, "without an answer"),
        (decoders.hoard, MediaTooDemanding, "memory"),
        (decoders.stumble, UnreadableMedia, "moov"),
        (decoders.refuse, UnsupportedMedia, "no known kind"),
        (decoders.lack, MissingExtra, "needs av"),
    ],
)
async def test_a_task_that_fails_is_told_as_such_and_the_next_one_runs(workers, task, error, words):
    with pytest.raises(error, match=words) as caught:
        await workers.run(task, name="clip.mp4")
    assert caught.value.hint
    assert await workers.run(decoders.answer, name="b", n=1)


async def test_a_task_over_its_time_is_killed(workers):
    before = (await workers.run(decoders.answer, name="a"))["pid"]
    with pytest.raises(MediaTooDemanding, match=r"longer than 0\.2 s"):
        await workers.run(decoders.hang, name="a", timeout_s=0.2)
    assert not os.path.exists(f"/proc/{before}")
    assert (await workers.run(decoders.answer, name="a"))["pid"] != before


async def test_cancelling_kills_the_process(workers):
    before = (await workers.run(decoders.answer, name="a"))["pid"]
    running = asyncio.create_task(workers.run(decoders.hang, name="a"))
    await asyncio.sleep(0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not os.path.exists(f"/proc/{before}")


async def test_what_a_library_prints_is_no_answer(workers):
    assert await workers.run(decoders.chatter, name="a") == {}


async def test_no_secret_of_ours_reaches_a_decoder(workers, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    pid = (await workers.run(decoders.answer, name="a"))["pid"]
    with open(f"/proc/{pid}/environ", "rb") as stream:
        assert b"hidden" not in stream.read()
