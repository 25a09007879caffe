"""File work of the local store: durable writes, locks, and what the system's errors mean."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path

from haulier import errors

_STOP_CHECK_S = 0.1
_FULL = {errno.ENOSPC, errno.EDQUOT}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def system_errors(what: str) -> Iterator[None]:
    """Turn OSError inside the block into ours: StorageFull, AccessDenied, RequestRejected."""
    try:
        yield
    except OSError as exc:
        message = f"{what}: {exc.strerror or exc}"
        if exc.errno in _FULL:
            raise errors.StorageFull(message) from exc
        if exc.errno in _DENIED:
            raise errors.AccessDenied(
                message, hint="Give yourself write permission to the store's directory."
            ) from exc
        if exc.errno == errno.ENAMETOOLONG:
            raise errors.UnsafePath(
                message, hint="A name may have 255 bytes between slashes: use a shorter one."
            ) from exc
        raise errors.RequestRejected(
            message, hint="Check the disk that holds the store, and its system log."
        ) from exc


def await_from_thread(
    loop: asyncio.AbstractEventLoop,
    pace: Callable[[int], Awaitable[None]],
    stop: threading.Event,
    count: int,
) -> None:
    """Wait, in a thread, until `pace(count)` has run in `loop`.

    Raises InterruptedError soon after `stop` was set: the thread's owner waits for it then.
    """
    pacing = asyncio.run_coroutine_threadsafe(_awaited(pace, count), loop)
    while not stop.is_set():
        done, _ = futures.wait([pacing], timeout=_STOP_CHECK_S)
        if done:
            return pacing.result()
    pacing.cancel()
    raise InterruptedError


async def _awaited(pace: Callable[[int], Awaitable[None]], count: int) -> None:
    await pace(count)


def sync_directory(path: Path) -> None:
    """Make names created, renamed or removed in a directory survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directories(path: Path, root: Path) -> None:
    """Create `path` below `root` durably, with all that is missing on the way."""
    missing = []
    while path != root and not path.is_dir():
        missing.append(path)
        path = path.parent
    for directory in reversed(missing):
        directory.mkdir(exist_ok=True)
        sync_directory(directory.parent)


def write_durably(path: Path, content: bytes) -> None:
    """Write a file that is there whole after a crash, or not at all, or as it was before."""
    partial = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_directory(path.parent)


@contextmanager
def locked(descriptor: int, start: int = 0, length: int = 0) -> Iterator[None]:
    """Hold a range of an open file alone (length 0: to its end), among threads and processes.

    Where the system can only lock whole files, the whole file is held.
    """
    if not hasattr(fcntl, "F_OFD_SETLKW"):
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
        return
    # struct flock: type, whence, start, length, pid (which must be 0 here)
    lock = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLKW, lock)
    yield
