"""Recordings on their way out: several at a time, each on its own, tried until they are there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

from haulier.core.alerts import is_too_long
from haulier.core.recordings import (
    QueueEntry,
    Recording,
    RecordingStatus,
    backoff_after,
)
from haulier.core.records import utc_now
from haulier.errors import (
    ChecksumMismatch,
    FileSizeError,
    HaulierError,
    OperationBusy,
    QuotaExceeded,
    RecordingConflict,
    TargetUnreadable,
)
from haulier.journeys.recording.manager import OfflineAudioManager
from haulier.journeys.recording.saving import checksum_of
from haulier.journeys.recording.sending import Sender
from haulier.journeys.recording.shelf import Shelf
from haulier.net.threads import in_thread
from haulier.store.local_files import system_errors

# Trying again would not help, whatever the network does.
_HOPELESS = (RecordingConflict, ChecksumMismatch, TargetUnreadable)
UPLOADS = {"success": "recording_uploads_success", "failure": "recording_uploads_failure"}
"""The counters of attempts by how they ended."""
SENT_BYTES = "recording_sent_bytes"
_log = logging.getLogger("haulier.recordings")

T = TypeVar("T")
Process = Callable[[Recording], Awaitable[Recording]]
Count = Callable[[Mapping[str, int]], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an attempt ended; `error` is None when the recording is there."""

    recording: Recording
    error: HaulierError | None = None


async def _process_nothing(recording: Recording) -> Recording:
    return recording


async def _count_nothing(_more: Mapping[str, int]) -> None:
    pass


