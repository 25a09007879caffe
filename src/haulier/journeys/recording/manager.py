"""Recordings kept on this machine first, and sent later: the public face."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import BinaryIO, Self, TypeVar

from haulier.core.recordings import (
    DEFAULT_MODE,
    QueueEntry,
    Recording,
    RecordingStats,
    RecordingStatus,
    check_mode,
    check_recording_id,
    check_user_id,
    count_by_status,
)
from haulier.core.records import utc_now
from haulier.errors import TargetMissing, ValidationError
from haulier.journeys.recording.durable import Observe, observe_nothing
from haulier.journeys.recording.mending import Finding, mend
from haulier.journeys.recording.saving import Draft
from haulier.journeys.recording.shelf import Shelf
from haulier.journeys.recording.trash import Swept, sweep
from haulier.net.threads import in_thread
from haulier.settings import Settings
from haulier.store.local_files import system_errors

T = TypeVar("T")
Audio = bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO | AsyncIterable[bytes]
"""Sound: its bytes, the path of a file, an open file, or what yields bytes."""

_PIECE_BYTES = 1 << 20
_DEFAULT_LIMIT_BYTES = 500 << 20
_BY_AGE = attrgetter("created_at", "recording_id")
_log = logging.getLogger("haulier.recordings")


class OfflineAudioManager:
    """Keeps recordings of users in a directory; nothing here needs a network.

    What a method has returned for survives the end of the process and of the power. Any number of
    processes may work on one directory. What a crash left is mended when a user's recordings are
    first asked for. `haulier.sync.OfflineAudioManager` is the blocking twin.

    Args:
        directory: where users' recordings lie; AUDIO_STORAGE_DIR when left out.
        user_limit_bytes: how much sound a user may keep.
        max_file_bytes: the largest recording; None for any.
        now: the clock.
        observe: told each step of writing after which the process may die.
    """

    def __init__(
        self,
        directory: str | Path | None = None,
        *,
        user_limit_bytes: int = _DEFAULT_LIMIT_BYTES,
        max_file_bytes: int | None = None,
        now: Callable[[], datetime] = utc_now,
        observe: Observe = observe_nothing,
    ) -> None:
        if directory is None:
            directory = Settings.load().recordings_dir
        self.directory = Path(directory).absolute()
        self._limit_bytes = user_limit_bytes
        self._max_file_bytes = max_file_bytes
        self._now = now
        self._observe = observe
        self._shelves: dict[str, Shelf] = {}
        self._opening = threading.Lock()

    @classmethod
    def of_settings(cls, settings: Settings) -> Self:
        """Return a manager as the settings want it."""
        return cls(
            settings.recordings_dir,
            user_limit_bytes=settings.recordings.audio_user_limit_mb << 20,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Give back nothing: no file stays open; for those who close what they use."""

    async def save_recording(
        self,
        user_id: str,
        recording_id: str,
        audio_data: Audio,
        mode: str = DEFAULT_MODE,
    ) -> Recording:
        """Keep a recording; the same once more is harmless.

        Args:
            user_id: whose it is.
            recording_id: a UUID.
            audio_data: the sound.
            mode: what it is for; 1 to 64 characters.

        Raises:
            ValidationError: an id or mode that can't be, or no sound at all.
            UnsupportedContent: it is surely no sound.
            RecordingConflict: there is another recording of that id.
            FileSizeError: it is too large.
            QuotaExceeded: it does not fit into what the user may keep.
            StorageFull: no space is left on the disk; nothing was kept.
            TargetMissing: there is no such file.
        """
        recording_id, mode = check_recording_id(recording_id), check_mode(mode)
        pieces = _pieces_of(audio_data)
        shelf = await self._shelf(user_id)

        def begin() -> Draft:
            shelf.make()
            return Draft(
                shelf,
                recording_id,
                mode,
                most_bytes=self._max_file_bytes,
                limit_bytes=self._limit_bytes,
            )

        draft = await self._do(begin)
        try:
            async for piece in pieces:
                await self._do(lambda piece=piece: draft.write(piece))  # type: ignore[misc]  # a default binds it
            return await self._do(draft.keep)
        finally:
            draft.__exit__()

    async def get_recording(self, user_id: str, recording_id: str) -> Recording:
        """Return what is known of a recording.

        Raises:
            FileNotFoundError: there is none of that id.
        """
        shelf = await self._shelf(user_id)
        return await self._do(lambda: shelf.get(check_recording_id(recording_id)))

    async def audio_path(self, user_id: str, recording_id: str) -> Path:
        """Return where the sound of a recording lies; raises like `get_recording`."""
        shelf = await self._shelf(user_id)
        return shelf.audio_path(await self.get_recording(user_id, recording_id))

    async def list_recordings(
        self, user_id: str, status_filter: RecordingStatus | str | None = None
    ) -> list[Recording]:
        """Return a user's recordings, newest first, of one state or of all.

        Raises:
            ValidationError: there is no such state.
        """
        wanted = None if status_filter is None else _status(status_filter)
        shelf = await self._shelf(user_id)
        found = [
            one
            for one in (await self._do(shelf.all)).values()
            if wanted is None or one.status is wanted
        ]
        return sorted(found, key=_BY_AGE, reverse=True)

    async def queue_for_upload(self, user_id: str, recording_id: str) -> QueueEntry | None:
        """Have a recording sent; None when it is stored elsewhere already.

        Raises:
            FileNotFoundError: there is none of that id.
        """
        shelf = await self._shelf(user_id)

        def enqueue() -> QueueEntry | None:
            with shelf.locked():
                recording = shelf.get(check_recording_id(recording_id))
                return shelf.enqueue(recording) if recording.waits_for_upload else None

        return await self._do(enqueue)

    async def get_upload_queue(self, user_id: str) -> list[QueueEntry]:
        """Return what waits to be sent, what waits longest first."""
        shelf = await self._shelf(user_id)
        found = (await self._do(shelf.entries)).values()
        return sorted(found, key=lambda one: (one.queued_at, one.recording_id))

    async def remove_from_queue(self, user_id: str, recording_id: str) -> bool:
        """Have a recording not be sent; False when it did not wait."""
        shelf = await self._shelf(user_id)

        def drop() -> bool:
            with shelf.locked():
                return shelf.drop_entry(check_recording_id(recording_id))

        return await self._do(drop)

    async def mark_uploaded(
        self, user_id: str, recording_id: str, *, location: str | None = None
    ) -> Recording:
        """Record that a recording is stored elsewhere; it waits no longer.

        Args:
            user_id: whose it is.
            recording_id: which.
            location: the URL of the copy, which was verified.

        Raises:
            FileNotFoundError: there is none of that id.
        """
        shelf = await self._shelf(user_id)
        recording_id = check_recording_id(recording_id)
        return await self._do(lambda: shelf.set_uploaded(recording_id, location))

    async def mark_processing(self, user_id: str, recording_id: str, job_id: str) -> Recording:
        """Record the job that works on a recording.

        Raises:
            FileNotFoundError: there is none of that id.
        """
        shelf = await self._shelf(user_id)
        recording_id = check_recording_id(recording_id)
        return await self._do(lambda: shelf.set_processing(recording_id, job_id))

    async def get_storage_stats(self, user_id: str) -> RecordingStats:
        """Return what a user's recordings take, and what needs looking at."""
        shelf = await self._shelf(user_id)
        return await self._do(lambda: self._stats(shelf))

    async def cleanup_old_failed(self, user_id: str, days: int = 7) -> int:
        """Move recordings that failed more than `days` days ago to the trash; return how many.

        What waits to be sent stays. In the trash a recording without a verified copy elsewhere is
        kept until it was seen there on 30 days, another until the next day's sweep. 0 days moves
        nothing.

        Raises:
            ValidationError: `days` is negative.
        """
        return len((await self.sweep(user_id, days)).moved)

    async def sweep(self, user_id: str, days: int) -> Swept:
        """Do what `cleanup_old_failed` does, and tell all of it."""
        if days < 0:
            raise ValidationError("days are not negative")
        shelf = await self._shelf(user_id)
        return await self._do(lambda: sweep(shelf, days))

    async def count_queued(self) -> int:
        """Return how many recordings of all users wait to be sent."""
        return sum([len(await self.get_upload_queue(one)) for one in await self.users()])

    async def users(self) -> list[str]:
        """Return the ids of users who have recordings here."""

        def found() -> list[str]:
            if not self.directory.is_dir():
                return []
            return sorted(one.parent.name for one in self.directory.glob("[!.]*/recordings"))

        return await self._do(found)

    async def mend(self) -> list[Finding]:
        """Put all users' recordings in order, and return what was wrong."""
        findings: list[Finding] = []
        for user_id in await self.users():
            findings += await self._do(lambda user_id=user_id: self._opened(user_id)[1])  # type: ignore[misc]  # a default binds it
        return findings

    async def shelf_of(self, user_id: str) -> Shelf:
        """Return a user's recordings as they lie on the disk, put in order."""
        return await self._shelf(user_id)

    def opened_shelf(self, user_id: str) -> Shelf:
        """Return the same, for those who may block."""
        return self._opened(check_user_id(user_id))[0]

    async def _shelf(self, user_id: str) -> Shelf:
        known = self._shelves.get(user_id)
        if known is not None:
            return known
        check_user_id(user_id)
        return (await self._do(lambda: self._opened(user_id)))[0]

    def _opened(self, user_id: str) -> tuple[Shelf, list[Finding]]:
        with self._opening:
            if user_id in self._shelves:
                return self._shelves[user_id], []
            shelf = Shelf(self.directory, user_id, now=self._now, observe=self._observe)
            findings = mend(shelf)
            for one in findings:
                _log.warning("recording %s of %s: %s; %s", one.name, user_id, one.found, one.done)
            self._shelves[user_id] = shelf
            return shelf, findings

    def _stats(self, shelf: Shelf) -> RecordingStats:
        recordings, trashed = shelf.all().values(), shelf.trashed()
        trash_bytes = sum(one.file_size for one in trashed)
        aside = sorted(os.listdir(shelf.damaged)) if shelf.damaged.is_dir() else []
        place = next(one for one in (shelf.home, *shelf.home.parents) if one.is_dir())
        return RecordingStats(
            files=len(recordings),
            bytes=sum(one.file_size for one in recordings) + trash_bytes,
            by_status=count_by_status(recordings),
            queued=len(shelf.entries()),
            limit_bytes=self._limit_bytes,
            free_bytes=shutil.disk_usage(place).free,
            trash_files=len(trashed),
            trash_bytes=trash_bytes,
            only_in_trash=[one.recording_id for one in trashed if one.location is None],
            damaged=[*shelf.unreadable(), *(f"damaged/{name}" for name in aside)],
        )

    async def _do(self, work: Callable[[], T]) -> T:
        def guarded(_stop: threading.Event) -> T:
            with system_errors("recordings"):
                return work()

        return await in_thread(guarded)


