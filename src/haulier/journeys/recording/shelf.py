"""The recordings of one user on the disk.

    {user}/recordings/{id}.wav      sound, never changed
    {user}/recordings/{id}.json     what is known of it
    {user}/queue/{id}.json          that it waits to be sent
    {user}/trash/                   what failed long ago, sound and metadata
    {user}/damaged/                 metadata that could not be used, set aside

Everything is written beside its place, synced, and renamed. Several processes may work on one
user's shelf: whoever changes something holds its lock. Everything here blocks; raises OSError.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from haulier.core.recordings import QueueEntry, Recording, RecordingStatus
from haulier.core.records import utc_now
from haulier.errors import FileNotFoundError as NoSuchRecording
from haulier.journeys.recording.durable import (
    Observe,
    locked_file,
    observe_nothing,
    prepare,
    publish,
    remove,
    try_lock,
)
from haulier.journeys.recording.listing import JSON, Listing, R, read_record
from haulier.store.local_files import make_directories, sync_directory

_WRITTEN_AT_ONCE = 16


class Shelf:
    """One user's recordings.

    Args:
        root: directory of all users' recordings.
        user_id: whose; checked before.
        now: the clock.
        observe: told each step after which the process may die.
    """

    def __init__(
        self,
        root: Path,
        user_id: str,
        *,
        now: Callable[[], datetime] = utc_now,
        observe: Observe = observe_nothing,
    ) -> None:
        self.user_id = user_id
        self.home = root / user_id
        self.recordings = self.home / "recordings"
        self.queue = self.home / "queue"
        self.trash = self.home / "trash"
        self.damaged = self.home / "damaged"
        self.now = now
        self.observe = observe
        self._root = root
        self._known = Listing(self.recordings, self.home / ".recordings.changed", Recording)
        self._queued = Listing(self.queue, self.home / ".queue.changed", QueueEntry)

    def make(self) -> None:
        """Make the directories that are not there yet."""
        if all(one.is_dir() for one in (self.recordings, self.queue)):
            return
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for directory in (self.recordings, self.queue, self.trash, self.damaged):
            make_directories(directory, self._root)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let nobody else change anything while the block runs."""
        self.make()
        with locked_file(self.home / ".lock"):
            yield

    def all(self) -> dict[str, Recording]:
        """Return the recordings by id; those whose metadata can't be read are left out."""
        return self._known.read()

    def get(self, recording_id: str) -> Recording:
        """Return a recording.

        Raises:
            FileNotFoundError: there is none of that id.
        """
        try:
            return read_record(self.metadata_path(recording_id), Recording)
        except (FileNotFoundError, ValueError):
            raise NoSuchRecording(f"there is no recording {recording_id}") from None

    def entries(self) -> dict[str, QueueEntry]:
        """Return what waits to be sent, by id."""
        return self._queued.read()

    def unreadable(self) -> list[str]:
        """Return names of metadata and entries that could not be read when they were last asked."""
        return [*self._known.unreadable, *self._queued.unreadable]

    def metadata_path(self, recording_id: str) -> Path:
        """Return where the metadata of a recording lies."""
        return self.recordings / f"{recording_id}{JSON}"

    def entry_path(self, recording_id: str) -> Path:
        """Return where its entry in the queue lies."""
        return self.queue / f"{recording_id}{JSON}"

    def audio_path(self, recording: Recording) -> Path:
        """Return where its sound lies."""
        return self.recordings / recording.file_name

    def change(
        self,
        recording_id: str,
        change: Callable[[Recording], Recording | None],
        *,
        is_told: bool = True,
    ) -> Recording:
        """Write what `change` makes of a recording, and return it; None leaves it as it is.

        Raises:
            FileNotFoundError: there is none of that id.
        """
        path = self.metadata_path(recording_id)
        while True:
            found = self.get(recording_id)
            changed = change(found)
            if changed is None or changed == found:
                return found
            if self._swap(path, found, changed, "metadata", is_told=is_told):
                return changed

    def change_entry(
        self, recording_id: str, change: Callable[[QueueEntry | None], QueueEntry | None]
    ) -> QueueEntry | None:
        """Write what `change` makes of an entry, and return it; None leaves all as it is.

        It is told to nobody: after a power cut it may be as it was before.
        """
        path = self.entry_path(recording_id)
        while True:
            found = _read_or_none(path, QueueEntry)
            changed = change(found)
            if changed is None or self._swap(path, found, changed, "entry", is_told=False):
                return changed

    def _swap(self, path: Path, found: R | None, changed: R, step: str, *, is_told: bool) -> bool:
        """Write a record, unless it is not any more as it was found; tell whether it was written.

        The disk is waited for without the lock, so that many can be written at once.
        """
        prepared = prepare(path, changed.to_json())
        try:
            with self.locked():
                if _read_or_none(path, type(changed)) != found:
                    return False
                self.announce(prepared, path, step, is_told=False)
        except FileNotFoundError:  # taken for a dead one's by a process that began meanwhile
            return False
        finally:
            prepared.unlink(missing_ok=True)
        if is_told:
            sync_directory(path.parent)
        return True

    def put(self, recording: Recording) -> None:
        """Write metadata; the lock is held."""
        path = self.metadata_path(recording.recording_id)
        self.announce(prepare(path, recording.to_json()), path, "metadata")

    def announce(self, prepared: Path, path: Path, step: str, *, is_told: bool = True) -> None:
        """Give prepared metadata or a prepared entry its name; the lock is held."""
        listing = self._queued if path.parent == self.queue else self._known
        listing.note(path.stem)
        publish(prepared, path, self.observe, step, is_told=is_told)

    def look_thoroughly(self) -> None:
        """Have what was edited in its place be seen the next time that somebody asks."""
        self._known.look_thoroughly()
        self._queued.look_thoroughly()

    def enqueue(self, recording: Recording) -> QueueEntry:
        """Have it sent; what waits already goes on waiting. The lock is held."""
        path = self.entry_path(recording.recording_id)
        with suppress(FileNotFoundError, ValueError):
            return read_record(path, QueueEntry)
        entry = QueueEntry(recording_id=recording.recording_id, queued_at=self.now())
        self.announce(prepare(path, entry.to_json()), path, "entry")
        return entry

    def enqueue_all(self, recordings: Iterable[Recording]) -> None:
        """Have many sent; what waits already goes on waiting."""
        now = self.now()

        def enqueue(recording: Recording) -> None:
            entry = QueueEntry(recording_id=recording.recording_id, queued_at=now)
            self.change_entry(
                recording.recording_id, lambda found: entry if found is None else None
            )

        self.make()
        # A disk that is asked to keep several files at once does so in little more time.
        with ThreadPoolExecutor(_WRITTEN_AT_ONCE) as threads:
            list(threads.map(enqueue, recordings))
        sync_directory(self.queue)

    def drop_entry(self, recording_id: str, *, is_told: bool = True) -> bool:
        """Take it out of the queue; False when it was not there. The lock is held."""
        path = self.entry_path(recording_id)
        if not path.exists():
            return False
        remove(path, self.observe, "entry", is_told=is_told)
        return True

    def set_uploaded(self, recording_id: str, location: str | None) -> Recording:
        """Record that a copy was verified elsewhere, then that it waits no longer."""

        def uploaded(found: Recording) -> Recording | None:
            if not found.waits_for_upload:
                return None
            return found.moved_to(RecordingStatus.UPLOADED, self.now(), location=location)

        changed = self.change(recording_id, uploaded)
        with self.locked():
            # What says that it is there outlives a power cut: an entry beside that is forgotten.
            self.drop_entry(recording_id, is_told=False)
        return changed

    def set_processing(self, recording_id: str, job_id: str) -> Recording:
        """Record the job that works on it; one that has ended already stays as it is."""
        ended = {RecordingStatus.COMPLETED, RecordingStatus.FAILED}

        def processing(found: Recording) -> Recording | None:
            if found.job_id == job_id and found.status in ended:
                return None
            return found.moved_to(RecordingStatus.PROCESSING, self.now(), job_id=job_id)

        return self.change(recording_id, processing)

    def set_completed(self, recording_id: str, job_id: str, **found: Any) -> Recording:
        """Record that everything is done with it, and what was found out of it."""
        return self.change(
            recording_id,
            lambda one: one.moved_to(RecordingStatus.COMPLETED, self.now(), job_id=job_id, **found),
        )

    def set_failed(self, recording_id: str, error: str, **changes: Any) -> Recording:
        """Record why something failed."""
        return self.change(
            recording_id,
            lambda one: one.moved_to(
                RecordingStatus.FAILED, self.now(), error=error[:500], **changes
            ),
        )

    @contextmanager
    def sending(self, recording: Recording) -> Iterator[bool]:
        """Keep others from sending the same recording; False when one does already."""
        descriptor = os.open(self.audio_path(recording), os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield try_lock(descriptor)
        finally:
            os.close(descriptor)

    def stored_bytes(self) -> int:
        """Return how many bytes the sound takes, that in the trash counted in."""
        kept = sum(one.file_size for one in self.all().values())
        return kept + sum(one.file_size for one in self.trashed())

    def trashed(self) -> list[Recording]:
        """Return what lies in the trash."""
        found = []
        for path in sorted(self.trash.glob(f"[!.]*{JSON}")):
            with suppress(FileNotFoundError, ValueError):
                found.append(read_record(path, Recording))
        return found

    def set_aside(self, path: Path) -> str:
        """Move what can't be used to the damaged ones; return its name there."""
        name, number = path.name, 1
        while (self.damaged / name).exists():
            number += 1
            name = f"{path.stem}-{number}{path.suffix}"
        path.replace(self.damaged / name)
        sync_directory(self.damaged)
        sync_directory(path.parent)
        return name


def _read_or_none(path: Path, kind: type[R]) -> R | None:
    try:
        return read_record(path, kind)
    except (FileNotFoundError, ValueError):
        return None
