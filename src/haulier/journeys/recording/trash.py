"""What failed long ago goes to the trash, and leaves it when it was seen there often enough.

How long something lies in the trash is counted in days on which a sweep saw it, not told by the
clock alone: a clock that jumps ahead by years removes nothing.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from haulier.core.recordings import TRASH_DAYS, Recording, is_trash
from haulier.core.records import JsonRecord
from haulier.journeys.recording.durable import move, prepare, publish, remove
from haulier.journeys.recording.shelf import Shelf

# With a verified copy elsewhere: until the sweep of another day finds it.
_DAYS_WITH_COPY = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept(JsonRecord):
    """What a sweep did: ids of recordings that went to the trash, and that were removed from it."""

    moved: list[str]
    removed: list[str]


def sweep(shelf: Shelf, days: int) -> Swept:
    """Move what failed more than `days` days ago to the trash, and clear the trash.

    What waits to be sent stays, however long. 0 days sweeps nothing. Blocks, raises OSError.
    """
    if days == 0 or not shelf.recordings.is_dir():
        return Swept(moved=[], removed=[])
    shelf.look_thoroughly()
    with shelf.locked():
        queued, now = shelf.entries(), shelf.now()
        old = [
            one
            for one in shelf.all().values()
            if one.recording_id not in queued and is_trash(one, now, days)
        ]
        removed = _clear(shelf)
        moved = [one.recording_id for one in old if _to_trash(shelf, one)]
        return Swept(moved=moved, removed=removed)


def _to_trash(shelf: Shelf, recording: Recording) -> bool:
    metadata, sound = shelf.metadata_path(recording.recording_id), shelf.audio_path(recording)
    try:
        with shelf.sending(recording) as is_free:
            if not is_free:
                return False
            # Sound whose metadata is found in the trash was on its way, and is taken back.
            move(metadata, shelf.trash / metadata.name, shelf.observe, "trashed metadata")
            move(sound, shelf.trash / sound.name, shelf.observe, "trashed audio")
    except FileNotFoundError:  # its sound was taken away by hand; it is told of at the next start
        return False
    return True


def _clear(shelf: Shelf) -> list[str]:
    removed = []
    for recording in shelf.trashed():
        path = shelf.trash / f"{recording.recording_id}.json"
        enough = TRASH_DAYS if recording.location is None else _DAYS_WITH_COPY
        if _days_seen(shelf, path, recording) < enough:
            continue
        remove(shelf.trash / recording.file_name, shelf.observe, "removed audio")
        remove(path, shelf.observe, "removed metadata")
        removed.append(recording.recording_id)
    return removed


def _days_seen(shelf: Shelf, path: Path, recording: Recording) -> int:
    """Count today, once, and return on how many days it was seen."""
    values = json.loads(path.read_bytes())
    seen, today = 0, shelf.now().date().isoformat()
    with suppress(ValueError, TypeError):
        seen = int(values.get("days_seen", 0))
    if values.get("seen_on") == today:
        return seen
    counted = {**recording.to_json(), "days_seen": seen + 1, "seen_on": today}
    publish(prepare(path, counted), path, shelf.observe, "seen")
    return seen + 1
