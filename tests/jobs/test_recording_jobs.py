"""What follows the upload of a recording: with the real catalog, runner and decoders."""

from __future__ import annotations

import asyncio
import json
import subprocess
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import pytest

from catalogs import new_sqlite
from haulier.catalog.catalog import Catalog
from haulier.coordination.bells import MemoryBell
from haulier.core.jobs import JobState
from haulier.core.records import utc_now
from haulier.errors import StorageFull, UnsupportedMedia
from haulier.jobs import recording_steps
from haulier.jobs.recording_jobs import COMPRESSED, RecordingJobs
from haulier.jobs.runner import Runner
from haulier.journeys.recording.manager import OfflineAudioManager
from haulier.media.isolation import Workers
from recordings import new_id, wav

pytestmark = pytest.mark.processes

_GOING_ON = {JobState.PENDING, JobState.RUNNING}


class Place:
    def __init__(self, catalog, manager, jobs, runner, bell):
        self.catalog, self.manager, self.jobs = catalog, manager, jobs
        self.runner, self.bell = runner, bell

    async def uploaded(self, sound, user="ann"):
        one = await self.manager.save_recording(user, new_id(), sound, "recap")
        return await self.manager.mark_uploaded(user, one.recording_id, location="s3://b/k")

    async def ended(self, recording):
        """The recording once its job has ended."""
        task = asyncio.create_task(self.runner.run())
        try:
            async with asyncio.timeout(60):
                while any(job.state in _GOING_ON for job in await self.jobs_of(recording)):
                    await asyncio.sleep(0.02)
            return await self.manager.get_recording("ann", recording.recording_id)
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def jobs_of(self, recording):
        return await self.catalog.read(lambda tx: tx.jobs.of_subject(recording.recording_id))

    def made(self, recording):
        return self.manager.directory / "ann" / "derived" / recording.recording_id


@asynccontextmanager
async def opened(tmp_path, steps=recording_steps.recording_steps, now=None):
    async with (
        await Catalog.open(new_sqlite(tmp_path / "catalog.db")) as catalog,
        Workers() as workers,
    ):
        manager, bell = OfflineAudioManager(tmp_path / "recordings"), MemoryBell()
        jobs = RecordingJobs(
            catalog=catalog,
            manager=manager,
            workers=workers,
            enqueued=lambda _job: bell.ring(),
            steps=steps,
        )
        clock = {} if now is None else {"now": now}
        runner = Runner(catalog=catalog, kinds=jobs.kinds(), bell=bell, poll_s=0.05, **clock)
        yield Place(catalog, manager, jobs, runner, bell)


async def test_a_recording_is_worked_on(tmp_path):
    async with opened(tmp_path) as place:
        recording = await place.uploaded(wav(3))
        processing = await place.jobs.process(recording)
        assert processing.status == "processing"
        [job] = await place.jobs_of(recording)
        assert (processing.job_id, job.owner_id) == (job.job_id, "ann")
        done = await place.ended(recording)
        assert (done.status, done.job_id, done.location) == ("completed", job.job_id, "s3://b/k")
        assert done.duration == 3.0
        made = place.made(recording)
        notes = json.loads((made / "steps.json").read_text())
        assert {name for name, one in notes.items() if one["state"] == "done"} >= {
            "probe", "loudness", "waveform", "opus",
        }  # fmt: skip
        assert notes["probe"]["result"]["codec"] == "pcm_s16le"
        assert -30 < notes["loudness"]["result"]["integrated_lufs"] < -5
        assert (made / "waveform.webp").read_bytes()[8:12] == b"WEBP"
        opus = notes["opus"]["result"]
        assert (made / "recording.opus").stat().st_size == opus["bytes_after"] < len(wav(3))
        counted = await place.catalog.read(lambda tx: tx.watch.counted())
        assert [counted[COMPRESSED[when]] for when in ("before", "after")] == [
            len(wav(3)), opus["bytes_after"],
        ]  # fmt: skip
        if notes["transcript"]["state"] == "done":
            assert json.loads((made / "transcript.json").read_text())["engine"] == "pocketsphinx"
        [job] = await place.jobs_of(recording)
        assert job.result["steps"] == notes


async def test_speech_becomes_text(tmp_path):
    spoken = tmp_path / "spoken.wav"
    words = "hello world this is a test of the recorder"
    subprocess.run(["espeak-ng", "-v", "en-us", "-s", "140", "-w", spoken, words], check=True)
    async with opened(tmp_path) as place:
        recording = await place.uploaded(spoken)
        await place.jobs.process(recording)
        await place.ended(recording)
        transcript = json.loads((place.made(recording) / "transcript.json").read_text())
        assert transcript["text"]


async def test_what_is_compressed_already_stays(tmp_path):
    source, small = tmp_path / "a.wav", tmp_path / "a.ogg"
    source.write_bytes(wav(2))
    subprocess.run(["ffmpeg", "-v", "error", "-i", source, "-c:a", "libopus", small], check=True)
    async with opened(tmp_path) as place:
        recording = await place.uploaded(small)
        assert recording.format == "ogg"
        await place.jobs.process(recording)
        await place.ended(recording)
        notes = recording_steps.read_notes(place.made(recording))
        assert notes["opus"]["result"] == {"file": None, "reason": "opus is compressed already"}


