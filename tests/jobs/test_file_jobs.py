"""What follows an upload: the jobs about files, with the real engine, catalog and decoders."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import subprocess

import pytest
from PIL import Image

from haulier.core.accounts import ScanState
from haulier.core.jobs import FileJob, JobState
from haulier.core.sessions.session import Order, SessionStatus
from haulier.errors import FileNotFoundError as NoSuchFile
from haulier.media.clamd import Clamd
from haulier.testing.fake_clamd import ClamdFault, FakeClamd
from haulier.transfer.sessions.engine import NewUpload
from jobs.file_places import opened
from media.document_samples import pdf
from recordings import wav
from sessions_engine import body_of

pytestmark = pytest.mark.processes


@pytest.fixture
async def place(tmp_path):
    async with opened(tmp_path) as place:
        yield place


def picture(width=640, height=400):
    out = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(out, "PNG")
    return out.getvalue()


# --- hashed


async def test_a_file_is_hashed_afterwards_when_nobody_named_its_digest(place):
    content = b"keep the light" * 500_000
    session = await place.upload(content)
    assert (await place.stored(session)).sha256 is None
    async with place.at_work():
        jobs = await place.settled(session)
    wanted = hashlib.sha256(content).hexdigest()
    assert (await place.stored(session)).sha256 == wanted
    assert jobs[FileJob.DIGEST].result == {"sha256": wanted}
    assert set(jobs) == {FileJob.DIGEST}


async def test_a_file_of_known_digest_and_one_without_bytes(place):
    wanted = "sha256:" + hashlib.sha256(b"abc").hexdigest()
    session = await place.upload(b"abc", wanted_checksum=wanted)
    assert await place.jobs(session) == {}
    empty = await place.upload(b"", name="empty.png")
    async with place.at_work():
        await place.settled(empty)
    assert (await place.stored(empty)).sha256 == hashlib.sha256().hexdigest()


async def test_what_lost_its_bytes_is_tried_again_and_says_why(place):
    session = await place.upload(b"abc")
    place.receiving.stage.path_of(session.file_id).unlink()
    async with place.at_work():
        while (job := (await place.jobs(session))[FileJob.DIGEST]).last_error is None:
            await asyncio.sleep(0.01)
    assert job.state is JobState.PENDING
    assert "can't be read" in job.last_error


# --- verified


async def late_upload(place, content, wanted):
    engine = place.receiving.engine
    session = await engine.start(
        NewUpload(
            owner_id=place.owner,
            name="clip.mp4",
            size_bytes=len(content),
            order=Order.CHUNKED,
            chunk_size=4,
            wanted_checksum=wanted,
        )
    )
    for number in (2, 1):
        piece = content[number * 4 - 4 : number * 4]
        receipt = await engine.put_chunk(session.session_id, number, body_of(piece))
    assert receipt.session.status is SessionStatus.VERIFYING
    return receipt.session


async def test_what_came_out_of_order_is_verified_and_then_seen(place):
    session = await late_upload(
        place, b"abcdefgh", "sha256:" + hashlib.sha256(b"abcdefgh").hexdigest()
    )
    assert await place.stored(session) is None
    async with place.at_work():
        jobs = await place.settled(session)
    assert jobs[FileJob.VERIFY].result == {"session_status": "completed"}
    assert (await place.stored(session)).sha256 == hashlib.sha256(b"abcdefgh").hexdigest()


async def test_the_wrong_file_is_refused_once_and_for_all(place):
    session = await late_upload(place, b"abcdefgh", "sha256:" + "0" * 64)
    async with place.at_work():
        job = (await place.settled(session))[FileJob.VERIFY]
    assert (job.state, job.attempts) == (JobState.FAILED, 1)
    assert "not sha256:000" in job.last_error
    failed = await place.receiving.engine.get(session.session_id)
    assert failed.status is SessionStatus.FAILED
    assert await place.stored(session) is None
    user = await place.catalog.read(lambda tx: tx.users.get(place.owner))
    assert (user.reserved_bytes, user.used_bytes) == (0, 0)


async def test_what_is_cancelled_while_it_waits_is_not_verified(place):
    session = await late_upload(place, b"abcdefgh", "sha256:" + "0" * 64)
    await place.receiving.engine.cancel(session.session_id)
    assert (await place.jobs(session))[FileJob.VERIFY].state is JobState.CANCELLED


# --- pictured


@pytest.mark.parametrize(("name", "mime_type"), [("a.png", None), ("upload", "image/png")])
async def test_an_image_gets_a_picture(place, name, mime_type):
    session = await place.upload(picture(), name=name, mime_type=mime_type)
    async with place.at_work():
        jobs = await place.settled(session)
    assert jobs[FileJob.THUMBNAIL].result == {"width": 320, "height": 200}
    with Image.open(place.file_jobs.pictures.picture(session.file_id)) as made:
        assert (made.format, made.size) == ("WEBP", (320, 200))


async def test_film_sound_and_document_get_a_picture(place, tmp_path):
    def made(source, name):
        out = tmp_path / name
        subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, out], check=True)
        return out.read_bytes()

    for content, name, side in (
        (made("testsrc=s=640x360:d=1", "a.mp4"), "a.mp4", 180),
        (made("sine=d=1", "a.mp3"), "a.mp3", 80),
        (pdf(), "a.pdf", 160),
    ):
        session = await place.upload(content, name=name)
        async with place.at_work():
            job = (await place.settled(session))[FileJob.THUMBNAIL]
        assert job.result == {"width": 320, "height": side}, name


async def test_content_says_what_a_picture_is_made_of(place):
    session = await place.upload(picture(), name="a.mp4", mime_type="application/pdf")
    async with place.at_work():
        job = (await place.settled(session))[FileJob.THUMBNAIL]
    assert job.result == {"width": 320, "height": 200}


@pytest.mark.parametrize("name", ["a.png", "a.mp4", "a.mp3", "a.pdf"])
async def test_what_has_no_picture_is_not_tried_again(place, name):
    session = await place.upload(b"not at all", name=name)
    async with place.at_work():
        job = (await place.settled(session))[FileJob.THUMBNAIL]
    assert (job.state, job.attempts) == (JobState.FAILED, 1)
    assert not place.file_jobs.pictures.picture(session.file_id).exists()


async def test_a_waveform_as_data_is_made_when_it_is_asked_for_and_goes_with_the_file(place):
    session = await place.upload(wav(seconds=1), name="a.wav")
    stored, pictures = await place.stored(session), place.pictures
    asked = await asyncio.gather(*(pictures.waveform(stored) for _ in range(5)))
    assert len({job.job_id for job in asked}) == 1, "one job for all who ask"
    large = await pictures.picture(stored, 1280)
    async with place.at_work():
        await place.settled(session)
        made = await pictures.waveform(stored)
    told = json.loads(made.read_text())
    assert told["duration_s"] == pytest.approx(1, abs=0.1)
    assert {len(told[name]) for name in ("lows", "highs", "means")} == {800}
    files = [made, *(await asyncio.gather(*(pictures.picture(stored, one) for one in (320, 1280))))]
    assert all(path.is_file() for path in files)
    assert large.payload["side_px"] == 1280
    await place.file_jobs.remove(stored.content_id)
    assert not any(path.exists() for path in files)


async def test_a_picture_that_is_gone_from_the_cache_is_made_again(place):
    session = await place.upload(picture(), name="a.png")
    stored = await place.stored(session)
    async with place.at_work():
        await place.settled(session)
        made = await place.pictures.picture(stored, 320)
        made.unlink()
        again = await place.pictures.picture(stored, 320)
        await place.settled(session)
        assert again.state is JobState.PENDING
        assert await place.pictures.picture(stored, 320) == made


async def test_what_failed_is_not_begun_again_by_asking(place):
    session = await place.upload(b"not at all", name="a.png")
    stored = await place.stored(session)
    async with place.at_work():
        await place.settled(session)
    with pytest.raises(NoSuchFile, match=r"no picture can be made of a\.png: "):
        await place.pictures.picture(stored, 320)
    assert len(await place.all_jobs(session)) == 2


# --- scanned


async def test_without_a_scanner_it_is_said_that_nothing_was_scanned(place):
    stored = await place.stored(await place.upload(b"abc"))
    assert (stored.scan_state, stored.scan_detail) == (
        ScanState.SKIPPED,
        "this server has no scanner",
    )


async def test_a_clean_file_is_found_clean(tmp_path):
    async with FakeClamd() as clamd, opened(tmp_path, Clamd(clamd.url)) as place:
        session = await place.upload(b"keep the light")
        assert (await place.stored(session)).scan_state is ScanState.PENDING
        async with place.at_work():
            job = (await place.settled(session))[FileJob.SCAN]
        assert (await place.stored(session)).scan_state is ScanState.CLEAN
        assert job.result["state"] == "clean"


async def test_an_infected_file_is_moved_away_and_nothing_is_made_of_it(tmp_path):
    async with FakeClamd() as clamd, opened(tmp_path, Clamd(clamd.url), at_once=1) as place:
        session = await place.upload(picture() + FakeClamd.MARKER, name="a.png")
        async with place.at_work():
            jobs = await place.settled(session)
        stored = await place.stored(session)
        assert stored.scan_state is ScanState.INFECTED
        assert stored.scan_detail == jobs[FileJob.SCAN].result["detail"] != ""
        assert jobs[FileJob.THUMBNAIL].state is JobState.CANCELLED
        assert jobs[FileJob.DIGEST].state is JobState.CANCELLED
        assert not place.receiving.stage.path_of(session.file_id).exists()
        assert (tmp_path / "quarantine" / session.file_id).exists()


async def test_what_a_scan_came_to_is_told_with_the_jobs(tmp_path):
    async with (
        FakeClamd() as clamd,
        opened(tmp_path, Clamd(clamd.url), at_once=1) as place,
        place.bus.subscribe(frozenset({f"to:{place.owner}"})) as heard,
    ):
        async with place.at_work():
            await place.settled(await place.upload(FakeClamd.MARKER))
        told = []
        while (event := await heard.take(0.1)) is not None:
            told.append(json.loads(event.text))
    scans = [one["data"] for one in told if one["type"] == "scan.finished"]
    assert [(one["name"], one["scan_state"]) for one in scans] == [("notes.txt", "infected")]
    of_jobs = [(one["data"]["kind"], one["type"]) for one in told if one["type"][:4] == "job."]
    assert sorted(of_jobs) == [
        ("digest", "job.cancelled"),
        ("digest", "job.pending"),
        ("scan", "job.completed"),
        ("scan", "job.pending"),
        ("scan", "job.running"),
    ]


async def test_a_crash_between_the_verdict_and_the_move_is_mended(tmp_path):
    async with FakeClamd() as clamd, opened(tmp_path, Clamd(clamd.url)) as place:
        session = await place.upload(FakeClamd.MARKER)

        def crashed(tx):
            tx.stored.set_scan(session.file_id, ScanState.INFECTED, "Found.Before")

        await place.catalog.transaction(crashed)
        async with place.at_work():
            job = (await place.settled(session))[FileJob.SCAN]
        assert job.result == {"state": "infected", "detail": "Found.Before"}
        assert clamd.scanned == []
        assert (tmp_path / "quarantine" / session.file_id).exists()


async def test_a_scanner_that_was_away_is_asked_again(tmp_path):
    async with FakeClamd() as clamd, opened(tmp_path, Clamd(clamd.url)) as place:
        clamd.faults.append(ClamdFault(reply=b"stream: Can't allocate memory ERROR\0"))
        session = await place.upload(b"keep the light")
        async with place.at_work():
            while (await place.stored(session)).scan_state is ScanState.PENDING:
                await asyncio.sleep(0.01)
            assert (await place.stored(session)).scan_state is ScanState.ERROR
            job = (await place.settled(session))[FileJob.SCAN]
        assert job.attempts == 2
        stored = await place.stored(session)
        assert (stored.scan_state, stored.scan_detail) == (ScanState.CLEAN, None)


async def test_what_the_scanner_can_not_look_into_is_not_called_clean(tmp_path):
    async with FakeClamd() as clamd, opened(tmp_path, Clamd(clamd.url, max_file_bytes=5)) as place:
        session = await place.upload(b"keep the light")
        async with place.at_work():
            await place.settled(session)
        stored = await place.stored(session)
        assert (stored.scan_state, stored.scan_detail) == (
            ScanState.ERROR,
            "it is larger than 5 bytes",
        )
