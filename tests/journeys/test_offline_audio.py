"""Recordings on the disk: kept whole, listed, queued, limited, mended, thrown away late."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from haulier import OfflineAudioManager, RecordingStatus, sync
from haulier.core.recordings import TRASH_DAYS
from haulier.errors import FileNotFoundError as NoSuchRecording
from haulier.errors import (
    FileSizeError,
    QuotaExceeded,
    RecordingConflict,
    TargetMissing,
    UnsupportedContent,
    ValidationError,
)
from haulier.journeys.recording.durable import try_lock
from haulier.journeys.recording.shelf import Shelf
from recordings import SetClock, new_id, wav

KIB = 1 << 10


@pytest.fixture
def clock():
    return SetClock()


@pytest.fixture
def manager(tmp_path, clock):
    return OfflineAudioManager(tmp_path, user_limit_bytes=100 * KIB, now=clock)


def again(manager, clock, **more):
    """The same directory after a restart."""
    return OfflineAudioManager(manager.directory, user_limit_bytes=100 * KIB, now=clock, **more)


def tree(directory):
    return {
        path.relative_to(directory).as_posix()
        for path in directory.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def metadata(manager, recording_id, user="ann"):
    return manager.directory / user / "recordings" / f"{recording_id}.json"


async def test_a_recording_lies_where_the_guide_says(manager, clock):
    one = new_id()
    saved = await manager.save_recording("ann", one, wav(1), "lecture")
    assert tree(manager.directory) == {f"ann/recordings/{one}.wav", f"ann/recordings/{one}.json"}
    assert (manager.directory / "ann/recordings" / f"{one}.wav").read_bytes() == wav(1)
    assert saved.duration == 1.0
    assert saved.checksum.startswith("crc64nvme:")
    written = json.loads(metadata(manager, one).read_text())
    assert written == saved.to_json()
    assert {
        "recording_id": one, "user_id": "ann", "mode": "lecture", "status": "recorded",
        "file_size": len(wav(1)), "created_at": "2026-05-06T07:08:09Z", "job_id": None,
    }.items() <= written.items()  # fmt: skip
    assert await again(manager, clock).get_recording("ann", one) == saved


async def test_sound_comes_as_bytes_file_path_or_stream(manager, tmp_path):
    sound = wav(1)
    path = tmp_path / "here.wav"
    path.write_bytes(sound)

    async def stream():
        for at in range(0, len(sound), 1000):
            yield sound[at : at + 1000]

    for given in (sound, bytearray(sound), path, str(path), io.BytesIO(sound), stream()):
        saved = await manager.save_recording("ann", new_id(), given, "recap")
        assert (await manager.audio_path("ann", saved.recording_id)).read_bytes() == sound
    with pytest.raises(TargetMissing):
        await manager.save_recording("ann", new_id(), tmp_path / "gone.wav", "recap")


async def test_saving_twice_is_harmless_and_other_bytes_are_a_conflict(manager):
    one = new_id()
    first = await manager.save_recording("ann", one, wav(), "recap")
    await manager.mark_uploaded("ann", one, location="file://there")
    again = await manager.save_recording("ann", one, wav(), "recap")
    assert again.status is RecordingStatus.UPLOADED
    assert again.created_at == first.created_at
    with pytest.raises(RecordingConflict):
        await manager.save_recording("ann", one, wav(hz=300), "recap")
    assert (await manager.audio_path("ann", one)).read_bytes() == wav()
    # Another user's ids are their own.
    await manager.save_recording("bob", one, wav(hz=300), "recap")


async def test_what_can_not_be_a_recording_is_refused_and_leaves_nothing(manager):
    for given, error in (
        (b"", ValidationError),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(20), UnsupportedContent),
    ):
        with pytest.raises(error):
            await manager.save_recording("ann", new_id(), given, "recap")
    with pytest.raises(ValidationError):
        await manager.save_recording("ann", "../x", wav(), "recap")
    with pytest.raises(ValidationError):
        await manager.save_recording("../ann", new_id(), wav(), "recap")
    with pytest.raises(ValidationError):
        await manager.save_recording("ann", new_id(), wav(), "m" * 65)
    assert tree(manager.directory) == set()


async def test_the_limit_is_each_users_own_and_the_trash_counts(manager, clock):
    half = wav(3.1)  # 48.4 KiB
    first = await manager.save_recording("ann", new_id(), half, "recap")
    await manager.save_recording("ann", new_id(), half, "recap")
    with pytest.raises(QuotaExceeded) as caught:
        await manager.save_recording("ann", new_id(), half, "recap")
    assert caught.value.http_status == 413
    assert "AUDIO_USER_LIMIT_MB" in caught.value.hint
    await manager.save_recording("bob", new_id(), half, "recap")
    await fail(manager, first.recording_id)
    clock.pass_days(8)
    assert await manager.cleanup_old_failed("ann", 7) == 1
    with pytest.raises(QuotaExceeded):
        await manager.save_recording("ann", new_id(), half, "recap")
    assert len(await manager.list_recordings("ann")) == 1


async def test_recordings_saved_at_once_do_not_pass_the_limit(manager):
    saving = [manager.save_recording("ann", new_id(), wav(3.1), "recap") for _ in range(6)]
    done = await asyncio.gather(*saving, return_exceptions=True)
    assert sum(isinstance(one, QuotaExceeded) for one in done) == 4
    assert (await manager.get_storage_stats("ann")).files == 2


async def test_a_recording_has_a_largest_size(tmp_path):
    manager = OfflineAudioManager(tmp_path, max_file_bytes=1000)
    with pytest.raises(FileSizeError, match="more than"):
        await manager.save_recording("ann", new_id(), wav(), "recap")
    assert tree(tmp_path) == set()


async def test_a_stream_that_breaks_off_leaves_nothing(manager):
    async def broken():
        yield wav()[:2000]
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await manager.save_recording("ann", new_id(), broken(), "recap")
    assert tree(manager.directory) == set()


async def test_lists_are_newest_first_and_by_status(manager, clock):
    ids = []
    for _ in range(3):
        ids.append(new_id())
        await manager.save_recording("ann", ids[-1], wav(), "recap")
        clock.time += timedelta(seconds=1)
    await manager.mark_uploaded("ann", ids[1])
    assert [one.recording_id for one in await manager.list_recordings("ann")] == ids[::-1]
    recorded = await manager.list_recordings("ann", RecordingStatus.RECORDED)
    assert [one.recording_id for one in recorded] == [ids[2], ids[0]]
    assert [one.recording_id for one in await manager.list_recordings("ann", "uploaded")] == [
        ids[1]
    ]
    assert await manager.list_recordings("nobody") == []
    with pytest.raises(ValidationError):
        await manager.list_recordings("ann", "lost")
    with pytest.raises(NoSuchRecording):
        await manager.get_recording("bob", ids[0])


async def test_the_queue(manager, clock):
    first, second = new_id(), new_id()
    for one in (second, first):
        await manager.save_recording("ann", one, wav(), "recap")
    await manager.queue_for_upload("ann", first)
    clock.time += timedelta(seconds=5)
    await manager.queue_for_upload("ann", second)
    again = await manager.queue_for_upload("ann", first)
    assert [one.recording_id for one in await manager.get_upload_queue("ann")] == [first, second]
    assert again.queued_at == clock.time - timedelta(seconds=5)
    assert await manager.remove_from_queue("ann", second)
    assert not await manager.remove_from_queue("ann", second)
    await manager.mark_uploaded("ann", first, location="s3://bucket/key")
    assert await manager.get_upload_queue("ann") == []
    assert await manager.queue_for_upload("ann", first) is None
    with pytest.raises(NoSuchRecording):
        await manager.queue_for_upload("ann", new_id())


async def test_marks_follow_each_other(manager):
    one = new_id()
    await manager.save_recording("ann", one, wav(), "recap")
    uploaded = await manager.mark_uploaded("ann", one, location="s3://b/k")
    assert (uploaded.status, uploaded.location) == ("uploaded", "s3://b/k")
    processing = await manager.mark_processing("ann", one, "job1")
    assert (processing.status, processing.job_id, processing.location) == (
        "processing", "job1", "s3://b/k",
    )  # fmt: skip
    # A mark that comes late takes nothing back.
    assert (await manager.mark_uploaded("ann", one)).status == "processing"
    shelf = await manager.shelf_of("ann")
    shelf.set_completed(one, "job1")
    assert (await manager.mark_processing("ann", one, "job1")).status == "completed"


async def test_statistics(manager, clock):
    ids = [new_id() for _ in range(3)]
    for one in ids:
        await manager.save_recording("ann", one, wav(), "recap")
    await manager.queue_for_upload("ann", ids[0])
    await fail(manager, ids[1])
    clock.pass_days(8)
    await manager.cleanup_old_failed("ann", 7)
    stats = await manager.get_storage_stats("ann")
    assert (stats.files, stats.bytes, stats.queued) == (2, 3 * len(wav()), 1)
    assert stats.by_status == {
        "recorded": 2, "uploading": 0, "uploaded": 0, "processing": 0, "completed": 0, "failed": 0,
    }  # fmt: skip
    assert (stats.trash_files, stats.trash_bytes) == (1, len(wav()))
    assert stats.only_in_trash == [ids[1]]
    assert stats.limit_bytes == 100 * KIB
    assert stats.free_bytes > 0
    assert (await manager.get_storage_stats("nobody")).files == 0


async def test_two_processes_see_each_others_changes(manager, clock):
    other = again(manager, clock)
    for number in range(1, 6):
        one = new_id()
        await (manager if number % 2 else other).save_recording("ann", one, wav(), "recap")
        for each in (manager, other):
            assert len(await each.list_recordings("ann")) == number
        await other.mark_uploaded("ann", one)
        assert len(await manager.list_recordings("ann", "uploaded")) == number


def test_the_blocking_twin(tmp_path):
    with sync.OfflineAudioManager(tmp_path) as manager:
        one = new_id()
        manager.save_recording("ann", one, wav(), "recap")
        assert [found.recording_id for found in manager.list_recordings("ann")] == [one]


# --- the trash


async def fail(manager, recording_id, **changes):
    shelf = await manager.shelf_of("ann")
    return await asyncio.to_thread(shelf.set_failed, recording_id, "no luck", **changes)


async def test_what_waits_or_is_young_or_sound_is_not_thrown_away(manager, clock):
    waiting, young, fine = new_id(), new_id(), new_id()
    for one in (waiting, young, fine):
        await manager.save_recording("ann", one, wav(), "recap")
    await manager.queue_for_upload("ann", waiting)
    await fail(manager, waiting)
    clock.pass_days(30)
    await fail(manager, young)
    clock.pass_days(6)
    assert await manager.cleanup_old_failed("ann", 7) == 0
    assert await manager.cleanup_old_failed("ann", 0) == 0
    clock.pass_days(2)
    assert await manager.cleanup_old_failed("ann", 0) == 0
    assert await manager.cleanup_old_failed("ann", 7) == 1
    with pytest.raises(ValidationError):
        await manager.cleanup_old_failed("ann", -1)


async def test_the_only_copy_stays_in_the_trash_for_thirty_days_more(manager, clock):
    one = new_id()
    await manager.save_recording("ann", one, wav(), "recap")
    await fail(manager, one)
    clock.pass_days(8)
    await manager.cleanup_old_failed("ann", 7)
    kept = {f"ann/trash/{one}.wav", f"ann/trash/{one}.json"}
    assert tree(manager.directory) == kept
    for _ in range(TRASH_DAYS - 1):
        clock.pass_days(1)
        for _ in range(2):  # a second sweep on one day counts nothing
            assert (await manager.sweep("ann", 7)).removed == []
        assert tree(manager.directory) == kept
    clock.pass_days(1)
    assert (await manager.sweep("ann", 7)).removed == [one]
    assert tree(manager.directory) == set()


async def test_a_clock_that_jumps_removes_nothing(manager, clock):
    one = new_id()
    await manager.save_recording("ann", one, wav(), "recap")
    await fail(manager, one)
    clock.pass_days(8)
    await manager.cleanup_old_failed("ann", 7)
    clock.pass_days(4000)
    for _ in range(3):
        assert (await manager.sweep("ann", 7)).removed == []
    clock.pass_days(-4000)
    assert (await manager.sweep("ann", 7)).removed == []


async def test_with_a_copy_elsewhere_the_next_days_sweep_clears_it(manager, clock):
    one = new_id()
    await manager.save_recording("ann", one, wav(), "recap")
    await manager.mark_uploaded("ann", one, location="s3://b/k")
    await fail(manager, one)
    clock.pass_days(8)
    await manager.cleanup_old_failed("ann", 7)
    assert (await manager.get_storage_stats("ann")).only_in_trash == []
    assert (await manager.sweep("ann", 7)).removed == []
    clock.pass_days(1)
    assert (await manager.sweep("ann", 7)).removed == [one]


# --- what hands and crashes leave


async def test_damaged_metadata_is_set_aside_and_written_anew(manager, clock):
    one = new_id()
    saved = await manager.save_recording("ann", one, wav(1), "lecture")
    path = metadata(manager, one)
    for damage in ('{"mode": "lecture", "created_at": "2026-05-06T07:08:09Z"', "", "[]", "\0\xff"):
        path.write_text(damage)
        mended = again(manager, clock)
        [found] = await mended.mend()
        assert found.name == f"{one}.wav"
        assert found.done == "described anew"
        described = await mended.get_recording("ann", one)
        assert (described.checksum, described.duration) == (saved.checksum, 1.0)
        assert described.status == "recorded"
        assert await mended.mend() == []
    stats = await mended.get_storage_stats("ann")
    assert stats.damaged == [f"damaged/{one}{n}.json" for n in ("-2", "-3", "-4", "")]
    assert (manager.directory / f"ann/recordings/{one}.wav").read_bytes() == wav(1)


async def test_what_can_be_believed_of_damaged_metadata_is_kept(manager, clock):
    one = new_id()
    saved = await manager.save_recording("ann", one, wav(), "lecture")
    path = metadata(manager, one)
    clock.pass_days(3)
    path.write_text(json.dumps({**saved.to_json(), "file_size": "many", "recording_id": new_id()}))
    found = await again(manager, clock).get_recording("ann", one)
    assert (found.mode, found.created_at) == ("lecture", saved.created_at)


async def test_metadata_that_is_damaged_while_it_runs_is_told(manager):
    one, other = new_id(), new_id()
    for each in (one, other):
        await manager.save_recording("ann", each, wav(), "recap")
    replaced = metadata(manager, one).with_name("x")
    replaced.write_text("{")
    replaced.replace(metadata(manager, one))
    assert [found.recording_id for found in await manager.list_recordings("ann")] == [other]
    assert (await manager.get_storage_stats("ann")).damaged == [f"{one}.json"]
    with pytest.raises(RecordingConflict, match="damaged"):
        await manager.save_recording("ann", one, wav(), "recap")


async def test_sound_without_metadata_is_described(manager, clock):
    one = new_id()
    await manager.save_recording("ann", one, wav(2), "lecture")
    metadata(manager, one).unlink()
    found = await again(manager, clock).get_recording("ann", one)
    assert (found.mode, found.duration, found.file_size) == ("recap", 2.0, len(wav(2)))


async def test_metadata_without_sound_is_set_aside(manager, clock):
    one = new_id()
    await manager.save_recording("ann", one, wav(), "recap")
    (manager.directory / f"ann/recordings/{one}.wav").unlink()
    mended = again(manager, clock)
    [found] = await mended.mend()
    assert found.found == "there is no sound for it"
    assert await mended.list_recordings("ann") == []
    assert tree(manager.directory) == {f"ann/damaged/{one}.json"}


async def test_sound_that_was_cut_is_described_as_it_is(manager, clock):
    one = new_id()
    await manager.save_recording("ann", one, wav(1), "lecture")
    await manager.mark_uploaded("ann", one, location="s3://b/k")
    os.truncate(manager.directory / f"ann/recordings/{one}.wav", 8044)
    mended = again(manager, clock)
    [found] = await mended.mend()
    assert found.found == "it has 8044 bytes, its metadata said 16044"
    described = await mended.get_recording("ann", one)
    assert (described.duration, described.status, described.location) == (0.5, "recorded", None)


async def test_the_queue_is_mended(manager, clock):
    damaged, sent, stuck, gone = (new_id() for _ in range(4))
    for one in (damaged, sent, stuck, gone):
        await manager.save_recording("ann", one, wav(), "recap")
        await manager.queue_for_upload("ann", one)
    queue = manager.directory / "ann/queue"
    kept = (queue / f"{sent}.json").read_text()
    await manager.mark_uploaded("ann", sent, location="s3://b/k")
    (queue / f"{sent}.json").write_text(kept)
    (queue / f"{damaged}.json").write_text("{")
    shelf = await manager.shelf_of("ann")
    shelf.change(stuck, lambda one: one.moved_to(RecordingStatus.UPLOADING, clock()))
    (queue / f"{stuck}.json").unlink()
    for path in (manager.directory / "ann/recordings").glob(f"{gone}.*"):
        path.unlink()
    mended = again(manager, clock)
    assert [one.name for one in await mended.mend()] == [f"{damaged}.json"]
    waiting = await mended.get_upload_queue("ann")
    assert {one.recording_id for one in waiting} == {damaged, stuck}


async def test_what_another_process_writes_is_left_alone(manager, clock, tmp_path):
    await manager.save_recording("ann", new_id(), wav(), "recap")
    partial = manager.directory / f"ann/recordings/.{new_id()}.audio.0123abcd.partial"
    partial.write_bytes(b"RIFF")
    with partial.open("rb") as file:
        assert try_lock(file.fileno())
        await again(manager, clock).mend()
        assert partial.exists()
    await again(manager, clock).mend()
    assert not partial.exists()


async def test_other_files_are_left_alone(manager, clock):
    await manager.save_recording("ann", new_id(), wav(), "recap")
    shutil.copy(__file__, manager.directory / "ann/recordings/notes.txt")
    (manager.directory / "ann/recordings/x.json").write_text("{")
    (manager.directory / "README").write_text("mine")
    assert await again(manager, clock).mend() == []
    assert (manager.directory / "ann/recordings/notes.txt").exists()


async def test_changes_at_once_are_all_made(manager):
    """Each is made of what was there, though the disk is waited for by all at once."""
    one = (await manager.save_recording("ann", new_id(), wav(), "0")).recording_id
    await manager.queue_for_upload("ann", one)

    def count(shelf):
        for _ in range(10):
            shelf.change_entry(one, lambda entry: replace(entry, attempts=entry.attempts + 1))
            shelf.change(one, lambda found: replace(found, mode=str(int(found.mode) + 1)))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(count, [Shelf(manager.directory, "ann") for _ in range(4)]))
    [entry] = await manager.get_upload_queue("ann")
    found = await manager.get_recording("ann", one)
    assert (entry.attempts, found.mode) == (40, "40")
    assert not list((manager.directory / "ann").rglob(".*.partial"))
