"""Unpacking that can't leave its target.

Every member is judged before the first byte is written: from the index where there is one, else
by reading all headers. Then everything goes into a hidden directory beside the target, each file
held against its SHA-256, and only what is complete gets its name. On any failure nothing stays.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from haulier.archive.entry import Entry, EntryType
from haulier.archive.index import ArchiveIndex
from haulier.archive.reader import ByteSource, open_tar_stream
from haulier.archive.rename import rename_no_replace, sync_directory
from haulier.archive.safety import check_members, member_path, member_type
from haulier.archive.tar_reader import TarReader, mtime_ns, require_agreement
from haulier.errors import (
    CorruptArchive,
    DuplicateName,
    Interrupted,
    StorageFull,
    TargetUnreadable,
    UnsafeArchive,
)

STAGING_PREFIX = ".haulier-restoring-"
_KEPT_MODE = 0o777  # set-user-id and set-group-id are not brought back
_COMPONENT_BYTES = 255

OpenSource = Callable[[], ByteSource]


@dataclass(slots=True)
class UnpackReport:
    """What was unpacked: paths of the top-level entries, counts, and whether all were checked."""

    paths: list[Path] = field(default_factory=list)
    files: int = 0
    size_bytes: int = 0


def unpack(
    open_source: OpenSource,
    target_dir: Path,
    *,
    compression: str,
    index: ArchiveIndex | None = None,
    overwrite: bool = False,
    advance: Callable[[int], None] = lambda _count: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> UnpackReport:
    """Unpack an archive below `target_dir`; blocks.

    Args:
        open_source: returns the archive's (decrypted) bytes from the start, each time it is
            called; twice without an index.
        index: what should be in it; contents are then checked.
        overwrite: replace entries of the same name.
        advance: told bytes of content as they are written.
        cancelled: asked between blocks.

    Raises:
        UnsafeArchive: a member may not be written; nothing was. CorruptArchive: damaged, or not
        what the index says. DuplicateName: a name is taken. StorageFull. Interrupted: cancelled.
    """
    members = iter(index.entries) if index is not None else _headers(open_source(), compression)
    tops = _checked_tops(members)
    _require_free(tops, target_dir, overwrite=overwrite)
    try:
        target_dir.mkdir(parents=True, exist_ok=True)
        with staging(target_dir) as hidden:
            writer = _Writer(hidden, advance, cancelled)
            _extract(open_source(), compression, index, writer)
            writer.finish()
            paths = [_place(hidden / t, target_dir / t, overwrite=overwrite) for t in tops]
            sync_directory(target_dir)
    except PermissionError as error:
        raise TargetUnreadable(f"{error.filename or target_dir} may not be written") from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageFull(
                f"no space left in {target_dir}", hint="Free some and run the command again."
            ) from error
        raise
    return UnpackReport(paths, writer.files, writer.size_bytes)


def _headers(source: ByteSource, compression: str) -> Iterator[tarfile.TarInfo]:
    return iter(TarReader(open_tar_stream(source, compression)))


def _checked_tops(members: Iterator[Entry] | Iterator[tarfile.TarInfo]) -> list[str]:
    tops: dict[str, None] = {}

    def noted() -> Iterator[Entry | tarfile.TarInfo]:
        for member in members:
            path = member_path(member.path)
            for component in path.split("/"):
                if len(os.fsencode(component)) > _COMPONENT_BYTES:
                    raise UnsafeArchive(
                        f"the archive has a name longer than 255 bytes: {component[:80]!r}…",
                        hint="Unpack it on a file system that takes such names.",
                    )
            if path:
                tops.setdefault(path.split("/")[0])
            yield member

    check_members(noted())
    return list(tops)


def _require_free(tops: list[str], target_dir: Path, *, overwrite: bool) -> None:
    for top in tops:
        if not overwrite and os.path.lexists(target_dir / top):
            raise DuplicateName(
                f"{target_dir / top} exists already", hint="Use --overwrite, or another --out."
            )


def _extract(
    source: ByteSource, compression: str, index: ArchiveIndex | None, writer: _Writer
) -> None:
    limit = index.header.tar_size if index is not None else None
    reader = TarReader(open_tar_stream(source, compression, max_bytes=limit))
    entries = iter(index.entries) if index is not None else None
    for member in reader:
        entry = None
        if entries is not None:
            entry = next(entries, None)
            if entry is None:
                raise CorruptArchive(f"the archive's {member.name!r} is not in its index")
            require_agreement(member, entry)
        writer.write(member, reader.content(member) if member.isreg() else iter(()), entry)
    if entries is not None and (missing := next(entries, None)) is not None:
        raise CorruptArchive(f"{missing.path!r} is missing from the archive")


class _Writer:
    """Writes members below `root`, which nobody else can enter."""

    def __init__(
        self, root: Path, advance: Callable[[int], None], cancelled: Callable[[], bool]
    ) -> None:
        self._root = root
        self._advance = advance
        self._cancelled = cancelled
        self._directories: dict[str, tuple[int, int]] = {}
        self.files = 0
        self.size_bytes = 0

    def write(self, member: tarfile.TarInfo, content: Iterator[bytes], entry: Entry | None) -> None:
        relative = member_path(member.name)
        if not relative:
            return
        path = self._root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = member_type(member)
        if kind is EntryType.DIRECTORY:
            path.mkdir(exist_ok=True)
            self._directories[relative] = (member.mode & _KEPT_MODE, mtime_ns(member))
            return
        path.unlink(missing_ok=True)  # a later member of the same path takes its place
        if kind is EntryType.SYMLINK:
            path.symlink_to(member.linkname)
            os.utime(path, ns=(mtime_ns(member),) * 2, follow_symlinks=False)
        elif kind is EntryType.HARDLINK:
            os.link(self._root / member_path(member.linkname), path)
        else:
            self._write_file(path, member, content, entry)

    def _write_file(
        self, path: Path, member: tarfile.TarInfo, content: Iterator[bytes], entry: Entry | None
    ) -> None:
        digest = hashlib.sha256()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(path, flags, 0o600), "wb", buffering=0) as file:
            for piece in content:
                if self._cancelled():
                    raise Interrupted("unpacking was interrupted", hint="Run it again.")
                if entry is not None:
                    digest.update(piece)
                file.write(piece)
                self._advance(len(piece))
            if entry is not None and entry.sha256 not in {None, digest.hexdigest()}:
                raise CorruptArchive(f"the content of {member.name!r} is not what was packed")
            os.fchmod(file.fileno(), member.mode & _KEPT_MODE)
            os.utime(file.fileno(), ns=(mtime_ns(member),) * 2)
            os.fsync(file.fileno())
        self.files += 1
        self.size_bytes += member.size

    def finish(self) -> None:
        """Give directories their modes and times, the deepest first."""
        for relative, (mode, modified_ns) in sorted(self._directories.items(), reverse=True):
            path = self._root / relative
            sync_directory(path)
            path.chmod(mode)
            os.utime(path, ns=(modified_ns, modified_ns))


@contextmanager
def staging(target_dir: Path, prefix: str = STAGING_PREFIX) -> Iterator[Path]:
    """Make a hidden directory in `target_dir` for what is not complete yet; it is gone afterwards.

    What killed runs left under the same prefix is removed first.
    """
    _remove_abandoned(target_dir, prefix)
    path, descriptor = _locked_directory(target_dir, prefix)
    try:
        yield path
    finally:
        remove_tree(path)
        os.close(descriptor)


def _locked_directory(target_dir: Path, prefix: str) -> tuple[Path, int]:
    while True:
        path = target_dir / f"{prefix}{secrets.token_hex(8)}"
        path.mkdir(0o700)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue  # a neighbour took it for abandoned before it was locked
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if path.is_dir():
            return path, descriptor
        os.close(descriptor)


def _remove_abandoned(target_dir: Path, prefix: str) -> None:
    """Remove what a run that was killed left; a living one holds the lock of its own."""
    for left in target_dir.glob(f"{prefix}*"):
        try:
            descriptor = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except (FileNotFoundError, NotADirectoryError):
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_tree(left)
        except BlockingIOError:
            pass
        finally:
            os.close(descriptor)


def remove_tree(path: Path) -> None:
    """Remove a tree of ours, directories without write permission included."""
    if not os.path.lexists(path):
        return
    for directory, _, _ in os.walk(path):
        os.chmod(directory, 0o700)
    shutil.rmtree(path)


def _place(staged: Path, target: Path, *, overwrite: bool) -> Path:
    if overwrite and os.path.lexists(target):
        # The old one goes into the staging directory and is removed with it.
        target.rename(staged.with_name(f"{STAGING_PREFIX}replaced-{secrets.token_hex(4)}"))
    try:
        rename_no_replace(staged, target)
    except FileExistsError:
        raise DuplicateName(f"{target} exists already", hint="Use --overwrite.") from None
    return target