class Syncing:
    """Sends recordings.

    Args:
        manager: where they are kept.
        sender: where they go.
        process: has work done with what was uploaded; returns the recording as it stands then.
        count: adds to counters that outlive the process.
        at_once: how many are sent at a time.
        poll_s: seconds between looks at what is due.
        now: the clock.
    """

    def __init__(
        self,
        manager: OfflineAudioManager,
        sender: Sender,
        *,
        process: Process = _process_nothing,
        count: Count = _count_nothing,
        at_once: int = 8,
        poll_s: float = 5,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._manager = manager
        self._sender = sender
        self._process = process
        self._count = count
        self._slots = asyncio.Semaphore(at_once)
        self._poll_s = poll_s
        self._now = now
        self._begun: set[asyncio.Task[Any]] = set()
        self._is_too_long = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop what is under way; it is gone on with later."""
        for task in self._begun:
            task.cancel()
        if self._begun:
            await asyncio.wait(self._begun)

    async def queue_everything(self, user_id: str) -> list[str]:
        """Queue all of a user's recordings that have to be sent, and return their ids."""
        shelf = await self._manager.shelf_of(user_id)

        def enqueue(_stop: object) -> list[str]:
            waiting = [one for one in shelf.all().values() if one.waits_for_upload]
            queued = shelf.entries()
            new = [one for one in waiting if one.recording_id not in queued]
            if new:
                shelf.enqueue_all(new)
            return [one.recording_id for one in waiting]

        with system_errors("recordings"):
            return await in_thread(enqueue)

    def begin(self, user_id: str, recording_ids: Iterable[str]) -> dict[str, asyncio.Task[Outcome]]:
        """Send recordings beside whatever else is done, whether they are due or not."""
        begun = {}
        for recording_id in recording_ids:
            task = asyncio.create_task(self.attempt(user_id, recording_id))
            self._begun.add(task)
            task.add_done_callback(self._begun.discard)
            begun[recording_id] = task
        return begun

    async def attempt(self, user_id: str, recording_id: str) -> Outcome:
        """Send a recording, and tell how that ended; what failed is told, not raised."""
        try:
            return Outcome(recording=await self.send(user_id, recording_id))
        except HaulierError as error:
            recording = await self._manager.get_recording(user_id, recording_id)
            return Outcome(recording=recording, error=error)

    async def send(self, user_id: str, recording_id: str) -> Recording:
        """Send a recording, have it processed, and return it; harmless when it was sent before.

        Raises:
            FileNotFoundError: there is none of that id.
            OperationBusy: it is being sent already.
            HaulierError: it could not be sent; it is tried again, unless that is hopeless.
        """
        shelf = await self._manager.shelf_of(user_id)
        async with self._slots:
            recording = await self._manager.get_recording(user_id, recording_id)
            if recording.waits_for_upload:
                recording = await self._send_alone(shelf, recording)
        if recording.status is RecordingStatus.UPLOADED:
            recording = await self._process(recording)
        return recording

    async def run(self) -> None:
        """Send what is due, and have processed what was uploaded, until cancelled."""
        while True:
            try:
                await self.send_due()
            except HaulierError as exc:
                _log.error("recordings have to wait: %s", exc.message)
            await asyncio.sleep(self._poll_s)

    async def send_due(self, users: Iterable[str] | None = None) -> list[Outcome]:
        """Send what is queued and due, of `users` or of all, and return how each ended."""
        begun: list[asyncio.Task[Outcome]] = []
        queued = 0
        for user_id in await self._manager.users() if users is None else users:
            entries = await self._manager.get_upload_queue(user_id)
            queued += len(entries)
            due = [one.recording_id for one in entries if one.is_due(self._now())]
            uploaded = await self._manager.list_recordings(user_id, RecordingStatus.UPLOADED)
            due += [one.recording_id for one in uploaded]
            begun += self.begin(user_id, due).values()
        self._tell_length(queued)
        return list(await asyncio.gather(*begun))

    def _tell_length(self, queued: int) -> None:
        is_now = is_too_long(queued, was_too_long=self._is_too_long)
        if is_now and not self._is_too_long:
            _log.warning("%d recordings wait to be sent", queued)
        self._is_too_long = is_now

    async def _send_alone(self, shelf: Shelf, recording: Recording) -> Recording:
        recording_id = recording.recording_id
        try:
            with shelf.sending(recording) as is_free:
                if not is_free:
                    raise OperationBusy(f"the recording {recording_id} is being sent already")
                current = await self._manager.get_recording(shelf.user_id, recording_id)
                if not current.waits_for_upload:
                    return current
                return await self._send_locked(shelf, current)
        except FileNotFoundError:
            error = TargetUnreadable(
                f"the sound of the recording {recording_id} is gone",
                hint="Bring it back, or restart haulier to have its metadata set aside.",
            )
            await self._note_failure(shelf, recording_id, error)
            raise error from None

    async def _send_locked(self, shelf: Shelf, recording: Recording) -> Recording:
        path, recording_id = shelf.audio_path(recording), recording.recording_id

        async def save(progress: dict[str, Any]) -> None:
            await self._change_entry(shelf, recording_id, progress=progress)

        entry = await self._do(lambda: _begin(shelf, recording, self._now()))
        try:
            if await self._do(lambda: checksum_of(path)) != recording.checksum:
                raise ChecksumMismatch(
                    f"the sound of the recording {recording_id} has changed on the disk",
                    hint="Restart haulier to have it described as it is now.",
                )
            location = await self._sender.send(recording, path, entry.progress, save)
        except HaulierError as error:
            await self._note_failure(shelf, recording_id, error)
            raise
        except Exception as error:
            # Its words may name inner paths, and are for the log alone.
            _log.exception("the recording %s could not be sent", recording_id)
            words = f"something went wrong inside haulier ({type(error).__name__})"
            await self._note_failure(shelf, recording_id, HaulierError(words))
            raise HaulierError(words) from error
        sent = await self._do(lambda: shelf.set_uploaded(recording_id, location))
        await self._note_count({UPLOADS["success"]: 1, SENT_BYTES: recording.file_size})
        return sent

    async def _note_failure(self, shelf: Shelf, recording_id: str, error: HaulierError) -> None:
        full = isinstance(error, FileSizeError) and not isinstance(error, QuotaExceeded)
        is_hopeless = full or isinstance(error, _HOPELESS)
        _log.warning("the recording %s was not sent: %s", recording_id, error.message)

        def note() -> None:
            shelf.set_failed(recording_id, error.message)
            with shelf.locked():
                if is_hopeless:
                    shelf.drop_entry(recording_id)

        await self._do(note)
        if not is_hopeless:
            await self._change_entry(shelf, recording_id, error=error)
        await self._note_count({UPLOADS["failure"]: 1})

    async def _note_count(self, more: Mapping[str, int]) -> None:
        try:
            await self._count(more)
        except HaulierError as exc:
            _log.warning("an attempt was not counted: %s", exc.message)

    async def _change_entry(
        self,
        shelf: Shelf,
        recording_id: str,
        *,
        progress: dict[str, Any] | None = None,
        error: HaulierError | None = None,
    ) -> None:
        def changed(entry: QueueEntry | None) -> QueueEntry | None:
            if entry is None:
                return None
            if progress is not None:
                entry = replace(entry, progress=progress)
            if error is not None:
                entry = replace(
                    entry,
                    last_error=error.message,
                    not_before=self._now() + backoff_after(entry.attempts),
                )
            return entry

        await self._do(lambda: shelf.change_entry(recording_id, changed))

    async def _do(self, work: Callable[[], T]) -> T:
        def guarded(_stop: object) -> T:
            with system_errors("recordings"):
                return work()

        return await in_thread(guarded)


def _begin(shelf: Shelf, recording: Recording, now: datetime) -> QueueEntry:
    """Count the attempt, then say that it is under way."""
    new = QueueEntry(recording_id=recording.recording_id, queued_at=now)

    def counted(found: QueueEntry | None) -> QueueEntry:
        entry = found or new
        return replace(entry, attempts=entry.attempts + 1)

    entry = shelf.change_entry(recording.recording_id, counted)
    assert entry is not None
    shelf.change(
        recording.recording_id,
        lambda one: one.moved_to(RecordingStatus.UPLOADING, now),
        is_told=False,
    )
    return entry
