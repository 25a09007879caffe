"""A real move of a file or a tree: never overwriting, across file systems too, safe to repeat.

On one file system it is a rename that refuses to replace. Across two, a copy is made in a
directory of its own beside the target, flushed, compared byte by byte, renamed into place, and
only then the source is removed, entry by entry, each only if it is still what was copied. At
every moment at least one complete copy exists.

Kept in a copy: types, modes, times to the nanosecond, extended attributes, hard links within the
tree, and owners where the system allows. Holes of sparse files are filled.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from haulier.archive.rename import rename_no_replace, sync_directory
from haulier.errors import (
    ConfigurationError,
    DuplicateName,
    RequestRejected,
    SourceChanged,
    StorageFull,
    TargetMissing,
    TargetUnreadable,
    UnsafePath,
    VerificationFailed,
)
from haulier.store.local_files import make_directories
from haulier.transfer.tree_copy import (
    TreeEntry,
    copy_tree,
    holds,
    require_unchanged,
    scan,
)
from haulier.transfer.workspace import sweep, workspace

OnStep = Callable[[str], None]
_FULL = {errno.ENOSPC, errno.EDQUOT}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
_RETRY = "then run `haulier retry ID`"


def _no_step(_name: str) -> None:
    return None


def move(
    source: Path,
    target_dir: Path,
    candidates: Iterable[str],
    *,
    already: Path | None = None,
    verify: bool = True,
    on_step: OnStep = _no_step,
) -> Path:
    """Move `source` into `target_dir` under the first free name of `candidates`; blocks.

    Args:
        source: a file, directory or symbolic link (which is moved itself).
        target_dir: made where it is missing.
        candidates: paths relative to `target_dir`.
        already: the target that an earlier, interrupted run had chosen. If it holds all that
            is left of the source, only the source is still to be removed.
        verify: compare every byte of a copy before the source is removed.
        on_step: told the name of each step when it is done.

    Returns:
        Where it is now.

    Raises:
        DuplicateName: every candidate is taken.
        TargetMissing: there is no source. TargetUnreadable: it may not be read or removed, or
        holds a pipe, socket or device that can't be copied.
        SourceChanged: it changed meanwhile, and stays.
        ConfigurationError: `target_dir` may not be written, is no directory, or lies inside the
        source. UnsafePath: a name is too long there.
        StorageFull: no room for the copy. VerificationFailed: the copy is not what was written.
        RequestRejected: the system says no for another reason.
        In all of these the source stays where it was; SourceChanged says so where a part of it
        had been removed after its copy was in place.
    """
    source, target_dir = Path(os.path.abspath(source)), Path(os.path.abspath(target_dir))
    with _system_errors(source, target_dir):
        if already is not None and _finish_earlier(source, already, target_dir, on_step):
            return already
        _require_movable(source, target_dir)
        make_directories(target_dir, Path("/"))
        for name in candidates:
            target = target_dir / name
            if _is_same_thing(source, target):
                return target
            make_directories(target.parent, Path("/"))
            if _move_to(source, target, target_dir, verify, on_step):
                return target
    raise DuplicateName(f"{source.name} exists already in {target_dir}")


def _finish_earlier(source: Path, already: Path, target_dir: Path, on_step: OnStep) -> bool:
    """Remove what is left of the source when `already` holds it; False when it does not."""
    if not os.path.lexists(already):
        return False
    sweep(target_dir)
    if not os.path.lexists(source) or _is_same_thing(source, already):
        return True
    left = scan(source)
    if not holds(already, source, left):
        return False
    sync_directory(already.parent)
    _remove(source, left, on_step)
    return True


def _is_same_thing(source: Path, target: Path) -> bool:
    """Tell whether both are one thing by two paths, so that removing one would remove both."""
    if not os.path.lexists(target) or not os.path.samestat(source.lstat(), target.lstat()):
        return False
    # Else two hard links: either may go.
    is_only_name = source.is_dir() or source.lstat().st_nlink == 1
    return is_only_name or _real(source) == _real(target)


def _real(path: Path) -> str:
    """Return the path without links on the way; the last component may be one."""
    return os.path.join(os.path.realpath(path.parent), path.name)


def _require_movable(source: Path, target_dir: Path) -> None:
    source.lstat()
    if source.is_symlink():
        return
    real = os.path.realpath(source)
    if f"{os.path.realpath(target_dir)}/".startswith(f"{real}/"):
        raise ConfigurationError(
            f"{target_dir} lies inside {source}, which should move there",
            hint="Set MGMT_COMPLETED_DIR to a directory outside.",
        )
    for path in (source.parent, source) if source.is_dir() else (source.parent,):
        if not _may_change(path):
            raise TargetUnreadable(
                f"{source} can't be moved: {path} may not be changed",
                hint=f"Give yourself write permission there, {_RETRY}.",
            )


def _may_change(path: Path) -> bool:
    effective = os.access in os.supports_effective_ids
    return os.access(path, os.W_OK | os.X_OK, effective_ids=effective)


def _move_to(source: Path, target: Path, target_dir: Path, verify: bool, on_step: OnStep) -> bool:
    """Move to exactly `target`; False when that name is taken."""
    try:
        rename_no_replace(source, target)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return _copy_over(source, target, target_dir, verify, on_step)
    on_step("renamed")
    sync_directory(target.parent)
    sync_directory(source.parent)
    on_step("synced")
    return True


def _copy_over(source: Path, target: Path, target_dir: Path, verify: bool, on_step: OnStep) -> bool:
    if os.path.lexists(target):
        return False
    entries = scan(source)
    with workspace(target_dir) as room:
        copy = room / "copy"
        copy_tree(source, copy, entries, on_step)
        on_step("copied")
        if verify and not holds(copy, source, entries):
            require_unchanged(source, entries)
            raise VerificationFailed(
                f"the copy of {source} in {target_dir} is not what was written",
                hint="Check the disk; the source stays where it was.",
            )
        require_unchanged(source, entries)
        on_step("compared")
        try:
            rename_no_replace(copy, target)
        except FileExistsError:
            return False
        sync_directory(target.parent)
        on_step("placed")
        try:
            require_unchanged(source, entries)
        except SourceChanged:
            target.rename(copy)
            raise
    _remove(source, entries, on_step)
    return True


def _remove(source: Path, entries: list[TreeEntry], on_step: OnStep) -> None:
    """Remove what is in `entries` and nothing else, children before their directory."""
    for entry in entries:
        if entry.is_directory and not _may_change(entry.below(source)):
            # It is going away; its copy has the mode it had.
            entry.below(source).chmod(0o700)
    for entry in reversed(entries):
        path = entry.below(source)
        with contextlib.suppress(FileNotFoundError):
            if entry.is_directory:
                _remove_directory(path)
            elif entry.is_still(path.lstat(), names_went=True):
                path.unlink()
            else:
                raise SourceChanged(f"{path} changed after it was copied, and stays")
        on_step("entry-removed")
    sync_directory(source.parent)
    on_step("removed")


def _remove_directory(path: Path) -> None:
    try:
        path.rmdir()
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
        raise SourceChanged(f"{path} got new entries while it was moved; they stay") from error


@contextmanager
def _system_errors(source: Path, target_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _told(error, source, target_dir) from error


def _told(error: OSError, source: Path, target_dir: Path) -> Exception:
    reason = error.strerror or str(error)
    culprit = os.fsdecode(error.filename) if error.filename else str(source)
    if error.errno in _FULL:
        return StorageFull(
            f"no space left in {target_dir} for {source}, which stays",
            hint=f"Free some, {_RETRY}.",
        )
    if error.errno in _DENIED and not _may_change(_existing(target_dir)):
        return ConfigurationError(
            f"{target_dir} may not be written: {reason}",
            hint=f"Give yourself write permission or change MGMT_COMPLETED_DIR, {_RETRY}.",
        )
    if error.errno in _DENIED:
        return TargetUnreadable(
            f"{source} can't be moved: {culprit}: {reason}",
            hint=f"Give yourself permission to read and remove it, {_RETRY}.",
        )
    if error.errno == errno.ENOENT and not os.path.lexists(source):
        return TargetMissing(f"{source} does not exist")
    if error.errno == errno.ENOENT and culprit.startswith(f"{source}/"):
        return SourceChanged(f"{culprit} vanished while it was moved")
    if error.errno in {errno.EEXIST, errno.ENOTDIR}:
        return ConfigurationError(
            f"{target_dir} can't be used: something in it or above it is not a directory",
            hint=f"Change MGMT_COMPLETED_DIR, {_RETRY}.",
        )
    if error.errno == errno.ENAMETOOLONG:
        return UnsafePath(f"{culprit} is too long a name", hint=f"Rename it, {_RETRY}.")
    return RequestRejected(
        f"{source} could not be moved to {target_dir}: {reason}",
        hint=f"Check both disks and the system's log, {_RETRY}.",
    )


def _existing(path: Path) -> Path:
    """Return `path`, or the nearest directory above it that exists."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path
