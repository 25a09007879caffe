"""Virus scans: what a scanner says of a file, and what something must do to be one.

`clamd.Clamd` is the scanner that comes with haulier. Another one is any object with the two
methods of `Scanner`; `opened` gives it a file that is sure to be the one it gave a verdict on.
"""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from haulier.errors import SourceChanged, TargetMissing, TargetUnreadable


class Verdict(StrEnum):
    """What a scan ended with; a scan that failed ends with an error instead."""

    CLEAN = "clean"
    INFECTED = "infected"
    UNSCANNED = "unscanned"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanResult:
    """The outcome of one scan.

    Attributes:
        verdict: `unscanned` means that the file, or a part of it, was not looked into: too large,
            packed too deep, encrypted. It is neither clean nor known to be infected.
        signature: what was found, by the scanner's name for it.
        reason: why it is unscanned.
        scanner: name and version of the scanner.
        database_version: version of its signatures, where it tells one.
        scanned_bytes: bytes given to the scanner.
        duration_s: seconds from the question to the verdict, time in the queue among them.
    """

    verdict: Verdict
    signature: str | None = None
    reason: str | None = None
    scanner: str
    database_version: str | None = None
    scanned_bytes: int
    duration_s: float


class Scanner(Protocol):
    """Looks for malware in files and streams."""

    async def scan_file(self, path: Path) -> ScanResult:
        """Scan a regular file.

        Raises:
            ScanFailed: there is no verdict.
            SourceChanged: the file changed, was replaced or went away while it was scanned.
            TargetMissing: there is no such file.
            TargetUnreadable: it is no regular file, or may not be read.
        """
        ...

    async def scan_stream(self, chunks: AsyncIterator[bytes], *, name: str) -> ScanResult:
        """Scan bytes as they come; what `chunks` raises is passed on.

        The chunks may be left unread from where the verdict is known.

        Args:
            chunks: the content, in pieces of any size.
            name: what messages call it.

        Raises:
            ScanFailed: there is no verdict.
        """
        ...


@contextmanager
def opened(path: Path) -> Iterator[tuple[int, int]]:
    """Open a regular file; yield a descriptor for reading and the size in bytes.

    A FIFO or device is refused without being opened, which could block or do something.

    Raises:
        TargetMissing: there is no such file.
        TargetUnreadable: it is no regular file, or may not be read.
        SourceChanged: the file was altered, replaced or removed by the end of the block.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise TargetUnreadable(
                f"{path.name} is no regular file and can't be scanned",
                hint="Name a file; directories are scanned file by file.",
            )
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise TargetMissing(f"{path.name} is not there", hint="Check the path.") from error
    except OSError as error:
        raise TargetUnreadable(
            f"{path.name} can't be read: {error.strerror}", hint="Give yourself permission."
        ) from error
    try:
        before = os.fstat(descriptor)
        yield descriptor, before.st_size
        if not _is_still(path, before):
            raise SourceChanged(
                f"{path.name} changed while it was scanned",
                hint="Scan it again once nobody writes to it.",
            )
    finally:
        os.close(descriptor)


def _is_still(path: Path, before: os.stat_result) -> bool:
    try:
        return _state(os.stat(path)) == _state(before)
    except OSError:
        return False


def _state(status: os.stat_result) -> tuple[int, ...]:
    # The time of change can't be set back by whoever writes to the file, unlike its mtime.
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )
