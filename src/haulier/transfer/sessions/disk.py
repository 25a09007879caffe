"""How much of a disk uploads may take: not all of it.

The catalog lies on the same disk. Without a remainder it could record nothing any more, not even
that an upload was given up and its bytes are free again.
"""

from __future__ import annotations

import os
from pathlib import Path

from haulier.errors import StorageFull

_LEAST_KEPT_BYTES = 4 << 20
_MOST_KEPT_BYTES = 256 << 20
_KEPT_SHARE = 20


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
