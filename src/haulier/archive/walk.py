"""Walking a target: what an archive of it will hold, decided from `lstat` alone.

The order is fixed (a directory, then its children by the bytes of their names), so the same
tree gives the same plan. Nothing outside the target is followed: a symbolic link is kept as a
link and must point inside. Sockets, devices and pipes are left out and named.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from haulier.archive.entry import Entry, EntryType
from haulier.errors import SourceChanged, TargetMissing, TargetUnreadable, UnsafePath

Takes = Callable[[str, bool], bool]
"""`takes(path relative to the target, is_directory)`: whether an entry belongs to the archive."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells whether a file is still the one that was planned."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Identity:
        return cls(
            status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        )


@dataclass(frozen=True, slots=True)
class PlannedEntry:
    """An entry and the identity its file had when the plan was made."""

    entry: Entry
    identity: Identity


@dataclass(slots=True)
class Walked:
    """The result of a walk: entries in archive order, and what was left out and why."""

    base: str
    entries: list[PlannedEntry] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def size_bytes(self) -> int:
        """The sum of the files; a hard-linked file counts once."""
        return sum(planned.entry.size for planned in self.entries)


def take_everything(_path: str, _is_directory: bool) -> bool:
    return True


def walk(target: str, takes: Takes = take_everything) -> Walked:
    """Plan an archive of `target`, a file or a directory.

    Args:
        target: an absolute path without a trailing slash; its last component names the archive.
        takes: decides for each entry below a directory; not asked for the target itself.

    Raises:
        TargetMissing: there is no such file.
        TargetUnreadable: it, or something in it, may not be read.
        UnsafePath: a link leads out of the target.
    """
    base, name = os.path.split(target)
    walked = Walked(base)
    first_link: dict[tuple[int, int], str] = {}
    for path, status in _visit(base, name, name, takes, walked.left_out):
        entry = _entry(base, name, path, status)
        if entry.type is EntryType.FILE and status.st_nlink > 1:
            entry = _linked(entry, first_link, (status.st_dev, status.st_ino))
        if entry.type is EntryType.FILE:
            _require_readable(os.path.join(base, path))
        walked.entries.append(PlannedEntry(entry, Identity.of(status)))
    return walked


def _visit(
    base: str, root: str, path: str, takes: Takes, left_out: list[str]
) -> Iterator[tuple[str, os.stat_result]]:
    pending = [path]
    while pending:
        path = pending.pop()
        full = os.path.join(base, path)
        try:
            status = os.lstat(full)
        except FileNotFoundError:
            if path == root:
                raise TargetMissing(f"{full} does not exist") from None
            raise SourceChanged(f"{full} vanished while the directory was read") from None
        except OSError as error:
            raise TargetUnreadable(f"{full} can't be read: {error.strerror}") from error
        if not _is_kept_kind(status):
            left_out.append(path)
            continue
        yield path, status
        if stat.S_ISDIR(status.st_mode):
            pending.extend(_children(base, root, path, takes, left_out))


def _children(base: str, root: str, path: str, takes: Takes, left_out: list[str]) -> list[str]:
    full = os.path.join(base, path)
    try:
        with os.scandir(full) as listing:
            found = [(item.name, item.is_dir(follow_symlinks=False)) for item in listing]
    except OSError as error:
        raise TargetUnreadable(f"{full} can't be listed: {error.strerror}") from error
    kept = []
    # Last first: the caller takes from the end of its list.
    for name, is_directory in sorted(found, key=lambda item: os.fsencode(item[0]), reverse=True):
        child = f"{path}/{name}"
        if takes(child[len(root) + 1 :], is_directory):
            kept.append(child)
        else:
            left_out.append(child)
    return kept


def _is_kept_kind(status: os.stat_result) -> bool:
    return stat.S_IFMT(status.st_mode) in {stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK}


def _entry(base: str, root: str, path: str, status: os.stat_result) -> Entry:
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISDIR(status.st_mode):
        kind, size, link = EntryType.DIRECTORY, 0, None
    elif stat.S_ISLNK(status.st_mode):
        kind, size = EntryType.SYMLINK, 0
        link = os.readlink(os.path.join(base, path))
        _require_inside(root, path, link)
    else:
        kind, size, link = EntryType.FILE, status.st_size, None
    return Entry(
        path=path, type=kind, mode=mode, mtime_ns=status.st_mtime_ns, size=size, link_target=link
    )


def _linked(entry: Entry, first_link: dict[tuple[int, int], str], inode: tuple[int, int]) -> Entry:
    first = first_link.setdefault(inode, entry.path)
    if first == entry.path:
        return entry
    return replace(entry, type=EntryType.HARDLINK, size=0, link_target=first)


def _require_inside(root: str, path: str, link: str) -> None:
    landing = os.path.normpath(os.path.join(os.path.dirname(path), link))
    if not os.path.isabs(link) and (landing == root or landing.startswith(root + "/")):
        return
    raise UnsafePath(f"{path} is a link that leads out of {root}: {link}")


def _require_readable(full: str) -> None:
    if not os.access(full, os.R_OK, effective_ids=os.access in os.supports_effective_ids):
        raise TargetUnreadable(f"{full} can't be read: permission denied")