def _status(given: RecordingStatus | str) -> RecordingStatus:
    try:
        return RecordingStatus(given)
    except ValueError:
        raise ValidationError(
            f"{given!r} is no status", hint=f"Use one of {', '.join(RecordingStatus)}."
        ) from None


def _pieces_of(audio: Audio) -> AsyncIterator[bytes | memoryview]:
    if isinstance(audio, (bytes, bytearray, memoryview)):
        return _of_bytes(memoryview(audio).cast("B"))
    if isinstance(audio, (str, os.PathLike)):
        return _of_path(Path(audio))
    if isinstance(audio, AsyncIterable):
        return _collected(audio)
    return _of_file(audio)


async def _of_bytes(data: memoryview) -> AsyncIterator[memoryview]:
    for at in range(0, len(data), _PIECE_BYTES):
        yield data[at : at + _PIECE_BYTES]


async def _of_path(path: Path) -> AsyncIterator[bytes]:
    try:
        file = path.open("rb", buffering=0)
    except OSError as exc:
        raise TargetMissing(
            f"{path} can't be read: {exc.strerror}", hint="Check the spelling of the path."
        ) from exc
    with file:
        async for piece in _of_file(file):
            yield piece


async def _of_file(file: BinaryIO) -> AsyncIterator[bytes]:
    # In a thread, since the file may be a pipe.
    while piece := await asyncio.to_thread(file.read, _PIECE_BYTES):
        yield piece


async def _collected(pieces: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Join small pieces: each costs a change of threads."""
    collected = bytearray()
    async for piece in pieces:
        collected += piece
        if len(collected) >= _PIECE_BYTES:
            yield bytes(collected)
            collected.clear()
    if collected:
        yield bytes(collected)
