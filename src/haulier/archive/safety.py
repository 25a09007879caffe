"""The static check of an archive: may its members be written at all?

Pure thought over names, before a byte is written. What passes can't lead outside the directory
it is unpacked in: no absolute path, no `..`, no link that points out, no path that goes through
a link or a file of the same archive, no device.
"""

from __future__ import annotations

import posixpath
import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from haulier.archive.entry import Entry, EntryType
from haulier.errors import UnsafeArchive

_DRIVE = re.compile(r"[A-Za-z]:(/|\\|$)")
_TYPES = {
    tarfile.REGTYPE: EntryType.FILE,
    tarfile.AREGTYPE: EntryType.FILE,
    tarfile.CONTTYPE: EntryType.FILE,
    tarfile.GNUTYPE_SPARSE: EntryType.FILE,
    tarfile.DIRTYPE: EntryType.DIRECTORY,
    tarfile.SYMTYPE: EntryType.SYMLINK,
    tarfile.LNKTYPE: EntryType.HARDLINK,
}
_LEAF_TYPES = {EntryType.FILE, EntryType.HARDLINK}

Member = tarfile.TarInfo | Entry


def member_path(name: str) -> str:
    """Return where a member of that name lies, relative to the directory it is unpacked in.

    `.` and empty components are dropped; the result is empty for that directory itself.

    Raises:
        UnsafeArchive: the name is absolute, empty, names a drive, or holds `..` or NUL.
    """
    if not name:
        raise UnsafeArchive("the archive has a member without a name")
    if "\0" in name:
        raise UnsafeArchive(f"the archive has a member with NUL in its name: {name!r}")
    if name.startswith("/") or _DRIVE.match(name):
        raise UnsafeArchive(f"the archive has a member with an absolute path: {name!r}")
    components = [component for component in name.split("/") if component not in {"", "."}]
    if ".." in components:
        raise UnsafeArchive(f"the archive has a member that leads out of it: {name!r}")
    return "/".join(components)


def member_type(member: Member) -> EntryType:
    """Return what kind of member it is.

    Raises:
        UnsafeArchive: it is a device, a pipe or another kind that is never unpacked.
    """
    if isinstance(member, Entry):
        return member.type
    try:
        return _TYPES[member.type]
    except KeyError:
        raise UnsafeArchive(
            f"the archive has a member that is no file, directory or link: {member.name!r}"
        ) from None


def symlink_landing(path: str, target: str) -> str:
    """Return where the symbolic link at `path` points, relative to where it all is unpacked.

    Raises:
        UnsafeArchive: it points outside, by its text alone.
    """
    if not target or "\0" in target:
        raise UnsafeArchive(f"the archive has a link without a proper target: {path!r}")
    if target.startswith("/") or _DRIVE.match(target):
        raise UnsafeArchive(f"the archive has a link to an absolute path: {path!r} -> {target!r}")
    landing = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    if landing in {".", ".."} or landing.startswith("../"):
        raise UnsafeArchive(f"the archive has a link that leads out of it: {path!r} -> {target!r}")
    return landing


def check_members(members: Iterable[Member]) -> None:
    """Check every member of an archive; returns when all may be unpacked together.

    A symbolic link must point at something below a top-level name of the archive; a hard link
    at a regular file that came before it. Members of the same path must be of one kind.

    Raises:
        UnsafeArchive: naming the first member found that may not.
    """
    for _ in checked_members(members):
        pass


def checked_members(members: Iterable[Member]) -> Iterator[tuple[str, EntryType, Member]]:
    """Yield each member with its path and kind, checked as `check_members` does.

    What concerns several members at once is only known at the end: nothing may be written
    before the iteration is over.
    """
    seen = _Seen()
    for member in members:
        name = member.path
        path = member_path(name)
        kind = member_type(member)
        if not path:
            if kind is not EntryType.DIRECTORY:
                raise UnsafeArchive(f"the archive has a member without a name: {name!r}")
            continue
        seen.add(path, kind, _link_target(member))
        yield path, kind, member
    seen.check_symlinks()


def _link_target(member: Member) -> str:
    return (member.link_target or "") if isinstance(member, Entry) else member.linkname


@dataclass(slots=True)
class _Seen:
    """Which paths the archive uses, and for what; directories only implied count as such."""

    kinds: dict[str, EntryType] = field(default_factory=dict)
    landings: dict[str, str] = field(default_factory=dict)
    winding: list[tuple[str, str]] = field(default_factory=list)

    def add(self, path: str, kind: EntryType, target: str) -> None:
        self._require_directories_above(path)
        if kind is EntryType.HARDLINK:
            self._require_earlier_file(path, target)
        if kind is EntryType.SYMLINK:
            self._note_symlink(path, target)
        stored = EntryType.FILE if kind in _LEAF_TYPES else kind
        if self.kinds.setdefault(path, stored) is not stored:
            raise UnsafeArchive(f"the archive has two members of different kinds at {path!r}")

    def _require_directories_above(self, path: str) -> None:
        parent = posixpath.dirname(path)
        while parent:
            kind = self.kinds.setdefault(parent, EntryType.DIRECTORY)
            if kind is not EntryType.DIRECTORY:
                raise UnsafeArchive(
                    f"the archive has a member that goes through a {kind}: {path!r} below "
                    f"{parent!r}"
                )
            parent = posixpath.dirname(parent)

    def _require_earlier_file(self, path: str, target: str) -> None:
        first = member_path(target)
        if first == path or self.kinds.get(first) is not EntryType.FILE:
            raise UnsafeArchive(
                f"the archive has a hard link to what is no earlier file of it: "
                f"{path!r} -> {target!r}"
            )

    def _note_symlink(self, path: str, target: str) -> None:
        landing = symlink_landing(path, target)
        self.landings.setdefault(landing.partition("/")[0], path)
        if ".." in target.lstrip("./").split("/"):
            self.winding.append((path, target))

    def check_symlinks(self) -> None:
        """Check what needs all paths: where links land, and that `..` in the middle of a
        target does not step back out of another link, where it means another place."""
        for top, path in self.landings.items():
            if top not in self.kinds:
                raise UnsafeArchive(
                    f"the archive has a link that leads out of it: {path!r} -> {top!r}"
                )
        for path, target in self.winding:
            walked = posixpath.dirname(path).split("/") if "/" in path else []
            for component in target.split("/"):
                if component == "..":
                    self._require_no_symlink(walked, path, target)
                    walked.pop()
                elif component not in {"", "."}:
                    walked.append(component)

    def _require_no_symlink(self, walked: list[str], path: str, target: str) -> None:
        prefixes = ("/".join(walked[:count]) for count in range(1, len(walked) + 1))
        if any(self.kinds.get(prefix) is EntryType.SYMLINK for prefix in prefixes):
            raise UnsafeArchive(
                f"the archive has a link that winds through another: {path!r} -> {target!r}"
            )
