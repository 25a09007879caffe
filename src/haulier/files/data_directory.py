"""The server's data directory: its version, and who works on it.

Who works on it holds a lock on a file in it, which the kernel takes back when the process ends, in
whichever way: no lock is left behind by a crash.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from haulier.archive.rename import sync_directory
from haulier.errors import ConfigurationError, OperationBusy

VERSION = 1
"""How files lie in a data directory; raised when an older haulier would not find its way."""

LOCK = "server.lock"
VERSION_FILE = "data-version"
RESTORING = "restore-unfinished"
"""While this file is there, a restore was begun and did not end."""


@contextmanager
def held_directory(data: Path, *, shared: bool = False) -> Iterator[None]:
    """Work on a data directory while the block runs; make it where there is none.

    Args:
        data: the directory.
        shared: whether others that say so as well may work on it at the same time.

    Raises:
        OperationBusy: another process works on it.
        ConfigurationError: a newer haulier made it, a restore into it was cut off, or it can't be
            written to.
    """
    with locked_directory(data, shared=shared):
        if (data / RESTORING).exists():
            raise ConfigurationError(
                f"a restore into {data} was begun and did not end",
                hint="Run `haulier restore-server` again, into an empty directory.",
            )
        check_version(data)
        yield


@contextmanager
def locked_directory(data: Path, *, shared: bool = False) -> Iterator[None]:
    """Keep others off a directory while the block runs; see `held_directory`."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(data / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as exc:
        raise _unusable(data, exc) from exc
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise OperationBusy(
            f"another haulier works on {data}",
            hint="Stop it first, or give this one another HAULIER_DATA.",
        ) from None
    try:
        yield
    finally:
        os.close(descriptor)


def check_version(data: Path) -> None:
    """Make sure that files lie in `data` as this haulier knows it; say so in an unmarked one.

    Raises:
        ConfigurationError: a newer haulier made it, or it can't be read or written.
    """
    path = data / VERSION_FILE
    try:
        found = path.read_text("ascii", "replace").strip()
    except FileNotFoundError:
        write_version(data)
        return
    except OSError as exc:
        raise _unusable(data, exc) from exc
    if not found.isdecimal():
        raise ConfigurationError(
            f"{path} does not hold a version", hint="Take it back from a backup, or remove it."
        )
    if int(found) > VERSION:
        raise ConfigurationError(
            f"{data} has version {found}, this haulier knows {VERSION}",
            hint="A newer haulier made it: upgrade haulier (`pip install -U haulier`).",
        )


def write_version(data: Path) -> None:
    """Mark a data directory as one of this version; several processes may do so at once."""
    temporary = data / f".{VERSION_FILE}.{os.getpid()}"
    try:
        with temporary.open("w", encoding="ascii") as out:
            out.write(f"{VERSION}\n")
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(data / VERSION_FILE)
        sync_directory(data)
    except OSError as exc:
        raise _unusable(data, exc) from exc


def _unusable(data: Path, exc: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"the data directory {data} can't be used: {exc.strerror}",
        hint="Set HAULIER_DATA to a place you may write to.",
    )
