"""Files made of other sessions' files on a local disk.

They are copied by the kernel, which on file systems that can (XFS, Btrfs) shares their blocks
instead.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from haulier.errors import SessionGone

_COPY_BYTES = 64 << 20
_READ_BYTES = 1 << 20
_NOT_BY_KERNEL = frozenset({errno.ENOSYS, errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP})


def join(path: Path, parts: Iterable[tuple[Path, int]]) -> None:
    """Write files, of each so many bytes, one behind the other into that at `path`.

    Raises:
        SessionGone: one is missing, or shorter.
    """
    end = 0
    target = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        for part, size_bytes in parts:
            _append(target, end, part, size_bytes)
            end += size_bytes
        os.ftruncate(target, end)
    finally:
        os.close(target)


def _append(target: int, offset: int, part: Path, size_bytes: int) -> None:
    try:
        source = os.open(part, os.O_RDONLY)
    except FileNotFoundError:
        raise SessionGone("a part of this upload is not there any more") from None
    try:
        copied = 0
        while copied < size_bytes:
            count = _copy(source, target, copied, offset + copied, size_bytes - copied)
            if not count:
                raise SessionGone("a part of this upload is shorter than it was")
            copied += count
    finally:
        os.close(source)


def _copy(source: int, target: int, at: int, to: int, most_bytes: int) -> int:
    try:
        return os.copy_file_range(source, target, min(_COPY_BYTES, most_bytes), at, to)
    except OSError as exc:
        if exc.errno not in _NOT_BY_KERNEL:
            raise
    except AttributeError:  # only Linux has it
        pass
    return os.pwrite(target, os.pread(source, min(_READ_BYTES, most_bytes), at), to)
