"""A directory for a copy that is not finished: private, locked while its process lives, and
removed by the next one when it died."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = ".haulier-partial-move-"


@contextmanager
def workspace(parent: Path) -> Iterator[Path]:
    """Yield a new directory in `parent`, and remove it with all it holds; raises OSError.

    What dead processes left in `parent` is removed as well.
    """
    with _opened(parent) as gate:
        # Held until our own lock is on, so that no newcomer takes the room for a dead one's.
        _lock(gate)
        _remove_dead(parent)
        room = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        held = os.open(room, os.O_RDONLY | os.O_DIRECTORY)
        _try_lock(held)
    try:
        yield room
    finally:
        _discard(room)
        os.close(held)


def sweep(parent: Path) -> None:
    """Remove what dead processes left in `parent`, which need not exist."""
    with contextlib.suppress(OSError), _opened(parent) as gate:
        _lock(gate)
        _remove_dead(parent)


def _remove_dead(parent: Path) -> None:
    for name in os.listdir(parent):
        if not name.startswith(PREFIX):
            continue
        # Another user's left-overs are not ours to remove, and in nobody's way.
        with contextlib.suppress(OSError), _opened(parent / name) as descriptor:
            if _try_lock(descriptor):
                _discard(parent / name)


@contextmanager
def _opened(directory: Path) -> Iterator[int]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    # Where the file system has no locks nothing is ever taken for dead: see `_try_lock`.
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _discard(room: Path) -> None:
    for directory, names, _ in os.walk(room):
        for name in names:
            path = os.path.join(directory, name)
            if not os.path.islink(path):
                os.chmod(path, 0o700)  # a copy may have directories that are not to be changed
    shutil.rmtree(room)
