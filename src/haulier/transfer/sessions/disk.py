"""The disk that uploads are written to: how much of it they may take, and when it is told to write.

They may not take all of it. The catalog lies on the same disk. Without a remainder it could record
nothing any more, not even that an upload was given up and its bytes are free again.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from haulier.errors import StorageFull

_LEAST_KEPT_BYTES = 4 << 20
_MOST_KEPT_BYTES = 256 << 20
_KEPT_SHARE = 20
_SYNC_FILE_RANGE_WRITE = 2


def free_bytes(place: Path | int) -> int:
    """Return how many bytes uploads may still take of the disk that `place` lies on.

    Args:
        place: a path, or the descriptor of an open file.
    """
    usage = os.statvfs(place)
    total, free = usage.f_blocks * usage.f_frsize, usage.f_bavail * usage.f_frsize
    kept = min(max(total // _KEPT_SHARE, _LEAST_KEPT_BYTES), _MOST_KEPT_BYTES)
    return max(free - kept, 0)


def require_room(place: Path | int, size_bytes: int) -> None:
    """Raise StorageFull unless `size_bytes` more may be written to the disk of `place`."""
    if free_bytes(place) < size_bytes:
        raise StorageFull("there is no room left for this upload")


def start_write_back(descriptor: int, offset: int, count: int) -> None:
    """Have the kernel begin to write bytes of an open file to the disk; nothing is promised.

    A sync afterwards is what makes them safe, and what tells of failures. Where the system has no
    sync_file_range(2), as only Linux does, nothing happens.
    """
    call = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if call is not None:
        where = ctypes.c_int64(offset), ctypes.c_int64(count)
        call(ctypes.c_int(descriptor), *where, ctypes.c_uint(_SYNC_FILE_RANGE_WRITE))
