"""The records of a directory, read again only where something changed.

Whoever changes a record notes its id first, with the lock held. To find what others changed it is
enough then to compare the numbers of files, which a directory tells along with their names: a
number that came round again is among the notes. To ask each of 10,000 files for its time takes
several times as long.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from haulier.core.recordings import QueueEntry, Recording

JSON = ".json"
# Two changes within one tick of the clock of a file system look like one.
_RACY_NS = 100_000_000
_MOST_NOTES_BYTES = 1 << 20
_TITLE_BYTES = 16

_Stamp = tuple[int, int, int]
R = TypeVar("R", Recording, QueueEntry)


@dataclass(frozen=True, slots=True)
class _Seen(Generic[R]):
    stamp: _Stamp
    record: R | None


class Listing(Generic[R]):
    """The records of a directory, for any number of threads; blocks, raises OSError.

    A file edited in its place is seen when it is looked for thoroughly.

    Args:
        directory: where they lie, each in a file that is renamed to `{id}.json`.
        notes: the file of what changed last, of all processes; it may be lost.
        kind: what they are.
    """

    def __init__(self, directory: Path, notes: Path, kind: type[R]) -> None:
        self._directory = directory
        self._notes = notes
        self._kind: type[R] = kind
        self._lock = threading.Lock()
        self._stamp: _Stamp | None = None
        self._seen: dict[str, _Seen[R]] = {}
        self._numbers: dict[str, int] = {}
        self._title: bytes | None = None
        self._notes_read = 0
        self._result: tuple[dict[str, R], list[str]] = ({}, [])

    @property
    def unreadable(self) -> list[str]:
        """The names of files that held no record when they were last read."""
        return self._result[1]

    def note(self, recording_id: str) -> None:
        """Tell others that a record is about to change; the shelf's lock is held."""
        with self._notes.open("ab", buffering=0) as file:
            title = ""
            if not 0 < file.seek(0, os.SEEK_END) < _MOST_NOTES_BYTES:
                # Under another title everybody asks every file.
                file.truncate(0)
                title = f"{secrets.token_hex(_TITLE_BYTES // 2)}\n"
            file.write(f"{title}{recording_id}\n".encode())

    def look_thoroughly(self) -> None:
        """Have the next look ask each file whether it changed."""
        with self._lock:
            self._stamp, self._title = None, None

    def read(self) -> dict[str, R]:
        """Return the records by id; not to be changed."""
        with self._lock:
            try:
                stamp = _stamp_of(os.stat(self._directory))
            except FileNotFoundError:
                return {}
            if stamp == self._stamp:
                return self._result[0]
            began_ns = time.time_ns()
            self._look()
            is_racy = stamp[0] > began_ns - _RACY_NS
            self._stamp = None if is_racy else stamp
            return self._result[0]

    def _look(self) -> None:
        with os.scandir(self._directory) as entries:
            numbers = {
                entry.name: entry.inode()
                for entry in entries
                if entry.name[-5:] == JSON and entry.name[0] != "."
            }
        # After the numbers: what came round again by then is among them.
        noted = self._new_notes()
        known = self._numbers
        if noted is None:
            changed = [name for name in numbers if not self._is_as_seen(name)]
        else:
            changed = [
                name
                for name, number in numbers.items()
                if known.get(name) != number or name in noted
            ]
        gone = known.keys() - numbers.keys()
        self._numbers = numbers
        self._take(changed, gone)

    def _take(self, changed: list[str], gone: set[str]) -> None:
        records, unreadable = dict(self._result[0]), {*self._result[1]}
        for name in (*gone, *changed):
            seen = None if name in gone else self._read(name)
            recording_id = name.removesuffix(JSON)
            unreadable.discard(name)
            if seen is None:  # removed since it was listed
                records.pop(recording_id, None)
                self._seen.pop(name, None)
                self._numbers.pop(name, None)
                continue
            self._seen[name], self._numbers[name] = seen, seen.stamp[1]
            if seen.record is None:
                records.pop(recording_id, None)
                unreadable.add(name)
            else:
                records[recording_id] = seen.record
        self._result = (records, sorted(unreadable))

    def _new_notes(self) -> set[str] | None:
        """Return the names of what was noted since the last time; None when that can't be told."""
        notes = b""
        with suppress(FileNotFoundError):
            notes = self._notes.read_bytes()
        title, end = notes[:_TITLE_BYTES], notes.rfind(b"\n") + 1
        known, since = self._title, self._notes_read
        self._title, self._notes_read = title, end
        if title != known:
            return None
        return {f"{one}{JSON}" for one in notes[since:end].decode("ascii", "replace").splitlines()}

    def _is_as_seen(self, name: str) -> bool:
        seen = self._seen.get(name)
        if seen is None:
            return False
        try:
            return _stamp_of(os.stat(f"{self._directory}/{name}")) == seen.stamp
        except FileNotFoundError:
            return False

    def _read(self, name: str) -> _Seen[R] | None:
        try:
            with open(f"{self._directory}/{name}", "rb", buffering=0) as file:
                stamp = _stamp_of(os.fstat(file.fileno()))
                content = file.read()
        except FileNotFoundError:
            return None
        try:
            return _Seen(stamp, parse_record(content, name.removesuffix(JSON), self._kind))
        except ValueError:
            return _Seen(stamp, None)


def read_record(path: Path, kind: type[R]) -> R:
    """Read a record.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds something else, or another recording's record.
    """
    return parse_record(path.read_bytes(), path.name.removesuffix(JSON), kind)


def parse_record(content: bytes, recording_id: str, kind: type[R]) -> R:
    """Return the record that is written in `content`.

    Raises:
        ValueError: it is something else, or another recording's record.
    """
    values = json.loads(content)
    if not isinstance(values, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004  # of a file, not of a type
    found = kind.from_json(values)
    if found.recording_id != recording_id:
        raise ValueError(f"it speaks of {found.recording_id}")
    return found


def _stamp_of(status: os.stat_result) -> _Stamp:
    return status.st_mtime_ns, status.st_ino, status.st_size
