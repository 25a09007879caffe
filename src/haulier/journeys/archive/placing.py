"""Putting what was restored where it belongs, never outside of it and never over another."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from haulier.archive.rename import rename_no_replace, sync_directory
from haulier.errors import (
    DuplicateName,
    StorageFull,
    TargetMissing,
    TargetUnreadable,
    UnsafeArchive,
)

_REPLACED = ".haulier-replaced"
_HINT = "Use --overwrite, or another --out."


@contextmanager
def target_errors(out: Path) -> Iterator[None]:
    """Turn OSError inside the block into StorageFull, TargetUnreadable or TargetMissing."""
    try:
        yield
    except OSError as error:
        where = error.filename or out
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageFull(
                f"no space left in {out}", hint="Free some and run the command again."
            ) from error
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise TargetUnreadable(
                f"{where} may not be written: {error.strerror}", hint="Choose another --out."
            ) from error
        raise TargetMissing(
            f"{where} can't be written: {error.strerror}", hint="Choose another --out."
        ) from error


def require_free(target: Path, *, overwrite: bool) -> None:
    """Raise DuplicateName when something is at `target` and may not be replaced."""
    if not overwrite and os.path.lexists(target):
        raise DuplicateName(f"{target} exists already", hint=_HINT)


def require_space(out: Path, size_bytes: int) -> None:
    """Raise StorageFull when the file system of `out` can't hold `size_bytes` more."""
    free = shutil.disk_usage(out).free
    if free < size_bytes:
        raise StorageFull(
            f"{out} has {free} bytes free, {size_bytes} are needed",
            hint="Free some space, or choose another --out.",
        )


def place_inside(out: Path, path: str) -> Path:
    """Return where the checked member path `path` goes below `out`.

    Raises UnsafeArchive when links that lie there already lead out of `out`.
    """
    target = out / path
    real = os.path.realpath(target.parent)
    if os.path.commonpath([real, os.path.realpath(out)]) != os.path.realpath(out):
        raise UnsafeArchive(
            f"{target.parent} leads out of {out}", hint="Choose another --out, or remove the link."
        )
    return target


def publish(staged: Path, target: Path, *, overwrite: bool) -> Path:
    """Give what was staged its name at `target`; raises DuplicateName when that is taken."""
    target.parent.mkdir(parents=True, exist_ok=True)
    # A directory that may not be written can't be moved either: its mode comes back behind it.
    mode = staged.lstat().st_mode
    is_directory = staged.is_dir() and not staged.is_symlink()
    modified_ns = staged.lstat().st_mtime_ns
    if is_directory:
        staged.chmod(0o700)
    if overwrite and os.path.lexists(target):
        target.rename(staged.with_name(_REPLACED))
    try:
        rename_no_replace(staged, target)
    except FileExistsError:
        raise DuplicateName(f"{target} exists already", hint=_HINT) from None
    if is_directory:
        target.chmod(mode & 0o7777)
        os.utime(target, ns=(modified_ns, modified_ns))
    sync_directory(target.parent)
    return target