async def test_what_is_no_sound_fails_and_is_kept(tmp_path):
    async with opened(tmp_path) as place:
        recording = await place.uploaded(b"no sound at all" * 100)
        await place.jobs.process(recording)
        failed = await place.ended(recording)
        assert failed.status == "failed"
        assert "can't be read" in failed.error
        assert (await place.manager.audio_path("ann", recording.recording_id)).exists()
        [job] = await place.jobs_of(recording)
        assert (job.state, job.attempts) == (JobState.FAILED, 1)


def steps_of(*calls):
    """Steps that are told of in `calls`, the second of which fails twice."""
    log = calls[0]

    async def probe(_work):
        log.append("probe")
        return {"duration_s": 1.0}

    async def flaky(_work):
        log.append("flaky")
        if log.count("flaky") < 3:
            raise StorageFull("no room")
        return {}

    async def picky(_work):
        log.append("picky")
        raise UnsupportedMedia("not for this one")

    return lambda: {"probe": probe, "flaky": flaky, "picky": picky}


async def test_a_step_that_fails_is_tried_again_alone(tmp_path):
    log = []
    # Each look at the clock is an hour later: no wait is long.
    hours = iter(range(10_000_000))
    clock = lambda: utc_now() + timedelta(hours=next(hours))  # noqa: E731
    async with opened(tmp_path, steps_of(log), now=clock) as place:
        recording = await place.uploaded(wav())
        await place.jobs.process(recording)
        done = await place.ended(recording)
        assert done.status == "completed"
        assert log.count("probe") == 1
        assert log.count("flaky") == 3
        notes = recording_steps.read_notes(place.made(recording))
        assert {name: one["state"] for name, one in notes.items()} == {
            "probe": "done", "flaky": "done", "picky": "failed",
        }  # fmt: skip
        assert notes["picky"]["error"] == "not for this one"


async def test_asking_twice_makes_one_job(tmp_path):
    async with opened(tmp_path) as place:
        recording = await place.uploaded(wav())
        first = await place.jobs.process(recording)
        again = await place.jobs.process(recording)
        assert first.job_id == again.job_id
        assert len(await place.jobs_of(recording)) == 1


async def test_a_job_that_nobody_knows_any_more_is_made_again(tmp_path):
    async with opened(tmp_path) as place:
        recording = await place.uploaded(wav(1))
        await place.manager.mark_processing("ann", recording.recording_id, "lost")
        await place.jobs.take_up()
        done = await place.ended(recording)
        assert (done.status, done.job_id != "lost") == ("completed", True)


async def test_a_job_done_where_its_recording_does_not_lie_is_tried_again_and_told(tmp_path):
    hours = iter(range(10_000_000))
    clock = lambda: utc_now() + timedelta(hours=next(hours))  # noqa: E731
    async with opened(tmp_path) as place, Workers() as workers:
        recording = await place.uploaded(wav())
        await place.jobs.process(recording)
        elsewhere = RecordingJobs(
            catalog=place.catalog,
            manager=OfflineAudioManager(tmp_path / "of another host"),
            workers=workers,
        )
        kinds = elsewhere.kinds()
        runner = Runner(catalog=place.catalog, kinds=kinds, bell=place.bell, poll_s=0.01, now=clock)
        running = asyncio.create_task(runner.run())
        try:
            async with asyncio.timeout(60):
                while (await place.jobs_of(recording))[0].state is not JobState.FAILED:
                    await asyncio.sleep(0.02)
        finally:
            running.cancel()
            await asyncio.wait([running])
        [job] = await place.jobs_of(recording)
        assert job.attempts == job.max_attempts
        await place.jobs.take_up()
        told = await place.manager.get_recording("ann", recording.recording_id)
        assert (told.status, told.error) == ("failed", job.last_error)


async def test_plugins_add_steps(tmp_path, monkeypatch):
    class Plugin:
        name = "summary"

        def load(self):
            async def summary(work):
                (work.directory / "summary.txt").write_text(work.recording.mode)
                return {"file": "summary.txt"}

            return summary

        def __lt__(self, other):
            return True

    monkeypatch.setattr(
        recording_steps, "entry_points",
        lambda group: [Plugin()] if group == "haulier.recording_steps" else [],
    )  # fmt: skip
    assert list(recording_steps.recording_steps()) == [
        "probe", "loudness", "waveform", "opus", "transcript", "summary",
    ]  # fmt: skip
    only = lambda: {  # noqa: E731
        name: step
        for name, step in recording_steps.recording_steps().items()
        if name in {"probe", "summary"}
    }
    async with opened(tmp_path, only) as place:
        recording = await place.uploaded(wav())
        await place.jobs.process(recording)
        await place.ended(recording)
        assert (place.made(recording) / "summary.txt").read_text() == "recap"
