"""A copy of a file or tree that is durable, and the questions whether it is equal to its source
and whether the source is still what was copied."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from haulier.archive.rename import sync_directory
from haulier.errors import SourceChanged, TargetUnreadable

_BLOCK_BYTES = 1 << 20
_SET_ID = stat.S_ISUID | stat.S_ISGID


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """Something of a tree: its path relative to the root (`""`), and its status when seen."""

    path: str
    status: os.stat_result

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.status.st_mode)

    @property
    def has_hard_links(self) -> bool:
        return stat.S_ISREG(self.status.st_mode) and self.status.st_nlink > 1

    def below(self, root: Path) -> Path:
        return root / self.path if self.path else root

    def is_still(self, now: os.stat_result, *, names_went: bool = False) -> bool:
        """Tell whether `now` is the status of the same thing, unchanged.

        `names_went`: other names of it may have been removed since, which changes its ctime.
        """
        was = self.status
        if not os.path.samestat(was, now) or was.st_mode != now.st_mode:
            return False
        if (was.st_size, was.st_mtime_ns) != (now.st_size, now.st_mtime_ns):
            return False
        return was.st_ctime_ns == now.st_ctime_ns or (names_went and self.has_hard_links)


def scan(root: Path) -> list[TreeEntry]:
    """Return everything of the tree, a directory before what it holds; a file alone is one.

    Raises TargetUnreadable for a pipe, socket or device, which can't be copied, and OSError.
    """
    entries = []
    pending = [""]
    while pending:
        path = pending.pop()
        entry = TreeEntry(path, os.lstat(root / path if path else root))
        if stat.S_IFMT(entry.status.st_mode) not in {stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK}:
            raise TargetUnreadable(
                f"{entry.below(root)} is a pipe, socket or device, which can't be copied to "
                "another file system",
                hint="Remove it, then run `haulier retry ID`.",
            )
        entries.append(entry)
        if entry.is_directory:
            names = sorted(os.listdir(entry.below(root)))
            pending.extend(f"{path}/{name}" if path else name for name in names)
    return entries


def require_unchanged(root: Path, entries: list[TreeEntry]) -> None:
    """Raise SourceChanged when the tree at `root` is not what `entries` say."""
    now = {entry.path: entry for entry in scan(root)}
    for entry in entries:
        found = now.pop(entry.path, None)
        if found is None or not entry.is_still(found.status):
            raise SourceChanged(f"{entry.below(root)} changed while it was moved")
    if now:
        raise SourceChanged(f"{root / min(now)} appeared while its directory was moved")


def copy_tree(
    source: Path, copy: Path, entries: list[TreeEntry], on_step: Callable[[str], None]
) -> None:
    """Copy `entries` of `source` to `copy`, which must not exist; flushed when this returns.

    Raises OSError.
    """
    first_names: dict[tuple[int, int], Path] = {}
    for entry in entries:
        target = entry.below(copy)
        inode = (entry.status.st_dev, entry.status.st_ino)
        if entry.is_directory:
            target.mkdir(0o700)
        elif entry.has_hard_links and inode in first_names:
            os.link(first_names[inode], target)
        elif stat.S_ISLNK(entry.status.st_mode):
            target.symlink_to(os.readlink(entry.below(source)))
            _keep_owner(target, entry.status)
            _keep_times(target, entry.status)
        else:
            _copy_file(entry.below(source), target, entry.status)
            first_names[inode] = target
        on_step("entry-copied")
    for entry in reversed(entries):
        if entry.is_directory:
            sync_directory(entry.below(copy))
            _keep_metadata(entry.below(source), entry.below(copy), entry.status)


def _copy_file(source: Path, target: Path, status: os.stat_result) -> None:
    shutil.copyfile(source, target, follow_symlinks=False)
    descriptor = os.open(target, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        _keep_metadata(source, target, status)
        os.fsync(descriptor)
        # So that the comparison reads what the disk has, not what memory still holds.
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def _keep_metadata(source: Path, target: Path, status: os.stat_result) -> None:
    """Give `target` mode, extended attributes, owner and times, as far as it may have them."""
    mode = stat.S_IMODE(status.st_mode)
    if not _keep_owner(target, status):
        mode &= ~_SET_ID  # which would run as somebody else
    with contextlib.suppress(PermissionError):  # file systems without modes, as on memory cards
        shutil.copystat(source, target)
        target.chmod(mode)
    _keep_times(target, status)


def _keep_owner(target: Path, status: os.stat_result) -> bool:
    made = target.lstat()
    if (made.st_uid, made.st_gid) == (status.st_uid, status.st_gid):
        return True
    try:
        os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)
    except OSError:
        return False
    return True


def _keep_times(target: Path, status: os.stat_result) -> None:
    times_ns = (status.st_atime_ns, status.st_mtime_ns)
    os.utime(target, ns=times_ns, follow_symlinks=False)


def holds(copy: Path, source: Path, entries: list[TreeEntry]) -> bool:
    """Tell whether each of `entries` of `source` is in `copy`: kinds, link texts, every byte.

    Raises OSError.
    """
    return all(_is_equal(entry.below(copy), entry.below(source), entry) for entry in entries)


def _is_equal(copy: Path, source: Path, entry: TreeEntry) -> bool:
    try:
        status = copy.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    if stat.S_IFMT(status.st_mode) != stat.S_IFMT(entry.status.st_mode):
        return False
    if stat.S_ISLNK(status.st_mode):
        return os.readlink(copy) == os.readlink(source)
    return entry.is_directory or _have_same_bytes(copy, source)


def _have_same_bytes(left: Path, right: Path) -> bool:
    ours, theirs = bytearray(_BLOCK_BYTES), bytearray(_BLOCK_BYTES)
    with left.open("rb", buffering=0) as one, right.open("rb", buffering=0) as other:
        if os.fstat(one.fileno()).st_size != os.fstat(other.fileno()).st_size:
            return False
        while count := one.readinto(ours):
            if other.readinto(memoryview(theirs)[:count]) != count:
                return False
            if memoryview(ours)[:count] != memoryview(theirs)[:count]:
                return False
        return other.readinto(theirs) == 0
