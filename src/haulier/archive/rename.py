"""Giving a file or directory its name without ever replacing another."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1


def rename_no_replace(source: Path, target: Path) -> None:
    """Rename; raises FileExistsError where `target` exists, OSError (EXDEV) across file systems.

    renameat2 with RENAME_NOREPLACE where the kernel and the file system have it, else a link
    and an unlink, which refuse as well.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    code = errno.ENOSYS
    if hasattr(libc, "renameat2"):
        result = libc.renameat2(
            _AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE
        )
        if result == 0:
            return
        code = ctypes.get_errno()
    if code in {errno.ENOSYS, errno.EINVAL}:
        _link_and_unlink(source, target)
        return
    raise OSError(code, os.strerror(code), os.fspath(source), None, os.fspath(target))


def _link_and_unlink(source: Path, target: Path) -> None:
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(target))
    if source.is_dir() and not source.is_symlink():
        source.rename(target)  # refuses a directory that is not empty
        return
    os.link(source, target, follow_symlinks=False)
    source.unlink()


def sync_directory(path: Path) -> None:
    """Make the names in `path` durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
