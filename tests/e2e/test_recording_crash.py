"""kill -9 between any two writes: afterwards a recording is as it was before or as it was to be."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from haulier.core.recordings import Recording, RecordingStatus
from haulier.journeys.recording.manager import OfflineAudioManager
from haulier.journeys.recording.mending import mend
from haulier.journeys.recording.saving import Draft
from haulier.journeys.recording.sending import Bucket
from haulier.journeys.recording.shelf import Shelf
from haulier.journeys.recording.syncing import Syncing
from haulier.journeys.recording.trash import sweep
from haulier.store.local import LocalStore
from recordings import SetClock, wav

ONE = "0b1f6f0e-8c4e-4a53-9a55-1f7a0e2f6c11"
SOUND = wav(0.2)
LIMIT = 1 << 20


def save(shelf: Shelf) -> None:
    shelf.make()
    with Draft(shelf, ONE, "lecture", most_bytes=None, limit_bytes=LIMIT) as draft:
        draft.write(SOUND)
        draft.keep()


def queue(shelf: Shelf) -> None:
    with shelf.locked():
        shelf.enqueue(shelf.get(ONE))


def uploading(shelf: Shelf) -> None:
    shelf.change(ONE, lambda one: one.moved_to(RecordingStatus.UPLOADING, shelf.now()))


def uploaded(shelf: Shelf) -> None:
    shelf.set_uploaded(ONE, "s3://bucket/key")


def trashed(shelf: Shelf) -> None:
    sweep(shelf, 7)


def failed_long_ago(shelf: Shelf) -> None:
    shelf.set_failed(ONE, "no luck")
    shelf.change(
        ONE, lambda one: one.moved_to(RecordingStatus.FAILED, shelf.now() - timedelta(days=9))
    )


def with_a_copy(shelf: Shelf) -> None:
    shelf.set_uploaded(ONE, "s3://bucket/key")


def seen_in_the_trash(shelf: Shelf) -> None:
    sweep(shelf, 7)


def cleared(shelf: Shelf) -> None:
    tomorrow = shelf.now() + timedelta(days=1)
    shelf.now = lambda: tomorrow
    sweep(shelf, 7)


# What is done before, what is killed, and how many points it has where it may die.
STEPS: list[tuple[list[Callable[[Shelf], None]], Callable[[Shelf], None], int]] = [
    ([], save, 5),
    ([save], save, 1),
    ([save], queue, 3),
    ([save, queue], uploading, 3),
    ([save, queue, uploading], uploaded, 4),
    ([save, failed_long_ago], trashed, 2),
    ([save, failed_long_ago, trashed], seen_in_the_trash, 3),
    ([save, with_a_copy, failed_long_ago, trashed, seen_in_the_trash], cleared, 4),
]


def state_of(shelf: Shelf) -> object:
    """Return everything that can be seen of the one recording."""
    recordings, trash = shelf.all(), {one.recording_id: one for one in shelf.trashed()}
    assert len({*recordings, *trash}) == len(recordings) + len(trash) <= 1
    for place, found in ((shelf.recordings, recordings), (shelf.trash, trash)):
        names = {one.name for one in place.iterdir()} if place.exists() else set()
        expected = {f"{ONE}.wav", f"{ONE}.json"} if found else set()
        assert names == expected
        if found:
            assert (place / f"{ONE}.wav").read_bytes() == SOUND
    shown: dict[str, Recording] = recordings or trash
    one = shown.get(ONE)
    return one and (one.status, one.mode, one.location), bool(trash), ONE in shelf.entries()


def run_killed(home: Path, action: Callable[[Shelf], None], point: int) -> bool:
    """Do it in a process that dies at its nth point; tell whether it got there."""
    child = os.fork()
    if not child:
        left = point

        def observe(_step: str) -> None:
            nonlocal left
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

        action(Shelf(home, "ann", now=SetClock(), observe=observe))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


@pytest.mark.parametrize(
    ("before", "action", "points"), STEPS, ids=lambda part: getattr(part, "__name__", "")
)
def test_killed_anywhere(tmp_path, before, action, points):
    prepared = tmp_path / "prepared"
    shelf = Shelf(prepared, "ann", now=SetClock())
    shelf.make()
    for step in before:
        step(shelf)
    old = state_of(Shelf(prepared, "ann"))
    done = tmp_path / "done"
    shutil.copytree(prepared, done)
    action(Shelf(done, "ann", now=SetClock()))
    new = state_of(Shelf(done, "ann"))
    reached = 0
    for point in range(1, 100):
        home = tmp_path / str(point)
        shutil.copytree(prepared, home)
        if not run_killed(home, action, point):
            break
        reached += 1
        found = Shelf(home, "ann", now=SetClock())
        mend(found)
        assert state_of(found) in (old, new), point
        # Whoever asked for it asks again.
        action(Shelf(home, "ann", now=SetClock()))
        assert state_of(Shelf(home, "ann")) == new, point
        assert mend(found) == []
    assert reached >= points


async def send(shelf: Shelf, there: Path) -> None:
    """Send everything as a device does, and have its writing watched by the shelf's observer."""
    manager = OfflineAudioManager(shelf.home.parent, now=shelf.now, observe=shelf.observe)
    async with Syncing(manager, Bucket(LocalStore(str(there)), ""), now=shelf.now) as syncing:
        begun = syncing.begin("ann", await syncing.queue_everything("ann"))
        for task in begun.values():
            assert (await task).error is None


def test_killed_anywhere_while_it_is_sent_it_is_there_once_in_the_end(tmp_path):
    prepared = tmp_path / "prepared"
    save(Shelf(prepared, "ann", now=SetClock()))
    reached = 0
    for point in range(1, 100):
        home, there = tmp_path / str(point), tmp_path / f"there{point}"
        shutil.copytree(prepared, home)
        if not run_killed(home, lambda shelf, there=there: asyncio.run(send(shelf, there)), point):
            break
        reached += 1
        shelf = Shelf(home, "ann", now=SetClock())
        mend(shelf)
        # Nothing is taken for sent that is not there whole.
        one = shelf.get(ONE)
        if one.location is not None:
            assert (there / "ann" / f"{ONE}.wav").read_bytes() == SOUND
        asyncio.run(send(shelf, there))
        done = Shelf(home, "ann")
        assert (done.get(ONE).status, done.entries()) == (RecordingStatus.UPLOADED, {})
        assert (done.recordings / f"{ONE}.wav").read_bytes() == SOUND
        found = [one for one in there.rglob("*.wav") if one.is_file()]
        assert [one.read_bytes() for one in found] == [SOUND]
    # Queued, counted as begun, told to be uploading, uploaded, not queued.
    assert reached >= 12


@pytest.mark.parametrize(
    ("before", "action"),
    [step[:2] for step in STEPS],
    ids=lambda part: getattr(part, "__name__", ""),
)
def test_what_is_renamed_was_synced_and_its_directory_is_before_it_is_announced(
    tmp_path, monkeypatch, before, action
):
    """After a power cut a name leads to all of its bytes; what was told has its name."""
    shelf = Shelf(tmp_path, "ann", now=SetClock())
    shelf.make()
    for step in before:
        step(shelf)
    synced: dict[int, int] = {}
    unsynced_directories: set[Path] = set()
    fsync, replace, unlink = os.fsync, os.replace, os.unlink

    def watched_fsync(descriptor: int) -> None:
        fsync(descriptor)
        status = os.fstat(descriptor)
        synced[status.st_ino] = status.st_mtime_ns
        unsynced_directories.difference_update(
            [one for one in unsynced_directories if one.stat().st_ino == status.st_ino]
        )

    def watched_replace(source: Path, target: Path) -> None:
        status = os.stat(source)
        is_new = Path(source).name.startswith(".")
        assert not is_new or synced.get(status.st_ino) == status.st_mtime_ns, source
        replace(source, target)
        unsynced_directories.update({Path(source).parent, Path(target).parent})

    def watched_unlink(path: Path, **more: int) -> None:
        unlink(path, **more)
        # These may be there again after a power cut: what is unfinished, or was uploaded, is mended.
        if not Path(path).name.endswith(".partial") and Path(path).parent.name != "queue":
            unsynced_directories.add(Path(path).parent)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "replace", watched_replace)
    monkeypatch.setattr(os, "unlink", watched_unlink)
    action(shelf)
    assert synced
    assert unsynced_directories == set()


def test_power_cut_between_the_names_of_one_directory(tmp_path):
    """The metadata's name is on the disk, that of its sound is not."""
    shelf = Shelf(tmp_path, "ann")
    save(shelf)
    sound = shelf.recordings / f"{ONE}.wav"
    sound.rename(shelf.recordings / f".{ONE}.audio.0123abcd.partial")
    assert [one.done for one in mend(shelf)] == ["finished"]
    assert sound.read_bytes() == SOUND
