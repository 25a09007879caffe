"""One member of an archive, from just the bytes that hold it."""

from __future__ import annotations

import hashlib
import os
import posixpath
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

from haulier.archive.entry import Entry, EntryType
from haulier.archive.index import ArchiveIndex
from haulier.archive.layout import entry_end
from haulier.archive.reader import READ_BYTES, ByteSource, open_tar_stream
from haulier.archive.rename import rename_no_replace, sync_directory
from haulier.archive.safety import member_path, symlink_landing
from haulier.archive.tar_reader import TarReader, require_agreement
from haulier.errors import CorruptArchive, DuplicateName

_KEPT_MODE = 0o777


def content_entry(index: ArchiveIndex, entry: Entry) -> Entry:
    """Return the entry that holds the content of `entry`: of a hard link the file itself."""
    if entry.type is EntryType.HARDLINK and entry.link_target is not None:
        return index.find(entry.link_target)
    return entry


def entries_below(index: ArchiveIndex, entry: Entry) -> Iterator[Entry]:
    """Yield `entry` and everything below it, in archive order."""
    prefix = entry.path.rstrip("/") + "/"
    for candidate in index.entries:
        if candidate.path == entry.path or candidate.path.startswith(prefix):
            yield candidate


def byte_range(index: ArchiveIndex, entry: Entry) -> tuple[int, int]:
    """Return which bytes of the (unencrypted) archive hold `entry`, whole segments of it."""
    _, start, end = index.byte_range(entry.tar_offset, entry_end(entry))
    return start, end


def extract_file(
    source: ByteSource,
    index: ArchiveIndex,
    entry: Entry,
    target: Path,
    *,
    overwrite: bool = False,
    advance: Callable[[int], None] = lambda _count: None,
) -> Path:
    """Write the file `entry` to `target` from the bytes of its `byte_range`; blocks.

    Its content is held against the index's SHA-256; mode and times are brought back.

    Raises:
        CorruptArchive: the bytes are not what the index says. DuplicateName: `target` exists
        and may not be replaced. UnsafeArchive: it is no file.
    """
    first, _, _ = index.byte_range(entry.tar_offset, entry_end(entry))
    stream = open_tar_stream(source, index.header.compression)
    skip = entry.tar_offset - index.segments[first].tar_start
    while skip:
        skipped = stream.read(min(skip, READ_BYTES))
        if not skipped:
            raise CorruptArchive("the archive ends before the member it should hold")
        skip -= len(skipped)
    # Positions count from the member's own header.
    stream.position = 0
    reader = TarReader(stream)
    member = next(iter(reader), None)
    if member is None:
        raise CorruptArchive(f"there is no member where {entry.path!r} should be")
    require_agreement(member, entry)
    return _write(reader.content(member), entry, target, overwrite=overwrite, advance=advance)


def _write(
    content: Iterator[bytes],
    entry: Entry,
    target: Path,
    *,
    overwrite: bool,
    advance: Callable[[int], None],
) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".haulier-partial-{secrets.token_hex(8)}")
    digest = hashlib.sha256()
    try:
        with partial.open("xb") as file:
            for piece in content:
                digest.update(piece)
                file.write(piece)
                advance(len(piece))
            if entry.sha256 not in {None, digest.hexdigest()}:
                raise CorruptArchive(f"the content of {entry.path!r} is not what was packed")
            file.flush()
            os.fchmod(file.fileno(), entry.mode & _KEPT_MODE)
            os.utime(file.fileno(), ns=(entry.mtime_ns, entry.mtime_ns))
            os.fsync(file.fileno())
        _give_name(partial, target, overwrite=overwrite)
    finally:
        partial.unlink(missing_ok=True)
    return target


def make_link(entry: Entry, target: Path, *, overwrite: bool = False) -> Path:
    """Make the symbolic link `entry` at `target`; raises UnsafeArchive when it leads out."""
    assert entry.link_target is not None
    symlink_landing(member_path(entry.path), entry.link_target)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".haulier-partial-{secrets.token_hex(8)}")
    partial.symlink_to(entry.link_target)
    try:
        os.utime(partial, ns=(entry.mtime_ns, entry.mtime_ns), follow_symlinks=False)
        _give_name(partial, target, overwrite=overwrite)
    finally:
        partial.unlink(missing_ok=True)
    return target


def _give_name(partial: Path, target: Path, *, overwrite: bool) -> None:
    if overwrite:
        partial.replace(target)
    else:
        try:
            rename_no_replace(partial, target)
        except FileExistsError:
            raise DuplicateName(
                f"{target} exists already", hint="Use --overwrite, or another --out."
            ) from None
    sync_directory(target.parent)


def base_name(entry: Entry) -> str:
    """Return the last component of the entry's path."""
    return posixpath.basename(entry.path)
