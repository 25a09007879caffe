"""The directory of one request: claimed while it is worked on, removed when all has arrived."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from haulier.errors import OperationBusy
from haulier.media.finding import MediaFile

PRIVATE = ".haulier-delivery"
_KEPT = "kept"
_S_PER_HOUR = 3600
_log = logging.getLogger(__name__)


@contextmanager
def claimed(directory: Path) -> Iterator[None]:
    """Keep other processes off a directory while this one works on it; one that is gone is free.

    Raises:
        OperationBusy: another one works on it.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        yield
        return
    try:
        _lock(descriptor, directory.name)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, name: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OperationBusy(f"{name} is being delivered already") from error


def place_for_copy(file: Path, name: str) -> Path:
    """Return where a smaller copy of a file goes: out of sight, for this user's eyes alone."""
    private = file.parent / PRIVATE
    private.mkdir(mode=0o700, exist_ok=True)
    room = private / hashlib.sha256(os.fsencode(file.name)).hexdigest()[:16]
    room.mkdir(mode=0o700, exist_ok=True)
    return room / name


def clean_up(directory: Path, delivered: Iterable[MediaFile]) -> None:
    """Remove what was delivered, our copies, and directories that are empty then.

    Files that were not delivered, or changed since, stay; `remove_expired` takes them later.
    """
    for file in delivered:
        source = file.original_path or file.path
        with suppress(OSError):
            is_same = file.original_path is not None or source.stat().st_size == file.size_bytes
            if is_same and source.is_relative_to(directory):
                source.unlink()
    for parent, _, _ in os.walk(directory, topdown=False):
        if Path(parent).name == PRIVATE:
            shutil.rmtree(parent, ignore_errors=True)
    for parent, _, _ in os.walk(directory, topdown=False):
        with suppress(OSError):
            os.rmdir(parent)
    if directory.exists():
        mark_kept(directory)


def mark_kept(directory: Path) -> None:
    """Let `remove_expired` take this directory when its time has come."""
    with suppress(OSError):
        private = directory / PRIVATE
        private.mkdir(mode=0o700, exist_ok=True)
        directory.chmod(0o700)
        (private / _KEPT).touch()


def remove_expired(requests: Path, keep_hours: float, *, now: float | None = None) -> list[Path]:
    """Remove the directories of requests that failed longer ago than that.

    Args:
        requests: holds a directory for each request; only those with a mark of ours are removed.
        keep_hours: how long they are kept (UPLOAD_KEEP_FAILED_HOURS).
        now: seconds since 1970.

    Returns:
        What was removed.
    """
    oldest = (time.time() if now is None else now) - keep_hours * _S_PER_HOUR
    removed: list[Path] = []
    for directory in sorted(requests.iterdir()):
        try:
            marked_at = (directory / PRIVATE / _KEPT).stat().st_mtime
        except OSError:
            continue
        if marked_at < oldest and not directory.is_symlink():
            with suppress(OperationBusy), claimed(directory):
                shutil.rmtree(directory, ignore_errors=True)
                removed.append(directory)
                _log.info("removed %s, whose delivery had failed", directory.name)
    return removed
