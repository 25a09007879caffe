"""Small files that are there whole after a crash, as they were before it, or not at all."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from haulier.store.local_files import sync_directory

PARTIAL = ".partial"
Observe = Callable[[str], None]
"""Is told each step after which the process may die."""


def observe_nothing(_step: str) -> None:
    """The Observe of whoever does not watch."""


def partial_beside(path: Path) -> Path:
    """Return a new name in the directory of `path` for what is not finished."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}{PARTIAL}")


def prepare(path: Path, content: Mapping[str, Any]) -> Path:
    """Write what `path` is to hold to a file beside it, and return that; raises OSError."""
    partial = partial_beside(path)
    try:
        with partial.open("w", encoding="utf-8") as file:
            json.dump(content, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise
    return partial


def publish(
    partial: Path, path: Path, observe: Observe, step: str, *, is_told: bool = True
) -> None:
    """Give a prepared file its name; raises OSError.

    For good, unless it is not told to anybody: then it may be the old one after a power cut.
    """
    observe(f"{step} prepared")
    partial.replace(path)
    observe(f"{step} renamed")
    if is_told:
        sync_directory(path.parent)
    observe(f"{step} kept")


def remove(path: Path, observe: Observe, step: str, *, is_told: bool = True) -> None:
    """Remove a file, as `publish` names one; nothing happens when there is none; raises OSError."""
    path.unlink(missing_ok=True)
    observe(f"{step} unlinked")
    if is_told:
        sync_directory(path.parent)


def move(path: Path, target: Path, observe: Observe, step: str) -> None:
    """Move a file to another directory of the same disk, for good; raises OSError."""
    path.replace(target)
    observe(f"{step} moved")
    # The new name first: between the two the file has one at least.
    sync_directory(target.parent)
    sync_directory(path.parent)


def try_lock(descriptor: int) -> bool:
    """Lock an open file until it is closed, unless another has it open and locked."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def locked_file(path: Path) -> Iterator[None]:
    """Hold a file's lock alone, among threads and processes, while the block runs."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
