"""Whole files on a local disk, packed: `ID.zst` beside `ID`, and then in its place.

What has that name is whole and was proved to be the same content, since it is given to nothing
else. So whatever moment a crash comes at, one of the two can be read, and `packing` goes on from
there.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from tempfile import mkstemp

from haulier.archive.rename import sync_directory
from haulier.core.checksums import crc64nvme as crc64nvme_of
from haulier.errors import VerificationFailed
from haulier.transfer.sessions.disk import require_room
from haulier.transfer.sessions.seekable import unpacked, write_seekable

SUFFIX = ".zst"

_MOST_OF_PLAIN = 0.9
_JUDGED_AFTER_BYTES = 4 << 20


def packed_path(path: Path) -> Path:
    """Return where the packed one of the file at `path` lies, or would."""
    return path.with_name(path.name + SUFFIX)


def packed_size(path: Path) -> int | None:
    """Return the size of the packed one of the file at `path`; None when there is none."""
    with suppress(FileNotFoundError):
        return packed_path(path).stat().st_size
    return None


def packing(path: Path, size_bytes: int, crc64nvme: int) -> Generator[bool]:
    """Write a file packed beside itself, unless that saves too little; yields after each step.

    Args:
        path: of the file.
        size_bytes: of its content.
        crc64nvme: of its content.

    Raises:
        VerificationFailed: it has another content.
        StorageFull: there is no room for both.
        ExternalServiceError: it is shorter.
        OSError: it can't be read, or the packed one not written.
    """
    if packed_path(path).exists():
        return
    _remove_unfinished(path)
    require_room(path.parent, size_bytes)
    descriptor, name = mkstemp(prefix=_unfinished(path), dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as out, path.open("rb") as source:
            for taken, written in write_seekable(source, size_bytes, out):
                if taken >= min(size_bytes, _JUDGED_AFTER_BYTES) and (
                    written > _MOST_OF_PLAIN * taken
                ):
                    return
                yield True
            out.flush()
            os.fsync(out.fileno())
        yield from _proving(Path(name), size_bytes, crc64nvme)
        Path(name).rename(packed_path(path))
        sync_directory(path.parent)
    finally:
        Path(name).unlink(missing_ok=True)


def remove_plain(path: Path) -> None:
    """Remove the file at `path` where it is packed as well."""
    if packed_path(path).exists():
        # Its name may not be on the disk yet: whoever gave it to it was killed before.
        sync_directory(path.parent)
        path.unlink(missing_ok=True)


def remove_all(path: Path) -> None:
    """Remove the file at `path`, its packed one, and what a killed process began."""
    path.unlink(missing_ok=True)
    packed_path(path).unlink(missing_ok=True)
    _remove_unfinished(path)


def _proving(packed: Path, size_bytes: int, crc64nvme: int) -> Generator[bool]:
    found = crc = 0
    for piece in unpacked(packed):
        found, crc = found + len(piece), crc64nvme_of(piece, crc)
        yield True
    if (found, crc) != (size_bytes, crc64nvme):
        raise VerificationFailed(
            "a stored file has other bytes than were stored", hint="Take it from a backup."
        )


def _unfinished(path: Path) -> str:
    return f".{path.name}."


def _remove_unfinished(path: Path) -> None:
    for one in path.parent.glob(f"{_unfinished(path)}*"):
        one.unlink(missing_ok=True)
