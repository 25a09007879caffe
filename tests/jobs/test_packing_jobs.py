"""Files that are packed after their upload: which ones, when, and what is made of them then."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
from datetime import timedelta

import pytest
from PIL import Image

from haulier.coordination.bells import MemoryBell
from haulier.core.accounts import ScanState
from haulier.core.jobs import FileJob, JobState
from haulier.core.records import utc_now
from haulier.jobs.packing_jobs import PackingJobs
from haulier.jobs.runner import Runner
from haulier.media.clamd import Clamd
from haulier.testing.fake_clamd import FakeClamd
from jobs.file_places import opened
from recordings import wav

pytestmark = pytest.mark.processes

TEXT = b"".join(b"%d keep the light\n" % number for number in range(40_000))


@pytest.fixture
async def place(tmp_path):
    async with opened(tmp_path, packs=True) as place:
        yield place


async def packings(place, session):
    return [job for job in await place.all_jobs(session) if job.kind == FileJob.PACK]


def names(place, session):
    return [path.name for path in place.receiving.stage.paths_of(session.file_id)]


async def done(place, content, **more):
    """Upload a file and do its jobs; return its session and what its packing came to."""
    session = await place.upload(content, **more)
    async with place.at_work():
        await place.settled(session)
    outcomes = [job.result["outcome"] for job in await packings(place, session)]
    return session, [one for one in outcomes if one != "waits for other jobs"]


async def test_text_is_packed_and_comes_back_as_it_was(place):
    session, outcomes = await done(place, TEXT)
    assert outcomes == ["packed", "packed"]
    assert names(place, session) == [f"{session.file_id}.zst"]
    assert (await place.stored(session)).sha256 == hashlib.sha256(TEXT).hexdigest()
    assert await place.receiving.bytes_of(session) == TEXT
    path = place.receiving.stage.paths_of(session.file_id)[0]
    told = (await packings(place, session))[0].result
    assert told["size_bytes"] == len(TEXT)
    assert told["packed_bytes"] == path.stat().st_size < len(TEXT) / 3
    user = await place.catalog.read(lambda tx: tx.users.get(place.owner))
    assert user.used_bytes == len(TEXT), "what counts is what was sent"
    await place.file_jobs.remove(session.file_id)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "name", "is_packed"),
    [
        (json.dumps([{"n": one} for one in range(5000)]).encode(), "a.bin", True),
        (b"<?xml version='1.0'?><svg>" + b"<g/>" * 9000 + b"</svg>", "a.jpg", True),
        (b"a,b,c\n" * 9000, "a", True),
        (bytes(range(256)) * 900, "notes.txt", False),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(90_000), "notes.txt", False),
    ],
)
async def test_content_says_what_is_packed(place, content, name, is_packed):
    session, outcomes = await done(place, content, name=name)
    assert outcomes == (["packed", "packed"] if is_packed else ["kept as it is"])
    assert names(place, session) == [session.file_id + (".zst" if is_packed else "")]


async def test_of_a_small_file_no_room_can_be_saved(place):
    session, outcomes = await done(place, TEXT[:16_000])
    assert outcomes == []
    assert names(place, session) == [session.file_id]


async def test_pictures_and_waveforms_are_made_of_packed_files(place):
    out = io.BytesIO()
    Image.new("RGB", (640, 400), "teal").save(out, "BMP")
    drawn, _ = await done(place, out.getvalue(), name="a.bmp")
    heard, _ = await done(place, bytes(wav(seconds=2)), name="a.wav")
    for session in (drawn, heard):
        assert names(place, session) == [f"{session.file_id}.zst"]
    await place.pictures.picture(await place.stored(drawn), 1280)
    await place.pictures.waveform(await place.stored(heard))
    async with place.at_work():
        jobs = await place.settled(drawn) | await place.settled(heard)
    assert jobs[FileJob.WAVEFORM].state is jobs[FileJob.THUMBNAIL].state is JobState.COMPLETED
    assert place.file_jobs.pictures.picture(drawn.file_id, 1280).exists()
    assert place.file_jobs.pictures.waveform(heard.file_id).exists()


async def test_the_plain_file_stays_while_a_job_may_be_about_to_open_it(place):
    session = await place.upload(TEXT)

    def claim(tx):
        now = utc_now()
        return tx.jobs.claim([FileJob.DIGEST], now, now + timedelta(hours=1))

    digest = await place.catalog.transaction(claim)
    async with place.at_work():
        while len(await packings(place, session)) < 4:
            await asyncio.sleep(0.01)
        both = names(place, session)
        await place.catalog.transaction(lambda tx: tx.jobs.complete(digest, None, utc_now()))
        await place.settled(session)
    assert both == [session.file_id, f"{session.file_id}.zst"]
    assert names(place, session) == [f"{session.file_id}.zst"]


async def test_without_the_setting_what_was_begun_is_ended_and_nothing_else_begun(tmp_path):
    async with opened(tmp_path, packs=True, plain_kept_for=timedelta(hours=1)) as place:
        begun = await place.upload(TEXT)
        async with place.at_work():
            while len(await packings(place, begun)) < 2:
                await asyncio.sleep(0.01)
        assert names(place, begun) == [begun.file_id, f"{begun.file_id}.zst"]
        waiting = await place.upload(TEXT[1:], name="b.txt")
        packing = PackingJobs(place.catalog, place.receiving.stage, packs=False)
        place.runner = Runner(
            catalog=place.catalog,
            kinds=[packing.kind(), *place.file_jobs.kinds()],
            bell=MemoryBell(),
            poll_s=0.1,
            now=lambda: utc_now() + timedelta(hours=2),
        )
        async with place.at_work():
            await place.settled(begun)
            await place.settled(waiting)
        assert names(place, begun) == [f"{begun.file_id}.zst"]
        assert names(place, waiting) == [waiting.file_id]


async def test_a_file_of_other_bytes_than_were_stored_stays_and_is_told_of_once(place):
    session = await place.upload(TEXT)
    path = place.receiving.stage.paths_of(session.file_id)[0]
    path.write_bytes(TEXT[:-1] + b"?")
    async with place.at_work():
        await place.settled(session)
    (job,) = await packings(place, session)
    assert (job.state, job.attempts) == (JobState.FAILED, 1)
    assert "other bytes" in job.last_error
    assert list(path.parent.iterdir()) == [path]


async def test_an_infected_file_is_moved_away_also_when_it_is_packed(tmp_path):
    async with FakeClamd() as clamd, opened(tmp_path, Clamd(clamd.url)) as place:
        content = TEXT + FakeClamd.MARKER
        session = await place.upload(content)
        stored, stage = await place.stored(session), place.receiving.stage
        await stage.pack(session.file_id, len(content), int(stored.crc64nvme, 16))
        async with place.at_work():
            await place.settled(session)
        assert (await place.stored(session)).scan_state is ScanState.INFECTED
        assert names(place, session) == []
        quarantine = tmp_path / "quarantine"
        found = {session.file_id, f"{session.file_id}.zst"}
        assert {one.name for one in quarantine.iterdir()} == found
        await place.file_jobs.remove(session.file_id)
        assert list(quarantine.iterdir()) == []
