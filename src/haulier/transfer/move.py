"""A real move of a file or a tree: never overwriting, across file systems too, safe to repeat.

On one file system it is a rename that refuses to replace. Across two, a copy is made beside the
target, flushed, compared byte by byte, renamed into place, and only then the source is removed.
At every moment at least one complete copy exists.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

from haulier.archive.rename import rename_no_replace, sync_directory
from haulier.errors import DuplicateName, SourceChanged, StorageFull, TargetUnreadable

PARTIAL_PREFIX = ".haulier-partial-"
_BLOCK_BYTES = 1 << 20


def _no_step(_name: str) -> None:
    return None


def move(
    source: Path,
    target_dir: Path,
    candidates: Iterable[str],
    *,
    already: Path | None = None,
    on_step: Callable[[str], None] = _no_step,
) -> Path:
    """Move `source` into `target_dir` under the first free name of `candidates`; blocks.

    Args:
        already: the target that an earlier, interrupted run had chosen: if it holds the same
            content, only the source is still to be removed.
        on_step: told the name of each step when it is done.

    Returns:
        Where it is now.

    Raises:
        DuplicateName: every candidate is taken. SourceChanged: the source changed while it was
        copied, and stays. StorageFull: no room for the copy. TargetUnreadable: permissions.
    """
    if target_dir.is_relative_to(source):
        raise DuplicateName(f"{target_dir} lies inside {source}, which should move there")
    try:
        if already is not None and os.path.lexists(already) and _same(source, already):
            _remove(source)
            sync_directory(source.parent)
            return already
        target_dir.mkdir(parents=True, exist_ok=True)
        for name in candidates:
            target = target_dir / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if _move_to(source, target, on_step):
                return target
    except PermissionError as error:
        raise TargetUnreadable(
            f"{error.filename or target_dir} may not be written",
            hint="Give yourself write permission there, then run `haulier retry ID`.",
        ) from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageFull(
                f"no space left in {target_dir}", hint="Free some, then run `haulier retry ID`."
            ) from error
        raise
    raise DuplicateName(f"{source.name} exists already in {target_dir}")


def _move_to(source: Path, target: Path, on_step: Callable[[str], None]) -> bool:
    """Move to exactly `target`; False when that name is taken."""
    try:
        rename_no_replace(source, target)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return _copy_over(source, target, on_step)
    on_step("renamed")
    sync_directory(target.parent)
    sync_directory(source.parent)
    on_step("synced")
    return True


def _copy_over(source: Path, target: Path, on_step: Callable[[str], None]) -> bool:
    if os.path.lexists(target):
        return False
    partial = target.parent / f"{PARTIAL_PREFIX}{_short_id(source)}"
    _remove(partial)
    before = _signature(source)
    try:
        _copy(source, partial, {})
        on_step("copied")
        if not _same(source, partial) or _signature(source) != before:
            raise SourceChanged(f"{source} changed while it was moved")
        on_step("compared")
        try:
            rename_no_replace(partial, target)
        except FileExistsError:
            _remove(partial)
            return False
    except BaseException:
        _remove(partial)
        raise
    sync_directory(target.parent)
    on_step("placed")
    if _signature(source) != before:
        raise SourceChanged(f"{source} changed while it was moved; a copy is at {target}")
    _remove(source)
    on_step("removed")
    sync_directory(source.parent)
    return True


def _short_id(source: Path) -> str:
    return hashlib.sha256(os.fsencode(source)).hexdigest()[:24]


def _copy(source: Path, target: Path, linked: dict[tuple[int, int], Path]) -> None:
    status = source.lstat()
    inode = (status.st_dev, status.st_ino)
    if stat.S_ISDIR(status.st_mode):
        target.mkdir(0o700)
        for name in os.listdir(source):
            _copy(source / name, target / name, linked)
        shutil.copystat(source, target)
        sync_directory(target)
    elif stat.S_ISLNK(status.st_mode):
        target.symlink_to(os.readlink(source))
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=False)
    elif status.st_nlink > 1 and inode in linked:
        os.link(linked[inode], target)
    elif stat.S_ISREG(status.st_mode):
        _copy_file(source, target)
        linked[inode] = target
    else:
        raise SourceChanged(f"{source} is a pipe, socket or device", hint="Remove it and retry.")


def _copy_file(source: Path, target: Path) -> None:
    shutil.copyfile(source, target, follow_symlinks=False)  # sendfile inside
    shutil.copystat(source, target, follow_symlinks=False)
    descriptor = os.open(target, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _same(left: Path, right: Path) -> bool:
    """Compare kinds, link texts and every byte."""
    a, b = left.lstat(), right.lstat()
    if stat.S_IFMT(a.st_mode) != stat.S_IFMT(b.st_mode):
        return False
    if stat.S_ISLNK(a.st_mode):
        return os.readlink(left) == os.readlink(right)
    if stat.S_ISDIR(a.st_mode):
        names = sorted(os.listdir(left))
        if names != sorted(os.listdir(right)):
            return False
        return all(_same(left / name, right / name) for name in names)
    if not stat.S_ISREG(a.st_mode):
        return True
    return a.st_size == b.st_size and _same_bytes(left, right)


def _same_bytes(left: Path, right: Path) -> bool:
    with left.open("rb", buffering=0) as first, right.open("rb", buffering=0) as second:
        while piece := first.read(_BLOCK_BYTES):
            if piece != second.read(len(piece)):
                return False
        return not second.read(1)


def _signature(path: Path) -> list[tuple[str, int, int]]:
    """Return names, sizes and times of everything below `path`, to see whether it changed."""
    status = path.lstat()
    found = [(os.fspath(path), status.st_size, status.st_mtime_ns)]
    if stat.S_ISDIR(status.st_mode):
        for name in sorted(os.listdir(path)):
            found.extend(_signature(path / name))
    return found


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
