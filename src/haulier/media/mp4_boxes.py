"""The outermost boxes of MP4 and QuickTime files."""

from __future__ import annotations

import os
import struct

_HEAD = struct.Struct(">I4s")
_LONG_SIZE = struct.Struct(">Q")
_MOST_BOXES = 1000


def index_is_first(path: str) -> bool | None:
    """Tell whether the index (`moov`) stands before the data; None where one of them is missing."""
    with open(path, "rb") as stream:
        end = os.fstat(stream.fileno()).st_size
        at = 0
        for _ in range(_MOST_BOXES):
            stream.seek(at)
            head = stream.read(_HEAD.size + _LONG_SIZE.size)
            if len(head) < _HEAD.size:
                break
            size_bytes, kind = _HEAD.unpack_from(head)
            if kind in {b"moov", b"mdat"}:
                return bool(kind == b"moov")
            if size_bytes == 1 and len(head) == _HEAD.size + _LONG_SIZE.size:
                (size_bytes,) = _LONG_SIZE.unpack_from(head, _HEAD.size)
            if not _HEAD.size <= size_bytes <= end - at:
                break
            at += size_bytes
    return None
