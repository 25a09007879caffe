"""What a crash, or somebody's hands, left of a user's recordings: found, told, mended or set aside.

Sound is never changed and never removed, but for what was not announced yet.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from haulier.core.recordings import (
    DEFAULT_MODE,
    QueueEntry,
    Recording,
    RecordingStatus,
    check_mode,
    check_recording_id,
    wav_duration_s,
)
from haulier.core.records import JsonRecord, parse_time
from haulier.core.sniff import HEAD_BYTES
from haulier.errors import ValidationError
from haulier.journeys.recording.durable import PARTIAL, move, try_lock
from haulier.journeys.recording.listing import JSON, read_record
from haulier.journeys.recording.saving import AUDIO, checksum_of
from haulier.journeys.recording.shelf import Shelf


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding(JsonRecord):
    """Something that was not as it should be.

    Args:
        user_id: whose.
        name: of the file.
        found: what was wrong.
        done: what was done about it.
    """

    user_id: str
    name: str
    found: str
    done: str


def mend(shelf: Shelf) -> list[Finding]:
    """Put a user's recordings in order, and return what was wrong; blocks, raises OSError.

    What another process is writing is left alone.
    """
    if not shelf.recordings.is_dir():
        return []
    with shelf.locked():
        mending = _Mending(shelf)
        mending.finish_or_forget_partials()
        mending.mend_metadata()
        mending.mend_trash()
        mending.mend_queue()
        return mending.findings


class _Mending:
    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self.findings: list[Finding] = []

    def finish_or_forget_partials(self) -> None:
        """Take what dead processes left: what was announced is finished, the rest forgotten."""
        directory = self._shelf.recordings
        partials = sorted(directory.glob(f".*{PARTIAL}"))
        sounds = [one for one in partials if _kind_of_partial(one) == AUDIO]
        for path in partials:
            if _kind_of_partial(path) != AUDIO:
                self._finish_metadata(path)
        for path in sounds:
            with path.open("rb") as file:
                if try_lock(file.fileno()):
                    self._finish_sound(path)
        for path in self._shelf.queue.glob(f".*{PARTIAL}"):
            path.unlink(missing_ok=True)

    def _finish_metadata(self, path: Path) -> None:
        """Metadata was prepared: it counts when its sound lies there and has none."""
        recording_id = path.name.split(".")[1]
        metadata = self._shelf.metadata_path(recording_id)
        try:
            recording = Recording.from_json(json.loads(path.read_bytes()))
            is_due = _is_sound_of(self._shelf.audio_path(recording), recording)
        except (ValueError, FileNotFoundError):
            is_due = False
        if is_due and not metadata.exists():
            self._shelf.announce(path, metadata, "mended")
            self._tell(metadata.name, "a crash left it unfinished", "finished")
        else:
            path.unlink()

    def _finish_sound(self, path: Path) -> None:
        """Metadata without sound: the power failed between two names of one directory."""
        recording_id = path.name.split(".")[1]
        with suppress(ValueError, FileNotFoundError):
            recording = read_record(self._shelf.metadata_path(recording_id), Recording)
            place = self._shelf.audio_path(recording)
            if not place.exists() and _is_sound_of(path, recording):
                path.replace(place)
                self._tell(place.name, "a crash left it unfinished", "finished")
                return
        path.unlink()

    def mend_metadata(self) -> None:
        """Let each sound have its metadata, and each metadata its sound."""
        sounds, metadata = self._files()
        readable = self._shelf.all()
        for recording_id in metadata:
            found, known = sounds.pop(recording_id, {}), readable.get(recording_id)
            if known is None or not self._is_in_order(known, found):
                paths = [self._shelf.recordings / name for name in found]
                self._mend_one(recording_id, self._shelf.metadata_path(recording_id), known, paths)
        for recording_id, found in sounds.items():
            paths = [self._shelf.recordings / name for name in found]
            if not self._taken_back(recording_id, paths):
                self._describe(recording_id, paths[0], {}, "it had no metadata")

    def _is_in_order(self, known: Recording, sounds: dict[str, int]) -> bool:
        is_whole = sounds.get(known.file_name) == known.file_size
        return is_whole and known.user_id == self._shelf.user_id

    def _taken_back(self, recording_id: str, sounds: list[Path]) -> bool:
        """Take metadata back whose sound did not get to the trash."""
        aside = self._shelf.trash / f"{recording_id}{JSON}"
        with suppress(ValueError, FileNotFoundError):
            recording = read_record(aside, Recording)
            in_trash = self._shelf.trash / recording.file_name
            if self._shelf.audio_path(recording) in sounds and not in_trash.exists():
                move(aside, self._shelf.metadata_path(recording_id), self._shelf.observe, "mended")
                return True
        return False

    def _mend_one(
        self, recording_id: str, path: Path, known: Recording | None, sounds: list[Path]
    ) -> None:
        shelf = self._shelf
        try:
            recording = known or read_record(path, Recording)
            if recording.user_id != shelf.user_id:
                raise ValueError(f"it speaks of {recording.user_id}")
        except ValueError as error:
            kept = _salvaged(path)
            aside = shelf.set_aside(path)
            if not sounds:
                found = f"it can't be used ({error}), and there is no sound"
                self._tell(path.name, found, f"set aside as damaged/{aside}")
                return
            self._describe(recording_id, sounds[0], kept, f"its metadata was damaged: {error}")
            return
        place = shelf.audio_path(recording)
        if place in sounds:
            size_bytes = place.stat().st_size
            if size_bytes != recording.file_size:
                found = f"it has {size_bytes} bytes, its metadata said {recording.file_size}"
                self._describe(recording_id, place, recording.to_json(), found)
        elif sounds:
            found = f"its metadata named {place.name}"
            self._describe(recording_id, sounds[0], recording.to_json(), found)
        else:
            aside = shelf.set_aside(path)
            self._tell(path.name, "there is no sound for it", f"set aside as damaged/{aside}")

    def mend_trash(self) -> None:
        """Let nothing be named as in the trash whose sound was removed from it."""
        for partial in self._shelf.trash.glob(f".*{PARTIAL}"):
            partial.unlink(missing_ok=True)
        for recording in self._shelf.trashed():
            path = self._shelf.trash / f"{recording.recording_id}{JSON}"
            if not (self._shelf.trash / recording.file_name).exists():
                path.unlink(missing_ok=True)
                self._tell(path.name, "its sound was removed from the trash", "forgotten")

    def mend_queue(self) -> None:
        """Let what has to be sent and was begun be in the queue, and nothing else."""
        shelf = self._shelf
        recordings = shelf.all()
        for path in sorted(shelf.queue.glob(f"[!.]*{JSON}")):
            recording = recordings.get(path.stem)
            if recording is None or not recording.waits_for_upload:
                path.unlink()
                continue
            try:
                read_record(path, QueueEntry)
            except ValueError as error:
                aside = shelf.set_aside(path)
                shelf.enqueue(recording)
                self._tell(path.name, f"it can't be used ({error})", f"made anew, see {aside}")
        for recording in recordings.values():
            if recording.status is RecordingStatus.UPLOADING:
                shelf.enqueue(recording)

    def _describe(self, recording_id: str, sound: Path, known: dict[str, Any], found: str) -> None:
        """Write metadata by the sound as it lies there, with what is known besides."""
        status = sound.stat()
        with sound.open("rb") as file:
            head = file.read(HEAD_BYTES)
        when = datetime.fromtimestamp(status.st_mtime, UTC)
        recording = Recording(
            recording_id=recording_id,
            user_id=self._shelf.user_id,
            mode=known.get("mode", DEFAULT_MODE),
            file_size=status.st_size,
            checksum=checksum_of(sound),
            format=sound.suffix[1:],
            duration=wav_duration_s(head, status.st_size),
            created_at=when,
            updated_at=self._shelf.now(),
        )
        if "created_at" in known:
            recording = replace(recording, created_at=parse_time(known["created_at"]))
        self._shelf.put(recording)
        self._tell(sound.name, found, "described anew")

    def _files(self) -> tuple[dict[str, dict[str, int]], list[str]]:
        """Return the sizes of sounds, by id and by name, and the ids that have metadata."""
        sounds: dict[str, dict[str, int]] = {}
        metadata: list[str] = []
        with os.scandir(self._shelf.recordings) as entries:
            for entry in sorted(entries, key=lambda one: one.name):
                stem, _, ending = entry.name.partition(".")
                if not _is_id(stem) or not ending or "." in ending:
                    continue
                if ending == JSON[1:]:
                    metadata.append(stem)
                else:
                    sounds.setdefault(stem, {})[entry.name] = entry.stat().st_size
        return sounds, metadata

    def _tell(self, name: str, found: str, done: str) -> None:
        self.findings.append(
            Finding(user_id=self._shelf.user_id, name=name, found=found, done=done)
        )


def _kind_of_partial(path: Path) -> str:
    # .{id}{.audio or .json}.{token}.partial
    return f".{path.name.split('.')[2]}"


def _is_sound_of(path: Path, recording: Recording) -> bool:
    return path.stat().st_size == recording.file_size and checksum_of(path) == recording.checksum


def _is_id(stem: str) -> bool:
    try:
        return check_recording_id(stem) == stem
    except ValidationError:
        return False


def _salvaged(path: Path) -> dict[str, Any]:
    """Return what can still be believed of damaged metadata."""
    kept: dict[str, Any] = {}
    try:
        values = json.loads(path.read_bytes())
    except ValueError:
        return kept
    if not isinstance(values, dict):
        return kept
    with suppress(ValidationError, TypeError, KeyError):
        kept["mode"] = check_mode(values["mode"])
    with suppress(ValueError, TypeError, KeyError, AttributeError):
        parse_time(values["created_at"])
        kept["created_at"] = values["created_at"]
    return kept
