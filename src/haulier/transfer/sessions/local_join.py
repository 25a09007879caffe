"""Files made of other sessions' files on a local disk.

Those are linked first, so that their bytes stay although their sessions end; then they are copied
by the kernel, which on file systems that can (XFS, Btrfs) shares their blocks instead.
"""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path

from haulier.errors import SessionGone

PINNED = ".parts"
"""What follows a session's id in the name of the directory with its links."""

_COPY_BYTES = 64 << 20
_READ_BYTES = 1 << 20
_NOT_BY_KERNEL = frozenset({errno.ENOSYS, errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP})


def pin(path: Path, part_ids: tuple[str, ...]) -> None:
    """Link the files of other sessions beside `path`, where they lie, for the session there."""
    directory = _directory(path)
    directory.mkdir(mode=0o700, exist_ok=True)
    for part_id in set(part_ids):
        with suppress(FileExistsError):
            try:
                os.link(path.with_name(part_id), directory / part_id)
            except FileNotFoundError:
                raise SessionGone("a part of this upload is not there any more") from None


def join(path: Path, part_ids: tuple[str, ...]) -> None:
    """Write what was pinned for the session at `path` into its file."""
    end = 0
    target = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        for part_id in part_ids:
            end = _append(target, end, _directory(path) / part_id)
        os.ftruncate(target, end)
    finally:
        os.close(target)


def unpin(path: Path) -> None:
    """Remove what was pinned; nothing happens when there is nothing."""
    shutil.rmtree(_directory(path), ignore_errors=True)


def _directory(path: Path) -> Path:
    return path.with_name(path.name + PINNED)


def _append(target: int, offset: int, part: Path) -> int:
    try:
        source = os.open(part, os.O_RDONLY)
    except FileNotFoundError:
        raise SessionGone("a part of this upload is not there any more") from None
    try:
        copied = 0
        while count := _copy(source, target, copied, offset + copied):
            copied += count
        return offset + copied
    finally:
        os.close(source)


def _copy(source: int, target: int, at: int, to: int) -> int:
    try:
        return os.copy_file_range(source, target, _COPY_BYTES, at, to)
    except OSError as exc:
        if exc.errno not in _NOT_BY_KERNEL:
            raise
    except AttributeError:  # only Linux has it
        pass
    return os.pwrite(target, os.pread(source, _READ_BYTES, at), to)
